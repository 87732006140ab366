"""Mistakes in `gpuyard:network`: (stack, change, path in the error, text that the error must contain)."""

from __future__ import annotations

from typing import Any

DELETE = object()
"""Instead of a value: the key is removed."""

NET = "gpuyard:network"
OWNED = {
    "vpcId": "vpc-0123456789abcdef0",
    "privateSubnetIds": {"us-east-1a": "subnet-11111111", "us-east-1b": "subnet-22222222"},
}

OWNED_GKE = {"network": "shared", "subnetwork": "gpus"}

MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("dev", {f"{NET}/cidr": "10.0.0/16"}, "gpuyard:network.cidr", ["not an IPv4 network", "10.0.0.0/16"]),
    ("dev", {f"{NET}/cidr": "10.0.0.1/16"}, "gpuyard:network.cidr", ["write 10.0.0.0/16"]),
    ("dev", {f"{NET}/cidr": "10.0.0.0/28"}, "gpuyard:network.cidr", ["/16 to /22"]),
    (
        "dev",
        {f"{NET}/zones": ["us-east-1a", "us-west-2b"]},
        "gpuyard:network.zones[1]",
        ["not an availability zone of us-east-1"],
    ),
    (
        "dev",
        {f"{NET}/zones": ["us-east-1a", "us-east-1z"]},
        "gpuyard:network.zones[1]",
        ["describe-availability-zones"],
    ),
    ("dev", {f"{NET}/zones": ["us-east-1a"]}, "gpuyard:network.zones", ["two zones", "add a zone"]),
    ("dev", {f"{NET}/nat": "perzone"}, "gpuyard:network.nat", ["single, per_zone, none", "write per_zone"]),
    (
        "dev-gke",
        {f"{NET}/zones": ["us-central1-a", "us-east1-b"]},
        "gpuyard:network.zones[1]",
        ["not a zone of us-central1"],
    ),
    ("dev-gke", {f"{NET}/podsCidr": "10.0.0.0/20"}, "gpuyard:network.podsCidr", ["overlaps"]),
    ("dev", {f"{NET}/servicesCidr": "10.1.0.0/16"}, "gpuyard:network.servicesCidr", ["on gcp"]),
    ("dev", {f"{NET}/podsCidr": "100.64.0.0/10"}, "gpuyard:network.podsCidr", ["/13 to /22"]),
    ("dev", {f"{NET}/podsCidr": "10.0.128.0/20"}, "gpuyard:network.podsCidr", ["overlaps `cidr` = 10.0.0.0/16"]),
    # similar to reliability case R12
    ("dev", {f"{NET}/podsCidr": "8.8.0.0/16"}, "gpuyard:network.podsCidr", ["public addresses", "write 100.64.0.0/16"]),
    ("dev", {f"{NET}/cidr": "10.0.0.0/016"}, "gpuyard:network.cidr", ["not a network in CIDR notation"]),
    (
        "dev",
        {f"{NET}/podsCidr": "192.168.0.0/16"},
        "gpuyard:network.podsCidr",
        ["does not accept addresses of 192.168.0.0/16", "write 100.64.0.0/16"],
    ),
    (
        "dev",
        {f"{NET}/cidr": "10.0.0.0/20"},
        "gpuyard:network.cidr",
        ["us-east-1a needs", "and has 507", "write `cidr: 10.0.0.0/18`", "write `podsCidr: 100.64.0.0/16`"],
    ),
    (
        "dev",
        {f"{NET}/podsCidr": "100.64.0.0/21"},
        "gpuyard:network.podsCidr",
        ["for pods and has 251", "write `podsCidr: 100.64.0.0/18`"],
    ),
    (
        "dev",
        {f"{NET}/interfaceEndpoints": ["sts", "ecrs"]},
        "gpuyard:network.interfaceEndpoints[1]",
        ["ecr, ec2, eks"],
    ),
    ("dev", {f"{NET}/flowLogDays": 31}, "gpuyard:network.flowLogDays", ["1, 3, 5, 7", "write 60"]),
    (
        "dev",
        {
            f"{NET}/nat": "none",
            f"{NET}/interfaceEndpoints": ["ecr", "sts"],
            "gpuyard:images/registry": "111122223333.dkr.ecr.us-east-1.amazonaws.com",
        },
        "gpuyard:network.interfaceEndpoints",
        ["without NAT", "add ec2, eks, eks-auth", "nat: single"],
    ),
    ("dev", {f"{NET}/existing": OWNED}, "gpuyard:network.cidr", ["the owner of the VPC", "remove it"]),
    (
        "dev",
        {f"{NET}/cidr": DELETE, f"{NET}/existing": OWNED, f"{NET}/flowLogDays": 30},
        "gpuyard:network.flowLogDays",
        ["the owner of the VPC"],
    ),
    (
        "dev",
        {f"{NET}/cidr": DELETE, f"{NET}/existing": {**OWNED, "vpcId": "main"}},
        "gpuyard:network.existing.vpcId",
        ["not a valid VPC id", "describe-vpcs"],
    ),
    (
        "dev",
        {f"{NET}/cidr": DELETE, f"{NET}/existing": {**OWNED, "privateSubnetIds": {"us-east-1a": "subnet-11111111"}}},
        "gpuyard:network.existing.privateSubnetIds.us-east-1b",
        ["add one in us-east-1b"],
    ),
    (
        "dev",
        {f"{NET}/cidr": DELETE, f"{NET}/existing": {**OWNED, "publicSubnetIds": {"us-east-1a": "subnet-11111111"}}},
        "gpuyard:network.existing.publicSubnetIds.us-east-1a",
        ["already used as the private subnet of us-east-1a"],
    ),
    ("dev", {f"{NET}/existing": {**OWNED, "vpc": "x"}}, "gpuyard:network.existing.vpc", ["write `vpcId`"]),
    ("dev-gke", {f"{NET}/existing": {**OWNED_GKE, "vpcId": "x"}}, "gpuyard:network.existing.vpcId", ["on aws only"]),
]
