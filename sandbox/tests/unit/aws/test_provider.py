"""The provider without a server: names, differences, replacements, and the API calls of inputs."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws.provider import AwsProvider, calls, refusals
from sandbox.plugins.provider import UNKNOWN, ProviderError
from sandbox.tests.unit.aws.conftest import TRUST

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
ROLE = "aws:iam/role:Role"
GROUP: dict[str, Any] = {
    "clusterName": "ml",
    "nodeGroupName": "cpu",
    "nodeRoleArn": "arn:aws:iam::123456789012:role/r",
    "subnetIds": ["subnet-a", "subnet-b"],
    "instanceTypes": ["m5.2xlarge", "m5a.2xlarge"],
    "scalingConfig": {"minSize": 2, "maxSize": 20, "desiredSize": 2},
    "launchTemplate": {"id": "lt-1", "version": "1"},
}


@pytest.fixture
def provider() -> AwsProvider:
    made = AwsProvider()
    made.configure({"region": "us-east-1", "defaultTags": {"tags": {"env": "dev"}}})
    return made


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:dev::p::{token}::{name}"


def check(provider: AwsProvider, token: str, inputs: dict[str, Any], olds: dict[str, Any] | None = None) -> Any:
    return provider.check(token, urn(token), olds or {}, inputs, b"seed")


def diff(provider: AwsProvider, token: str, old: dict[str, Any], new: dict[str, Any]) -> Any:
    return provider.diff(token, urn(token), "id", old, {**old, "tagsAll": {"env": "dev"}}, new)


def test_an_auto_name_is_generated_once_and_kept(provider: AwsProvider) -> None:
    first, failures = check(provider, ROLE, {"assumeRolePolicy": TRUST})
    assert failures == []
    assert first["name"].startswith("thing-") and len(first["name"]) == len("thing-") + 7
    second, _ = provider.check(ROLE, urn(ROLE), first, {"assumeRolePolicy": TRUST}, b"another seed")
    assert second["name"] == first["name"]


def test_a_removed_name_is_replaced_by_an_auto_name(provider: AwsProvider) -> None:
    old, _ = check(provider, ROLE, {"assumeRolePolicy": TRUST, "name": "mine"})
    new, _ = check(provider, ROLE, {"assumeRolePolicy": TRUST}, old)
    assert new["name"] != "mine"
    assert diff(provider, ROLE, old, new).replaces == ["name"]


def test_a_prefix_generates_a_new_name_for_each_replacement(provider: AwsProvider) -> None:
    inputs = {**GROUP, "nodeGroupName": None, "nodeGroupNamePrefix": "cpu-workers-"}
    checked, failures = check(provider, NODE_GROUP, {k: v for k, v in inputs.items() if v is not None})
    assert failures == [] and "nodeGroupName" not in checked
    replaced = diff(provider, NODE_GROUP, checked, {**checked, "instanceTypes": ["m5.4xlarge"]})
    assert replaced.replaces == ["instanceTypes"] and replaced.delete_before_replace is False


def test_an_object_with_a_fixed_name_is_deleted_before_it_is_replaced(provider: AwsProvider) -> None:
    replaced = diff(provider, NODE_GROUP, GROUP, {**GROUP, "amiType": "AL2023_x86_64_NVIDIA"})
    assert replaced.replaces == ["amiType"] and replaced.delete_before_replace is True


@pytest.mark.parametrize(
    ("changes", "changed", "replaces"),
    [
        ({}, [], []),
        ({"subnetIds": ["subnet-b", "subnet-a"]}, [], []),
        ({"instanceTypes": ["m5a.2xlarge", "m5.2xlarge"]}, ["instanceTypes"], ["instanceTypes"]),
        ({"scalingConfig": {"minSize": 2.0, "maxSize": 20.0, "desiredSize": 2.0}}, [], []),
        (
            {"scalingConfig": {"minSize": 3, "maxSize": 20, "desiredSize": 3}},
            ["scalingConfig.desiredSize", "scalingConfig.minSize"],
            [],
        ),
        ({"launchTemplate": {"id": "lt-1", "version": "2"}}, ["launchTemplate.version"], []),
        ({"launchTemplate": {"id": "lt-2", "version": "1"}}, ["launchTemplate.id"], ["launchTemplate.id"]),
        ({"launchTemplate": {"id": "lt-1", "version": UNKNOWN}}, ["launchTemplate.version"], []),
        ({"subnetIds": UNKNOWN}, ["subnetIds"], ["subnetIds"]),
        ({"labels": {"a.b/c": "d"}, "taints": []}, ["labels"], []),
        ({"region": "eu-west-1"}, ["region"], ["region"]),
    ],
)
def test_changes_update_or_replace(
    provider: AwsProvider, changes: Any, changed: list[str], replaces: list[str]
) -> None:
    """Sources of the replacements: facts.md section 2 and the provider's ForceNew."""
    found = diff(provider, NODE_GROUP, GROUP, {**GROUP, **changes})
    assert (found.changes, found.replaces) == (changed, replaces)


