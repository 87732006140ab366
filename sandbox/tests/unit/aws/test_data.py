"""The data sources, and EC2's refusals that decide whether a program is correct."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.aws.conftest import World, cluster_inputs, nodegroup_inputs, subnets

pytestmark = pytest.mark.slow


@pytest.fixture
def ask(world: World) -> Any:
    return lambda token, **args: world.provider.invoke(f"aws:{token}", args)


def test_region_and_caller(ask: Any) -> None:
    assert ask("index/getRegion:getRegion")["region"] == "us-east-1"
    assert ask("index/getPartition:getPartition")["dnsSuffix"] == "amazonaws.com"
    assert ask("index/getCallerIdentity:getCallerIdentity")["accountId"] == "123456789012"


def test_availability_zones(ask: Any) -> None:
    token = "index/getAvailabilityZones:getAvailabilityZones"
    names = ask(token, state="available")["names"]
    assert names[:2] == ["us-east-1a", "us-east-1b"]
    assert "us-east-1a" not in ask(token, excludeNames=["us-east-1a"])["names"]
    assert ask(token, region="eu-west-1")["names"][0] == "eu-west-1a"


def test_addon_versions_follow_the_cluster(ask: Any) -> None:
    token = "eks/getAddonVersion:getAddonVersion"
    for version in ("1.34", "1.35"):
        found = ask(token, addonName="kube-proxy", kubernetesVersion=version, mostRecent=True)["version"]
        assert found.startswith(f"v{version}.")
    default = ask(token, addonName="vpc-cni", kubernetesVersion="1.35")["version"]
    newest = ask(token, addonName="vpc-cni", kubernetesVersion="1.35", mostRecent=True)["version"]
    assert (default, newest) == ("v1.22.4-eksbuild.3", "v1.23.2-eksbuild.1")
    with pytest.raises(ProviderError, match=r"unsupported Kubernetes version 1\.2"):
        ask(token, addonName="kube-proxy", kubernetesVersion="1.2")
    with pytest.raises(ProviderError, match="No addon versions found"):
        ask(token, addonName="kube-proxi", kubernetesVersion="1.35")


def test_cluster_versions(ask: Any) -> None:
    token = "eks/getClusterVersions:getClusterVersions"
    (default,) = ask(token, defaultOnly=True)["clusterVersions"]
    assert default["defaultVersion"] is True
    (one,) = ask(token, clusterVersionsOnlies=["1.34"])["clusterVersions"]
    assert one["endOfStandardSupportDate"].startswith("2026-12-02")


def test_a_node_groups_current_size_is_reported(aws: Any, ask: Any, world: World, cluster: dict[str, Any]) -> None:
    """reliability case R4: the size that the autoscaler has set, not the one in the program."""
    made = world.make("aws:eks/nodeGroup:NodeGroup", "pool", nodegroup_inputs(world))
    group = made["resources"][0]["autoscalingGroups"][0]["name"]
    aws("autoscaling").set_desired_capacity(AutoScalingGroupName=group, DesiredCapacity=2)
    found = ask("eks/getNodeGroup:getNodeGroup", clusterName="ml", nodeGroupName=made["nodeGroupName"])
    assert found["scalingConfigs"][0]["desiredSize"] == 2
    world.delete("pool")


def test_a_cluster_can_be_looked_up(ask: Any, world: World, cluster: dict[str, Any]) -> None:
    found = ask("eks/getCluster:getCluster", name="ml")
    assert found["vpcConfig"]["subnetIds"] == subnets(world)
    assert found["identities"][0]["oidcs"][0]["issuer"]
    world.delete("ml")
    with pytest.raises(ProviderError, match="No cluster found"):
        ask("eks/getCluster:getCluster", name="ml")


def test_machine_types(ask: Any) -> None:
    token = "ec2/getInstanceType:getInstanceType"
    found = ask(token, instanceType="g6.2xlarge")
    assert (found["defaultVcpus"], found["memorySize"], found["gpuses"][0]["name"]) == (8, 32768, "L4")
    assert ask(token, instanceType="p5.48xlarge")["efaMaximumInterfaces"] == 32
    with pytest.raises(ProviderError, match="InvalidInstanceType"):
        ask(token, instanceType="g9.huge")


@pytest.mark.parametrize(("name", "offered"), [("g6.2xlarge", True), ("p3.2xlarge", False)])
def test_offerings_list_the_types_for_sale(ask: Any, name: str, offered: bool) -> None:
    filters = [{"name": "instance-type", "values": [name]}]
    token = "ec2/getInstanceTypeOfferings:getInstanceTypeOfferings"
    found = ask(token, locationType="availability-zone", filters=filters)
    assert bool(found["locations"]) is offered
    assert set(found["instanceTypes"]) == ({name} if offered else set())


def test_networks_can_be_looked_up(ask: Any, world: World) -> None:
    vpc = world.made["vpc"][2]
    found = ask("ec2/getVpc:getVpc", id=vpc)
    assert (found["cidrBlock"], found["enableDnsHostnames"]) == ("10.0.0.0/16", True)
    ids = ask("ec2/getSubnets:getSubnets", filters=[{"name": "vpc-id", "values": [vpc]}])["ids"]
    assert sorted(ids) == sorted(subnets(world))
    with pytest.raises(ProviderError, match=r"InvalidVpcID\.NotFound"):
        ask("ec2/getVpc:getVpc", id="vpc-00000000")


def test_parameters(ask: Any) -> None:
    path = "/aws/service/eks/optimized-ami/1.34/amazon-linux-2023/x86_64/nvidia/recommended/image_id"
    assert ask("ssm/getParameter:getParameter", name=path)["value"].startswith("ami-")
    with pytest.raises(ProviderError, match="couldn't find resource"):
        ask("ssm/getParameter:getParameter", name="/nothing")


def test_policy_documents_are_rendered_like_the_real_ones(ask: Any) -> None:
    statement = {
        "sid": "Scale",
        "actions": ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
        "resources": ["*"],
        "conditions": [{"test": "StringEquals", "variable": "aws:ResourceTag/a", "values": ["owned"]}],
        "principals": [{"type": "Service", "identifiers": ["pods.eks.amazonaws.com"]}],
    }
    found = json.loads(ask("iam/getPolicyDocument:getPolicyDocument", statements=[statement])["json"])
    assert found == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Scale",
                "Effect": "Allow",
                "Action": ["autoscaling:TerminateInstanceInAutoScalingGroup", "autoscaling:SetDesiredCapacity"],
                "Resource": "*",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Condition": {"StringEquals": {"aws:ResourceTag/a": "owned"}},
            }
        ],
    }


def test_an_unsimulated_function_is_a_clear_error(ask: Any) -> None:
    with pytest.raises(ProviderError, match="does not simulate the function"):
        ask("route53/getZone:getZone", name="x")
    with pytest.raises(ProviderError, match="this property does not exist"):
        ask("ec2/getVpc:getVpc", vpcId="vpc-1")


@pytest.mark.parametrize(
    ("token", "inputs", "message"),
    [
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/33"}, "10.0.0.0/33"),
        ("aws:ec2/subnet:Subnet", {"vpcId": "VPC", "cidrBlock": "10.1.0.0/24"}, "InvalidSubnet.Range"),
        ("aws:ec2/subnet:Subnet", {"vpcId": "VPC", "cidrBlock": "10.0.0.0/25"}, "InvalidSubnet.Conflict"),
        (
            "aws:ec2/subnet:Subnet",
            {"vpcId": "VPC", "cidrBlock": "10.0.9.0/24", "availabilityZone": "us-east-1z"},
            "us-east-1z",
        ),
        ("aws:ec2/subnet:Subnet", {"vpcId": "vpc-00000000", "cidrBlock": "10.0.9.0/24"}, "InvalidVpcID.NotFound"),
        (
            "aws:ec2/natGateway:NatGateway",
            {"subnetId": "subnet-00000000", "connectivityType": "private"},
            "subnet-00000000",
        ),
        (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {"role": "missing", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"},
            "NoSuchEntity",
        ),
        (
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            {"role": "ROLE", "policyArn": "arn:aws:iam::aws:policy/AmazonEKSClusterPolicyy"},
            "NoSuchEntity",
        ),
        (
            "aws:autoscaling/tag:Tag",
            {"autoscalingGroupName": "none", "tag": {"key": "a", "value": "b", "propagateAtLaunch": False}},
            "name not found",
        ),
        (
            "aws:efs/mountTarget:MountTarget",
            {"fileSystemId": "fs-00000000", "subnetId": "SUBNET"},
            "FileSystemNotFound",
        ),
        ("aws:cloudwatch/logGroup:LogGroup", {"name": "odd", "retentionInDays": 45}, "to be one of [0 1 3 5"),
    ],
)
def test_aws_refuses_invalid_requests(world: World, token: str, inputs: dict[str, Any], message: str) -> None:
    names = {"VPC": "vpc", "ROLE": "role", "SUBNET": "subnet-a"}
    given = {k: world.made[names[v]][2] if isinstance(v, str) and v in names else v for k, v in inputs.items()}
    assert message in world.refuses(token, given)


def test_objects_in_use_are_not_deleted(world: World, aws: Any) -> None:
    """DependencyViolation: a group in another group's rule, a VPC with its own group."""
    vpc = world.made["vpc"][2]
    first = world.make("aws:ec2/securityGroup:SecurityGroup", "first", {"vpcId": vpc})
    rule = {"protocol": "-1", "fromPort": 0, "toPort": 0, "securityGroups": [first["id"]]}
    world.make("aws:ec2/securityGroup:SecurityGroup", "second", {"vpcId": vpc, "ingress": [rule]})
    with pytest.raises(ProviderError, match="DependencyViolation: resource sg-"):
        world.delete("first")
    with pytest.raises(ProviderError, match="DependencyViolation: The vpc"):
        world.delete("vpc")
    world.delete("second")
    world.delete("first")


