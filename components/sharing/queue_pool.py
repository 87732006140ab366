"""A pool as its queues see it: how much its nodes offer, and what a job needs to run there."""

import hashlib
import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import cluster_pools
from ..checks import Problem
from ..cluster_pools import ClusterPool
from ..pools import POOL_LABEL, Pool
from ..taints import GPU_KEY, Taint, Toleration, tolerations

GPU_RESOURCE = GPU_KEY
"""The resource that a job requests for a GPU: on both clouds it has the name of the taint."""

# The most labels that a ResourceFlavor may have (apis/kueue/v1beta2/resourceflavor_types.go, Kueue 0.19).
_LABELS = 8


# What DaemonSets may take of a node with GPUs. The CNI, kube-proxy, the drivers of volumes, the cloud's agents, the
# device plugin and the DCGM exporter request about half a core and 1 GiB (the manifests of EKS's add-ons and of the
# charts; GKE's are in kube-system). GKE keeps 0.4 more cores where more than 110 pods may run ("Plan node sizes"). For
# each GPU the exporter has 128 MiB more (aws/dcgm_exporter.py), and GKE's nodes have up to 3 % less memory than their
# machine type.
_DAEMON_MILLICORES, _DAEMON_CPU_SHARE = 1000, 0.25
_DAEMON_MIB, _DAEMON_MEMORY_SHARE = 1024, 0.05


@dataclass(frozen=True)
class QueuePool:
    """A pool with what its nodes offer to pods."""

    pool: Pool
    """What follows from the pool's spec."""
    own_labels: Mapping[str, str]
    """Labels that the spec adds."""
    cloud_labels: Mapping[str, str]
    """Labels of every node by which jobs often select one: GPU, machine type, zone."""
    millicores: int
    """Thousandths of a core that the pods of one node can request."""
    memory_mib: int
    """MiB that the pods of one node can request."""
    gpus: int
    """`nvidia.com/gpu` of one node, shared GPUs and partitions included."""
    queued: bool = False
    """Whether nodes are added for a ProvisioningRequest only."""
    added_taints: tuple[Taint, ...] = ()
    """Taints that the cloud adds on its own."""
    located: bool = True
    """Whether labels of the nodes tell where in the network they are, and queues use them."""

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the flavor. Kueue compares a job's node selection with these, and with no other label."""
        found = {POOL_LABEL: self.pool.name, **dict(sorted(self.own_labels.items())), **self.cloud_labels}
        return dict(list(found.items())[:_LABELS])

    @property
    def of_cluster(self) -> ClusterPool:
        """The pool as pods see it. CPUs and memory: of a node, less what DaemonSets may take, the same for each GPU."""
        seen, gpus = cluster_pools.of(self.pool), self.pool.gpus_per_pod
        if not gpus:
            return seen
        daemon_cpus = min(_DAEMON_MILLICORES, int(_DAEMON_CPU_SHARE * self.millicores))
        daemon_mib = _DAEMON_MIB + int(_DAEMON_MEMORY_SHARE * self.memory_mib)
        return {
            **seen,
            "cpu_millicores": max(1, (self.millicores - daemon_cpus) * gpus // self.gpus),
            "memory_mib": max(1, (self.memory_mib - daemon_mib) * gpus // self.gpus),
        }

    @property
    def taints(self) -> list[Taint]:
        """Taints that a job must tolerate: that of GPU nodes, so that no job without GPUs takes one of them."""
        return [taint for taint in self.pool.taints if taint["key"] == GPU_KEY]

    @property
    def tolerations(self) -> list[Toleration]:
        """Tolerations that Kueue adds to the jobs of the pool: for every other taint of its nodes."""
        others = [taint for taint in self.pool.taints if taint["key"] != GPU_KEY]
        return tolerations([*others, *self.added_taints])

    @property
    def has_topology(self) -> bool:
        """Whether Kueue may place jobs by the network's topology. It learns the topology from nodes that exist, so
        nodes are always there, or are added before a job is admitted."""
        return self.located and bool(self.pool.interconnects) and (self.queued or self.pool.min == self.pool.max)

    @property
    def flavor(self) -> str:
        """Name of the ResourceFlavor: that of the pool. With a topology, labels and tolerations of a flavor cannot
        change, and a flavor in use is not deleted: so another name follows from other ones."""
        if not self.has_topology:
            return self.pool.name
        fixed = json.dumps([self.labels, self.tolerations], sort_keys=True)
        return f"{self.pool.name}-{hashlib.sha256(fixed.encode()).hexdigest()[:6]}"


def of_cloud(cloud: str, node_pools: Mapping[str, Any]) -> dict[str, QueuePool]:
    """Every pool by name: those without GPUs first, so that a job that names no pool takes a node without GPUs."""
    found: dict[str, QueuePool] = _module(cloud).of(node_pools)
    return dict(sorted(found.items(), key=lambda item: bool(item[1].pool.gpus)))


def spec_problems(cloud: str, node_pools: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that is wrong with the specs of pools, found without asking the cloud."""
    yield from _module(cloud).problems(node_pools)


def _module(cloud: str) -> Any:
    """`queue_pools.py` of the cloud. Loaded by name, so that the other cloud's modules are not."""
    return importlib.import_module(f"...{cloud}.queue_pools", __name__)
