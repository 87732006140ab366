"""Nodes of the moment: how many there are when a change is looked at, and which changes would take them away."""

from collections.abc import Iterator

import pulumi
from pulumi.runtime.sync_await import _sync_await

from components.checks import Problem

from .changes import Group
from .environment import Environment


def of_the_moment(asked: list[pulumi.Output[int]], known: list[int]) -> list[int]:
    """What the cloud says of each group, all asked at once; without an answer (no credentials, a group that is gone)
    what the engine saw last."""
    try:
        return [int(size) for size in _sync_await(pulumi.Output.all(*asked).future()) or known]
    except Exception as error:  # the SDK has no narrower class for an invoke that failed
        pulumi.log.warn(f"how many nodes there are at the moment cannot be asked, the last known sizes serve: {error}")
        return known


def text(nodes: int) -> str:
    """1 node, 2 nodes, no nodes."""
    return f"{nodes or 'no'} node{'' if nodes == 1 else 's'}"


def zone_problems(zones: list[str], groups: list[Group]) -> Iterator[Problem]:
    """Zones that the file no longer has, with nodes in them. `zones`: of the network."""
    gone = sorted({zone for group in groups if group.nodes for zone in group.zones} - set(zones))
    for zone in gone:
        mine = [group for group in groups if zone in group.zones and group.nodes]
        names = ", ".join(dict.fromkeys(group.pool for group in mine))
        yield Problem(
            "network.zones", zones, f"{zone} is gone from the file and has nodes of {names}",
            f"zones with {zone} among them while nodes are there",
            f"first let the pools leave: keep {zone} here and give {names} `zones` without it; then remove it",
        )  # fmt: skip


def zone_words(environment: Environment, groups: list[Group]) -> Iterator[str]:
    """Pools that leave a zone with nodes in it."""
    for name, pool in environment.config.node_pools.items():
        mine = [group for group in groups if group.pool in (name, pool.was) and group.nodes]
        left = sorted(
            {zone for group in mine for zone in group.zones} - set(pool.zones or environment.config.network.zones)
        )
        for zone in left:
            count = sum(group.nodes for group in mine if zone in group.zones)
            yield f"nodePools.{name}.zones: {zone} is given up, with {text(count)} there and all that runs on them"
