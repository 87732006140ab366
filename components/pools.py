"""The node pool that a person describes once, for both clouds, and everything that follows from it.

`NodePoolSpec` is what a stack writes; `resolve` turns it into a `Pool`, from which the clouds' node pool components,
the add-ons and the autoscaler's hints are derived. Labels, taints and GPU facts are never typed twice.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict

from typing_extensions import NotRequired

from . import checks, hardware
from .checks import Problem
from .taints import COMPUTE_CLASS, EFFECTS, GPU_KEY, Taint, gpu_taint

_OWN_DOMAIN = "gpuyard.dev/"
POOL_LABEL = "gpuyard.dev/pool"
CAPACITY_LABEL = "gpuyard.dev/capacity"
# The device plugin's chart asks for this label, which the GPU feature discovery would set (facts: chart 0.20.0).
GPU_PRESENT_LABEL = "nvidia.com/gpu.present"

# Which interfaces a pool with `interconnect` has; on EKS their device plugin runs on these nodes only.
INTERCONNECT_LABEL = "gpuyard.dev/interconnect"
EFA = "efa"
GPUDIRECT = "gpudirect"

# The Cluster Autoscaler takes a node with this label for unready until its GPU shows, and orders no second one while
# the device plugin starts (cluster-autoscaler/cloudprovider/aws, GPULabel; autoscaler#3164). GKE sets its own.
AWS_ACCELERATOR_LABEL = "k8s.amazonaws.com/accelerator"

# Kinds of capacity that a pool's rungs can have.
CAPACITY_TYPES = {
    hardware.AWS: ("reserved", "spot", "on_demand"),
    hardware.GCP: ("reserved", "flex", "spot", "on_demand"),
}
# A rung's group is the pool's name with this behind it: it follows from the rung alone, so that another rung in the
# ladder renames (and so replaces) none. The guide's groups, which are on demand, have the pool's own name.
_RUNG_SUFFIXES = {"reserved": "-reserved", "flex": "-flex", "spot": "-spot", "on_demand": ""}
MAX_NODES = 1000
CPU_DISK_GIB = 100
# Holds the guide's 100 GiB of ephemeral storage per pod beside GPU images of 20 GiB and more.
GPU_DISK_GIB = 200
DISK_RANGE_GIB = (30, 16384)
# Ends up in names of both clouds, in labels and in Kubernetes' own names.
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?")


class Accelerator(TypedDict):
    """The GPU that a pool is for. `type`: EC2's name (L4, V100) or Google's accelerator type (nvidia-l4); `count` per
    node. Needed for Google's N1 machines, to which GPUs are attached; elsewhere it is checked against the machine."""

    type: str
    count: NotRequired[int]


class NodePoolSpec(TypedDict):
    """One pool of equal nodes.

    `machine_types`: one, or on AWS several of the same shape for spot. `min`, `max`: nodes in the pool, over all its
    zones; each rung may reach `max`. `per_zone`: `min` and `max` count the nodes of each of `zones` (default false; on
    AWS the pool's are split evenly over its zones otherwise, and the first ones have what is left over). `capacity`:
    the ladder, best rung first, of reserved, flex (GKE), spot and on_demand (default [on_demand]): each rung becomes a
    group of its own, the autoscaler tries them in this order, and the last one holds `min`. `zones`: a subset of the
    network's (default: all that it has). `disk_gib`: root volume in GiB (100, with GPUs 200). `scratch`: pods'
    ephemeral storage is on the local NVMe disks, striped (default: where the machine comes with them). `interconnect`:
    every network interface that the machine has for multi-node training (EFA on AWS, GPUDirect on GKE), in one zone.
    `placement`: nodes close together (default: with `interconnect`; never on the rung `reserved`, which has its place
    already). `labels`, `taints`: added to those that gpuyard derives. `accept_withdrawn`: build a pool of a machine
    type that the cloud no longer describes. `was`: the name that the pool had before: what exists under it takes the
    new name, and no node goes (default: none).
    """

    machine_types: list[str]
    min: int
    max: int
    labels: NotRequired[dict[str, str]]
    taints: NotRequired[list[Taint]]
    capacity: NotRequired[list[str]]
    zones: NotRequired[list[str]]
    per_zone: NotRequired[bool]
    disk_gib: NotRequired[int]
    scratch: NotRequired[bool]
    interconnect: NotRequired[bool]
    placement: NotRequired[bool]
    accelerator: NotRequired[Accelerator]
    accept_withdrawn: NotRequired[bool]
    was: NotRequired[str]


