"""What a node on EKS offers to pods, for queues with quotas."""

from collections.abc import Iterator, Mapping

from .. import arguments
from ..checks import Problem
from ..clouds import AWS, CLOUDS
from ..node_reserve import reserved_millicores
from ..sharing.queue_pool import QueuePool
from . import served_pools
from .pool_spec import EksNodePoolSpec, EksPool, resolve

_INSTANCE_TYPE, _ZONE = "node.kubernetes.io/instance-type", "topology.kubernetes.io/zone"
# Memory that a machine has less than EC2 says: what Karpenter assumes (settings, VM_MEMORY_OVERHEAD_PERCENT).
_HIDDEN = 0.075
# The kubelet's reservation and its eviction threshold in MiB (EKS's nodeadm, internal/kubelet).
_RESERVED_MIB, _RESERVED_MIB_PER_POD, _EVICTION_MIB = 255, 11, 100
# Types whose nodes get labels with their place in the network (EC2 user guide, "Prerequisites for EC2 topology").
_LOCATED = ("g6e.", "g7e.", "p3dn.", "p4", "p5", "p6")


def of(node_pools: Mapping[str, EksNodePoolSpec]) -> dict[str, QueuePool]:
    """Every pool by name, in the order of the specs."""
    found = {name: resolve(name, spec) for name, spec in node_pools.items()}
    return {
        name: QueuePool(
            pool=eks.pool,
            own_labels=node_pools[name].get("labels", {}),
            cloud_labels=_labels(eks),
            millicores=min(1000 * each.vcpu - reserved_millicores(each.vcpu) for each in eks.pool.machines),
            memory_mib=_memory_mib(eks),
            gpus=eks.pool.gpu_resources,
            located=all(each.startswith(_LOCATED) for each in eks.pool.machine_types),
        )
        for name, eks in found.items()
    }


def problems(node_pools: Mapping[str, EksNodePoolSpec]) -> Iterator[Problem]:
    """Everything that is wrong with the specs, found without asking AWS."""
    shapes = [arguments.problems(EksNodePoolSpec, spec, f"node_pools.{name}") for name, spec in node_pools.items()]
    if wrong := [problem for found in shapes for problem in found]:
        yield from wrong
        return  # the other checks need the shape
    cleaned = {name: arguments.cleaned(EksNodePoolSpec, spec) for name, spec in node_pools.items()}
    yield from served_pools.problems(cleaned)


def _labels(eks: EksPool) -> dict[str, str]:
    accelerator = CLOUDS[AWS].accelerator_label
    found = {accelerator: eks.pool.labels[accelerator]} if eks.pool.gpus else {}
    if len(eks.pool.machines) == 1:
        found[_INSTANCE_TYPE] = eks.pool.machine_types[0]
    if len(eks.pool.zones) == 1:
        found[_ZONE] = eks.pool.zones[0]
    return found


def _memory_mib(eks: EksPool) -> int:
    least = min(machine.memory_mib for machine in eks.pool.machines)
    kept = _RESERVED_MIB + _RESERVED_MIB_PER_POD * eks.pods_per_node + _EVICTION_MIB
    return int(least * (1 - _HIDDEN)) - kept - eks.huge_pages_mib
