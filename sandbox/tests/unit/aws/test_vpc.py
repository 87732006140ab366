"""EC2's rules for secondary networks, interface endpoints and existing subnets, as the sandbox implements them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.aws.conftest import World

pytestmark = pytest.mark.slow

NETWORK = "aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ("10.0.128.0/17", "conflicts"),
        ("172.20.0.0/16", "is restricted"),
        ("192.168.0.0/20", "is restricted"),
        ("198.19.0.0/20", "is restricted"),
        ("100.64.0.0/15", "is invalid"),
    ],
)
def test_a_forbidden_cidr_block_is_refused(world: World, network: str, message: str) -> None:
    assert message in world.refuses(NETWORK, {"vpcId": world.made["vpc"][2], "cidrBlock": network})


@pytest.mark.parametrize("network", ["10.1.0.0/16", "100.64.0.0/16"])
def test_an_allowed_cidr_block_can_be_added_and_removed(world: World, aws: Any, network: str) -> None:
    vpc = world.made["vpc"][2]
    world.make(NETWORK, "more", {"vpcId": vpc, "cidrBlock": network})
    table = world.make("aws:ec2/routeTable:RouteTable", "table", {"vpcId": vpc})
    routes = aws("ec2").describe_route_tables(RouteTableIds=[table["id"]])["RouteTables"][0]["Routes"]
    assert {each["DestinationCidrBlock"] for each in routes} == {"10.0.0.0/16", network}
    world.delete("more")
    assert network not in [
        each["CidrBlock"]
        for each in aws("ec2").describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["CidrBlockAssociationSet"]
        if each["CidrBlockState"]["State"] == "associated"
    ]
    world.delete("table")


def endpoint(world: World, service: str = "sts") -> dict[str, Any]:
    return {
        "vpcId": world.made["vpc"][2],
        "serviceName": f"com.amazonaws.us-east-1.{service}",
        "vpcEndpointType": "Interface",
        "subnetIds": [world.made["subnet-a"][2]],
        "privateDnsEnabled": True,
    }


def test_two_endpoints_cannot_have_the_same_private_name(world: World) -> None:
    world.make(ENDPOINT, "first", endpoint(world))
    assert "conflicting DNS domain" in world.refuses(ENDPOINT, endpoint(world))
    world.make(ENDPOINT, "second", endpoint(world, "ec2"))
    world.delete("second")
    world.delete("first")


def test_a_private_name_requires_both_dns_attributes(world: World) -> None:
    world.change("vpc", {"enableDnsHostnames": False})
    assert "requires both enableDnsSupport and enableDnsHostnames" in world.refuses(ENDPOINT, endpoint(world))
    world.change("vpc", {"enableDnsHostnames": True})


def test_a_subnet_and_security_group_of_an_endpoint_are_not_deleted(world: World) -> None:
    group = world.make("aws:ec2/securityGroup:SecurityGroup", "group", {"vpcId": world.made["vpc"][2]})
    world.make(ENDPOINT, "first", {**endpoint(world), "securityGroupIds": [group["id"]]})
    for name in ("group", "subnet-a"):
        with pytest.raises(ProviderError, match="DependencyViolation"):
            world.delete(name)
    world.delete("first")
    world.delete("group")


def test_a_subnet_can_be_looked_up_with_its_free_addresses(world: World) -> None:
    def ask(token: str, **args: Any) -> dict[str, Any]:
        return world.provider.invoke(f"aws:ec2/{token}", args)

    subnet, vpc = world.made["subnet-a"][2], world.made["vpc"][2]
    found = ask("getSubnet:getSubnet", id=subnet)
    assert (found["vpcId"], found["availabilityZone"], found["cidrBlock"]) == (vpc, "us-east-1a", "10.0.0.0/24")
    assert found["mapPublicIpOnLaunch"] is False and found["tags"] == {"owner": "tests"}
    assert found["availableIpAddressCount"] == 251
    world.make(ENDPOINT, "first", endpoint(world))
    assert ask("getSubnet:getSubnet", id=subnet)["availableIpAddressCount"] == 250
    world.delete("first")
    with pytest.raises(ProviderError, match=r"InvalidSubnetID\.NotFound"):
        ask("getSubnet:getSubnet", id="subnet-00000000")
    by_zone = [{"name": "vpc-id", "values": [vpc]}, {"name": "availability-zone", "values": ["us-east-1a"]}]
    assert ask("getSubnets:getSubnets", filters=by_zone)["ids"] == [subnet]
    world.make(NETWORK, "more", {"vpcId": vpc, "cidrBlock": "100.64.0.0/16"})
    blocks = ask("getVpc:getVpc", id=vpc)["cidrBlockAssociations"]
    assert [each["cidrBlock"] for each in blocks] == ["10.0.0.0/16", "100.64.0.0/16"]
    world.delete("more")


def test_a_route_table_is_found_by_subnet_or_as_the_vpcs_main_one(world: World) -> None:
    """field case A10: the preview's lookup in an existing network."""

    def ask(**args: Any) -> dict[str, Any]:
        return world.provider.invoke("aws:ec2/getRouteTable:getRouteTable", args)

    subnet, vpc = world.made["subnet-a"][2], world.made["vpc"][2]
    with pytest.raises(ProviderError, match="no matching EC2 Route Table"):
        ask(subnetId=subnet)
    main = ask(vpcId=vpc, filters=[{"name": "association.main", "values": ["true"]}])
    assert main["vpcId"] == vpc and main["routes"] == []
