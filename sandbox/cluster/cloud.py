"""What the node controller and the stand-in autoscaler know of a cloud: what its public API returns.

Implemented by `sandbox/aws/fleet.py` (boto3 against the AWS server) and `sandbox/gcp/fleet.py` (the store). They
cannot see the Pulumi program or its state: a label or a tag that the program omits is unknown here, as it is for the
real Cluster Autoscaler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol


@dataclass(frozen=True)
class Taint:
    """A taint in Kubernetes spelling: effect is NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class NodeShape:
    """A node as Kubernetes would see it. Quantities are Kubernetes strings; `resources` holds cpu, memory, pods,
    ephemeral-storage and, where they are known, extended resources such as nvidia.com/gpu."""

    labels: dict[str, str]
    taints: tuple[Taint, ...]
    resources: dict[str, str]
    machine_type: str
    zone: str


@dataclass(frozen=True)
class Group:
    """One group that the autoscaler may resize.

    `pool`: the pool's name in the config, from a tag or label. `id`: the group's name in the cloud. `template` is the
    node that the *autoscaler* would expect of an empty group, from labels, tags and instance type alone; it has a GPU
    count only if the autoscaler could know it. `elsewhere`: its nodes in other zones, if the autoscaler can choose the
    zone (GKE has a group of machines in each zone of a pool); if it is empty, the cloud chooses the zone, and the
    autoscaler expects that of the template. `autoscaled`: False if the discovery tags are missing (AWS) or autoscaling
    is off (GKE). `priority`: order of the rungs of a capacity ladder, higher first.
    `queued`: its nodes are added for a ProvisioningRequest only.
    """

    id: str
    pool: str
    min: int
    max: int
    desired: int
    autoscaled: bool
    template: NodeShape
    priority: int = 0
    queued: bool = False
    elsewhere: tuple[NodeShape, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def in_zone(self, zone: str) -> Group:
        """The group with the template of its nodes in that zone, if each zone has a separate one."""
        return next((replace(self, template=shape) for shape in self.elsewhere if shape.zone == zone), self)


ENVVAR, MOUNTS = "envvar", "volume-mounts"
DEVICE_LISTS = frozenset({ENVVAR, MOUNTS, "cdi-annotations", "cdi-cri"})
"""Ways in which a device plugin hands GPUs to a container, in the spelling of NVIDIA's (`deviceListStrategy`)."""


@dataclass(frozen=True)
class Machine:
    """A virtual machine that the cloud reports, and the node that it becomes when it joins.

    `node.resources` holds what the kubelet would report without any device plugin: never nvidia.com/gpu. `gpus` is the
    number of GPUs in the machine; `gpu_ready_by`: what makes them a resource: 'device-plugin' (its pod must run on the
    node, as on EKS), 'image' (Bottlerocket includes a plugin) or 'cloud' (GKE's own). `spot`: may be reclaimed. `efa`:
    number of EFA interfaces, which only a pod of AWS's EFA plugin makes a resource. `device_lists`: the ways in which
    the container runtime gives GPUs to a container without CAP_SYS_ADMIN; a container with it may always use the
    environment variable. `kubelet`: its version, that of the image (empty: the control plane's). `pins_cpus`: it has
    the static CPU manager.
    """

    id: str
    group: str
    pool: str
    node_name: str
    provider_id: str
    node: NodeShape
    gpus: int
    gpu_ready_by: str
    spot: bool
    efa: int = 0
    device_lists: frozenset[str] = DEVICE_LISTS
    kubelet: str = ""
    pins_cpus: bool = False


class Fleet(Protocol):
    """The part of a cloud that one cluster's controllers use."""

    def groups(self) -> list[Group]:
        """Every node group of the cluster."""
        ...

    def machines(self) -> list[Machine]:
        """Every running machine of the cluster's groups."""
        ...

    def set_desired(self, group_id: str, size: int, zones: Mapping[str, int] | None = None) -> None:
        """Asks for a new size; the cloud refuses one outside min..max. `zones`: for a group that has nodes `elsewhere`,
        how many of the new machines each zone must get."""
        ...

    def remove(self, machine_id: str) -> None:
        """Deletes one machine and lowers the group's desired size (scale-down)."""
        ...

    def reclaim(self, machine_id: str) -> None:
        """Deletes one machine and keeps the desired size, as a spot interruption does."""
        ...

    def may_act(self) -> bool:
        """Whether this cloud runs its own autoscaler (GKE). On AWS False: a Cluster Autoscaler release must run."""
        ...
