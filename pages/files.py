"""Generated files: written again, or compared with the existing files."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def update(files: Mapping[Path, Callable[[str], str]], *, check: bool, fix: str) -> int:
    """Writes each file again; returns the exit status.

    Args:
        files: path → function from the present text to the new one.
        check: write nothing, and report each file that is out of date.
        fix: the command that writes them.
    """
    status = 0
    for path, made in files.items():
        old = path.read_text()
        new = made(old)
        if not check:
            path.write_text(new)
        elif new != old:
            report(path.name, old, new, fix)
            status = 1
    return status


def report(name: str, old: str, new: str, fix: str) -> None:
    """Prints how a file that is out of date differs, and the command that fixes it."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), name, "now", n=0, lineterm="")
    print("\n".join(lines), f"\n{name} is out of date.\nFix: {fix}", file=sys.stderr)
