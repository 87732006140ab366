"""Writes the table of docs/alerts.md.

python -m pages.alerts             writes it
python -m pages.alerts --check exits 1, with instructions, if the page is not up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import files
from ..picture.pages import DOCS, placed
from . import table

FIX = "make pages"
PAGE = DOCS / "alerts.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pages.alerts", description="The table of docs/alerts.md")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page is out of date")
    check = parser.parse_args(arguments).check
    return files.update({PAGE: lambda page: placed(page, table.parts(), "docs/alerts.md")}, check=check, fix=FIX)


if __name__ == "__main__":
    sys.exit(main())
