"""Regions, zones, machine types and accelerators of Compute Engine, as far as the sandbox knows them.

Machine types are those of the library's table (GKE's own autoscaler's), beside custom ones and E2's shared cores. Which
zones have which GPU changes monthly: those below are of the skypilot-catalog's dump (gcp/vms.csv, v8, read 2026-11),
but for B200 and RTX PRO 6000, which are of Google's page "GPU regions and zones" as remembered; a zone that Google has
added since is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from components import hardware

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
    """`gpus` of type `accelerator` are built in; n1 has none of its own but can be given some. So are `ssds` local SSDs
    of 375 GB; `ssd_choices`: how many it can be given instead."""

    name: str
    cpus: int
    memory_mib: int
    accelerator: str = ""
    gpus: int = 0
    ssds: int = 0
    ssd_choices: tuple[int, ...] = ()

    @property
    def series(self) -> str:
        return self.name.split("-")[0]

    @property
    def shared_core(self) -> bool:
        return self.name in _SHARED_CORE

    @property
    def arch(self) -> str:
        return "arm64" if self.series in ("t2a", "c4a", "n4a", "a4x") else "amd64"


_SHARED_CORE = {"e2-micro": 1, "e2-small": 2, "e2-medium": 4}
"""GiB; each shows two vCPUs."""

ATTACHABLE = {
    # accelerator: GPUs that an n1 machine may be given, and the most vCPUs for each number of them
    "nvidia-tesla-v100": {1: 12, 2: 24, 4: 48, 8: 96},
    "nvidia-tesla-t4": {1: 48, 2: 48, 4: 96},
    "nvidia-tesla-p100": {1: 16, 2: 32, 4: 96},
    "nvidia-tesla-p4": {1: 24, 2: 48, 4: 96},
}

_ACCELERATOR_ZONES = {
    "nvidia-tesla-v100": """
        asia-east1-c europe-west4-abc us-central1-abcf us-east1-bc us-west1-ab
    """,
    "nvidia-tesla-p100": """
        asia-east1-ac australia-southeast1-b europe-west1-bd europe-west4-a us-central1-cf us-east1-bc us-west1-ab
    """,
    "nvidia-tesla-p4": """
        asia-southeast1-abc australia-southeast1-ab europe-west4-bc northamerica-northeast1-abc us-central1-ac
        us-east4-abc us-west2-bc
    """,
    "nvidia-tesla-t4": """
        asia-east1-ac asia-east2-ac asia-northeast1-ac asia-northeast3-bc asia-south1-ab asia-southeast1-abc
        asia-southeast2-ab australia-southeast1-ac europe-central2-bc europe-west1-bcd europe-west2-ab
        europe-west3-b europe-west4-abc me-west1-bc northamerica-northeast1-c southamerica-east1-abc
        us-central1-abcf us-east1-bcd us-east4-abc us-west1-ab us-west2-bc us-west3-b us-west4-ab
    """,
    "nvidia-l4": """
        asia-east1-abc asia-northeast1-abc asia-northeast3-ab asia-south1-abc asia-southeast1-abc
        europe-west1-bc europe-west2-ab europe-west3-ab europe-west4-abc europe-west6-bc me-central2-ac
        northamerica-northeast1-bc northamerica-northeast2-ab us-central1-abc us-east1-bcd us-east4-ac us-west1-abc
        us-west4-ac
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
        asia-northeast1-b asia-northeast3-ac asia-south1-c asia-southeast1-bc australia-southeast1-c
        europe-west1-bc europe-west3-ac europe-west4-bc northamerica-northeast2-c us-central1-abc us-east4-abc
        us-east5-a us-west1-ab us-west4-a
    """,
    "nvidia-h200-141gb": """
        asia-south1-b asia-south2-c europe-west1-b europe-west4-a us-central1-b us-east4-b us-east5-a us-south1-b
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
    if name in _SHARED_CORE:
        return MachineType(name, 2, _SHARED_CORE[name] * _GIB_MIB)
    if match := re.fullmatch(r"(?:(n1|n2|n2d|n4|e2)-)?custom-(\d+)-(\d+)(-ext)?", name):
        return MachineType(name if match[1] else f"n1-{name}", int(match[2]), int(match[3]))
    known = hardware.find(hardware.GCP, name)
    if known is None:
        return None
    ssds = known.nvme_gb // hardware.GCP_LOCAL_SSD_GB
    # A slice of a GPU counts as one in the API.
    gpus = known.gpus or int(bool(known.gpu))
    return MachineType(name, known.vcpu, known.memory_mib, known.gpu, gpus, ssds, known.local_ssds)


def known() -> list[MachineType]:
    """Every predefined type, by name."""
    return sorted(
        filter(None, map(find, [*hardware.names(hardware.GCP), *_SHARED_CORE])), key=lambda machine: machine.name
    )


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
