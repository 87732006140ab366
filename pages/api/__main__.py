"""Writes docs/api from the docstrings of the library.

python -m pages.api              writes the pages (`make pages` does, with the other generated pages)
python -m pages.api --check      exits 1, with instructions, if a page is not up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .. import files
from . import page, source

FOLDER = source.ROOT / "docs" / "api"
FIX = "make pages"


def pages() -> dict[str, str]:
    """Name of a file in docs/api → its text."""
    homes = page.homes()
    return {
        "README.md": page.index(),
        **{page.file(package): page.page(package, homes) for package in source.PACKAGES},
    }


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Runs the command and returns its exit status. `folder`: the folder of the pages."""
    parser = argparse.ArgumentParser(prog="python -m pages.api", description="docs/api from the library's docstrings")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    check, status = parser.parse_args(arguments).check, 0
    found = pages()
    if not check:
        folder.mkdir(parents=True, exist_ok=True)
    for path in sorted({*folder.glob("*.md"), *(folder / name for name in found)}):
        name, new, old = f"docs/api/{path.name}", found.get(path.name), path.read_text() if path.exists() else None
        if new == old:
            continue
        if check:
            files.report(name, old or "", new or "", FIX)
            status = 1
        elif new is None:
            path.unlink()  # the page of a package that no longer exists
        else:
            path.write_text(new)
    return status


if __name__ == "__main__":
    sys.exit(main())
