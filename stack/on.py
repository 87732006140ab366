"""The modules of the environment's cloud. Only these are imported, so the other cloud's SDK is never loaded."""

import importlib
from collections.abc import Mapping
from types import ModuleType

from components.arguments import Shape


def cloud(name: str) -> ModuleType:
    """`stack/aws/wiring.py` or `stack/gcp/wiring.py`. Both have the same functions, in the order in which `__main__.py`
    calls them. `tests/structure` compares their signatures, and those of the checks."""
    return importlib.import_module(f".{name}.wiring", __package__)


def checks(name: str) -> ModuleType:
    """`stack/aws/checks.py` or `stack/gcp/checks.py`: the checks that run before anything is created."""
    return importlib.import_module(f".{name}.checks", __package__)


def changes(name: str) -> ModuleType:
    """`stack/aws/changes.py` or `stack/gcp/changes.py`: what a change of the file does to existing resources."""
    return importlib.import_module(f".{name}.changes", __package__)


def shape(name: str) -> Shape:
    """What the file of a stack on that cloud may have under `gpuyard:`."""
    return importlib.import_module(f".{name}.config", __package__).CONFIG


def instead(name: str) -> Mapping[str, str]:
    """Path of a field that only other clouds have → the alternative on that cloud."""
    return importlib.import_module(f".{name}.instead", __package__).INSTEAD
