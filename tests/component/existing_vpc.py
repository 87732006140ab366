"""An existing VPC as AWS describes it, and the component on it."""

from __future__ import annotations

from typing import Any

import pulumi

from components.aws.existing_network import AwsExistingNetwork
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import AWS_ZONES, aws_options

PRIVATE = {zone: f"subnet-0aaaaaaa{index}" for index, zone in enumerate(AWS_ZONES)}
PUBLIC = {zone: f"subnet-0bbbbbbb{index}" for index, zone in enumerate(AWS_ZONES)}
OWNED: dict[str, Any] = {
    "vpc_id": "vpc-0123456789abcdef0",
    "private_subnet_ids": PRIVATE,
    "public_subnet_ids": PUBLIC,
    "cluster_name": "train",
}
SUBNETS = {each: {"availabilityZone": zone} for found in (PRIVATE, PUBLIC) for zone, each in found.items()}


def outputs(
    vpc: dict[str, Any] | None = None, subnets: dict[str, dict[str, Any]] | None = None, pods: list[str] | None = None
) -> dict[str, Any]:
    """What AWS returns for the VPC, its subnets and those with the tag of the VPC CNI."""
    by_id = {**SUBNETS, **{each: {**SUBNETS.get(each, {}), **found} for each, found in (subnets or {}).items()}}

    def subnet(args: dict[str, Any]) -> dict[str, Any]:
        usual = {"vpcId": OWNED["vpc_id"], "mapPublicIpOnLaunch": "bbbb" in args["id"], "tags": {}}
        return {**usual, "cidrBlock": "10.0.0.0/19", "availableIpAddressCount": 8000, **by_id[args["id"]], **args}

    attributes = {"enableDnsSupport": True, "enableDnsHostnames": True, **(vpc or {})}
    return {
        "aws:ec2/getVpc:getVpc": lambda args: {**args, **attributes},
        "aws:ec2/getSubnet:getSubnet": subnet,
        "aws:ec2/getSubnets:getSubnets": {"id": "us-east-1", "ids": pods or []},
        "aws:ec2/getRouteTable:getRouteTable": lambda args: {**args, "routes": [{"cidrBlock": "0.0.0.0/0"}]},
    }


def existing(says: dict[str, Any] | None = None, preview: bool = False, **args: Any) -> Recording:
    """A recorded AwsExistingNetwork called `net`; its outputs are exported."""

    def program() -> None:
        made = AwsExistingNetwork("net", {**OWNED, **args}, aws_options())  # type: ignore[typeddict-item]
        for key in ("network_id", "private_subnet_ids", "public_subnet_ids"):
            pulumi.export(key, getattr(made, key))

    return run(program, outputs=says or outputs(), preview=preview)
