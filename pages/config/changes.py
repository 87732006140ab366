"""What a change of each field of a stack's file does: the table of docs/upgrades.md, and cells of docs/pools.md."""

from __future__ import annotations

from components import changes
from components.changes import IN_PLACE, Rule
from components.clouds import CLOUDS
from stack import on

from ..picture.pages import Parts

_POOLS = "nodePools.*."


def of_pool(cloud: str, path: str) -> str:
    """What a change of a pool's key does; a key inside another one has that one's rule, unless it has its own."""
    return str(changes.of(_POOLS + path.replace("[]", ""), on.changes(cloud).RULES) or "–")


def parts() -> Parts:
    """Name of a place in the page → table. No row: fields of pools, and those that change in place everywhere."""
    rules: list[dict[str, Rule]] = [on.changes(cloud).RULES for cloud in CLOUDS]
    rows = [["field", *(f"on {cloud.kubernetes}" for cloud in CLOUDS.values())], ["---"] * (1 + len(CLOUDS))]
    for path in dict.fromkeys(path for each in rules for path in each):
        if not path.startswith(_POOLS) and {each.get(path, IN_PLACE) for each in rules} != {IN_PLACE}:
            rows.append([f"`{path}`", *(str(each.get(path, "–")) for each in rules)])
    return Parts({}, {"changes": "\n".join(f"| {' | '.join(cells)} |" for cells in rows)})
