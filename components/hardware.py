"""Machine types of both clouds: the single source of GPU counts, memory, disks, interconnects, drivers and quotas.

Non-goals: prices and live availability (they change daily; ask the cloud), zones (zone names differ by AWS account).

Sources: `aws/machine_types.csv` is EC2's own DescribeInstanceTypes (written by `python -m tools.machine_types`);
`gcp/machine_types.csv` is the table of GKE's own Cluster Autoscaler (written by `python -m tools.gke_machine_types`,
which names the sources of every column). Driver branches: NVIDIA's release notes as summed up by the EKS AMI guide
(Volta needs the proprietary module and is gone from branch 595; G7 needs 595).
"""

import csv
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from typing_extensions import NotRequired

from . import arguments, checks
from .checks import Problem
from .clouds import AWS as AWS
from .clouds import CLOUDS
from .clouds import GCP as GCP

# Service Quotas codes: (on demand, spot). Each counts the vCPUs of all running instances of the family. P5, P5e and
# P5en have a separate spot quota ("All P5 Spot Instance Requests") from that of P4, P3 and P2.
_AWS_QUOTAS = {
    "p5": ("L-417A185B", "L-C4BD4855"),
    "p": ("L-417A185B", "L-7212CCBC"),
    "g": ("L-DB2E81BA", "L-3819A6DF"),
}
_AWS_STANDARD_QUOTA = ("L-1216C47A", "L-34B43A08")

# GPU → oldest and newest NVIDIA driver branch that supports it; None: the newest is not known.
_DRIVERS: dict[str, tuple[int, int | None]] = {
    "V100": (450, 580),
    "T4": (450, None),
    "T4g": (470, None),
    "A100": (450, None),
    "A10G": (470, None),
    "L4": (525, None),
    "L40S": (535, None),
    "H100": (525, None),
    "H200": (550, None),
    "B200": (570, None),
    "B300": (580, None),
    "RTX PRO Server 6000": (575, None),
    "RTX PRO 4500": (595, None),
}

# Accelerators that Google attaches to N1 machines → count → the most vCPUs that a machine with that many may have. From
# deprecated_machine_types_gpu_config.go of GKE's autoscaler, 2026-08 (some zones allow more for P100).
GCP_ATTACHABLE = {
    "nvidia-tesla-v100": {1: 12, 2: 24, 4: 48, 8: 96},
    "nvidia-tesla-t4": {1: 48, 2: 48, 4: 96},
    "nvidia-tesla-p100": {1: 16, 2: 32, 4: 64},
    "nvidia-tesla-p4": {1: 24, 2: 48, 4: 96},
}

# Google's accelerator → partition size (MIG) → partitions of one GPU. Same source; V100, T4, P100, P4 and L4 have none.
GCP_PARTITIONS = {
    "nvidia-tesla-a100": {"1g.5gb": 7, "2g.10gb": 3, "3g.20gb": 2, "7g.40gb": 1},
    "nvidia-a100-80gb": {"1g.10gb": 7, "2g.20gb": 3, "3g.40gb": 2, "7g.80gb": 1},
    "nvidia-h100-80gb": {"1g.10gb": 7, "1g.20gb": 4, "2g.20gb": 3, "3g.40gb": 2, "7g.80gb": 1},
    "nvidia-h100-mega-80gb": {"1g.10gb": 7, "1g.20gb": 4, "2g.20gb": 3, "3g.40gb": 2, "7g.80gb": 1},
    "nvidia-h200-141gb": {"1g.18gb": 7, "1g.35gb": 4, "2g.35gb": 3, "3g.71gb": 2, "7g.141gb": 1},
    "nvidia-b200": {"1g.23gb": 7, "1g.45gb": 4, "2g.45gb": 3, "3g.90gb": 2, "7g.180gb": 1},
    "nvidia-rtx-pro-6000": {"1g.24gb": 4, "2g.48gb": 2, "4g.96gb": 1},
}

