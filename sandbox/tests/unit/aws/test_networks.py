"""The library's networks on the sandbox's AWS: created, stable, deleted; an existing VPC is inspected."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from components.aws import endpoints
from components.aws.existing_network import AwsExistingNetwork
from components.aws.network import AwsNetwork
from recording.recorder import run
from recording.recording import Recording
from sandbox.aws import inventory
from sandbox.aws.provider import AwsProvider
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.aws.conftest import REGION, World
from tests.component.stage import AWS_ZONES, GUIDE_CPU, aws_options, pool
from tests.failing_lookup import LookupFailed

pytestmark = pytest.mark.slow


@pytest.fixture
def account(aws: Any) -> World:
    """A provider in an empty account."""
    return World()


def build(recording: Recording, account: World) -> None:
    """Creates the recorded resources in their order, with the ids and ARNs from AWS."""
    real: dict[str, str] = {}
    for found in recording.resources.values():
        if found.package != "aws" or not found.custom:
            continue
        text = json.dumps(found.inputs)
        for recorded, given in real.items():
            text = text.replace(recorded, given)
        made = account.make(found.type, str(found), json.loads(text))
        if "arn" in made:
            real[found.outputs["arn"]] = made["arn"]
        real[found.id] = made["id"]


def test_a_network_with_every_option_is_created_without_drift_and_fully_deleted(account: World, aws: Any) -> None:
    args = {
        "cidr": "10.0.0.0/20",
        "cluster_name": "train",
        "nat": "none",
        "pods_cidr": "100.64.0.0/15",
        "interface_endpoints": list(endpoints.SERVICES),
        "flow_log_days": 30,
    }
    recording = run(lambda: AwsNetwork("net", args, aws_options()))  # type: ignore[arg-type]
    build(recording, account)
    (vpc,) = aws("ec2").describe_vpcs(Filters=[{"Name": "is-default", "Values": ["false"]}])["Vpcs"]
    assert [each["CidrBlock"] for each in vpc["CidrBlockAssociationSet"]] == ["10.0.0.0/20", "100.64.0.0/16"]
    (log,) = aws("ec2").describe_flow_logs()["FlowLogs"]
    assert (log["ResourceId"], log["TrafficType"]) == (vpc["VpcId"], "ALL")
    for name in account.made:
        account.settled(name, {"routes", "ingress", "egress", "managedPolicyArns", "inlinePolicies"})
    account.delete_all()
    assert inventory.leftovers() == []


@pytest.fixture
def owned(aws: Any) -> Any:
    """An existing VPC with a public and a private subnet in each zone."""
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    for attribute in ("EnableDnsHostnames", "EnableDnsSupport"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": True}})

    def subnet(number: int, zone: str) -> str:
        made = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.9.{number * 16}.0/20", AvailabilityZone=zone)
        return made["Subnet"]["SubnetId"]

    private = {zone: subnet(index, zone) for index, zone in enumerate(AWS_ZONES)}
    public = {zone: subnet(index + 2, zone) for index, zone in enumerate(AWS_ZONES)}
    for each in public.values():
        ec2.modify_subnet_attribute(SubnetId=each, MapPublicIpOnLaunch={"Value": True})
    yield {
        "vpc_id": vpc,
        "private_subnet_ids": private,
        "public_subnet_ids": public,
        "cluster_name": "train",
    }
    for each in (*private.values(), *public.values()):
        ec2.delete_subnet(SubnetId=each)
    ec2.delete_vpc(VpcId=vpc)


def adopt(args: dict[str, Any], **changes: Any) -> Recording:
    """Records the component; its lookups are answered by the sandbox's AWS."""
    provider = AwsProvider()
    provider.configure({"region": REGION})

    def asked(token: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def ask(given: dict[str, Any]) -> dict[str, Any]:
            try:
                return provider.invoke(token, given)
            except ProviderError as error:
                raise LookupFailed(str(error)) from None

        return ask

    tokens = [f"aws:ec2/get{name}:get{name}" for name in ("Vpc", "Subnet", "Subnets")]
    return run(
        lambda: AwsExistingNetwork("net", {**args, **changes}, aws_options()),  # type: ignore[typeddict-item]
        outputs={token: asked(token) for token in tokens},
    )


def tags_of(aws: Any, subnet: str) -> dict[str, str]:
    (found,) = aws("ec2").describe_subnets(SubnetIds=[subnet])["Subnets"]
    return {each["Key"]: each["Value"] for each in found.get("Tags", [])}


def test_an_existing_vpc_is_tagged_and_restored_afterwards(account: World, owned: dict[str, Any], aws: Any) -> None:
    private = owned["private_subnet_ids"]["us-east-1a"]
    aws("ec2").create_tags(Resources=[private], Tags=[{"Key": "theirs", "Value": "x"}])
    build(adopt(owned, node_pools={"cpu": GUIDE_CPU}), account)
    assert tags_of(aws, private) == {
        "theirs": "x",
        "kubernetes.io/cluster/train": "shared",
        "kubernetes.io/role/internal-elb": "1",
    }
    adopt(owned, node_pools={"cpu": GUIDE_CPU})
    account.delete_all()
    assert tags_of(aws, private) == {"theirs": "x"}


def test_an_unsuitable_vpc_is_refused_from_the_answers_of_aws(owned: dict[str, Any], aws: Any) -> None:
    a, b = AWS_ZONES
    private, public = owned["private_subnet_ids"], owned["public_subnet_ids"]
    aws("ec2").modify_vpc_attribute(VpcId=owned["vpc_id"], EnableDnsHostnames={"Value": False})
    with pytest.raises(pulumi.RunError) as caught:
        adopt(owned, private_subnet_ids={a: private[b], b: "subnet-00000000"}, public_subnet_ids={})
    text = str(caught.value)
    assert "enable-dns-hostnames is off" in text
    assert f"private_subnet_ids.{a} = '{private[b]}': in us-east-1b" in text
    assert f"private_subnet_ids.{b} = 'subnet-00000000': AWS does not show it" in text and "does not exist" in text
    aws("ec2").modify_vpc_attribute(VpcId=owned["vpc_id"], EnableDnsHostnames={"Value": True})
    with pytest.raises(pulumi.RunError, match="a public subnet"):
        adopt(owned, private_subnet_ids=public, public_subnet_ids={})
    with pytest.raises(pulumi.RunError, match="AWS does not show it"):
        adopt(owned, vpc_id="vpc-00000000")


def test_free_addresses_are_counted_until_the_cluster_exists(account: World, owned: dict[str, Any], aws: Any) -> None:
    """4,091 addresses in each zone: 31 nodes of 130, and 17 for others."""
    pools = {"cpu": pool(GUIDE_CPU, max=62)}
    recording = adopt(owned, node_pools=pools)
    subnet = owned["private_subnet_ids"]["us-east-1a"]
    # 44 addresses remain in addition to 31 nodes.
    taken = [
        aws("ec2").create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
        for _ in range(45)
    ]
    with pytest.raises(pulumi.RunError, match="us-east-1a needs 4,047 and has 4,046"):
        adopt(owned, node_pools=pools)
    build(recording, account)
    adopt(owned, node_pools=pools)
    account.delete_all()
    for each in taken:
        aws("ec2").delete_network_interface(NetworkInterfaceId=each)
    # A subnet that the owner keeps for pods.
    with pytest.raises(pulumi.RunError):
        adopt(owned, node_pools={"cpu": pool(GUIDE_CPU, max=64, zones=["us-east-1a"])})
    more = aws("ec2").create_subnet(VpcId=owned["vpc_id"], CidrBlock="10.9.128.0/17", AvailabilityZone="us-east-1a")
    more_id = more["Subnet"]["SubnetId"]
    aws("ec2").create_tags(Resources=[more_id], Tags=[{"Key": "kubernetes.io/role/cni", "Value": "1"}])
    adopt(owned, node_pools={"cpu": pool(GUIDE_CPU, max=64, zones=["us-east-1a"])})
    aws("ec2").delete_subnet(SubnetId=more_id)
