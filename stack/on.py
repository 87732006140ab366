"""Which cloud the environment is on. Only its module is imported: the other cloud's SDK is never loaded."""

import importlib
from types import ModuleType


def cloud(name: str) -> ModuleType:
    """`stack/aws.py` or `stack/gcp.py`. Both have the same functions, in the order in which `__main__.py` calls them;
    `tests/structure` holds their signatures against each other."""
    return importlib.import_module(f".{name}", __package__)