def test_a_duplicate_name_gives_the_error_of_aws(world: World) -> None:
    world.make("aws:cloudwatch/logGroup:LogGroup", "log", {"name": "twice"})
    assert "ResourceAlreadyExistsException" in world.refuses("aws:cloudwatch/logGroup:LogGroup", {"name": "twice"})
    world.delete("log")


def test_a_role_is_shown_with_its_trust_and_its_policies(ask: Any, world: World) -> None:
    """security case M6: the preview's lookup of an existing role."""
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}]}
    managed, inline = "arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy", {"name": "own", "policy": json.dumps(rights)}
    world.make(
        "aws:iam/role:Role",
        "ready",
        {
            "name": "ready",
            "path": "/ml/",
            "assumeRolePolicy": json.dumps(document),
            "managedPolicyArns": [managed],
            "inlinePolicies": [inline],
        },
    )
    found = ask("iam/getRole:getRole", name="ready")
    assert (found["arn"], found["path"]) == ("arn:aws:iam::123456789012:role/ml/ready", "/ml/")
    assert json.loads(found["assumeRolePolicy"]) == document
    attached = ask("iam/getRolePolicyAttachments:getRolePolicyAttachments", roleName="ready")["attachedPolicies"]
    assert attached == [{"policyArn": managed, "policyName": "AmazonEKSWorkerNodePolicy"}]
    assert ask("iam/getRolePolicies:getRolePolicies", roleName="ready")["policyNames"] == ["own"]
    with pytest.raises(ProviderError, match=r"reading IAM Role \(none\).*NoSuchEntity"):
        ask("iam/getRole:getRole", name="none")


def test_the_configuration_of_an_addon_is_reported(ask: Any, world: World) -> None:
    """Components ask whether NetworkPolicies are enforced; an add-on that does not exist is an error."""
    settings = json.dumps({"enableNetworkPolicy": "true"})
    world.make("aws:eks/cluster:Cluster", "reporting", cluster_inputs(world, name="reporting"))
    given = {"clusterName": "reporting", "addonName": "vpc-cni"}
    world.make("aws:eks/addon:Addon", "cni", {**given, "configurationValues": settings})
    found = ask("eks/getAddon:getAddon", **given)
    assert found["configurationValues"] == settings and found["addonVersion"].startswith("v1.")
    with pytest.raises(ProviderError, match="No addon"):
        ask("eks/getAddon:getAddon", **{**given, "addonName": "coredns"})
