"""Reliability case R7: an object of AWS whose answer was lost blocks the next create, and the command deletes it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import conflicts, environment
from sandbox.plugins.provider import ProviderError
from sandbox.tests import clis
from sandbox.tests.unit.aws.conftest import POLICY, REGION, TRUST, World, cluster_inputs, nodegroup_inputs

LOGS = f"arn:aws:logs:{REGION}:123456789012:log-group:/aws/vpc/flow"
PRINCIPAL = "arn:aws:iam::111122223333:role/ml"
ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
WORKER = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy"
LUSTRE = {
    "storageCapacity": 4800,
    "deploymentType": "PERSISTENT_2",
    "perUnitStorageThroughput": 250,
    "storageType": "SSD",
    "metadataConfiguration": {"mode": "AUTOMATIC"},
}

# The objects to create, in this order, by the last part of the type. `@name` is the id of an earlier object or, after a
# colon, one of its outputs.
MADE: dict[str, dict[str, Any]] = {
    "ec2/internetGateway:InternetGateway": {"vpcId": "@vpc"},
    "ec2/eip:Eip": {"domain": "vpc"},
    "ec2/natGateway:NatGateway": {"subnetId": "@subnet-a", "allocationId": "@Eip"},
    "ec2/routeTable:RouteTable": {"vpcId": "@vpc"},
    "ec2/route:Route": {
        "routeTableId": "@RouteTable",
        "destinationCidrBlock": "0.0.0.0/0",
        "gatewayId": "@InternetGateway",
    },
    "ec2/routeTableAssociation:RouteTableAssociation": {"routeTableId": "@RouteTable", "subnetId": "@subnet-a"},
    "ec2/subnet:Subnet": {"vpcId": "@vpc", "cidrBlock": "10.0.7.0/24", "availabilityZone": f"{REGION}a"},
    "ec2/securityGroup:SecurityGroup": {"vpcId": "@vpc"},
    "vpc/securityGroupIngressRule:SecurityGroupIngressRule": {
        "securityGroupId": "@SecurityGroup",
        "ipProtocol": "tcp",
        "fromPort": 988,
        "toPort": 1023,
        "referencedSecurityGroupId": "@SecurityGroup",
    },
    "vpc/securityGroupEgressRule:SecurityGroupEgressRule": {
        "securityGroupId": "@SecurityGroup",
        "ipProtocol": "-1",
        "referencedSecurityGroupId": "@SecurityGroup",
    },
    "ec2/vpcEndpoint:VpcEndpoint": {
        "vpcId": "@vpc",
        "serviceName": f"com.amazonaws.{REGION}.s3",
        "vpcEndpointType": "Gateway",
        "routeTableIds": ["@RouteTable"],
    },
    "ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation": {"vpcId": "@vpc", "cidrBlock": "100.64.0.0/16"},
    "cloudwatch/logGroup:LogGroup": {"name": "/aws/vpc/flow", "retentionInDays": 90},
    "ec2/flowLog:FlowLog": {"vpcId": "@vpc", "trafficType": "ALL", "iamRoleArn": "@role:arn", "logDestination": LOGS},
    "ec2/defaultSecurityGroup:DefaultSecurityGroup": {"vpcId": "@vpc", "ingress": [], "egress": []},
    "ec2/placementGroup:PlacementGroup": {"strategy": "cluster"},
    "efs/fileSystem:FileSystem": {"encrypted": True},
    "efs/mountTarget:MountTarget": {"fileSystemId": "@FileSystem", "subnetId": "@subnet-a"},
    "efs/fileSystemPolicy:FileSystemPolicy": {"fileSystemId": "@FileSystem", "policy": POLICY},
    "efs/backupPolicy:BackupPolicy": {"fileSystemId": "@FileSystem", "backupPolicy": {"status": "ENABLED"}},
    "fsx/lustreFileSystem:LustreFileSystem": {
        "subnetIds": "@subnet-a",
        "securityGroupIds": ["@SecurityGroup"],
        **LUSTRE,
    },
    "fsx/dataRepositoryAssociation:DataRepositoryAssociation": {
        "fileSystemId": "@LustreFileSystem",
        "fileSystemPath": "/data",
        "dataRepositoryPath": "s3://example-training-data/imagenet",
    },
    "kms/key:Key": {},
    "kms/alias:Alias": {"name": "alias/eks/other", "targetKeyId": "@Key"},
    "iam/role:Role": {"assumeRolePolicy": TRUST},
    "iam/rolePolicy:RolePolicy": {"role": "@Role:name", "policy": POLICY},
    "iam/rolePolicyAttachment:RolePolicyAttachment": {"role": "@Role:name", "policyArn": WORKER},
    "iam/openIdConnectProvider:OpenIdConnectProvider": {
        "url": f"https://oidc.eks.{REGION}.amazonaws.com/id/ABCDEF",
        "clientIdLists": ["sts.amazonaws.com"],
    },
    "eks/cluster:Cluster": {"name": "other", "deletionProtection": True},
    "eks/accessEntry:AccessEntry": {"clusterName": "ml", "principalArn": PRINCIPAL},
    "eks/accessPolicyAssociation:AccessPolicyAssociation": {
        "clusterName": "ml",
        "principalArn": PRINCIPAL,
        "policyArn": ADMIN,
        "accessScope": {"type": "cluster"},
    },
    "eks/podIdentityAssociation:PodIdentityAssociation": {
        "clusterName": "ml",
        "namespace": "training",
        "serviceAccount": "trainer",
        "roleArn": "@role:arn",
    },
    "eks/addon:Addon": {"clusterName": "ml", "addonName": "coredns"},
    "eks/nodeGroup:NodeGroup": {},
    "ec2/launchTemplate:LaunchTemplate": {"instanceType": "m5.large"},
    "ec2/vpc:Vpc": {"cidrBlock": "10.9.0.0/16"},
}


@pytest.fixture(scope="module")
def shell(home: Path, world: World) -> Iterator[Callable[[str], None]]:
    """Runs a command as in `make shell`."""
    with clis.programs(home / "clis") as folder:
        variables = {**environment.exports(REGION, home / "none"), "PATH": f"{folder}:{os.environ['PATH']}"}

        def run(command: str) -> None:
            subprocess.run(["bash", "-ec", command], env=variables, check=True)

        yield run


def filled(world: World, value: Any) -> Any:
    if isinstance(value, dict):
        return {key: filled(world, each) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(world, each) for each in value]
    if isinstance(value, str) and (match := re.fullmatch(r"@([\w-]+)(?::(\w+))?", value)):
        _, _, id, _, outputs = world.made[match[1]]
        return outputs[match[2]] if match[2] else id
    return value


def again(world: World, token: str, inputs: dict[str, Any]) -> tuple[str, str]:
    """The result of a second creation: its id, or AWS's error."""
    urn = f"urn:pulumi:test::test::{token}::again"
    checked, failures = world.provider.check(token, urn, {}, inputs, b"again")
    assert failures == []
    try:
        id, outputs = world.provider.create(token, urn, checked, False, 20)
    except ProviderError as error:
        if error.partial:
            world.provider.delete(token, urn, error.partial[0], checked, error.partial[1], 20)
        return "", str(error)
    if id != world.made[token.rpartition(":")[2]][2]:
        world.provider.delete(token, urn, id, checked, outputs, 60)
    return id, ""


