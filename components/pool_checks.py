"""Problems and warnings of a pool's spec that are known without a call to a cloud. Paths are relative to it."""

import re
from collections.abc import Iterator
from dataclasses import replace

from . import arguments, checks, hardware
from .checks import Problem
from .clouds import CLOUDS
from .pool_spec import NodePoolSpec
from .pools import CPU_DISK_GIB, GPU_PRESENT_LABEL, MAX_NODES, RUNG_SUFFIXES, machines
from .taints import EFFECTS, GPU_KEY

_OWN_DOMAIN = "gpuyard.dev/"
# Unknown machine types for which similar ones are looked up; to look them up for thousands would take seconds.
_HINTS = 20
_DISK_RANGE_GIB = (30, 16384)
# The name of a pool is part of names on both clouds, of labels and of names in Kubernetes.
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?")


def problems(cloud: str, name: str, spec: NodePoolSpec, zones: list[str]) -> Iterator[Problem]:
    """Everything that is wrong with a pool. `zones`: the network's."""
    found = machines(cloud, spec)
    spec = arguments.cleaned(NodePoolSpec, spec)
    yield from _name(cloud, name)
    if was := spec.get("was"):
        yield from (replace(problem, path="was") for problem in _name(cloud, was))
    yield from _size(spec)
    yield from _machines(cloud, spec, found)
    yield from _capacity(cloud, spec["capacity"])
    yield from _interconnect(cloud, spec, zones, found)
    own = spec.get("zones", [])
    again, known = checks.repeated(own), ", ".join(zones)
    for index, zone in enumerate(own):
        if zone not in zones:
            yield Problem(
                f"zones[{index}]", zone, "not a zone of the network", known,
                "choose one of the network's zones, or add it to the network",
            )  # fmt: skip
        elif index in again:
            yield Problem(f"zones[{index}]", zone, "named twice", "each zone once", "remove one of them")
    low, high = _DISK_RANGE_GIB
    disk = spec.get("disk_gib", CPU_DISK_GIB)
    if not low <= disk <= high:
        yield Problem(
            "disk_gib", disk, "outside the range", f"{low} to {high} GiB", f"write {low if disk < low else high}"
        )
    yield from _keys(spec)


def _keys(spec: NodePoolSpec) -> Iterator[Problem]:
    for key, value in spec.get("labels", {}).items():
        yield from checks.label("labels", key, value)
        if key.startswith(_OWN_DOMAIN) or (key == GPU_PRESENT_LABEL and value != "true"):
            yield Problem(
                f"labels.{key}", value, "gpuyard sets this label: add-ons and workloads find nodes by it",
                "your own keys", "remove it, or rename the key",
            )  # fmt: skip
    for index, taint in enumerate(spec.get("taints", [])):
        yield from checks.one_of(f"taints[{index}].effect", taint["effect"], EFFECTS)
        yield from checks.label(f"taints[{index}]", taint["key"], taint.get("value", ""))


def _name(cloud: str, name: str) -> Iterator[Problem]:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        yield Problem(
            "", name, "not a valid pool name",
            "1 to 32 lower-case letters (a to z), digits and '-', starting with a letter and not ending in '-'",
            "rename the pool",
        )  # fmt: skip
        return
    for capacity in CLOUDS[cloud].capacity_types:
        suffix = RUNG_SUFFIXES[capacity]
        if suffix and name.endswith(suffix):
            yield Problem(
                "", name, f"ends like the group of a {capacity} rung", f"names that do not end in {suffix}",
                "rename the pool; `capacity` says how its nodes are bought",
            )  # fmt: skip


def _size(spec: NodePoolSpec) -> Iterator[Problem]:
    low, high = spec["min"], spec["max"]
    if low < 0:
        yield Problem("min", low, "must not be negative", f"0 to {MAX_NODES}", "write 0 to let the pool scale to zero")
    if not 1 <= high <= MAX_NODES:
        yield Problem(
            "max", high, "outside the range", f"1 to {MAX_NODES}", "remove the pool if it should have no nodes"
        )
    elif low > high:
        yield Problem("min", low, f"greater than max = {high}", f"0 to {high}", f"lower `min`, or raise `max` to {low}")
    if spec["per_zone"] and not spec.get("zones"):
        yield Problem(
            "per_zone", True, "the pool does not name its zones", "`per_zone` together with `zones`",
            "name the pool's zones, or remove `per_zone`",
        )  # fmt: skip


def _capacity(cloud: str, ladder: list[str]) -> Iterator[Problem]:
    for index, rung in enumerate(ladder):
        yield from checks.one_of(f"capacity[{index}]", rung, CLOUDS[cloud].capacity_types)
    if not ladder or len(set(ladder)) < len(ladder):
        yield Problem(
            "capacity", ladder, "a ladder needs at least one rung, and each rung only once",
            ", ".join(CLOUDS[cloud].capacity_types),
            "write [on_demand], [spot] or [spot, on_demand]",
        )  # fmt: skip


