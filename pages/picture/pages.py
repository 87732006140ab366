"""A page and the places in it that the command fills."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


@dataclass(frozen=True)
class Parts:
    """Name of a place → its content. A page must have a place for every table, but not for every picture."""

    pictures: dict[str, str]
    tables: dict[str, str]

    def plus(self, tables: dict[str, str]) -> Parts:
        """The parts with further tables."""
        return Parts(self.pictures, {**self.tables, **tables})


def fenced(diagram: str) -> str:
    """A diagram as a page shows it."""
    return f"```mermaid\n{diagram}\n```"


def placed(page: str, parts: Parts, name: str) -> str:
    """`page` with every part in its place; `name`: of its file, for the error. Raises: ValueError: a place for an
    unknown part, or a table without a place.
    """
    texts = {**parts.pictures, **parts.tables}
    places = re.findall(r"<!-- picture: (?!end)([\w-]+) -->", page)
    for place in {*places, *parts.tables}:
        if place not in texts or places.count(place) != 1:
            raise ValueError(f"{name} must have one place <!-- picture: {place} -->, and no unknown places")
        found = re.compile(rf"<!-- picture: {place} -->\n.*?<!-- picture: end -->", re.DOTALL)
        text = f"<!-- picture: {place} -->\n{texts[place]}\n<!-- picture: end -->"
        page = found.sub(lambda _, text=text: text, page, count=1)
    return page
