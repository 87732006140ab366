"""Objects named as "module:name", imported when they are first needed.

A registry of such names lets one room use another without importing it: `sandbox/cluster` works for both clouds and
imports neither, and a process loads the SDK of one cloud only (both together cost it 60 MB).
"""

from __future__ import annotations

import importlib
from typing import Any


def load(target: str) -> Any:
    """The object that "module:name" names. Raises ImportError or AttributeError if there is none."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
