"""What a node on GKE offers to pods, for queues with quotas."""

from collections.abc import Iterator, Mapping

from .. import arguments
from ..checks import Problem
from ..node_reserve import reserved_millicores
from ..sharing.queue_pool import QueuePool
from ..taints import Taint
from . import pool_checks
from .pool_spec import QUEUED_LABEL, GkeNodePoolSpec, GkePool, resolve

_INSTANCE_TYPE, _ZONE = "node.kubernetes.io/instance-type", "topology.kubernetes.io/zone"
_ACCELERATOR = "cloud.google.com/gke-accelerator"
# GKE, "Plan node sizes": what it keeps of each part of the memory (MiB, share), and its eviction threshold.
_RESERVED = ((4 * 1024, 0.25), (4 * 1024, 0.2), (8 * 1024, 0.1), (112 * 1024, 0.06), (10**9, 0.02))
_EVICTION_MIB = 100
# GKE adds it to the nodes of a pool with queued provisioning.
_QUEUED_TAINT: Taint = {"key": QUEUED_LABEL, "value": "true", "effect": "NoSchedule"}


def of(node_pools: Mapping[str, GkeNodePoolSpec]) -> dict[str, QueuePool]:
    """Every pool by name, in the order of the specs."""
    found = {name: resolve(name, spec) for name, spec in node_pools.items()}
    return {
        name: QueuePool(
            pool=gke.pool,
            own_labels=node_pools[name].get("labels", {}),
            cloud_labels=_labels(gke),
            millicores=1000 * gke.machine.vcpu - reserved_millicores(gke.machine.vcpu),
            memory_mib=_memory_mib(gke),
            gpus=gke.pool.gpu_resources,
            queued=gke.spec["queued"],
            added_taints=(_QUEUED_TAINT,) if gke.spec["queued"] else (),
        )
        for name, gke in found.items()
    }


def problems(node_pools: Mapping[str, GkeNodePoolSpec]) -> Iterator[Problem]:
    """Everything that is wrong with the specs, found without asking Google."""
    for name, spec in node_pools.items():
        here = f"node_pools.{name}"
        shape = list(arguments.problems(GkeNodePoolSpec, spec, here))
        yield from shape
        if not shape:
            # The network's zones are not known here.
            zones = list(spec.get("zones", [])) or ["us-central1-a"]
            yield from (problem.under(here) for problem in pool_checks.problems(name, spec, zones))


def _labels(gke: GkePool) -> dict[str, str]:
    found = {_ACCELERATOR: gke.pool.gpu} if gke.pool.gpus else {}
    found[_INSTANCE_TYPE] = gke.machine.name
    if len(gke.pool.zones) == 1:
        found[_ZONE] = gke.pool.zones[0]
    return found


def _memory_mib(gke: GkePool) -> int:
    left, kept = gke.machine.memory_mib, 0.0
    for part, share in _RESERVED:
        kept += min(left, part) * share
        left -= min(left, part)
    pages = gke.spec.get("huge_pages")
    huge = 2 * pages["two_mib"] + 1024 * pages["one_gib"] if pages else 0
    return int(gke.machine.memory_mib - kept) - _EVICTION_MIB - huge
