"""The library on AWS: what each component asks the SDK for."""

from __future__ import annotations

import ipaddress
from typing import Any

import pulumi
import pytest

from components.aws.network import AwsNetwork
from components.aws.node_pool import EksNodePool
from tests.component.stage import AWS_ZONES, GUIDE_CPU, aws_options
from tests.recorder import run
from tests.recording import Recording


def network(**args: Any) -> Recording:
    """A recorded AwsNetwork called `net`."""
    defaults = {"cidr": "10.0.0.0/16", "zones": AWS_ZONES, "cluster_name": "train"}
    return run(lambda: AwsNetwork("net", {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


class TestNetwork:
    def test_each_zone_has_a_private_and_a_public_subnet_that_do_not_overlap(self) -> None:
        subnets = network().all("Subnet")
        assert {found.name for found in subnets} == {
            f"net-{kind}-{zone}" for kind in ("private", "public") for zone in AWS_ZONES
        }
        blocks = [ipaddress.IPv4Network(found.inputs["cidrBlock"]) for found in subnets]
        assert not any(one.overlaps(other) for i, one in enumerate(blocks) for other in blocks[:i])
        assert all(block.subnet_of(ipaddress.IPv4Network("10.0.0.0/16")) for block in blocks)

    def test_adding_a_zone_moves_no_other_subnet(self) -> None:
        def blocks(zones: list[str]) -> dict[str, str]:
            return {found.name: found.inputs["cidrBlock"] for found in network(zones=zones).all("Subnet")}

        few, many = blocks(AWS_ZONES), blocks(["us-east-1f", *AWS_ZONES])
        assert few.items() <= many.items()

    def test_load_balancers_find_their_subnets_by_tag(self) -> None:
        made = network()
        assert made.one("Subnet", "net-public-us-east-1a").inputs["tags"]["kubernetes.io/role/elb"] == "1"
        private = made.one("Subnet", "net-private-us-east-1a").inputs["tags"]
        assert private["kubernetes.io/role/internal-elb"] == "1"
        assert private["kubernetes.io/cluster/train"] == "shared"

    @pytest.mark.parametrize(("mode", "gateways"), [("none", 0), ("single", 1), ("per_zone", 2)])
    def test_the_nat_mode_sets_the_number_of_gateways(self, mode: str, gateways: int) -> None:
        made = network(nat=mode)
        assert len(made.all("NatGateway")) == gateways
        routes = [found for found in made.all("Route") if "natGatewayId" in found.inputs]
        assert len(routes) == (2 if gateways else 0)

    def test_nodes_that_depend_on_the_network_go_before_its_way_to_the_internet(self) -> None:
        """seed row S01: nodes are never without a route, neither first nor last."""

        def program() -> None:
            options = aws_options()
            net = AwsNetwork("net", {"cidr": "10.0.0.0/16", "zones": AWS_ZONES, "cluster_name": "train"}, options)
            args = {
                "pool": GUIDE_CPU,
                "zones": AWS_ZONES,
                "subnet_ids": net.private_subnet_ids,
                "cluster_name": "train",
                "cluster": "train",
                "node_role_arn": "arn:aws:iam::1:role/n",
            }
            after = pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[net]))
            EksNodePool("cpu-workers", args, after)  # type: ignore[arg-type]

        made = run(program)
        group = made.one("NodeGroup")
        for kind in ("NatGateway", "Route", "RouteTableAssociation", "InternetGateway"):
            for found in made.all(kind):
                if "private" in found.name or kind in ("NatGateway", "InternetGateway"):
                    assert made.must_outlive(found, group), found

    def test_the_default_security_group_has_no_rule(self) -> None:
        group = network().one("DefaultSecurityGroup")
        assert group.inputs["ingress"] == [] and group.inputs["egress"] == []
