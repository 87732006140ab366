"""Regions, zones, machine types and accelerators of Compute Engine, as far as the sandbox knows them.

Sources: Google's pages "Regions and zones", "General-purpose machine family" and "GPU machine types". Which zones have
which GPU changes monthly: A100 and H100 (a3-high) are those of the skypilot-catalog's dump of 2026 (gcp/vms.csv, v8),
the others are of Google's page "GPU regions and zones" as remembered and not checked since; a zone that Google has
added is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_GIB_MIB = 1024

ZONES = {
    region: tuple(f"{region}-{letter}" for letter in letters)
    for letters, regions in {
        "abc": """
            africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1
            asia-south2 asia-southeast1 asia-southeast2 australia-southeast1 australia-southeast2
            europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west2 europe-west3 europe-west4
            europe-west6 europe-west8 europe-west9 europe-west10 europe-west12 me-central1 me-central2 me-west1
            northamerica-northeast1 northamerica-northeast2 northamerica-south1 southamerica-east1
            southamerica-west1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
        """,
        "abcf": """
            us-central1
        """,
        "bcd": """
            us-east1 europe-west1
        """,
    }.items()
    for region in regions.split()
}
"""Zones by region, in order."""


@dataclass(frozen=True)
class MachineType:
    """`gpus` of type `accelerator` are built in; n1 has none of its own but can be given some."""

    name: str
    cpus: int
    memory_mib: int
    accelerator: str = ""
    gpus: int = 0

    @property
    def series(self) -> str:
        return self.name.split("-")[0]

    @property
    def arch(self) -> str:
        return "arm64" if self.series in ("t2a", "c4a", "n4a", "a4x") else "amd64"


_SHAPES = {
    # series: (vCPUs offered, GiB per vCPU of standard, highmem, highcpu)
    "n1": ((1, 2, 4, 8, 16, 32, 64, 96), (3.75, 6.5, 0.9)),
    "n2": ((2, 4, 8, 16, 32, 48, 64, 80, 96, 128), (4, 8, 1)),
    "n2d": ((2, 4, 8, 16, 32, 48, 64, 80, 96, 128, 224), (4, 8, 1)),
    "n4": ((2, 4, 8, 16, 32, 48, 64, 80), (4, 8, 2)),
    "e2": ((2, 4, 8, 16, 32), (4, 8, 1)),
    "c2": ((4, 8, 16, 30, 60), (4, 0, 0)),
    "c3": ((4, 8, 22, 44, 88, 176), (4, 8, 2)),
    "c4": ((2, 4, 8, 16, 24, 32, 48, 96, 144, 192, 288), (3.75, 7.75, 2)),
    "t2d": ((1, 2, 4, 8, 16, 32, 48, 60), (4, 0, 0)),
    "c4a": ((1, 2, 4, 8, 16, 32, 48, 64, 72), (4, 8, 2)),
}
_CLASSES = ("standard", "highmem", "highcpu")
_SHARED_CORE = {"e2-micro": 1, "e2-small": 2, "e2-medium": 4}
"""GiB; each shows two vCPUs."""

_WITH_GPUS = {
    # machine type: (vCPUs, GiB, accelerator, GPUs)
    **{
        f"g2-standard-{cpus}": (cpus, cpus * 4, "nvidia-l4", gpus)
        for cpus, gpus in {4: 1, 8: 1, 12: 1, 16: 1, 24: 2, 32: 1, 48: 4, 96: 8}.items()
    },
    **{f"a2-highgpu-{n}g": (12 * n, 85 * n, "nvidia-tesla-a100", n) for n in (1, 2, 4, 8)},
    "a2-megagpu-16g": (96, 1360, "nvidia-tesla-a100", 16),
    **{f"a2-ultragpu-{n}g": (12 * n, 170 * n, "nvidia-a100-80gb", n) for n in (1, 2, 4, 8)},
    **{f"a3-highgpu-{n}g": (26 * n, 234 * n, "nvidia-h100-80gb", n) for n in (1, 2, 4, 8)},
    "a3-edgegpu-8g": (208, 1872, "nvidia-h100-80gb", 8),
    "a3-megagpu-8g": (208, 1872, "nvidia-h100-mega-80gb", 8),
    "a3-ultragpu-8g": (224, 2952, "nvidia-h200-141gb", 8),
    "a4-highgpu-8g": (224, 3968, "nvidia-b200", 8),
    **{f"g4-standard-{48 * n}": (48 * n, 180 * n, "nvidia-rtx-pro-6000", n) for n in (1, 2, 4, 8)},
}

ATTACHABLE = {
    # accelerator: GPUs that an n1 machine may be given, and the most vCPUs for each number of them
    "nvidia-tesla-v100": {1: 12, 2: 24, 4: 48, 8: 96},
    "nvidia-tesla-t4": {1: 48, 2: 48, 4: 96},
    "nvidia-tesla-p100": {1: 16, 2: 32, 4: 96},
    "nvidia-tesla-p4": {1: 24, 2: 48, 4: 96},
}

_ACCELERATOR_ZONES = {
    "nvidia-tesla-v100": """
        asia-east1-c europe-west4-abc us-central1-abcf us-east1-c us-west1-ab
    """,
    "nvidia-tesla-p100": """
        asia-east1-ac australia-southeast1-c europe-west1-bd europe-west4-a us-central1-cf us-east1-bc
        us-west1-ab
    """,
    "nvidia-tesla-p4": """
        asia-southeast1-bc australia-southeast1-a europe-west4-bc northamerica-northeast1-abc us-central1-ac
        us-east4-abc us-west2-bc
    """,
    "nvidia-tesla-t4": """
        asia-east1-ac asia-east2-ac asia-northeast1-ac asia-northeast3-bc asia-south1-ab asia-southeast1-abc
        asia-southeast2-ab australia-southeast1-ac europe-central2-bc europe-west1-bcd europe-west2-ab
        europe-west3-b europe-west4-abc me-west1-bc northamerica-northeast1-c southamerica-east1-ac
        us-central1-abcf us-east1-cd us-east4-abc us-west1-ab us-west2-bc us-west3-b us-west4-ab
    """,
    "nvidia-l4": """
        asia-east1-abc asia-northeast1-abc asia-northeast3-ab asia-south1-abc asia-southeast1-abc
        europe-west1-bc europe-west2-ab europe-west3-ab europe-west4-abc europe-west6-bc me-central2-ac
        northamerica-northeast2-ab us-central1-abc us-east1-bcd us-east4-ac us-west1-abc us-west4-ac
    """,
    "nvidia-tesla-a100": """
        asia-northeast1-ac asia-northeast3-ab asia-southeast1-abc europe-west4-ab me-west1-ac us-central1-abcf
        us-east1-b us-west1-b us-west3-b us-west4-b
    """,
    "nvidia-a100-80gb": """
        asia-southeast1-c europe-west4-a us-central1-ac us-east4-c us-east5-ab
    """,
    "nvidia-h100-80gb": """
        asia-east1-c asia-northeast1-b asia-south1-c asia-south2-b asia-southeast1-bc australia-southeast1-c
        europe-north1-c europe-west1-bc europe-west3-c europe-west4-bc europe-west8-c europe-west9-c
        us-central1-abc us-east4-abc us-east5-a us-west1-ab us-west4-a
    """,
    "nvidia-h100-mega-80gb": """
        asia-northeast1-b asia-south1-c asia-southeast1-bc europe-north1-c europe-west1-bc europe-west4-bc
        us-central1-abc us-east4-abc us-east5-a us-west1-ab us-west4-a
    """,
    "nvidia-h200-141gb": """
        asia-south1-b asia-south2-c europe-west1-b us-central1-b us-east1-d us-east4-b us-east5-a us-south1-b
        us-west1-c
    """,
    "nvidia-b200": """
        asia-southeast1-b europe-west4-b us-central1-b us-east1-b us-east4-b us-south1-b us-west2-c us-west3-bc
    """,
    "nvidia-rtx-pro-6000": """
        asia-southeast1-b europe-west4-c us-central1-abf us-east1-c us-east4-ab us-east5-c us-south1-a
    """,
}
ACCELERATORS = {
    accelerator: frozenset(
        f"{region_letters.rpartition('-')[0]}-{letter}"
        for region_letters in text.split()
        for letter in region_letters.rpartition("-")[2]
    )
    for accelerator, text in _ACCELERATOR_ZONES.items()
}
"""The zones that offer each accelerator."""


def region_of(location: str) -> str:
    """The region of a zone or of a region."""
    return location if location in ZONES else location.rpartition("-")[0]


def is_zone(location: str) -> bool:
    return location in ZONES.get(region_of(location), ())


def find(name: str) -> MachineType | None:
    """A predefined type, or a custom one such as `n2-custom-8-16384` (MiB); None when there is no such type."""
    if name in _WITH_GPUS:
        cpus, gib, accelerator, gpus = _WITH_GPUS[name]
        return MachineType(name, cpus, gib * _GIB_MIB, accelerator, gpus)
    if name in _SHARED_CORE:
        return MachineType(name, 2, _SHARED_CORE[name] * _GIB_MIB)
    if match := re.fullmatch(r"(?:(n1|n2|n2d|n4|e2)-)?custom-(\d+)-(\d+)(-ext)?", name):
        return MachineType(name if match[1] else f"n1-{name}", int(match[2]), int(match[3]))
    match = re.fullmatch(r"([a-z]\d[a-z]?)-([a-z]+)-(\d+)", name)
    if not match or match[1] not in _SHAPES or match[2] not in _CLASSES:
        return None
    cpus, gib = int(match[3]), _SHAPES[match[1]][1][_CLASSES.index(match[2])]
    if cpus not in _SHAPES[match[1]][0] or not gib:
        return None
    return MachineType(name, cpus, int(cpus * gib * _GIB_MIB))


def known() -> list[MachineType]:
    """Every predefined type, by name."""
    names = [f"{s}-{c}-{n}" for s, (counts, _) in _SHAPES.items() for c in _CLASSES for n in counts]
    return sorted(filter(None, map(find, [*names, *_SHARED_CORE, *_WITH_GPUS])), key=lambda machine: machine.name)


def offered_in(machine: MachineType, zone: str) -> bool:
    """GPU machines are where their GPU is; the others are taken to be everywhere."""
    return not machine.accelerator or zone in ACCELERATORS[machine.accelerator]


def accelerator_fault(machine: MachineType, accelerator: str, count: int, zones: list[str]) -> str:
    """Why Google would refuse `count` GPUs of a type on a machine type in these zones; '' when it would not."""
    if accelerator not in ACCELERATORS:
        return f"Accelerator type '{accelerator}' does not exist. There are: {', '.join(sorted(ACCELERATORS))}."
    if machine.accelerator and (accelerator, count) != (machine.accelerator, machine.gpus):
        return (
            f"Machine type '{machine.name}' comes with {machine.gpus} x {machine.accelerator}; "
            f"it cannot have {count} x {accelerator}."
        )
    if not machine.accelerator:
        limits = ATTACHABLE.get(accelerator)
        if limits is None or machine.series != "n1":
            return f"Accelerator type '{accelerator}' cannot be attached to machine type '{machine.name}'."
        if count not in limits:
            return f"The number of GPUs of '{accelerator}' must be one of {', '.join(map(str, limits))}, not {count}."
        if machine.cpus > limits[count]:
            return (
                f"Machine type '{machine.name}' has too many vCPUs for {count} x {accelerator}: "
                f"at most {limits[count]} are allowed."
            )
    missing = [zone for zone in zones if zone not in ACCELERATORS[accelerator]]
    if missing:
        region = region_of(missing[0])
        near = sorted(zone for zone in ACCELERATORS[accelerator] if region_of(zone) == region)
        where = ", ".join(near) if near else f"no zone of {region}"
        return f"Accelerator type '{accelerator}' is not available in zone {', '.join(missing)}. It is in: {where}."
    return ""
