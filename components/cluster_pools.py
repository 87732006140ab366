"""The pools of a cluster as pods see them: labels, taints and GPUs. For components that work on any cluster."""

from collections.abc import Iterator, Mapping
from typing import TypedDict

from typing_extensions import NotRequired

from . import checks
from .checks import Problem
from .pools import POOL_LABEL, Pool
from .taints import EFFECTS, Taint


class ClusterPool(TypedDict):
    """A pool of equal nodes of any cluster."""

    labels: NotRequired[dict[str, str]]
    """Labels that select the pool's nodes. Default: none."""
    taints: NotRequired[list[Taint]]
    """Taints of every node. Default: none."""
    gpus: NotRequired[int]
    """GPUs of a node that one pod may request: all, or 1 if they are shared. Default: `0`."""
    cpu_millicores: NotRequired[int]
    """Thousandths of a core that a pod with these GPUs requests, at least 1: its share of what the node offers to pods,
    less what DaemonSets request. Default: unknown, the pod names none."""
    memory_mib: NotRequired[int]
    """The same of the memory, in MiB, at least 1. Default: unknown, the pod names none."""


def of(pool: Pool) -> ClusterPool:
    """A resolved pool as pods see it, without CPUs and memory: `sharing.queue_pool` knows those."""
    return {"labels": {POOL_LABEL: pool.name}, "taints": list(pool.taints), "gpus": pool.gpus_per_pod}


def problems(pools: Mapping[str, ClusterPool], path: str = "pools") -> Iterator[Problem]:
    """Everything that is wrong with pools that a component gets."""
    for name, pool in pools.items():
        here = f"{path}.{name}"
        for key, value in pool.get("labels", {}).items():
            yield from checks.label(f"{here}.labels", key, value)
        for index, taint in enumerate(pool.get("taints", [])):
            yield from checks.label(f"{here}.taints[{index}]", taint["key"], taint.get("value", ""))
            yield from checks.one_of(f"{here}.taints[{index}].effect", taint["effect"], EFFECTS)
        if pool["gpus"] < 0:
            yield Problem(f"{here}.gpus", pool["gpus"], "must not be negative", "0 or more", "write 0")
        for field in ("cpu_millicores", "memory_mib"):
            value = pool.get(field)
            if isinstance(value, int) and value < 1:
                yield Problem(f"{here}.{field}", value, "must be positive", "1 or more", "remove it if it is unknown")
