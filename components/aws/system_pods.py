"""What EKS's own pods require from the pools: a node that always exists, and room on every node."""

from collections.abc import Iterator, Mapping

from .. import hardware, pools
from ..checks import Problem
from ..pools import NodePoolSpec, Pool
from . import addresses

# The CNI, kube-proxy, the pod identity agent, the EBS and EFS drivers, node-exporter: one of each on every node.
_DAEMONS = 6
# MiB of memory that these need, with a little left for a pod.
_LEAST_MIB = 256


def node_problems(spec: NodePoolSpec) -> Iterator[Problem]:
    """Machines without room for pods: a kubelet of EKS reserves 255 MiB and 11 MiB for each pod and evicts below 100
    MiB (awslabs/amazon-eks-ami, eksctl-io/eksctl#2443), and about 4 % of the memory are not available to it."""
    for machine in pools.machines(hardware.AWS, spec):
        most = addresses.pods_per_node(machine)
        room = int(machine.memory_mib * 0.96) - 255 - 11 * most - 100
        if most <= _DAEMONS or room < _LEAST_MIB:
            yield Problem(
                f"machine_types[{spec['machine_types'].index(machine.name)}]", machine.name,
                f"too small for a node: it can have {most} pods and {max(0, room)} MiB of memory for them, and EKS "
                f"itself runs {_DAEMONS} pods on every node",
                f"more than {_DAEMONS} pods and {_LEAST_MIB} MiB", "write t3.small or a larger one",
            )  # fmt: skip


def home_problems(specs: Mapping[str, NodePoolSpec]) -> Iterator[Problem]:
    """DNS, the drivers' controllers and the autoscaler tolerate no taint of a pool, and the autoscaler cannot add the
    node that it runs on: one pool without GPUs and taints must have a node from the beginning. Whether there is a pool
    without GPUs is not checked here."""
    without = [made for made in pools.resolve_all(hardware.AWS, specs).values() if not made.gpus]
    if without and not any(_may_hold_system_pods(pool) for pool in without):
        yield Problem(
            "", [f"{pool.name} (min {pool.min}{', tainted' if pool.taints else ''})" for pool in without],
            "DNS and the autoscaler have no node to run on: no pool without taints always has a node",
            "a pool without GPUs and without taints, with `min` of 1 or more",
            f"write `min: 1` in {without[0].name}" if not without[0].taints else "add a pool without taints: `min: 1`",
        )  # fmt: skip


def _may_hold_system_pods(pool: Pool) -> bool:
    return pool.min > 0 and all(taint["effect"] == "PreferNoSchedule" for taint in pool.taints)
