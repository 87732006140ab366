"""Which cloud the environment is on. Only its modules are imported: the other cloud's SDK is never loaded."""

import importlib
from types import ModuleType


def cloud(name: str) -> ModuleType:
    """`stack/aws/wiring.py` or `stack/gcp/wiring.py`. Both have the same functions, in the order in which `__main__.py`
    calls them; `tests/structure` holds their signatures against each other, and those of the checks."""
    return importlib.import_module(f".{name}.wiring", __package__)


def checks(name: str) -> ModuleType:
    """`stack/aws/checks.py` or `stack/gcp/checks.py`: what the environment asks them before anything is made."""
    return importlib.import_module(f".{name}.checks", __package__)


def changes(name: str) -> ModuleType:
    """`stack/aws/changes.py` or `stack/gcp/changes.py`: what a change of the file does to what exists."""
    return importlib.import_module(f".{name}.changes", __package__)
