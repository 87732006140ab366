"""The page with the figures: its tables stand between markers, and a command writes each."""

from __future__ import annotations

import os
import platform
import re
import time
from pathlib import Path

PAGE = Path(__file__).parent / "README.md"


def shown(value: float, unit: str) -> str:
    """A figure as text: whole MiB, tenths of seconds."""
    return f"{value:,.0f} {unit}" if unit == "MiB" else f"{value:.1f} {unit}"


def machine() -> str:
    """Where and when the figures are measured."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}"


def write(name: str, text: str) -> None:
    """Puts a table between the page's markers of that name."""
    page = PAGE.read_text()
    begin, end = f"<!-- {name} -->\n", f"<!-- {name}: end -->"
    PAGE.write_text(re.sub(f"{begin}.*{end}", lambda _: f"{begin}{text}\n{end}", page, flags=re.DOTALL))