@dataclass(frozen=True)
class Rung:
    """One group of a pool: its name, capacity type, its share of the pool's `min`, and its nodes' labels."""

    name: str
    capacity: str
    min: int
    labels: dict[str, str]


@dataclass(frozen=True)
class Pool:
    """A pool with everything that follows from its spec. `gpus` is the number per node; `gpu` its type's name;
    `scratch_gb` the local NVMe that pods' ephemeral storage is on (GB, 0 without); `interconnects` the interfaces for
    multi-node training."""

    name: str
    machine_types: tuple[str, ...]
    min: int
    max: int
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    capacity: tuple[str, ...]
    zones: tuple[str, ...]
    disk_gib: int
    gpus: int
    gpu: str
    arch: str
    scratch_gb: int
    interconnects: int
    placement: bool

    @property
    def rungs(self) -> "list[Rung]":
        """The groups that the clouds build: one per rung of the ladder, best first."""
        last = len(self.capacity) - 1
        return [
            Rung(
                name=f"{self.name}{_RUNG_SUFFIXES[capacity]}",
                capacity=capacity,
                min=self.min if index == last else 0,
                labels={CAPACITY_LABEL: capacity, **self.labels},
            )
            for index, capacity in enumerate(self.capacity)
        ]

    @property
    def allocatable_disk_gib(self) -> int:
        """Ephemeral storage that pods can request on EKS: the disk (or the NVMe, in GB of the trade) less the kubelet's
        10 % eviction threshold and 3 GiB for the system (the kubelet's default `nodefs.available<10%`)."""
        size = self.scratch_gb * 10**9 / 2**30 if self.scratch_gb else self.disk_gib
        return int(size * 0.9) - 3


def problems(cloud: str, name: str, spec: NodePoolSpec, zones: list[str]) -> Iterator[Problem]:
    """Everything that is wrong with a pool, seen without asking a cloud. Paths are relative to the pool."""
    hardware.declare(cloud, spec["machine_types"], _own_facts(spec))
    yield from _name(cloud, name)
    if was := spec.get("was"):
        yield from (replace(problem, path="was") for problem in _name(cloud, was))
    yield from _size(spec)
    yield from _machines(cloud, spec)
    yield from _capacity(cloud, spec.get("capacity", ["on_demand"]))
    yield from _interconnect(cloud, spec, zones)
    own = spec.get("zones", [])
    for index, zone in enumerate(own):
        if zone not in zones:
            yield Problem(
                f"zones[{index}]", zone, "not a zone of the network", ", ".join(zones),
                "choose one of the network's zones, or add it to network.zones",
            )  # fmt: skip
        elif zone in own[:index]:
            yield Problem(f"zones[{index}]", zone, "named twice", "each zone once", "remove one of them")
    low, high = DISK_RANGE_GIB
    disk = spec.get("disk_gib", CPU_DISK_GIB)
    if not low <= disk <= high:
        yield Problem(
            "disk_gib", disk, "no possible size", f"{low} to {high} GiB", f"write {low if disk < low else high}"
        )
    yield from _keys(spec)


def _keys(spec: NodePoolSpec) -> Iterator[Problem]:
    for key, value in spec.get("labels", {}).items():
        yield from checks.label("labels", key, value)
        if key.startswith(_OWN_DOMAIN) or (key == GPU_PRESENT_LABEL and value != "true"):
            yield Problem(
                f"labels.{key}", value, "a label that gpuyard sets: add-ons and workloads find nodes by it",
                "keys of your own", "remove it, or rename the key",
            )  # fmt: skip
    for index, taint in enumerate(spec.get("taints", [])):
        yield from checks.one_of(f"taints[{index}].effect", taint["effect"], EFFECTS)
        yield from checks.label(f"taints[{index}]", taint["key"], taint.get("value", ""))


def _name(cloud: str, name: str) -> Iterator[Problem]:
    if not _NAME.fullmatch(name):
        yield Problem(
            "", name, "no possible pool name",
            "1 to 32 lower-case letters (a to z), digits and '-', beginning with a letter and not ending in '-'",
            "rename the pool",
        )  # fmt: skip
    for capacity in CAPACITY_TYPES[cloud]:
        suffix = _RUNG_SUFFIXES[capacity]
        if suffix and name.endswith(suffix):
            yield Problem(
                "", name, f"ends like the group of a pool's {capacity} rung", f"names that do not end in {suffix}",
                "rename the pool; how its capacity is bought stands in `capacity`",
            )  # fmt: skip


