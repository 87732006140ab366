"""Google's machines with GPUs in the library's table: attached or bundled GPUs, and consumption options."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from components.hardware import GCP, GCP_ATTACHABLE, GCP_LOCAL_SSD_GB, MachineType, find, names

from ..recorded import joined
from ..tables import table

_HEAD = ["machines: GPU", "GPUs of a node", "sold", "boot disk", "local SSDs", "GPUDirect", "compact"]


def accelerated() -> str:
    """A row for each family of machines and its GPU; of N1, to which GPUs are attached, one for each GPU."""
    known = [machine for name in names(GCP) if (machine := find(GCP, name)) and machine.offered]
    n1 = [machine for machine in known if machine.name.startswith("n1-")]
    rows = [
        _row(f"`n1-*` with `{gpu}`", joined(f"{count} (to {most} vCPU)" for count, most in counts.items()), n1)
        for gpu, counts in GCP_ATTACHABLE.items()
    ]
    families: dict[str, list[MachineType]] = {}
    for machine in sorted(known, key=lambda machine: machine.name):
        # A machine type with and without local SSDs is one row.
        if machine.gpus and not machine.name.endswith("-nolssd"):
            family = "-".join(machine.name.split("-")[:2])
            families.setdefault(f"`{family}-*`: `{machine.gpu}`", []).append(machine)
    rows += [_row(name, _numbers(m.gpus for m in machines), machines) for name, machines in families.items()]
    return table(_HEAD, rows)


def _row(name: str, gpus: str, machines: list[MachineType]) -> list[str]:
    ways: dict[str, Callable[[MachineType], bool]] = {
        "on demand": lambda machine: machine.on_demand,
        "spot": lambda machine: machine.spot,
        "flex-start": lambda machine: machine.flex,
    }
    sold = []
    for way, has in ways.items():
        so = [machine for machine in machines if has(machine)]
        if so:
            sold.append(way if len(so) == len(machines) else f"{way} (with {_numbers(m.gpus for m in so)} GPUs)")
    bundled = _numbers(machine.nvme_gb // GCP_LOCAL_SSD_GB for machine in machines)
    added = _numbers(max(machine.local_ssds, default=0) for machine in machines)
    return [
        name,
        gpus,
        joined(sold),
        joined(dict.fromkeys(machine.boot_disks[0] for machine in machines)),
        f"{bundled}, bundled" if bundled != joined([]) else added if added == joined([]) else f"up to {added}",
        _numbers(machine.gpudirect for machine in machines),
        _numbers(machine.compact for machine in machines),
    ]


def _numbers(found: Iterable[int]) -> str:
    """The distinct numbers, without zeros; a dash if there is none."""
    return joined(str(number) for number in sorted(set(found)) if number)
