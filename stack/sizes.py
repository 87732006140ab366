"""The current number of nodes, and the changes of zones that would delete some of them."""

from collections.abc import Iterator

import pulumi
from pulumi.runtime.sync_await import _sync_await

from components.checks import Problem

from .changes import Group
from .environment import Environment


def current(asked: list[pulumi.Output[int]], known: list[int]) -> list[int]:
    """The size of each group. `asked`: the answers of the cloud, awaited together. `known`: the sizes in the engine's
    state, used if the cloud does not answer (missing credentials, a deleted group)."""
    try:
        return [int(size) for size in _sync_await(pulumi.Output.all(*asked).future()) or known]
    except Exception as error:  # the SDK has no narrower class for an invoke that failed
        pulumi.log.warn(f"the current number of nodes cannot be read, the last known sizes are used: {error}")
        return known


def text(nodes: int) -> str:
    """The number with its noun: 0 nodes, 1 node, 2 nodes."""
    return f"{nodes} node{'' if nodes == 1 else 's'}"


def zone_problems(zones: list[str], groups: list[Group]) -> Iterator[Problem]:
    """Zones that the file no longer has but that still have nodes. `zones`: the network's."""
    gone = sorted({zone for group in groups if group.nodes for zone in group.zones} - set(zones))
    for zone in gone:
        mine = [group for group in groups if zone in group.zones and group.nodes]
        names = ", ".join(dict.fromkeys(group.pool for group in mine))
        yield Problem(
            "network.zones", zones, f"{zone} is no longer in the file, but it has nodes of {names}",
            f"zones that include {zone} while it has nodes",
            f"first move the pools: keep {zone} here and give {names} `zones` without it; then remove it",
        )  # fmt: skip


def zone_warnings(environment: Environment, groups: list[Group]) -> Iterator[str]:
    """Pools that leave a zone in which they have nodes."""
    for name, pool in environment.config.node_pools.items():
        mine = [group for group in groups if group.pool in (name, pool.was) and group.nodes]
        left = sorted(
            {zone for group in mine for zone in group.zones} - set(pool.zones or environment.config.network.zones)
        )
        for zone in left:
            count = sum(group.nodes for group in mine if zone in group.zones)
            yield f"nodePools.{name}.zones: {zone} is removed, with {text(count)} there and everything on them"
