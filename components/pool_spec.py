"""The description of one node pool, the same on both clouds.

Each cloud extends `NodePoolSpec` with fields that only its pools have. `pools.resolve` derives everything else from it.
"""

from typing import TypedDict

from typing_extensions import NotRequired

from .taints import Taint


class Accelerator(TypedDict):
    """The GPU of a pool. It is needed for Google's N1 machines, to which GPUs are attached. For every other machine
    type it is only compared with the machine's GPU."""

    type: str
    """EC2's name of the GPU (L4, V100) or Google's accelerator type (nvidia-l4)."""
    count: NotRequired[int]
    """GPUs per node. Default: as many as the machine type has; 1 where they are attached."""


class GpuSharing(TypedDict):
    """Several pods share one GPU, or one partition of it; each requests one `nvidia.com/gpu`."""

    strategy: str
    """time_sharing: pods take turns, and nothing limits the memory that each takes. mps: pods run at the same time,
    each with an equal share of the GPU's memory."""
    clients: int
    """Pods per GPU or partition, 2 to 48."""


class NodePoolSpec(TypedDict):
    """One pool of equal nodes."""

    machine_types: list[str]
    """Machine types, such as g6.2xlarge or g2-standard-8. GKE accepts one; on EKS a spot pool may have several of the
    same shape."""
    min: int
    """Fewest nodes in the pool, over all its zones, 0 to 1000. The last rung of `capacity` holds them."""
    max: int
    """Most nodes in the pool, over all its zones, 1 to 1000. Each rung of `capacity` may reach it."""
    labels: NotRequired[dict[str, str]]
    """Labels of the nodes, in addition to those that gpuyard derives. Default: none."""
    taints: NotRequired[list[Taint]]
    """Taints of the nodes, in addition to those that gpuyard derives; GPU nodes have `nvidia.com/gpu` anyway. Default:
    none."""
    capacity: NotRequired[list[str]]
    """The capacity ladder, best rung first: reserved, flex (GKE only), spot, on_demand. Each rung becomes a group of
    nodes, and the autoscaler tries them in this order. Default: `[on_demand]`."""
    zones: NotRequired[list[str]]
    """Zones of the pool, a subset of the network's. Default: every zone of the network."""
    per_zone: NotRequired[bool]
    """Whether `min` and `max` count the nodes of each of `zones`. Otherwise, on EKS, they are split evenly over the
    zones, and the first zones have the remainder. Default: `false`."""
    disk_gib: NotRequired[int]
    """Root volume of each node in GiB, 30 to 16384. Default: 100, with GPUs 200."""
    scratch: NotRequired[bool]
    """Whether the local NVMe disks, striped, are the pods' ephemeral storage. Default: true if the machine type
    includes such disks."""
    interconnect: NotRequired[bool]
    """Whether nodes have every network interface that the machine type offers for multi-node training: EFA on EKS,
    GPUDirect on GKE. The pool is then in one zone. Default: `false`."""
    placement: NotRequired[bool]
    """Whether nodes are placed close together; never on the rung reserved, whose place is fixed by the reservation.
    Default: the value of `interconnect`."""
    accelerator: NotRequired[Accelerator]
    """The GPU of the pool. Default: the GPU of the machine type."""
    partition: NotRequired[str]
    """MIG partition size, such as 1g.10gb: each GPU becomes as many `nvidia.com/gpu` as it has partitions of that size.
    On EKS it needs `image: bottlerocket`. Default: whole GPUs."""
    sharing: NotRequired[GpuSharing]
    """How pods share a GPU. Default: one pod per GPU."""
    accept_withdrawn: NotRequired[bool]
    """Whether a machine type that the cloud no longer describes is accepted. Default: `false`."""
    was: NotRequired[str]
    """Former name of the pool: its resources get the new name, and no node is replaced. Default: none."""
