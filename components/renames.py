"""A pool under a new name: what exists under the former one, `was`, takes it, and no node goes."""

from collections.abc import Iterator, Mapping

import pulumi

from .checks import Problem
from .pool_spec import NodePoolSpec


def problems(specs: Mapping[str, NodePoolSpec]) -> Iterator[Problem]:
    """Former names that are another pool's, or its own."""
    taken: dict[str, str] = {}
    for name, spec in specs.items():
        was = spec.get("was")
        if was and (was in specs or was in taken):
            whose = "a pool of today" if was in specs else f"the former name of {taken[was]} too"
            allowed = "the former name of this pool alone"
            yield Problem(f"{name}.was", was, f"{was} is {whose}", allowed, "correct it, or remove it")
        if was:
            taken.setdefault(was, name)


def renamed(opts: pulumi.ResourceOptions | None, spec: NodePoolSpec) -> pulumi.ResourceOptions | None:
    """`opts` of a pool's component, under which what exists by the pool's former name is this one's."""
    was = spec.get("was")
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(aliases=[pulumi.Alias(name=was)])) if was else opts
