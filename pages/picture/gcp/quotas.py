"""The quotas of Compute Engine that the stacks need, with every node pool at its maximum.

GPUs, vCPUs and disks; the ids are those of Cloud Quotas (service compute.googleapis.com). Sources: Compute Engine's
"Allocation quotas" (which series need no vCPU quota, which have a separate one; the quotas for spot), the metrics of
compute.v1's `Quota`, and answers of the Cloud Quotas API in public records of 2026-05 to 2026-07: GPUs from the H100 on
have a quota by family and region for on-demand, and a separate quota id for spot.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..recorded import Group
from ..tables import needs, table
from .facts import Stack

# GPU → its name in quotas.
GPUS = {
    "V100": "V100",
    "T4": "T4",
    "P100": "P100",
    "P4": "P4",
    "A100": "A100",
    "A100-80GB": "A100_80GB",
    "L4": "L4",
    "H100-80GB": "H100",
    "H100-MEGA-80GB": "H100_MEGA",
    "H200-141GB": "H200",
    "B200": "B200",
    "RTX-PRO-6000": "RTX_PRO_6000",
}
BY_FAMILY = ("H100", "H100_MEGA", "H200", "B200", "RTX_PRO_6000")
# Series whose vCPUs have a separate quota. N1 and E2 share one, machines with bundled GPUs need none, and the others
# have one by family.
OWN_CPUS = ("n2", "n2d", "c2", "c2d", "c3", "t2d", "t2a")
SHARED_CPUS = ("n1", "e2")
NO_CPUS = ("a2", "a3", "a4", "g2", "g4")
_PREEMPTIBLE = ("spot", "flex")
DISKS = {"pd-balanced": "SSD", "pd-ssd": "SSD", "hyperdisk-balanced": "HDB", "pd-standard": "DISKS"}


def quotas(stacks: Sequence[Stack]) -> str:
    """The need of each stack, by quota.

    Raises:
        KeyError: a GPU or a disk whose quota is not known.
    """
    found: dict[tuple[int, str], dict[str, list[tuple[Group, int]]]] = {}
    for stack in stacks:
        for group in stack.groups:
            for place, (name, each) in enumerate(_of(group, stack)):
                if name:
                    found.setdefault((place, name), {}).setdefault(stack.name, []).append((group, each))
    rows = [needs(key[1], found[key], stacks) for key in sorted(found)]
    return table(["quota", *(f"`{stack.name}`" for stack in stacks)], rows)


def gpu_quota(gpu: str, capacity: str) -> str:
    """The quota that limits a GPU in a region, as Cloud Quotas calls it, with its dimensions other than the region."""
    name = GPUS[gpu]
    if capacity in _PREEMPTIBLE:
        return f"`PREEMPTIBLE-NVIDIA-{_dashed(name)}-GPUS-per-project-region`"
    if name in BY_FAMILY:
        return f"`GPUS-PER-GPU-FAMILY-per-project-region`, `gpu_family=NVIDIA_{name}`"
    return f"`NVIDIA-{_dashed(name)}-GPUS-per-project-region`"


def cpu_quota(series: str, capacity: str) -> str:
    """The quota that limits vCPUs of a machine series in a region; empty if none does."""
    if series in NO_CPUS:
        return ""
    if capacity in _PREEMPTIBLE:
        return "`PREEMPTIBLE-CPUS-per-project-region`"
    if series in OWN_CPUS:
        return f"`{series.upper()}-CPUS-per-project-region`"
    if series in SHARED_CPUS:
        return "`CPUS-per-project-region`"
    return f"`CPUS-PER-VM-FAMILY-per-project-region`, `vm_family={series.upper()}`"


def _of(group: Group, stack: Stack) -> list[tuple[str, int]]:
    """The quotas that one node of the group uses (empty for none), with the amounts. The order is always the same."""
    cpus = cpu_quota(group.machines[0].name.partition("-")[0], group.capacity)
    node = stack.made.one("NodePool", group.name).inputs["nodeConfig"]
    return [
        ("GPUs in all regions: `GPUS-ALL-REGIONS-per-project`" if group.gpus else "", group.gpus),
        (f"GPUs: {gpu_quota(group.gpu, group.capacity)}" if group.gpus else "", group.gpus),
        (f"vCPUs: {cpus}" if cpus else "", group.vcpu),
        (f"boot disks, GB: `{DISKS[node['diskType']]}-TOTAL-GB-per-project-region`", node["diskSizeGb"]),
    ]


def _dashed(name: str) -> str:
    return name.replace("_", "-")
