"""The tables of the sections `network`, `cluster`, `storage` and `addons` in docs/aws.md and docs/gcp.md."""

from __future__ import annotations

from .declared import Key, keys, section

SECTIONS = ("network", "cluster", "storage", "addons")


def tables(cloud: str) -> dict[str, str]:
    """Name of a place in the page of a cloud → table."""
    return {f"keys-{name}": table(list(keys(section(cloud, name)))) for name in SECTIONS}


def table(listed: list[Key]) -> str:
    """A row for each key."""
    rows = [["key", "meaning", "default"], ["---"] * 3]
    rows += [[f"`{key.path}`", key.meaning, key.default] for key in listed]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
