"""Regions, zones, machine types and accelerators of Compute Engine, as the sandbox knows them.

Machine types: those of the library's table (from GKE's autoscaler), custom ones, and E2's shared cores.
Zones, and which of them have which GPU, are those of the library's list of places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from components import hardware
from components.gcp.places import ACCELERATORS, ZONES, is_ai, is_zone, region_of

__all__ = ["ACCELERATORS", "ZONES", "is_ai", "is_zone", "region_of"]

_GIB_MIB = 1024
_IN_AI_ZONES = ("nvidia-h200-141gb", "nvidia-b200")
"""A stand-in: Google publishes no list by AI zone."""


@dataclass(frozen=True)
class MachineType:
    """`gpus` of type `accelerator` are built in; n1 has no built-in GPUs, but GPUs can be attached. `ssds`: built-in
    local SSDs of 375 GB; `ssd_choices`: the numbers that can be attached instead."""

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
    # accelerator: GPUs that can be attached to an n1 machine, and the maximum vCPUs for each number of them
    "nvidia-tesla-v100": {1: 12, 2: 24, 4: 48, 8: 96},
    "nvidia-tesla-t4": {1: 48, 2: 48, 4: 96},
    "nvidia-tesla-p100": {1: 16, 2: 32, 4: 96},
    "nvidia-tesla-p4": {1: 24, 2: 48, 4: 96},
}


def find(name: str) -> MachineType | None:
    """A predefined type, or a custom one such as `n2-custom-8-16384` (MiB); None if it does not exist."""
    if name in _SHARED_CORE:
        return MachineType(name, 2, _SHARED_CORE[name] * _GIB_MIB)
    if match := re.fullmatch(r"(?:(n1|n2|n2d|n4|e2)-)?custom-(\d+)-(\d+)(-ext)?", name):
        return MachineType(name if match[1] else f"n1-{name}", int(match[2]), int(match[3]))
    known = hardware.find(hardware.GCP, name)
    if known is None:
        return None
    ssds = known.nvme_gb // hardware.GCP_LOCAL_SSD_GB
    # A slice of a GPU counts as one GPU in the API.
    gpus = known.gpus or int(bool(known.gpu))
    return MachineType(name, known.vcpu, known.memory_mib, known.gpu, gpus, ssds, known.local_ssds)


def known() -> list[MachineType]:
    """Every predefined type, by name."""
    return sorted(
        filter(None, map(find, [*hardware.names(hardware.GCP), *_SHARED_CORE])), key=lambda machine: machine.name
    )


def offered_in(machine: MachineType, zone: str) -> bool:
    """GPU machines are offered where their GPU is; the others are assumed to be available everywhere."""
    return not machine.accelerator or _has(zone, machine.accelerator)


def _has(zone: str, accelerator: str) -> bool:
    return accelerator in _IN_AI_ZONES if is_ai(zone) else zone in ACCELERATORS[accelerator]


def accelerator_fault(machine: MachineType, accelerator: str, count: int, zones: list[str]) -> str:
    """Why Google would refuse `count` GPUs of a type on a machine type in these zones; '' if it accepts them."""
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
    missing = [zone for zone in zones if not _has(zone, accelerator)]
    if missing:
        region = region_of(missing[0])
        near = sorted(zone for zone in ACCELERATORS[accelerator] if region_of(zone) == region)
        where = ", ".join(near) if near else f"no zone of {region}"
        return f"Accelerator type '{accelerator}' is not available in zone {', '.join(missing)}. It is in: {where}."
    return ""
