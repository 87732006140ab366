"""What a recorded stack on EKS consists of, in the words of the page: zones, subnets, groups, volumes, roles."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from components.hardware import AWS, MachineType, find
from components.pools import CAPACITY_LABEL, POOL_LABEL
from tests.recording import Recording, Resource

CAPACITY = {"reserved": "reserved", "spot": "spot", "on_demand": "on demand"}
NONE = "–"


@dataclass(frozen=True)
class Subnet:
    """`kind`: public, private or pods."""

    id: str
    kind: str
    zone: str
    cidr: str


@dataclass(frozen=True)
class Group:
    """One node group: a rung of a pool. `block`: its nodes come from a capacity block; `efa`: interfaces of a node."""

    name: str
    pool: str
    capacity: str
    machines: tuple[MachineType, ...]
    min: int
    max: int
    labels: dict[str, str]
    zones: tuple[str, ...]
    block: bool
    efa: int

    @property
    def types(self) -> str:
        return ", ".join(machine.name for machine in self.machines)

    @property
    def gpus(self) -> str:
        """`1 × L4`; empty without. Of several types each has as many; their kinds may differ."""
        first = self.machines[0]
        kinds = dict.fromkeys(machine.gpu for machine in self.machines)
        return f"{first.gpus} × {' or '.join(kinds)}" if first.gpus else ""

    @property
    def vcpu(self) -> int:
        """Of a node, the most that its types have."""
        return max(machine.vcpu for machine in self.machines)


class Stack:
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
    def cluster(self) -> Resource:
        return self.made.one("aws:eks/cluster:Cluster")

    @cached_property
    def subnets(self) -> list[Subnet]:
        """Those of a VPC of ours; of an existing VPC only the tags are."""
        return [
            Subnet(found.id, _kind(found.inputs["tags"]), found.inputs["availabilityZone"], found.inputs["cidrBlock"])
            for found in self.all("Subnet")
        ]

    @property
    def zones(self) -> list[str]:
        return sorted({subnet.zone for subnet in self.subnets})

    def in_zone(self, zone: str, kind: str) -> Subnet | None:
        """The zone's subnet of that kind."""
        return next((subnet for subnet in self.subnets if (subnet.zone, subnet.kind) == (zone, kind)), None)

    @property
    def nat_zones(self) -> list[str]:
        """The zones with a NAT gateway."""
        there = {found.inputs["subnetId"] for found in self.all("NatGateway")}
        return [subnet.zone for subnet in self.subnets if subnet.id in there]

    def nat_of(self, subnet: Subnet) -> str:
        """The zone of the NAT gateway to which a subnet's routes lead; empty without one."""
        tables = {
            f.inputs["routeTableId"] for f in self.all("RouteTableAssociation") if f.inputs["subnetId"] == subnet.id
        }
        gateways = {
            found.inputs["natGatewayId"]
            for found in self.all("Route")
            if found.inputs["routeTableId"] in tables and "natGatewayId" in found.inputs
        }
        at = {found.inputs["subnetId"] for found in self.all("NatGateway") if found.id in gateways}
        return next((other.zone for other in self.subnets if other.id in at), "")

    @property
    def endpoints(self) -> list[str]:
        """Services that are reached inside the VPC, S3's gateway first."""
        found = [
            (each.inputs["vpcEndpointType"] != "Gateway", each.inputs["serviceName"].partition(f".{self.region}.")[2])
            for each in self.all("VpcEndpoint")
        ]
        return [service for _, service in sorted(found)]

    @cached_property
    def groups(self) -> list[Group]:
        """Every pool's rungs, best first; pools without GPUs come first."""
        order = {pool: found["capacity"] for pool, found in self.made.exports["nodePools"].items()}
        groups = [self._group(found) for found in self.all("NodeGroup")]
        return sorted(groups, key=lambda g: (bool(g.gpus), g.vcpu, g.pool, order[g.pool].index(g.capacity)))

    def pools(self) -> dict[str, list[Group]]:
        """Pool → its rungs, best first."""
        found: dict[str, list[Group]] = {}
        for group in self.groups:
            found.setdefault(group.pool, []).append(group)
        return found

    def _group(self, found: Resource) -> Group:
        inputs = found.inputs
        template = next(t for t in self.all("LaunchTemplate") if t.id == inputs["launchTemplate"]["id"]).inputs
        names = inputs.get("instanceTypes") or [template["instanceType"]]
        kinds = [each.get("interfaceType", "") for each in template.get("networkInterfaces", [])]
        return Group(
            name=found.name,
            pool=inputs["labels"][POOL_LABEL],
            capacity=inputs["labels"][CAPACITY_LABEL],
            machines=tuple(machine for name in names if (machine := find(AWS, name))),
            min=inputs["scalingConfig"]["minSize"],
            max=inputs["scalingConfig"]["maxSize"],
            labels=inputs["labels"],
            zones=tuple(subnet.zone for subnet in self.subnets if subnet.id in inputs["subnetIds"]),
            block=inputs["capacityType"] == "CAPACITY_BLOCK",
            efa=sum(kind.startswith("efa") for kind in kinds),
        )

    @property
    def addons(self) -> list[str]:
        """What EKS manages."""
        return sorted(found.inputs["addonName"] for found in self.all("aws:eks/addon:Addon"))

    def classes(self, provisioner: str) -> list[str]:
        """Names of the storage classes of a driver."""
        found = [each for each in self.all("StorageClass") if each.inputs["provisioner"] == provisioner]
        return [each.inputs["metadata"]["name"] for each in found]

    def volumes(self, driver: str) -> list[str]:
        """Names of the volumes that are there without a claim, such as S3 buckets."""
        found = [each for each in self.all("PersistentVolume") if each.inputs["spec"]["csi"]["driver"] == driver]
        return [each.inputs["metadata"]["name"] for each in found]

    def plain(self, text: str) -> str:
        """A text of a policy without what is of one stack only: cluster and region. The recorder makes up ARNs of
        log groups, so their names stand for them."""
        for group in self.all("LogGroup"):
            text = text.replace(group.outputs["arn"], f"log group {group.inputs['name']}")
        return text.replace(self.cluster.inputs["name"], "CLUSTER").replace(self.region, "REGION")


def document(text: Any) -> list[dict[str, Any]]:
    """The statements of a policy, JSON or already read."""
    found = json.loads(text) if isinstance(text, str) else text
    return listed(found["Statement"])


def listed(value: Any) -> list[Any]:
    """IAM writes one thing with or without a list around it."""
    return value if isinstance(value, list) else [value]


def joined(texts: Iterable[str], none: str = NONE) -> str:
    """`a, b`, or a dash."""
    return ", ".join(texts) or none


def _kind(tags: dict[str, str]) -> str:
    if "kubernetes.io/role/elb" in tags:
        return "public"
    return "private" if "kubernetes.io/role/internal-elb" in tags else "pods"
