"""The table of docs/teams.md: the keys of a team, and what a change of each does."""

from __future__ import annotations

from functools import partial

from components import changes
from components.clouds import CLOUDS
from stack import on

from ..picture.pages import Parts
from .declared import keys, section
from .sections import table


def parts() -> Parts:
    """Name of a place in the page → table. A key that only one cloud has is in the table of that cloud."""
    found = {cloud: {key.path: key for key in keys(section(cloud, "teams"))} for cloud in CLOUDS}
    common = [path for path in next(iter(found.values())) if all(path in each for each in found.values())]
    any_cloud = next(iter(found))
    tables = {"teams": table([found[any_cloud][path] for path in common], {"a change": partial(_change, any_cloud)})}
    for cloud, each in found.items():
        tables[f"teams-{cloud}"] = table([key for path, key in each.items() if path not in common])
    return Parts({}, tables)


def _change(cloud: str, path: str) -> str:
    """What a change of a team's key does. The rules of both clouds are the same."""
    return (changes.of(f"teams.*.{path}", on.changes(cloud).RULES) or changes.IN_PLACE).effect.value
