"""Writes the pages that depend on the declarations of the config: Pulumi.yaml's keys, and the tables of docs/pools.md,
docs/teams.md and docs/upgrades.md.

python -m pages.config             writes them
python -m pages.config --check exits 1, with instructions, if a page is not up to date
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import files
from ..picture.pages import DOCS, placed
from . import changes, pools, pulumi_yaml, teams

FIX = "make pages"
FILES: dict[Path, Callable[[str], str]] = {
    DOCS.parent / "Pulumi.yaml": pulumi_yaml.placed,
    DOCS / "pools.md": lambda page: placed(page, pools.parts(), "docs/pools.md"),
    DOCS / "teams.md": lambda page: placed(page, teams.parts(), "docs/teams.md"),
    DOCS / "upgrades.md": lambda page: placed(page, changes.parts(), "docs/upgrades.md"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m pages.config", description="Pulumi.yaml's keys, docs/pools.md, docs/teams.md, docs/upgrades.md"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    return files.update(FILES, check=parser.parse_args(arguments).check, fix=FIX)


if __name__ == "__main__":
    sys.exit(main())
