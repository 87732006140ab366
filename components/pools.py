"""Everything that follows from a pool's spec, for both clouds.

`resolve` turns a `NodePoolSpec` into a `Pool`, from which the clouds' node pool components, the add-ons and the
autoscaler's hints are derived. Labels, taints and GPU facts are never typed twice.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import arguments, hardware
from .clouds import CLOUDS
from .pool_spec import NodePoolSpec
from .taints import GPU_KEY, Taint, gpu_taint

POOL_LABEL = "gpuyard.dev/pool"
CAPACITY_LABEL = "gpuyard.dev/capacity"
# The device plugin's chart asks for this label, which the GPU feature discovery would set (chart 0.20.0).
GPU_PRESENT_LABEL = "nvidia.com/gpu.present"

INTERCONNECT_LABEL = "gpuyard.dev/interconnect"
"""Which interfaces a pool with `interconnect` has (`Cloud.interconnect`); on EKS their device plugin runs on these
nodes only."""

# A rung's group is the pool's name with this suffix. It follows from the rung alone, so that another rung in the ladder
# renames (and so replaces) none. Groups that are on demand have the pool's own name.
RUNG_SUFFIXES = {"reserved": "-reserved", "flex": "-flex", "spot": "-spot", "on_demand": ""}
MAX_NODES = 1000
CPU_DISK_GIB = 100
# Holds 100 GiB of ephemeral storage per pod in addition to GPU images of 20 GiB and more.
GPU_DISK_GIB = 200


@dataclass(frozen=True)
class Rung:
    """One group of a pool."""

    name: str
    """Logical name of the group."""
    capacity: str
    """Capacity type: reserved, flex, spot or on_demand."""
    min: int
    """Fewest nodes: the pool's `min` on the last rung, 0 on the others."""
    labels: dict[str, str]
    """Labels of its nodes."""


@dataclass(frozen=True)
class Pool:
    """A pool with everything that follows from its spec."""

    name: str
    """Name of the pool."""
    machines: tuple[hardware.MachineType, ...]
    """Machine types with their facts; the autoscaler assumes that all are like the first."""
    min: int
    """Fewest nodes, over all zones."""
    max: int
    """Most nodes, over all zones."""
    labels: dict[str, str]
    """Labels of every node, derived ones included; each rung adds its capacity type."""
    taints: tuple[Taint, ...]
    """Taints of every node, derived ones included."""
    capacity: tuple[str, ...]
    """The ladder, best rung first."""
    zones: tuple[str, ...]
    """Zones of the pool; empty for all zones of the network."""
    disk_gib: int
    """Root volume in GiB."""
    gpus: int
    """GPUs per node."""
    gpu: str
    """Type of the GPU, as its cloud names it; empty without."""
    gpu_resources: int
    """How many `nvidia.com/gpu` a node has: GPUs times partitions times clients."""
    gpus_per_pod: int
    """The most `nvidia.com/gpu` that one pod may request: those of a node, or 1 if they are shared: a node refuses more
    of these, or gives no second GPU for them (NVIDIA's k8s-device-plugin, README; GKE, "About GPU sharing")."""
    arch: str
    """x86_64 or arm64."""
    scratch_gb: int
    """Local NVMe in GB for the pods' ephemeral storage; 0 without."""
    interconnects: int
    """Interfaces for multi-node training per node."""
    placement: bool
    """Whether nodes are placed close together."""

    @property
    def machine_types(self) -> tuple[str, ...]:
        """Names of the machine types."""
        return tuple(machine.name for machine in self.machines)

    @property
    def rungs(self) -> "list[Rung]":
        """The groups that the clouds build: one per rung of the ladder, best first."""
        last = len(self.capacity) - 1
        return [
            Rung(
                name=f"{self.name}{RUNG_SUFFIXES[capacity]}",
                capacity=capacity,
                min=self.min if index == last else 0,
                labels={CAPACITY_LABEL: capacity, **self.labels},
            )
            for index, capacity in enumerate(self.capacity)
        ]

    @property
    def allocatable_disk_gib(self) -> int:
        """Ephemeral storage that pods can request on EKS: the disk (or the NVMe, in decimal GB) less the kubelet's 10 %
        eviction threshold and 3 GiB for the system (the kubelet's default `nodefs.available<10%`)."""
        size = self.scratch_gb * 10**9 / 2**30 if self.scratch_gb else self.disk_gib
        return int(size * 0.9) - 3


