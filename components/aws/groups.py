"""The node groups of a pool on EKS: one for each rung of its ladder in each of its zones.

The Cluster Autoscaler sees only the first zone of a group with several zones (cloudprovider/aws/aws_manager.go,
getAsgTemplate): a pod whose EBS volume is in another one never gets a node from zero. And EC2 Auto Scaling moves
machines in use from a full zone to an emptier one (AZRebalance), which EKS cannot suspend. In a group of one zone
neither happens (cluster-autoscaler/cloudprovider/aws/README.md, "Common Notes and Gotchas").
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..checks import Problem
from ..hardware import AWS
from ..pools import NodePoolSpec, Pool, Rung, resolve_all

_USUAL_MOST = 30


@dataclass(frozen=True)
class Group:
    """One node group."""

    name: str
    """Name of its resources. It follows from pool, rung and zone only, so that another rung or zone renames none."""
    rung: Rung
    """Its rung of the capacity ladder."""
    zone: str
    """Its zone."""
    min: int
    """Its share of the rung's `min`."""
    max: int
    """Its share of the pool's `max`."""
    former_name: str | None
    """Former name of the resources of the first zone's group: once a group had all zones of its pool."""


def of_pool(pool: Pool, zones: Sequence[str]) -> list[Group]:
    """Every group of a pool: best rung first, then in the order of the pool's zones. `zones`: the network's, for a pool
    that names none. EKS accepts no group of max 0, so a pool with fewer nodes than zones has none in the last ones."""
    own = (pool.zones or tuple(zones))[: pool.max]
    return [
        Group(
            name=f"{rung.name}-{zone}",
            rung=rung,
            zone=zone,
            min=_share(rung.min, len(own), index),
            max=_share(pool.max, len(own), index),
            former_name=None if index else rung.name,
        )
        for rung in pool.rungs
        for index, zone in enumerate(own)
    ]


def name_problems(specs: Mapping[str, NodePoolSpec], zones: Sequence[str]) -> Iterator[Problem]:
    """Pools with the name of another pool's group: the engine would confuse the groups of both, because of
    `Group.former_name`."""
    found = {name: of_pool(pool, zones) for name, pool in resolve_all(AWS, specs).items()}
    owners = {group.name: name for name, own in found.items() for group in own}
    for name, own in found.items():
        for group in own:
            if group.former_name in owners and owners[group.former_name] != name:
                yield Problem(
                    name, name, f"a group of the pool {owners[group.former_name]} has the name {group.former_name}",
                    "names that do not end in a zone of another pool", "rename the pool",
                )  # fmt: skip


def warnings(specs: Mapping[str, NodePoolSpec], zones: Sequence[str]) -> Iterator[str]:
    """Warnings about settings that work but are rarely intended, for pools that have no `problems`."""
    for name, pool in resolve_all(AWS, specs).items():
        own = pool.zones or tuple(zones)
        if there := own[: pool.max] if pool.max < len(own) else ():
            yield (
                f"{name}.max: {pool.max} is less than one node for each of {len(own)} zones: "
                f"nodes are in {', '.join(there)} only, and a pod whose EBS volume is in {', '.join(own[pool.max :])} "
                "gets no node; "
                f"raise it to {len(own)}, or name the zones"
            )


def quota_warnings(specs: Mapping[str, NodePoolSpec], zones: Sequence[str]) -> Iterator[str]:
    """More node groups than an account's default quota."""
    count = sum(len(of_pool(pool, zones)) for pool in resolve_all(AWS, specs).values())
    if count > _USUAL_MOST:
        yield (
            f"{count} node groups, one for each rung in each zone: the default quota is {_USUAL_MOST} for each cluster "
            "(Service Quotas, eks, L-6D54EA21); raise it, or use fewer zones or rungs"
        )


def _share(total: int, parts: int, index: int) -> int:
    """The share of part `index`: as equal as whole numbers allow; the first parts get the remainder."""
    return total // parts + (index < total % parts)