def _size(spec: NodePoolSpec) -> Iterator[Problem]:
    low, high = spec["min"], spec["max"]
    if low < 0:
        yield Problem(
            "min", low, "a size cannot be negative", f"0 to {MAX_NODES}", "write 0 to let the pool scale to zero"
        )
    if not 1 <= high <= MAX_NODES:
        yield Problem("max", high, "no possible size", f"1 to {MAX_NODES}", "remove the pool if it may have no node")
    elif low > high:
        yield Problem("min", low, f"greater than max = {high}", f"0 to {high}", f"lower min or raise max to {low}")
    if spec.get("per_zone") and not spec.get("zones"):
        yield Problem(
            "per_zone", True, "of which zones is not said", "per_zone together with zones",
            "name the pool's zones, or remove perZone",
        )  # fmt: skip


def _capacity(cloud: str, ladder: list[str]) -> Iterator[Problem]:
    for index, rung in enumerate(ladder):
        yield from checks.one_of(f"capacity[{index}]", rung, CAPACITY_TYPES[cloud])
    if not ladder or len(set(ladder)) < len(ladder):
        yield Problem(
            "capacity", ladder, "a ladder has each rung once, and at least one", ", ".join(CAPACITY_TYPES[cloud]),
            "write [on_demand], [spot] or [spot, on_demand]",
        )  # fmt: skip


def _interconnect(cloud: str, spec: NodePoolSpec, zones: list[str]) -> Iterator[Problem]:
    machines = [machine for name in spec["machine_types"] if (machine := hardware.find(cloud, name))]
    kind, group = ("EFA", "cluster placement group") if cloud == hardware.AWS else ("GPUDirect", "compact placement")
    for index, machine in enumerate(machines):
        path = f"machine_types[{index}]"
        if spec.get("scratch") and not machine.nvme_gb and not machine.local_ssds:
            yield Problem("scratch", True, f"{machine.name} has no local NVMe disk", "false", "remove it")
        if spec.get("interconnect") and not _interfaces(machine):
            near = ", ".join(hardware.with_interconnect(machine)) or "none with such GPUs"
            yield Problem(
                path, machine.name, f"has no {kind}, which `interconnect` asks for", f"types that have it: {near}",
                "choose one of them, or remove interconnect",
            )  # fmt: skip
        if spec.get("placement") and not machine.cluster_placement:
            yield Problem(
                path, machine.name, f"takes part in no {group}", "types of the larger families", "remove placement"
            )
    apart = spec.get("zones") or zones
    for field in ("interconnect", "placement"):
        if spec.get(field) and len(apart) > 1:
            yield Problem(
                "zones", spec.get("zones", []), f"`{field}` works within one zone only", f"one of {', '.join(zones)}",
                f"write zones: [{apart[0]}], the zone where the capacity is",
            )  # fmt: skip
            break


def _interfaces(machine: hardware.MachineType) -> int:
    return machine.efa or machine.gpudirect


def _machines(cloud: str, spec: NodePoolSpec) -> Iterator[Problem]:
    names = spec["machine_types"]
    if not names or (cloud == hardware.GCP and len(names) > 1):
        yield Problem(
            "machine_types", names, "a pool needs a machine type" if not names else "a GKE pool has one machine type",
            "one name" if cloud == hardware.GCP else "one name or more", "name one machine type",
        )  # fmt: skip
    interconnect = spec.get("interconnect", False)
    known: list[hardware.MachineType] = []
    for index, name in enumerate(names):
        path = f"machine_types[{index}]"
        machine = hardware.find(cloud, name)
        if machine is None:
            yield hardware.unknown(cloud, name, path)
            continue
        if name in names[:index]:
            yield Problem(path, name, "named twice", "each type once", "remove one of them")
        known.append(machine)
        if not machine.offered and not spec.get("accept_withdrawn", False):
            later = ", ".join(hardware.successors(machine))
            yield Problem(
                path, name, "withdrawn: the cloud no longer describes this type", f"its successors: {later}",
                f"write {later.split(',')[0]}, or accept it with acceptWithdrawn: true",
            )  # fmt: skip
        if machine.neuron:
            yield Problem(
                path, name, "Trainium and Inferentia are not supported", "NVIDIA and CPU types", "choose another"
            )
        if machine.gpu and not machine.gpus:
            yield Problem(
                path, name, f"has a fraction of a GPU ({machine.gpu}), which needs NVIDIA's vGPU driver",
                "types with whole GPUs", "choose another, and share its GPU between pods",
            )  # fmt: skip
        yield from _accelerator(cloud, machine, spec, path)
        if machine.offered and "spot" in spec.get("capacity", []) and not machine.spot:
            yield Problem(path, name, "not offered as spot", "capacity without spot", "remove spot, or choose another")
    yield from _shape(known, interconnect)