def resolve(cloud: str, name: str, spec: NodePoolSpec) -> Pool:
    """The pool that follows from a spec that has no problems (`pool_checks.problems`).

    Raises:
        KeyError: the cloud has no such machine type.
    """
    of = CLOUDS[cloud]
    found = machines(cloud, spec)
    if [machine.name for machine in found] != list(spec["machine_types"]):
        raise KeyError(f"resolve() before problems(): {', '.join(spec['machine_types'])}")
    machine = found[0]
    only_here: Mapping[str, Any] = {**spec}  # fields that only one cloud's spec has
    spec = arguments.cleaned(NodePoolSpec, spec)
    accelerator = spec.get("accelerator")
    interconnect, capacity = spec["interconnect"], tuple(spec["capacity"])
    gpus, gpu = machine.gpus, machine.gpu
    if accelerator and not gpus:
        gpus, gpu = accelerator.get("count", 1), accelerator["type"]
    labels = {POOL_LABEL: name, **spec.get("labels", {})}
    own_taints = spec.get("taints", [])
    derived = []
    if gpus:
        accelerators = {of.accelerator_label: _accelerator_label(found)} if of.accelerator_label else {}
        labels = {GPU_PRESENT_LABEL: "true", **accelerators, **labels}
        if all(taint["key"] != GPU_KEY for taint in own_taints):
            derived = [gpu_taint(cloud)]
    if interconnect:
        labels = {INTERCONNECT_LABEL: of.interconnect, **labels}
    if of.ladder_label and len(capacity) > 1:
        labels = {of.ladder_label: name, **labels}
        derived.append({"key": of.ladder_label, "value": name, "effect": "NoSchedule"})
    times = len(spec.get("zones", [])) if spec["per_zone"] else 1
    shown = gpus * machine.partitions.get(spec.get("partition", ""), 1) * _clients(spec)
    return Pool(
        name=name,
        machines=tuple(found),
        min=spec["min"] * times,
        max=spec["max"] * times,
        labels=labels,
        taints=(*derived, *own_taints),
        capacity=capacity,
        zones=tuple(spec.get("zones", [])),
        disk_gib=spec.get("disk_gib", GPU_DISK_GIB if gpus else CPU_DISK_GIB),
        gpus=gpus,
        gpu=gpu,
        gpu_resources=shown,
        gpus_per_pod=min(shown, 1) if spec.get("sharing") else shown,
        arch=machine.arch,
        # The lowest of the types: a pod can rely only on that.
        scratch_gb=min(_scratch_gb(each, spec.get("scratch"), only_here.get("local_ssds")) for each in found),
        interconnects=machine.interconnects if interconnect else 0,
        placement=spec.get("placement", interconnect and capacity != ("reserved",)),
    )


def _clients(spec: NodePoolSpec) -> int:
    """Pods per GPU or partition."""
    sharing = spec.get("sharing")
    return int(sharing["clients"]) if sharing else 1


def machines(cloud: str, spec: NodePoolSpec) -> list[hardware.MachineType]:
    """The machine types of the spec that are known, by the table or by the facts in the spec."""
    only_here: Mapping[str, Any] = {**spec}  # only specs of EKS have facts
    found = (hardware.find(cloud, name, only_here.get("machine")) for name in spec["machine_types"])
    return [machine for machine in found if machine]


def _accelerator_label(machines: list[hardware.MachineType]) -> str:
    """The GPU of every node of the pool as the value of a label, without the blanks in EC2's names."""
    models = {machine.gpu for machine in machines}
    name = models.pop().lower() if len(models) == 1 else "gpu"
    return f"nvidia-{re.sub('[^a-z0-9.]+', '-', name)}"


def _scratch_gb(machine: hardware.MachineType, scratch: bool | None, local_ssds: float | None) -> int:
    """Local NVMe for ephemeral storage. Disks that a machine includes are used unless the pool opts out; disks that can
    be added are used only if the pool asks for them."""
    if scratch is False or not (machine.nvme_gb or scratch or local_ssds):
        return 0
    least = min(machine.local_ssds, default=0)
    return machine.nvme_gb or int(local_ssds or least) * hardware.GCP_LOCAL_SSD_GB


def resolve_all(cloud: str, specs: Mapping[str, NodePoolSpec]) -> dict[str, Pool]:
    """Every pool by name."""
    return {name: resolve(cloud, name, spec) for name, spec in specs.items()}
