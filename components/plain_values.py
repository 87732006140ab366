"""Plain values: what one is, and how to write it instead."""

import math
import re
from typing import Any

KINDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
"""The types of plain values, by their names in errors."""


def is_blank(value: Any) -> bool:
    """Whether it is a text without any character that shows."""
    return isinstance(value, str) and not value.strip()


def as_list(text: str) -> str:
    """The list that a text is meant as: one value, or several with commas between them."""
    return f"[{', '.join(each.strip() for each in text.strip('[]').split(',') if each.strip())}]"


def is_a(wanted: type, value: Any) -> bool:
    """Whether the value is of this type. Other languages send whole numbers as floats."""
    if isinstance(value, bool):
        return wanted is bool
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if wanted is int:
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return isinstance(value, (int, float) if wanted is float else wanted)


def fix_of(wanted: type, value: Any) -> str:
    """What to write in place of a value that is not of this type."""
    if wanted is str and isinstance(value, (bool, int, float)):
        lost = " (YAML reads 1.30 as 1.3)" if isinstance(value, float) else ""
        return f'put it in quotes: "{str(value).lower()}"{lost}'
    if isinstance(value, str):
        whole = wanted is int and re.fullmatch(r"-?[0-9]+", value)
        if whole or (wanted is bool and value in ("true", "false")):
            return f"write {value}, without quotes"
    return "correct the value"