def test_a_second_create_is_refused_until_the_command_was_run_or_is_never_refused(
    world: World, cluster: dict[str, Any], shell: Callable[[str], None]
) -> None:
    """Reliability cases R7, R10: every type of the table, in the simulated AWS, and the region in every command."""
    wrong = []
    for part, message in MADE.items():
        token, name = f"aws:{part}", part.rpartition(":")[2]
        inputs = filled(world, message)
        if name == "Cluster":
            inputs = cluster_inputs(world, **inputs)
        elif name == "NodeGroup":
            inputs = nodegroup_inputs(world)
        world.make(token, name, inputs)
        id, refusal = again(world, token, inputs)
        # EC2 gives the same association of a subnet with the same table again; AWS does not document whether it always
        # does.
        if (token in conflicts.NEVER) != (not refusal) and name != "RouteTableAssociation":
            wrong.append(f"{token}: {refusal or id}")
        if token in conflicts.NEVER:
            continue
        if refusal and not conflicts.TAKEN.search(refusal):
            wrong.append(f"{token} is not seen as taken: {refusal}")
        command = conflicts.command(token, inputs, REGION)
        assert command.count("aws --region") == command.count("aws "), command
        shell(command)
        _, urn, id, checked, outputs = world.made[name]
        assert world.provider.read(token, urn, id, checked, outputs) is None, command
        world.make(token, name, inputs)
    world.change("Cluster", {"deletionProtection": False})
    assert wrong == []


