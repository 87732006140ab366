"""Which cloud the environment is on. Only its modules are imported: the other cloud's SDK is never loaded."""

import importlib
from types import ModuleType


def cloud(name: str) -> ModuleType:
    """`stack/aws.py` or `stack/gcp.py`. Both have the same functions, in the order in which `__main__.py` calls them;
    `tests/structure` holds their signatures against each other, and those of the checks."""
    return importlib.import_module(f".{name}", __package__)


def checks(name: str) -> ModuleType:
    """`stack/aws_checks.py` or `stack/gcp_checks.py`: what the environment asks them before anything is made."""
    return importlib.import_module(f".{name}_checks", __package__)


def changes(name: str) -> ModuleType:
    """`stack/aws_changes.py` or `stack/gcp_changes.py`: what a change of the file does to what exists."""
    return importlib.import_module(f".{name}_changes", __package__)