def _shape(machines: list[hardware.MachineType], interconnect: bool) -> Iterator[Problem]:
    """The Cluster Autoscaler takes a group's first type for all, so no other may be less (its AWS README, "Using Mixed
    Instances Policies")."""
    names = [machine.name for machine in machines]
    if len({(each.gpus, each.arch, _interfaces(each) if interconnect else 0) for each in machines}) > 1:
        yield Problem(
            "machine_types", names, "types of different shape: the autoscaler takes the first for all",
            "types with the same number of GPUs, the same architecture and, with interconnect, as many interfaces",
            "make a pool for each shape",
        )  # fmt: skip
        return
    least = [each for each in machines if all(_holds(other, each) for other in machines)]
    if machines and machines[0] not in least:
        said = ", ".join(f"{each.name} has {each.vcpu} vCPUs and {each.memory_mib // 1024} GiB" for each in machines)
        yield Problem(
            "machine_types", names,
            f"the autoscaler takes the first for all, and another is smaller ({said}): pods that the first would hold "
            "wait on the others", "types of the same vCPUs and memory, or the smallest first",
            f"write {least[0].name} first" if least else "make a pool for each size",
        )  # fmt: skip


def _holds(machine: hardware.MachineType, other: hardware.MachineType) -> bool:
    return machine.vcpu >= other.vcpu and machine.memory_mib >= other.memory_mib


def warnings(cloud: str, spec: NodePoolSpec) -> Iterator[str]:
    """What works on both clouds and is seldom meant, of a pool that has no `problems`."""
    machines = [machine for name in spec["machine_types"] if (machine := hardware.find(cloud, name))]
    models = list(dict.fromkeys(machine.gpu for machine in machines if machine.gpu))
    if len(models) > 1:
        yield f"machineTypes: nodes have {' or '.join(models)}, as the cloud chooses; a job sees other GPUs each time"
    elif len({(machine.vcpu, machine.memory_mib) for machine in machines}) > 1:
        yield (
            f"machineTypes: of different size; pods are counted by {machines[0].name}, and larger machines cost more "
            "for the same"
        )
    ladder = spec.get("capacity", ["on_demand"])
    if behind := ladder[ladder.index("on_demand") + 1 :] if "on_demand" in ladder else []:
        yield (
            f"capacity: {' and '.join(behind)} behind on_demand has no turn but when that is refused; "
            f"write [{', '.join([*behind, 'on_demand'])}]"
        )
    elif "reserved" in ladder[1:]:
        yield "capacity: reserved is paid for whether it is used or not, and is asked last; write it first"


def _accelerator(cloud: str, machine: hardware.MachineType, spec: NodePoolSpec, path: str) -> Iterator[Problem]:
    wanted = spec.get("accelerator")
    attachable = cloud == hardware.GCP and machine.name.startswith("n1-")
    if wanted is None:
        keys = [*spec.get("labels", {}), *(taint["key"] for taint in spec.get("taints", []))]
        if not machine.gpus and any(key == GPU_KEY or key.startswith(f"{GPU_KEY}.") for key in keys):
            near = "g2-standard-8" if cloud == hardware.GCP else "g6.2xlarge"
            yield Problem(
                path, machine.name, "a GPU pool (by its labels and taints) without a GPU type",
                f"a machine type with GPUs, such as {near}", "choose one, or remove the nvidia.com/gpu label and taint",
            )  # fmt: skip
        return
    count = wanted.get("count", machine.gpus or 1)
    if attachable:
        counts = hardware.GCP_ATTACHABLE.get(wanted["type"])
        if counts is None:
            yield from checks.one_of("accelerator.type", wanted["type"], hardware.GCP_ATTACHABLE)
        elif count not in counts:
            yield Problem(
                "accelerator.count", count, f"not offered for {wanted['type']}", ", ".join(map(str, counts)),
                "choose one",
            )  # fmt: skip
        elif machine.vcpu > counts[count]:
            fits = [str(more) for more, most in counts.items() if machine.vcpu <= most]
            yield Problem(
                "accelerator.count", count,
                f"{count} x {wanted['type']} takes {counts[count]} vCPUs at most, {machine.name} has {machine.vcpu}",
                ", ".join(fits) or "none on this machine",
                f"write count: {fits[0]}, or choose a smaller machine" if fits else "choose a smaller machine",
            )  # fmt: skip
    elif not machine.gpus:
        yield Problem(
            path, machine.name, f"a GPU pool (accelerator {wanted['type']}) without a GPU type",
            "a machine type with GPUs", "choose one, or remove the accelerator",
        )  # fmt: skip
    elif wanted["type"].lower() != machine.gpu.lower():
        yield Problem(
            "accelerator.type", wanted["type"], f"{machine.name} has another GPU", machine.gpu, f"write {machine.gpu}"
        )
    elif count != machine.gpus:
        yield Problem("accelerator.count", count, f"{machine.name} has another number", str(machine.gpus), "remove it")


