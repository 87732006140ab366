"""Writes the pictures and the tables of docs/aws.md and docs/gcp.md from what the example stacks register and
what their config declares.

    make picture                          writes the pages
    python -m pages.picture --check exits 1, with instructions, if a page is not up to date

A page has a pair of comments for each part, `<!-- picture: NAME -->` and `<!-- picture: end -->`. The stacks run as
in the tests, under the recording engine: no tools, no account, a few seconds.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from components.clouds import AWS, GCP
from recording.stacks import EKS, GKE, recorded

from .. import files
from ..config import sections
from . import aws, gcp
from .aws.facts import Stack as EksStack
from .gcp.facts import Stack as GkeStack
from .pages import DOCS, Parts, placed

FIX = "make picture"
PAGES: dict[Path, Callable[[], Parts]] = {
    DOCS / "aws.md": lambda: aws.parts([EksStack(name, recorded(name)) for name in EKS]).plus(sections.tables(AWS)),
    DOCS / "gcp.md": lambda: gcp.parts([GkeStack(name, recorded(name)) for name in GKE]).plus(sections.tables(GCP)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pages.picture", description="The pictures and tables of docs/aws.md and docs/gcp.md"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is out of date")
    check = parser.parse_args(arguments).check
    placing = {path: partial(_placed, parts=parts, name=f"docs/{path.name}") for path, parts in PAGES.items()}
    return files.update(placing, check=check, fix=FIX)


def _placed(page: str, parts: Callable[[], Parts], name: str) -> str:
    return placed(page, parts(), name)


if __name__ == "__main__":
    sys.exit(main())