# EC2's GPU and its memory in MiB → partition size (MIG) → partitions of one GPU: those that Bottlerocket makes
# (bottlerocket-core-kit, nvidia-migmanager). EKS's Amazon Linux images make none.
_80_GB = {"1g.10gb": 7, "1g.20gb": 4, "2g.20gb": 3, "3g.40gb": 2, "7g.80gb": 1}
_AWS_PARTITIONS = {
    ("A100", 40960): {"1g.5gb": 7, "1g.10gb": 4, "2g.10gb": 3, "3g.20gb": 2, "7g.40gb": 1},
    ("A100", 81920): _80_GB,
    ("H100", 81920): _80_GB,
    ("H200", 144384): {"1g.18gb": 7, "1g.35gb": 4, "2g.35gb": 3, "3g.71gb": 2, "7g.141gb": 1},
    ("B200", 183359): {"1g.23gb": 7, "1g.45gb": 4, "2g.45gb": 3, "3g.90gb": 2, "7g.180gb": 1},
}

GCP_LOCAL_SSD_GB = 375
"""Size of one local SSD on Google Cloud."""


@dataclass(frozen=True)
class MachineType:
    """One machine type.

    `gpus`, `neuron`, `efa`, `network_cards`: how many it has. `gpu`: EC2's name of the GPU, or Google's accelerator
    type. `memory_mib`, `gpu_memory_mib` (of one GPU): MiB. `nvme_gb`: total local NVMe in GB over `nvme_disks`.
    `max_pods`: pods by network addresses without prefix delegation (AWS only, else 110). `offered`: False for a type
    that the cloud no longer describes. `spot`, `capacity_block`: whether it is sold as such. `cluster_placement`:
    whether it supports cluster placement groups (AWS) or compact placement (Google). `ebs_mb_per_s`: the most that its
    volumes read or write together (AWS only; 0 if it is not known).

    On Google only. `local_ssds`: numbers of local SSDs of 375 GB that can be added (`nvme_gb` is what it includes).
    `boot_disks`: types of its boot disk, the default first; `disks`: types of volumes that it supports. `compact`: the
    most nodes of a compactly placed pool. `gpudirect`: interfaces for multi-node training. `on_demand`, `flex`: whether
    it is sold as such.
    """

    name: str
    cloud: str
    arch: str
    vcpu: int
    memory_mib: int
    gpus: int = 0
    gpu: str = ""
    gpu_memory_mib: int = 0
    neuron: int = 0
    nvme_gb: int = 0
    nvme_disks: int = 0
    efa: int = 0
    network_cards: int = 1
    max_pods: int = 110
    offered: bool = True
    spot: bool = True
    capacity_block: bool = False
    cluster_placement: bool = True
    local_ssds: tuple[int, ...] = ()
    boot_disks: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()
    compact: int = 0
    gpudirect: int = 0
    ebs_mb_per_s: int = 0
    on_demand: bool = True
    flex: bool = False

    @property
    def interconnects(self) -> int:
        """Interfaces for multi-node training: EFA, or GPUDirect on Google."""
        return self.efa or self.gpudirect

    @property
    def partitions(self) -> Mapping[str, int]:
        """Partition size (MIG) → partitions of one GPU; empty if its GPUs cannot be partitioned."""
        of_aws = _AWS_PARTITIONS.get((self.gpu, self.gpu_memory_mib), {})
        return of_aws if self.cloud == AWS else GCP_PARTITIONS.get(self.gpu, {})

    @property
    def driver_branches(self) -> tuple[int, int | None] | None:
        """Oldest and newest NVIDIA driver branch for this GPU; None if it has no GPU or the branches are not known."""
        return _DRIVERS.get(self.gpu)

    def quota_code(self, spot: bool = False) -> str:
        """The Service Quotas code (AWS, in vCPUs) that limits how many of these may run."""
        families = [codes for family, codes in _AWS_QUOTAS.items() if self.gpus and self.name.startswith(family)]
        on_demand, spot_code = families[0] if families else _AWS_STANDARD_QUOTA
        return spot_code if spot else on_demand


