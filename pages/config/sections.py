"""The tables of the sections of a stack's file in docs/aws.md and docs/gcp.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .declared import Key, keys, section

SECTIONS = ("network", "cluster", "storage", "addons", "platforms")


def tables(cloud: str) -> dict[str, str]:
    """Name of a place in the page of a cloud → table."""
    return {f"keys-{name}": table(list(keys(section(cloud, name)))) for name in SECTIONS}


def table(listed: list[Key], further: Mapping[str, Callable[[str], str]] | None = None) -> str:
    """A row for each key. `further`: head of a column → its cell for the path of a key."""
    more = further or {}
    heads = ["key", "meaning", "default", *more]
    rows = [heads, ["---"] * len(heads)]
    rows += [[f"`{key.path}`", key.meaning, key.default, *(cell(key.path) for cell in more.values())] for key in listed]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
