"""Writes the picture and the tables of docs/aws.md from what the example stacks register.

    make picture                          writes the page
    python -m tools.picture --check       exits 1, and says what to do, when the page is not what it would write

The page holds a pair of comments for each part, `<!-- picture: NAME -->` and `<!-- picture: end -->`. The stacks run as
in the tests, under the recording engine: no tools, no account, a few seconds.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.stacks import EKS, recorded

from . import diagram, tables
from .facts import Stack

PAGE = Path(__file__).resolve().parents[2] / "docs" / "aws.md"
FIX = "make picture"
_PARTS: dict[str, Callable[[Sequence[Stack]], str]] = {
    "identity": tables.identity,
    "quotas": tables.quotas,
    "examples": tables.examples,
}


def parts(stacks: Sequence[Stack]) -> dict[str, str]:
    """Name of a place in the page → what belongs there: a diagram of each stack, and the tables."""
    drawn = {stack.name: f"```mermaid\n{diagram.mermaid(stack)}\n```" for stack in stacks}
    return {**drawn, **{name: made(stacks) for name, made in _PARTS.items()}}


def placed(page: str, texts: Mapping[str, str]) -> str:
    """`page` with every text in its place. A stack that the page has no place for is left out.

    Raises:
        ValueError: a place that nothing belongs to, or none at all for a table.
    """
    places = re.findall(r"<!-- picture: (?!end)([\w-]+) -->", page)
    for name in {*places, *_PARTS}:
        if name not in texts or places.count(name) != 1:
            raise ValueError(f"{PAGE.name} needs one place <!-- picture: {name} -->, and nothing else of that kind")
        found = re.compile(rf"<!-- picture: {name} -->\n.*?<!-- picture: end -->", re.DOTALL)
        text = f"<!-- picture: {name} -->\n{texts[name]}\n<!-- picture: end -->"
        page = found.sub(lambda _, text=text: text, page, count=1)
    return page


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.picture", description="The picture and tables of docs/aws.md"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of date")
    check = parser.parse_args(arguments).check
    page = PAGE.read_text()
    new = placed(page, parts([Stack(name, recorded(name)) for name in EKS]))
    if check and new != page:
        lines = difflib.unified_diff(page.splitlines(), new.splitlines(), "docs/aws.md", "now", n=0, lineterm="")
        print("\n".join(lines), f"\ndocs/aws.md is out of date.\nFix: {FIX}", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