@cache
def _table(cloud: str) -> dict[str, MachineType]:
    path = Path(__file__).parent / cloud / "machine_types.csv"
    with path.open(newline="") as file:
        return {row["type"]: _machine(cloud, row) for row in csv.DictReader(file)}


def _machine(cloud: str, row: dict[str, str]) -> MachineType:
    def number(column: str, default: int = 0) -> int:
        return int(row.get(column) or default)

    def words(column: str) -> tuple[str, ...]:
        return tuple(row.get(column, "").split())

    return MachineType(
        name=row["type"],
        cloud=cloud,
        arch=row["arch"],
        vcpu=number("vcpu"),
        memory_mib=number("memory_mib"),
        gpus=number("gpus"),
        gpu=row["gpu"],
        gpu_memory_mib=number("gpu_memory_mib"),
        neuron=number("neuron"),
        nvme_gb=number("nvme_gb"),
        nvme_disks=number("nvme_disks"),
        efa=number("efa"),
        network_cards=number("network_cards", 1),
        max_pods=number("max_pods", 110),
        offered=row.get("offered", "1") != "0",
        spot=row.get("spot", "1") != "",
        capacity_block=bool(row.get("capacity_block")),
        cluster_placement=row.get("cluster_placement", row.get("compact", "1")) != "",
        local_ssds=tuple(map(int, words("local_ssds"))),
        boot_disks=words("boot_disks"),
        disks=words("disks"),
        compact=number("compact"),
        gpudirect=number("gpudirect"),
        ebs_mb_per_s=number("ebs_mb_per_s"),
        on_demand=row.get("on_demand", "1") != "",
        flex=bool(row.get("flex")),
    )


class MachineFacts(TypedDict):
    """A machine type that gpuyard does not know yet, with the values that `aws ec2 describe-instance-types` shows."""

    vcpu: int
    """vCPUs, 1 or more."""
    memory_mib: int
    """Memory in MiB, 1 or more."""
    arch: NotRequired[str]
    """x86_64 or arm64. Default: `x86_64`."""
    gpus: NotRequired[int]
    """GPUs. Default: `0`."""
    gpu: NotRequired[str]
    """EC2's name of the GPU, such as H200; needed with `gpus`. Default: none."""
    gpu_memory_mib: NotRequired[int]
    """Memory of one GPU in MiB; needed with `gpus`. Default: `0`."""
    nvme_gb: NotRequired[int]
    """Local NVMe in GB, all disks together. Default: `0`."""
    nvme_disks: NotRequired[int]
    """Local NVMe disks. Default: `0`."""
    efa: NotRequired[int]
    """EFA interfaces, up to `network_cards`. Default: `0`."""
    network_cards: NotRequired[int]
    """Network cards, 1 or more. Default: `1`."""
    max_pods: NotRequired[int]
    """Pods by network addresses, without prefix delegation. Default: `110`."""
    spot: NotRequired[bool]
    """Whether it is sold as spot. Default: `true`."""
    capacity_block: NotRequired[bool]
    """Whether it is sold in capacity blocks. Default: `false`."""
    cluster_placement: NotRequired[bool]
    """Whether it can be in a cluster placement group. Default: `true`."""


def declaration_problems(facts: MachineFacts) -> Iterator[Problem]:
    """What is wrong with the facts in a file about a machine type. Paths are relative to them."""
    yield from checks.one_of("arch", facts["arch"], ("x86_64", "arm64"))
    numbers: dict[str, Any] = {**facts}
    for field in ("vcpu", "memory_mib", "network_cards", "max_pods"):
        if numbers[field] < 1:
            yield _as_described(field, numbers[field], "less than 1", "1 or more")
    for field in ("gpus", "gpu_memory_mib", "nvme_gb", "nvme_disks", "efa"):
        if numbers[field] < 0:
            yield _as_described(field, numbers[field], "must not be negative", "0 or more")
    for first, second in (("gpus", "gpu"), ("gpus", "gpu_memory_mib"), ("nvme_disks", "nvme_gb")):
        if bool(numbers.get(first)) != bool(numbers.get(second)):
            yield _as_described(second, numbers.get(second), f"must be set together with `{first}`", "both, or neither")
    if facts["efa"] > (cards := facts["network_cards"]):
        yield _as_described("efa", facts["efa"], "more interfaces than `network_cards`", f"0 to {cards}")


