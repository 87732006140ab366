"""The tables of docs/pools.md: the keys of a pool on both clouds, then those of each."""

from __future__ import annotations

from functools import partial

from pydantic.alias_generators import to_camel

from components.clouds import CLOUDS
from stack import on

from ..picture.pages import Parts
from .changes import of_pool
from .declared import keys, section, spelled
from .sections import table


def parts() -> Parts:
    """Name of a place in the page → table."""
    found = {cloud: {key.path: key for key in keys(section(cloud, "node_pools"))} for cloud in CLOUDS}
    common = [path for path in next(iter(found.values())) if all(path in each for each in found.values())]
    both = [next(iter(found.values()))[path] for path in common]
    tables = {
        "pools": table(both, {f"a change on {CLOUDS[cloud].kubernetes}": partial(of_pool, cloud) for cloud in CLOUDS})
    }
    for cloud, each in found.items():
        (other,) = (name for name in CLOUDS if name != cloud)
        own = [key for path, key in each.items() if path not in common]
        refused = f"refused on {CLOUDS[other].kubernetes}; instead"
        more = {"a change": partial(of_pool, cloud), refused: partial(_instead, other)}
        tables[f"pools-{cloud}"] = table(own, more)
    return Parts({}, tables)


def _instead(cloud: str, path: str) -> str:
    """The hint for the key, or for the key that contains it."""
    hints = {_as_keys(place): hint for place, hint in on.instead(cloud).items()}
    first = path.partition(".")[0].removesuffix("[]")
    return spelled(hints.get(f"nodePools.{path}") or hints.get(f"nodePools.{first}") or "–")


def _as_keys(path: str) -> str:
    """A path of fields as a path of keys."""
    return ".".join(map(to_camel, path.split(".")))
