"""Which cloud the environment is on. Only its modules are imported: the other cloud's SDK is never loaded."""

import importlib
from collections.abc import Mapping
from types import ModuleType

from components.arguments import Shape


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


def shape(name: str) -> Shape:
    """What the file of a stack on that cloud may hold under `gpuyard:`."""
    return importlib.import_module(f".{name}.config", __package__).CONFIG


def instead(name: str) -> Mapping[str, str]:
    """Path of a field that only other clouds have → what takes its place on that cloud."""
    return importlib.import_module(f".{name}.instead", __package__).INSTEAD
