"""The facts about a recorded stack on EKS for the page: zones, subnets, groups, volumes, roles."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from components.hardware import AWS, find
from recording.recording import Resource

from .. import recorded
from ..recorded import CAPACITY, Group

BLOCK = "capacity block"


@dataclass(frozen=True)
class Subnet:
    """`kind`: public, private or pods."""

    id: str
    kind: str
    zone: str
    cidr: str


class Stack(recorded.Stack):
    """A stack on EKS."""

    @property
    def cluster(self) -> Resource:
        return self.made.one("aws:eks/cluster:Cluster")

    @cached_property
    def subnets(self) -> list[Subnet]:
        """Subnets that the stack creates; it creates none in an existing VPC."""
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

    def made_groups(self) -> list[Group]:
        rungs: dict[tuple[str, str], Group] = {}
        for found in map(self._group, self.all("NodeGroup")):
            rungs[found.pool, found.capacity] = _and_zone(rungs.get((found.pool, found.capacity)), found)
        return list(rungs.values())

    def _group(self, found: Resource) -> Group:
        inputs = found.inputs
        template = next(t for t in self.all("LaunchTemplate") if t.id == inputs["launchTemplate"]["id"]).inputs
        names = inputs.get("instanceTypes") or [template["instanceType"]]
        machines = tuple(machine for name in names if (machine := find(AWS, name)))
        kinds = [each.get("interfaceType", "") for each in template.get("networkInterfaces", [])]
        efa = sum(kind.startswith("efa") for kind in kinds)
        pool, capacity = recorded.rung(inputs["labels"])
        zones = tuple(subnet.zone for subnet in self.subnets if subnet.id in inputs["subnetIds"])
        return Group(
            name=found.name.removesuffix(f"-{zones[0]}"),
            pool=pool,
            capacity=capacity,
            bought=BLOCK if inputs["capacityType"] == "CAPACITY_BLOCK" else CAPACITY[capacity],
            machines=machines,
            gpus=machines[0].gpus,
            # All types of a group have the same number of GPUs, but the models may differ.
            gpu=" or ".join(dict.fromkeys(machine.gpu for machine in machines)),
            min=inputs["scalingConfig"]["minSize"],
            max=inputs["scalingConfig"]["maxSize"],
            labels=inputs["labels"],
            zones=zones,
            interconnect=f"{efa} × EFA" if efa else "",
        )

    @property
    def addons(self) -> list[str]:
        """Add-ons that EKS manages."""
        return sorted(found.inputs["addonName"] for found in self.all("aws:eks/addon:Addon"))

    def plain(self, text: str) -> str:
        """The text of a policy without the names of cluster and region. The recorder invents ARNs of log groups, so
        their names replace them."""
        for group in self.all("LogGroup"):
            text = text.replace(group.outputs["arn"], f"log group {group.inputs['name']}")
        text = re.sub(r"\b\d{12}\b", "ACCOUNT", text)  # the recorder's fictional account
        return text.replace(self.cluster.inputs["name"], "CLUSTER").replace(self.region, "REGION")


def document(text: Any) -> list[dict[str, Any]]:
    """The statements of a policy, JSON or already read."""
    found = json.loads(text) if isinstance(text, str) else text
    return listed(found["Statement"])


def listed(value: Any) -> list[Any]:
    """The value as a list: IAM writes a single item with or without one."""
    return value if isinstance(value, list) else [value]


def _and_zone(others: Group | None, group: Group) -> Group:
    """A rung: its groups of all zones as one."""
    if others is None:
        return group
    return replace(
        others,
        min=others.min + group.min,
        max=others.max + group.max,
        zones=tuple(sorted({*others.zones, *group.zones})),
    )


def _kind(tags: dict[str, str]) -> str:
    if "kubernetes.io/role/elb" in tags:
        return "public"
    return "private" if "kubernetes.io/role/internal-elb" in tags else "pods"