def test_encryption_can_be_added_to_a_cluster_but_not_removed(provider: AwsProvider) -> None:
    plain = {"name": "ml", "roleArn": "r", "vpcConfig": {"subnetIds": ["a"]}}
    secret = {**plain, "encryptionConfig": {"provider": {"keyArn": "k"}, "resources": ["secrets"]}}
    token = "aws:eks/cluster:Cluster"
    assert diff(provider, token, plain, secret).replaces == []
    assert diff(provider, token, secret, plain).replaces == ["encryptionConfig"]


def test_an_equivalent_policy_is_not_a_change(provider: AwsProvider) -> None:
    old = {"assumeRolePolicy": TRUST, "name": "r"}
    assert diff(provider, ROLE, old, {**old, "assumeRolePolicy": TRUST.replace(", ", " ,\n")}).changes == []


def test_new_default_tags_are_an_update_in_place(provider: AwsProvider) -> None:
    provider.configure({"region": "us-east-1", "defaultTags": {"tags": {"env": "prod"}}})
    found = diff(provider, NODE_GROUP, GROUP, GROUP)
    assert (found.changes, found.replaces) == (["tagsAll"], [])


def test_a_preview_knows_only_the_programs_values(provider: AwsProvider) -> None:
    id, outputs = provider.create(NODE_GROUP, urn(NODE_GROUP), {**GROUP, "tags": {"a": "b"}}, True, 0)
    assert id == ""
    assert outputs["clusterName"] == "ml" and outputs["arn"] is UNKNOWN and outputs["resources"] is UNKNOWN
    assert outputs["tagsAll"] == {"env": "dev", "a": "b"}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"region": "us-est-1"}, "invalid AWS Region: us-est-1"),
        ({"region": "us-east-1", "forbiddenAccountIds": ["123456789012"]}, "AWS account ID not allowed: 123456789012"),
    ],
)
def test_an_invalid_provider_configuration_is_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ProviderError, match=message):
        AwsProvider().configure(config)


