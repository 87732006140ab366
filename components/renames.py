"""Renaming a pool: the resources with the former name, `was`, get the new name, and no node is deleted."""

from collections.abc import Iterator, Mapping

import pulumi

from .checks import Problem
from .pool_spec import NodePoolSpec


def problems(specs: Mapping[str, NodePoolSpec]) -> Iterator[Problem]:
    """Former names that are the name or the former name of another pool, or the pool's present name."""
    taken: dict[str, str] = {}
    for name, spec in specs.items():
        was = spec.get("was")
        if was and (was in specs or was in taken):
            whose = "an existing pool" if was in specs else f"the former name of {taken[was]} as well"
            allowed = "the former name of this pool only"
            yield Problem(f"{name}.was", was, f"{was} is {whose}", allowed, "correct it, or remove it")
        if was:
            taken.setdefault(was, name)


def renamed(opts: pulumi.ResourceOptions | None, spec: NodePoolSpec) -> pulumi.ResourceOptions | None:
    """`opts` of a pool's component with an alias, so that the resources with the former name become this pool's."""
    was = spec.get("was")
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=[pulumi.Alias(name=was)])) if was else opts
