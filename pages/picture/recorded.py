"""The facts about a recorded stack for the pages, as far as they are the same on both clouds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from components.hardware import MachineType
from components.pools import CAPACITY_LABEL, POOL_LABEL
from recording.recording import Recording, Resource

CAPACITY = {"reserved": "reserved", "flex": "flex-start", "spot": "spot", "on_demand": "on demand"}
NONE = "–"


@dataclass(frozen=True)
class Group:
    """One rung of a pool: a node group on EKS, a node pool on GKE.

    `gpus`: of a node; `gpu`: their type. `bought`: how its nodes are bought. `interconnect`: interfaces of a node for
    multi-node training, such as `32 × EFA`.
    """

    name: str
    pool: str
    capacity: str
    bought: str
    machines: tuple[MachineType, ...]
    gpus: int
    gpu: str
    min: int
    max: int
    labels: dict[str, str]
    zones: tuple[str, ...]
    interconnect: str = ""

    @property
    def types(self) -> str:
        return ", ".join(machine.name for machine in self.machines)

    @property
    def accelerators(self) -> str:
        """`1 × L4`; empty without."""
        return f"{self.gpus} × {self.gpu}" if self.gpus else ""

    @property
    def vcpu(self) -> int:
        """The vCPUs of a node; the maximum over its types."""
        return max(machine.vcpu for machine in self.machines)


class Stack(ABC):
    """A stack by its name and what it registered."""

    def __init__(self, name: str, made: Recording) -> None:
        self.name, self.made = name, made

    def all(self, type: str) -> list[Resource]:
        """The resources of a type, by name: the order of registration differs between runs."""
        return sorted(self.made.all(type), key=lambda found: found.name)

    @property
    def region(self) -> str:
        return self.made.exports["region"]

    @property
    @abstractmethod
    def cluster(self) -> Resource:
        """The cluster itself."""

    @property
    @abstractmethod
    def zones(self) -> list[str]:
        """The zones in which nodes may run."""

    @abstractmethod
    def made_groups(self) -> list[Group]:
        """The rungs of all pools, in any order."""

    @cached_property
    def groups(self) -> list[Group]:
        """Every pool's rungs, best first; pools without GPUs come first."""
        order = {pool: found["capacity"] for pool, found in self.made.exports["nodePools"].items()}
        return sorted(self.made_groups(), key=lambda g: (bool(g.gpus), g.vcpu, g.pool, order[g.pool].index(g.capacity)))

    def pools(self) -> dict[str, list[Group]]:
        """Pool → its rungs, best first."""
        found: dict[str, list[Group]] = {}
        for group in self.groups:
            found.setdefault(group.pool, []).append(group)
        return found

    def classes(self, provisioner: str) -> list[str]:
        """Names of the storage classes of a driver."""
        found = [each for each in self.all("StorageClass") if each.inputs["provisioner"] == provisioner]
        return [each.inputs["metadata"]["name"] for each in found]

    def volumes(self, driver: str) -> list[str]:
        """Names of the volumes that exist without a claim, such as buckets."""
        found = [each for each in self.all("PersistentVolume") if each.inputs["spec"]["csi"]["driver"] == driver]
        return [each.inputs["metadata"]["name"] for each in found]


def rung(labels: dict[str, str]) -> tuple[str, str]:
    """Pool and capacity of a group, from its nodes' labels."""
    return labels[POOL_LABEL], labels[CAPACITY_LABEL]


def joined(texts: Iterable[str], none: str = NONE) -> str:
    """`a, b`, or a dash."""
    return ", ".join(texts) or none