def test_every_type_of_the_table_is_tested() -> None:
    tried = {f"aws:{part}" for part in MADE}
    known = {token for token in (*conflicts.COMMANDS, *conflicts.NEVER) if token.startswith("aws:")}
    assert known - tried == {"aws:autoscaling/tag:Tag"}, "tags of a group are written over"


def test_an_interface_endpoint_is_refused_for_its_private_name(world: World, shell: Callable[[str], None]) -> None:
    """reliability case R7"""
    vpc = world.make(
        "aws:ec2/vpc:Vpc",
        "private",
        {"cidrBlock": "10.20.0.0/16", "enableDnsHostnames": True, "enableDnsSupport": True},
    )
    place = {"vpcId": vpc["id"], "cidrBlock": "10.20.7.0/24", "availabilityZone": f"{REGION}a"}
    subnet = world.make("aws:ec2/subnet:Subnet", "private-a", place)
    inputs = {
        "vpcId": vpc["id"],
        "serviceName": f"com.amazonaws.{REGION}.ecr.api",
        "vpcEndpointType": "Interface",
        "privateDnsEnabled": True,
        "subnetIds": [subnet["id"]],
    }
    token = "aws:ec2/vpcEndpoint:VpcEndpoint"
    world.make(token, "endpoint", inputs)
    failed = [(token, inputs, world.refuses(token, inputs))]
    (command,) = conflicts.commands(failed, REGION)
    shell(command)
    world.make(token, "endpoint", inputs)


def test_deleting_an_endpoint_twice_keeps_the_routes_of_other_endpoints(world: World, aws: Any) -> None:
    """`make down` deletes the object of a lost answer again, after the user has deleted it."""
    vpc = world.make("aws:ec2/vpc:Vpc", "twice", {"cidrBlock": "10.40.0.0/16"})
    table = world.make("aws:ec2/routeTable:RouteTable", "twice-table", {"vpcId": vpc["id"]})
    service = {"vpcId": vpc["id"], "serviceName": f"com.amazonaws.{REGION}.s3", "vpcEndpointType": "Gateway"}
    inputs = {**service, "routeTableIds": [table["id"]]}
    first = world.make("aws:ec2/vpcEndpoint:VpcEndpoint", "twice-endpoint", inputs)
    world.delete("twice-endpoint")
    world.make("aws:ec2/vpcEndpoint:VpcEndpoint", "twice-endpoint", inputs)
    aws("ec2").delete_vpc_endpoints(VpcEndpointIds=[first["id"]])
    routes = aws("ec2").describe_route_tables(RouteTableIds=[table["id"]])["RouteTables"][0]["Routes"]
    assert [route for route in routes if "DestinationPrefixListId" in route]


def test_a_vpc_has_one_internet_gateway(world: World) -> None:
    """A second one exists, unattached, and the next run attaches it once the first one is gone."""
    vpc = world.make("aws:ec2/vpc:Vpc", "single", {"cidrBlock": "10.30.0.0/16"})
    world.make("aws:ec2/internetGateway:InternetGateway", "first", {"vpcId": vpc["id"]})
    message = world.refuses("aws:ec2/internetGateway:InternetGateway", {"vpcId": vpc["id"]})
    assert f"Network {vpc['id']} already has an internet gateway attached" in message


def test_values_that_a_shell_could_misread_produce_no_command() -> None:
    token = "aws:eks/cluster:Cluster"
    assert conflicts.command(token, {"name": "mine"}).startswith("aws eks delete-cluster --name mine && ")
    assert conflicts.command(token, {"name": "mine; rm -rf /"}) == ""
    assert conflicts.command(token, {"nameless": True}) == ""
