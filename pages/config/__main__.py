"""Writes the pages that depend on the declarations of the config: Pulumi.yaml's keys and the tables of docs/pools.md.

python -m pages.config             writes them
python -m pages.config --check     exits 1, and says what to do, when one is not what it would write
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ..picture.pages import DOCS, placed
from . import pools, pulumi_yaml

FIX = "make pages"
FILES: dict[Path, Callable[[str], str]] = {
    DOCS.parent / "Pulumi.yaml": pulumi_yaml.placed,
    DOCS / "pools.md": lambda page: placed(page, pools.parts(), "docs/pools.md"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pages.config", description="Pulumi.yaml's keys and docs/pools.md")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is out of date")
    check, status = parser.parse_args(arguments).check, 0
    for path, made in FILES.items():
        text, name = path.read_text(), path.relative_to(DOCS.parent).as_posix()
        new = made(text)
        if not check:
            path.write_text(new)
        elif new != text:
            lines = difflib.unified_diff(text.splitlines(), new.splitlines(), name, "now", n=0, lineterm="")
            print("\n".join(lines), f"\n{name} is out of date.\nFix: {FIX}", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