def resolve(cloud: str, name: str, spec: NodePoolSpec) -> Pool:
    """The pool that follows from a spec that has no `problems`."""
    hardware.declare(cloud, spec["machine_types"], _own_facts(spec))
    machine = hardware.find(cloud, spec["machine_types"][0])
    if machine is None:
        raise KeyError(f"resolve() before problems(): {spec['machine_types'][0]}")
    machines = [found for each in spec["machine_types"] if (found := hardware.find(cloud, each))]
    only_here: Mapping[str, Any] = {**spec}  # what one cloud's spec has beside the common part
    accelerator = spec.get("accelerator")
    interconnect, capacity = spec.get("interconnect", False), tuple(spec.get("capacity", ["on_demand"]))
    gpus, gpu = machine.gpus, machine.gpu
    if accelerator and not gpus:
        gpus, gpu = int(accelerator.get("count", 1)), accelerator["type"]
    labels = {POOL_LABEL: name, **spec.get("labels", {})}
    own_taints = spec.get("taints", [])
    derived = []
    if gpus:
        accelerators = {AWS_ACCELERATOR_LABEL: _accelerator_label(machines)} if cloud == hardware.AWS else {}
        labels = {GPU_PRESENT_LABEL: "true", **accelerators, **labels}
        if all(taint["key"] != GPU_KEY for taint in own_taints):
            derived = [gpu_taint(cloud)]
    if interconnect:
        labels = {INTERCONNECT_LABEL: EFA if cloud == hardware.AWS else GPUDIRECT, **labels}
    if cloud == hardware.GCP and len(capacity) > 1:
        labels = {COMPUTE_CLASS: name, **labels}
        derived.append({"key": COMPUTE_CLASS, "value": name, "effect": "NoSchedule"})
    times = len(spec.get("zones", [])) if spec.get("per_zone") else 1
    return Pool(
        name=name,
        machine_types=tuple(spec["machine_types"]),
        min=int(spec["min"]) * times,
        max=int(spec["max"]) * times,
        labels=labels,
        taints=(*derived, *own_taints),
        capacity=capacity,
        zones=tuple(spec.get("zones", [])),
        disk_gib=int(spec.get("disk_gib", GPU_DISK_GIB if gpus else CPU_DISK_GIB)),
        gpus=gpus,
        gpu=gpu,
        arch=machine.arch,
        # The least of the types: what a pod may count on.
        scratch_gb=min(_scratch_gb(each, spec.get("scratch"), only_here.get("local_ssds")) for each in machines),
        interconnects=_interfaces(machine) if interconnect else 0,
        placement=spec.get("placement", interconnect and capacity != ("reserved",)),
    )


def _own_facts(spec: NodePoolSpec) -> hardware.MachineFacts | None:
    only_here: Mapping[str, Any] = {**spec}  # specs of EKS have it
    return only_here.get("machine")


def _accelerator_label(machines: list[hardware.MachineType]) -> str:
    """The GPU of every node of the pool, as a label's value: EC2's names have blanks."""
    models = {machine.gpu for machine in machines}
    name = models.pop().lower() if len(models) == 1 else "gpu"
    return f"nvidia-{re.sub('[^a-z0-9.]+', '-', name)}"


def _scratch_gb(machine: hardware.MachineType, scratch: bool | None, local_ssds: float | None) -> int:
    """Disks that come with a machine are used unless the pool says no; those that can be added, where it says so."""
    if scratch is False or not (machine.nvme_gb or scratch or local_ssds):
        return 0
    least = min(machine.local_ssds, default=0)
    return machine.nvme_gb or int(local_ssds or least) * hardware.GCP_LOCAL_SSD_GB


def resolve_all(cloud: str, specs: Mapping[str, NodePoolSpec]) -> dict[str, Pool]:
    """Every pool by name."""
    return {name: resolve(cloud, name, spec) for name, spec in specs.items()}