def _interconnect(
    cloud: str, spec: NodePoolSpec, zones: list[str], machines: list[hardware.MachineType]
) -> Iterator[Problem]:
    kind, group = CLOUDS[cloud].interconnect_name, CLOUDS[cloud].placement_name
    for index, machine in enumerate(machines):
        path = f"machine_types[{index}]"
        if spec.get("scratch") and not machine.nvme_gb and not machine.local_ssds:
            yield Problem("scratch", True, f"{machine.name} has no local NVMe disk", "false", "remove it")
        if spec["interconnect"] and not machine.interconnects:
            near = ", ".join(hardware.with_interconnect(machine)) or "none with such GPUs"
            yield Problem(
                path, machine.name, f"has no {kind}, which `interconnect` requires", f"types that have it: {near}",
                "choose one of them, or remove `interconnect`",
            )  # fmt: skip
        if spec.get("placement") and not machine.cluster_placement:
            yield Problem(
                path, machine.name, f"does not support a {group}", "types of the larger families", "remove `placement`"
            )
    apart = spec.get("zones") or zones
    for field in ("interconnect", "placement"):
        if spec.get(field) and len(apart) > 1:
            yield Problem(
                "zones", spec.get("zones", []), f"`{field}` works within one zone only", f"one of {', '.join(zones)}",
                f"write `zones: [{apart[0]}]`, the zone where the capacity is",
            )  # fmt: skip
            break


def _machines(cloud: str, spec: NodePoolSpec, found: list[hardware.MachineType]) -> Iterator[Problem]:
    names = spec["machine_types"]
    if not names or (len(names) > 1 and not CLOUDS[cloud].several_machine_types):
        yield Problem(
            "machine_types", names, "a pool needs a machine type" if not names else "a GKE pool has one machine type",
            "one name or more" if CLOUDS[cloud].several_machine_types else "one name", "name one machine type",
        )  # fmt: skip
    known = {machine.name: machine for machine in found}
    unknown = 0
    again = checks.repeated(names)
    for index, name in enumerate(names):
        path = f"machine_types[{index}]"
        machine = known.get(name)
        if machine is None:
            unknown += 1
            yield hardware.unknown(cloud, name, path, unknown <= _HINTS)
            continue
        if index in again:
            yield Problem(path, name, "named twice", "each type once", "remove one of them")
        if not machine.offered and not spec["accept_withdrawn"]:
            later = ", ".join(hardware.successors(machine))
            yield Problem(
                path, name, "withdrawn: the cloud no longer describes this type", f"its successors: {later}",
                f"write {later.split(',')[0]}, or accept it with `accept_withdrawn: true`",
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
        if machine.offered and "spot" in spec["capacity"] and not machine.spot:
            yield Problem(
                path, name, "not offered as spot", "a `capacity` without spot", "remove spot, or choose another type"
            )
    yield from _shape(found, spec["interconnect"])


def _shape(found: list[hardware.MachineType], interconnect: bool) -> Iterator[Problem]:
    """Machine types that cannot be in one pool. The Cluster Autoscaler assumes that every node has the group's first
    type, so no other type may be smaller (its AWS README, "Using Mixed Instances Policies")."""
    names = [machine.name for machine in found]
    if len({(each.gpus, each.arch, each.interconnects if interconnect else 0) for each in found}) > 1:
        yield Problem(
            "machine_types", names, "types of different shape: the autoscaler assumes that all are like the first",
            "types with the same number of GPUs, the same architecture and, with `interconnect`, as many interfaces",
            "make a pool for each shape",
        )  # fmt: skip
        return
    vcpu, memory = (
        min((each.vcpu for each in found), default=0),
        min((each.memory_mib for each in found), default=0),
    )
    least = [each for each in found if (each.vcpu, each.memory_mib) == (vcpu, memory)]
    if found and found[0] not in least:
        sizes = ", ".join(f"{each.name} has {each.vcpu} vCPUs and {each.memory_mib // 1024} GiB" for each in found)
        yield Problem(
            "machine_types", names,
            f"the autoscaler assumes that all are like the first, but another is smaller ({sizes}): pods that fit only "
            "the first would stay pending", "types of the same vCPUs and memory, or the smallest first",
            f"write {least[0].name} first" if least else "make a pool for each size",
        )  # fmt: skip


def warnings(cloud: str, spec: NodePoolSpec) -> Iterator[str]:
    """Settings that work on both clouds but are rarely intended, for a pool that has no `problems`."""
    found = machines(cloud, spec)
    models = list(dict.fromkeys(machine.gpu for machine in found if machine.gpu))
    if len(models) > 1:
        yield f"machine_types: the cloud chooses nodes with {' or '.join(models)}; a job may get another GPU each time"
    elif len({(machine.vcpu, machine.memory_mib) for machine in found}) > 1:
        yield (
            f"machine_types: sizes differ; the autoscaler plans pods for {found[0].name}, and larger machines cost "
            "more for the same pods"
        )
    ladder = spec["capacity"]
    if behind := ladder[ladder.index("on_demand") + 1 :] if "on_demand" in ladder else []:
        yield (
            f"capacity: {' and '.join(behind)} after on_demand is tried only if on_demand is refused; "
            f"write [{', '.join([*behind, 'on_demand'])}]"
        )
    elif "reserved" in ladder[1:]:
        yield "capacity: reserved is paid for whether it is used or not, and is tried last; write it first"


def _accelerator(cloud: str, machine: hardware.MachineType, spec: NodePoolSpec, path: str) -> Iterator[Problem]:
    of, wanted = CLOUDS[cloud], spec.get("accelerator")
    attachable = bool(of.attachable) and machine.name.startswith(of.attachable)
    if wanted is None:
        keys = [*spec.get("labels", {}), *(taint["key"] for taint in spec.get("taints", []))]
        if not machine.gpus and any(key == GPU_KEY or key.startswith(f"{GPU_KEY}.") for key in keys):
            near = of.gpu_example
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
                f"{count} x {wanted['type']} allows at most {counts[count]} vCPUs, {machine.name} has {machine.vcpu}",
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