def _as_described(field: str, value: Any, wrong: str, allowed: str) -> Problem:
    return Problem(field, value, wrong, allowed, "write the value that `aws ec2 describe-instance-types` shows")


def find(cloud: str, name: str, facts: MachineFacts | None = None) -> MachineType | None:
    """The machine type of that name; None if the table does not have it and nothing valid is declared about it.

    Args:
        cloud: the cloud that has it.
        name: its name.
        facts: what a pool declares about types that are newer than this release. They are not kept.
    """
    known = _table(cloud).get(name)
    if known or not facts or any(declaration_problems(declared := arguments.cleaned(MachineFacts, facts))):
        return known
    return MachineType(name=name, cloud=cloud, **declared)


def names(cloud: str) -> list[str]:
    """Every machine type in the table of a cloud, including withdrawn ones."""
    return list(_table(cloud))


def nearest(cloud: str, name: str, count: int = 3) -> list[str]:
    """Names of offered types that are most similar to a misspelled or unknown one, closest first: all sizes of its
    family, or else `count` of any family."""
    offered = [machine.name for machine in _table(cloud).values() if machine.offered]
    family = re.match(r"[a-z0-9-]+[.-](?=[^.-]*$)", name.lower())
    if family and (sizes := [each for each in offered if each.startswith(family[0])]):
        return difflib.get_close_matches(name.lower(), sizes, n=len(sizes), cutoff=0)
    return difflib.get_close_matches(name.lower(), offered, n=count, cutoff=0.5)


def unknown(cloud: str, name: str, path: str, hint: bool = True) -> Problem:
    """The problem of a name that the cloud does not have: a type of another cloud, or a misspelled one. `hint`: whether
    similar names are looked up."""
    ours = CLOUDS[cloud].machines_of
    for other in CLOUDS.values():
        if find(other.name, name):
            return Problem(
                path, name, f"unknown machine type: it is a type of {other.machines_of}", f"types of {ours}",
                "write one of them",
            )  # fmt: skip
    near = nearest(cloud, name) if hint else []
    allowed = f"such as {', '.join(near)}" if near else f"types of {ours}{'; none is similar to it' if hint else ''}"
    return Problem(path, name, "unknown machine type", allowed, f"write {near[0]}" if near else "correct the name")


def successors(machine: MachineType, count: int = 3) -> list[str]:
    """Offered types with the same number of GPUs and at least its vCPUs and GPU memory (without GPUs: its memory), its
    own family (m5: m) and smallest first."""
    fits = [
        other
        for other in _table(machine.cloud).values()
        if other.offered
        and other.arch == machine.arch
        and other.gpus == machine.gpus
        and other.vcpu >= machine.vcpu
        and other.gpu_memory_mib >= machine.gpu_memory_mib
        and (machine.gpus or other.memory_mib >= machine.memory_mib)
    ]

    def distance(other: MachineType) -> tuple[bool, int, int, int, str]:
        other_family = not machine.gpus and other.name[0] != machine.name[0]
        return other_family, other.vcpu, other.gpu_memory_mib, other.memory_mib, other.name

    fits.sort(key=distance)
    return [other.name for other in fits[:count]]


def with_interconnect(machine: MachineType, count: int = 3) -> list[str]:
    """Offered types with EFA (on Google: GPUDirect) and the same GPU (or as few GPUs), smallest first."""
    fits = [
        other
        for other in _table(machine.cloud).values()
        if other.offered
        and (other.efa or other.gpudirect)
        and other.arch == machine.arch
        and other.gpu == machine.gpu
        and not other.neuron
    ]
    fits.sort(key=lambda other: (other.gpus, other.vcpu, other.name))
    return [other.name for other in fits[:count]]
