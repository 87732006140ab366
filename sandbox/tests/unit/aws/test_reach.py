"""A cluster's internet access in the simulated AWS: route tables, NAT, endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import session
from sandbox.aws.eks import reach
from sandbox.cluster.reach import Reach


class Clouds:
    """The parts of EKS and EC2 that the code calls."""

    def __init__(self, routes: dict[str, list[dict[str, Any]]], services: list[str], groups: bool = True) -> None:
        self.routes, self.services, self.groups = routes, services, groups

    def list_nodegroups(self, **_: Any) -> Any:
        return {"nodegroups": ["gpu"] if self.groups else []}

    def describe_nodegroup(self, **_: Any) -> Any:
        return {"nodegroup": {"subnets": ["subnet-a", "subnet-b"]}}

    def describe_subnets(self, **_: Any) -> Any:
        return {"Subnets": [{"VpcId": "vpc-1"}]}

    def describe_route_tables(self, **_: Any) -> Any:
        tables = [
            {"Associations": [{"Main": True} if subnet == "main" else {"SubnetId": subnet}], "Routes": routes}
            for subnet, routes in self.routes.items()
        ]
        return {"RouteTables": tables}

    def describe_vpc_endpoints(self, **_: Any) -> Any:
        return {"VpcEndpoints": [{"ServiceName": f"com.amazonaws.us-east-1.{name}"} for name in self.services]}


OUT = {"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": "nat-1", "State": "active"}
HOME = {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"}
PULLS = ["s3", "ecr.api", "ecr.dkr"]


@pytest.mark.parametrize(
    ("clouds", "closed", "inside"),
    [
        (Clouds({"main": [HOME], "subnet-a": [HOME, OUT], "subnet-b": [HOME]}, []), False, 0),
        (Clouds({"main": [HOME, OUT]}, PULLS), False, 0),
        (Clouds({"main": [HOME, OUT], "subnet-a": [HOME], "subnet-b": [HOME]}, PULLS), True, 1),
        (Clouds({"subnet-a": [HOME], "subnet-b": [{**OUT, "State": "blackhole"}]}, PULLS), True, 1),
        (Clouds({"main": [HOME]}, ["s3", "ecr.api"]), True, 0),
        (Clouds({"main": [HOME]}, [], groups=False), False, 0),
    ],
)
def test_the_routes_of_the_nodes_subnets_decide_internet_access(
    monkeypatch: pytest.MonkeyPatch, clouds: Clouds, closed: bool, inside: int
) -> None:
    """field case A10: a subnet's own table takes precedence over the main one; layers are in S3."""
    monkeypatch.setattr(session, "client", lambda *_: clouds)
    found = reach.reach("us-east-1", "train")
    assert (found.closed, len(found.inside)) == (closed, inside)


def test_internet_access_restricts_no_image() -> None:
    assert Reach().unreachable == ""