@pytest.mark.parametrize(
    ("token", "inputs", "message"),
    [
        ("aws:ec2/vpc:Vpc", {"cidrBlok": "10.0.0.0/16"}, "did you mean cidrBlock"),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "instanceTenancy": "mine"}, "mine"),
        ("aws:ec2/placementGroup:PlacementGroup", {"strategy": "compact"}, "compact"),
        ("aws:ec2/launchTemplate:LaunchTemplate", {"metadataOptions": {"httpTokens": "yes"}}, "yes"),
        (
            "aws:ec2/launchTemplate:LaunchTemplate",
            {"vpcSecurityGroupIds": ["sg-1"], "networkInterfaces": [{"securityGroups": ["sg-1"]}]},
            "conflicts with",
        ),
        ("aws:ec2/route:Route", {"routeTableId": "rtb-1", "destinationCidrBlock": "0.0.0.0/0"}, "exactly one target"),
        ("aws:iam/role:Role", {"assumeRolePolicy": "{not json"}, "invalid JSON policy"),
        (
            "aws:iam/rolePolicy:RolePolicy",
            {"role": "r", "policy": '{"Statement": {"Effect": "Maybe"}}'},
            "Allow or Deny",
        ),
        ("aws:efs/fileSystem:FileSystem", {"throughputMode": "fast"}, "fast"),
        ("aws:s3/bucket:Bucket", {"bucket": "No_Good"}, "not a valid bucket name"),
        (
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            {"ipProtocol": "-1", "securityGroupId": "sg"},
            "exactly one",
        ),
        ("aws:ec2/vpc:Vpc", {"cidrBlock": "10.0.0.0/16", "region": "nowhere"}, "invalid AWS Region"),
        ("aws:sqs/queue:Queue", {}, "does not simulate"),
        (
            "aws:ec2/vpc:Vpc",
            {"cidrBlock": "10.0.0.0/16", "ipv4IpamPoolId": "ipam-1"},
            "ipv4IpamPoolId is not simulated",
        ),
    ],
)
def test_wrong_inputs_fail_the_check(provider: AwsProvider, token: str, inputs: dict[str, Any], message: str) -> None:
    _, failures = check(provider, token, inputs)
    assert message in "; ".join(failure.reason for failure in failures)


def test_the_api_calls_of_a_resource_are_known_without_a_server() -> None:
    (call,) = calls(NODE_GROUP, GROUP)
    service, operation, params = call
    assert (service, operation, params["nodegroupName"]) == ("eks", "CreateNodegroup", "cpu")
    assert params["scalingConfig"] == {"minSize": 2, "maxSize": 20, "desiredSize": 2}


def test_a_launch_templates_blocks_are_converted_to_the_api() -> None:
    inputs = {
        "name": "lt",
        "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100.0, "encrypted": "true"}}],
        "networkInterfaces": [
            {"deviceIndex": 0, "networkCardIndex": 0, "interfaceType": "efa", "securityGroups": ["sg-1"]}
        ],
        "tagSpecifications": [{"resourceType": "instance", "tags": {"Name": "gpu"}}],
        "instanceMarketOptions": {"marketType": "capacity-block"},
        "capacityReservationSpecification": {"capacityReservationTarget": {"capacityReservationId": "cr-1"}},
    }
    ((_, _, params),) = calls("aws:ec2/launchTemplate:LaunchTemplate", inputs)
    data = params["LaunchTemplateData"]
    assert data["BlockDeviceMappings"] == [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 100, "Encrypted": True}}]
    assert data["NetworkInterfaces"][0]["Groups"] == ["sg-1"]
    assert data["TagSpecifications"] == [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "gpu"}]}]
    assert refusals("aws:ec2/launchTemplate:LaunchTemplate", inputs) == []


def test_an_unknown_member_is_refused_by_the_api_model() -> None:
    inputs = {"name": "lt", "metadataOptions": {"httpToken": "required"}}
    assert "httpToken" in "; ".join(refusals("aws:ec2/launchTemplate:LaunchTemplate", inputs))


def test_a_preview_treats_a_nested_output_of_aws_as_unknown(provider: AwsProvider) -> None:
    """Before the cluster exists its security group is unknown; a later preview of an update keeps it."""
    token = "aws:eks/cluster:Cluster"
    inputs = {"name": "ml", "roleArn": "arn:aws:iam::123456789012:role/r", "vpcConfig": {"subnetIds": ["a", "b"]}}
    _, planned = provider.create(token, urn(token), inputs, True, 0)
    assert planned["vpcConfig"]["clusterSecurityGroupId"] is UNKNOWN
    olds = {**inputs, "vpcConfig": {**inputs["vpcConfig"], "clusterSecurityGroupId": "sg-1", "vpcId": "vpc-1"}}
    news = {**inputs, "version": "1.35"}
    planned = provider.update(token, urn(token), "ml", inputs, olds, news, True, 0)
    assert planned["vpcConfig"]["clusterSecurityGroupId"] == "sg-1"
