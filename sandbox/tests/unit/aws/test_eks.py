"""EKS: its refusals, and node groups that are Auto Scaling groups with instances."""

from __future__ import annotations

import base64
from typing import Any

import botocore.exceptions
import pytest

from components.versions import EKS_ADDONS, EKS_SUPPORT
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.aws.conftest import World, cluster_inputs, nodegroup_inputs, subnets

pytestmark = pytest.mark.slow

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
CLUSTER = "aws:eks/cluster:Cluster"


def group_of(aws: Any, outputs: dict[str, Any]) -> dict[str, Any]:
    name = outputs["resources"][0]["autoscalingGroups"][0]["name"]
    return aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]


def instances(aws: Any, group: dict[str, Any]) -> list[dict[str, Any]]:
    ids = [each["InstanceId"] for each in group["Instances"]]
    found = aws("ec2").describe_instances(InstanceIds=ids)["Reservations"] if ids else []
    return [each for reservation in found for each in reservation["Instances"]]


@pytest.fixture(scope="module")
def pool(world: World, cluster: dict[str, Any]) -> dict[str, Any]:
    scaling = {"minSize": 0, "maxSize": 10, "desiredSize": 3}
    return world.make(NODE_GROUP, "pool", nodegroup_inputs(world, scalingConfig=scaling))


def test_a_cluster_shows_its_control_plane(cluster: dict[str, Any]) -> None:
    """Seed row S01: the data for kubeconfigs and IRSA, and the cluster's security group."""
    assert cluster["status"] == "ACTIVE"
    assert cluster["endpoint"].startswith("https://127.0.0.1:")
    assert cluster["certificateAuthority"]["data"]
    assert cluster["identities"][0]["oidcs"][0]["issuer"].startswith("https://")
    assert cluster["vpcConfig"]["clusterSecurityGroupId"].startswith("sg-")
    assert cluster["tagsAll"] == {"owner": "tests"}


def test_a_node_group_is_an_auto_scaling_group_of_instances(aws: Any, pool: dict[str, Any]) -> None:
    """Seed row S03: the machines have the group's sizes, types, zones and market."""
    group = group_of(aws, pool)
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (0, 10, 3)
    assert group["AutoScalingGroupName"].startswith(f"eks-{pool['nodeGroupName']}-")
    machines = instances(aws, group)
    assert {each["InstanceType"] for each in machines} == {"g6.2xlarge"}
    assert {each["Placement"]["AvailabilityZone"] for each in machines} == {"us-east-1a", "us-east-1b"}
    assert {each["InstanceLifecycle"] for each in machines} == {"spot"}
    assert all(each["PrivateDnsName"].endswith(".ec2.internal") for each in machines)


def test_the_auto_scaling_group_has_the_tags_that_eks_sets_and_not_the_node_groups(
    aws: Any, world: World, pool: dict[str, Any]
) -> None:
    """Seed row S04: discovery tags exist; tags of the node group are not copied to the Auto Scaling group."""
    world.change("pool", {"tags": {"gpuyard.dev/pool": "gpu-workers"}})
    tags = {tag["Key"]: tag["Value"] for tag in group_of(aws, pool)["Tags"]}
    assert tags == {
        "eks:cluster-name": "ml",
        "eks:nodegroup-name": pool["nodeGroupName"],
        "kubernetes.io/cluster/ml": "owned",
        "k8s.io/cluster-autoscaler/enabled": "true",
        "k8s.io/cluster-autoscaler/ml": "owned",
    }


def test_the_group_launches_from_a_copy_of_the_launch_template(aws: Any, world: World, pool: dict[str, Any]) -> None:
    """Seed row S10: the machines have the disk of the caller's template."""
    spec = group_of(aws, pool)["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
    assert spec["LaunchTemplateName"].startswith("eks-")
    answer = aws("ec2").describe_launch_template_versions(LaunchTemplateId=spec["LaunchTemplateId"], Versions=["1"])
    data = answer["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 200
    assert data["InstanceType"] == "g6.2xlarge"


def test_an_interrupted_instance_is_replaced(aws: Any, pool: dict[str, Any]) -> None:
    """Seed row S12."""
    before = {each["InstanceId"] for each in instances(aws, group_of(aws, pool))}
    gone = sorted(before)[0]
    aws("ec2").terminate_instances(InstanceIds=[gone])
    after = {each["InstanceId"] for each in instances(aws, group_of(aws, pool))}
    assert gone not in after and len(after) == len(before)


@pytest.mark.parametrize("size", [11, -1])
def test_a_size_outside_min_and_max_is_refused(aws: Any, pool: dict[str, Any], size: int) -> None:
    client, name = aws("autoscaling"), group_of(aws, pool)["AutoScalingGroupName"]
    if size < 0:
        client.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=2)
        size = 1
    with pytest.raises(botocore.exceptions.ClientError, match=r"is (above max|below min) value"):
        client.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=size)
    client.update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]}, "NO_EXECUTE"),
        ({"scalingConfig": {"minSize": 0, "maxSize": 0, "desiredSize": 0}}, "at least (1), got 0"),
        ({"scalingConfig": {"minSize": 3, "maxSize": 2, "desiredSize": 3}}, "can't be greater than maximum size"),
        ({"scalingConfig": {"minSize": 2, "maxSize": 5, "desiredSize": 1}}, "can't be greater than desired size"),
        ({"scalingConfig": {"minSize": 0, "maxSize": 5, "desiredSize": 6}}, "can't be greater than max size"),
        ({"amiType": "AL2023_NVIDIA"}, "AL2023_NVIDIA"),
        ({"amiType": "CUSTOM"}, "image id within the launch template"),
        ({"amiType": "AL2023_ARM_64_NVIDIA"}, "not a valid instance type for requested amiType"),
        ({"capacityType": "spot"}, "spot"),
        ({"instanceTypes": ["g6.2xlarge", "g9.huge"]}, "do not exist: [g9.huge]"),
        ({"subnetIds": ["subnet-00000000000000000"]}, "does not exist"),
        ({"launchTemplate": {"id": "lt-00000000000000000", "version": "1"}}, "lt-00000000000000000"),
        ({"launchTemplate": {"id": "lt-1", "name": "lt", "version": "1"}}, "conflicts with"),
        ({"diskSize": 50}, "Disk size must be specified within the launch template"),
        ({"nodeRoleArn": "arn:aws:iam::123456789012:role/missing"}, "does not exist"),
        ({"clusterName": "nowhere"}, "No cluster found for name: nowhere"),
        ({"version": "1.20"}, "unsupported Kubernetes version"),
        ({"version": "1.35"}, "should be equal to the cluster's version"),
        ({"releaseVersion": "1.29.0-20240101"}, "not valid for kubernetes version"),
        ({"labels": {"kubernetes.io/role": "gpu"}}, "reserved prefixes"),
        ({"labels": {"a b": "c"}}, "not a valid Kubernetes label"),
        ({"maxSize": 3}, "this property does not exist"),
        ({"nodeGroupName": "pool", "nodeGroupNamePrefix": None, "scalingConfig": None}, "is required"),
    ],
)
def test_wrong_node_groups_are_refused(
    world: World, cluster: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    assert message in world.refuses(NODE_GROUP, nodegroup_inputs(world, **changes))


def test_instance_types_are_accepted_in_one_place_only(world: World, cluster: dict[str, Any]) -> None:
    template = world.make("aws:ec2/launchTemplate:LaunchTemplate", "typed", {"instanceType": "g6.2xlarge"})
    inputs = nodegroup_inputs(world, launchTemplate={"id": template["id"], "version": "1"})
    assert "launch template and API request" in world.refuses(NODE_GROUP, inputs)
    world.delete("typed")


def test_a_subnet_of_another_vpc_is_refused(world: World, cluster: dict[str, Any]) -> None:
    vpc = world.make("aws:ec2/vpc:Vpc", "elsewhere", {"cidrBlock": "10.7.0.0/16"})
    inputs = {"vpcId": vpc["id"], "cidrBlock": "10.7.0.0/24", "availabilityZone": "us-east-1a"}
    subnet = world.make("aws:ec2/subnet:Subnet", "far", inputs)
    assert "same VPC" in world.refuses(NODE_GROUP, nodegroup_inputs(world, subnetIds=[subnet["id"]]))
    both = {"vpcConfig": {"subnetIds": [subnet["id"], subnets(world)[0]]}}
    assert "same VPC" in world.refuses(CLUSTER, cluster_inputs(world, name="two", **both))
    world.delete("far")
    world.delete("elsewhere")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "1.99"}, "unsupported Kubernetes version 1.99"),
        ({"name": "bad name"}, "invalid value"),
        ({"accessConfig": {"authenticationMode": "TOKEN"}}, "TOKEN"),
        ({"roleArn": "arn:aws:iam::123456789012:role/missing"}, "does not exist"),
        ({"name": "ml"}, "Cluster already exists with name: ml"),
        ({"enabledClusterLogTypes": ["everything"]}, "everything"),
        ({"upgradePolicy": {"supportType": "FOREVER"}}, "FOREVER"),
        ({"services": "100.64.0.0/16"}, "must be a private block"),
        ({"services": "172.20.0.0/25"}, "between /12 and /24"),
        ({"services": "10.0.16.0/20"}, "overlaps a CIDR block of the VPC"),
        ({"public": ["10.0.0.0/8", "0.0.0.0/0"]}, "not allowed in publicAccessCidrs: [10.0.0.0/8]"),
        ({"public": ["2001:db8::/32"]}, "invalid in publicAccessCidrs: [2001:db8::/32]"),
        ({"public": [f"8.8.{number}.0/24" for number in range(41)]}, "40 CIDR blocks"),  # reliability case R12
    ],
)
def test_wrong_clusters_are_refused(
    world: World, cluster: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    if "public" in changes:
        changes = {"vpcConfig": {"subnetIds": subnets(world), "publicAccessCidrs": changes["public"]}}
    if "services" in changes:  # field case A15
        changes = {"kubernetesNetworkConfig": {"serviceIpv4Cidr": changes["services"]}}
    assert message in world.refuses(CLUSTER, cluster_inputs(world, **{"name": "wrong", **changes}))


def test_a_cluster_in_one_zone_is_refused(world: World, cluster: dict[str, Any]) -> None:
    inputs = cluster_inputs(world, name="thin", vpcConfig={"subnetIds": subnets(world)[:1]})
    assert "at least two different AZs" in world.refuses(CLUSTER, inputs)


def test_a_cluster_has_a_support_policy(aws: Any, world: World, cluster: dict[str, Any]) -> None:
    """EKS's own default is extended support, which costs more."""
    assert aws("eks").describe_cluster(name="ml")["cluster"]["upgradePolicy"] == {"supportType": "EXTENDED"}
    policy = {"supportType": "STANDARD"}
    made = world.make(CLUSTER, "brief", cluster_inputs(world, name="brief", version="1.35", upgradePolicy=policy))
    assert made["upgradePolicy"] == policy
    changes, replaces, _ = world.change("brief", {"upgradePolicy": {"supportType": "EXTENDED"}})
    assert (changes, replaces) == (["upgradePolicy.supportType"], [])
    assert aws("eks").describe_cluster(name="brief")["cluster"]["upgradePolicy"] == {"supportType": "EXTENDED"}
    world.settled("brief")
    world.delete("brief")


def test_a_cluster_cannot_leave_extended_support(world: World, cluster: dict[str, Any]) -> None:
    """1.33 left standard support on 2026-07-29."""
    world.make(CLUSTER, "old", cluster_inputs(world, name="old", version="1.33"))
    with pytest.raises(ProviderError, match="Cannot disable extended support"):
        world.change("old", {"upgradePolicy": {"supportType": "STANDARD"}})
    world.delete("old")


def test_a_cluster_that_logs_has_a_log_group_which_outlives_it(aws: Any, world: World, cluster: dict[str, Any]) -> None:
    """As in EKS, so a program that creates the log group after the cluster fails here too."""
    group = {"logGroupName": "/aws/eks/talks/cluster"}
    world.make(CLUSTER, "talks", cluster_inputs(world, name="talks", enabledClusterLogTypes=["api"]))
    late = {"name": group["logGroupName"], "retentionInDays": 90}
    assert "ResourceAlreadyExistsException" in world.refuses("aws:cloudwatch/logGroup:LogGroup", late)
    world.delete("talks")
    aws("logs").delete_log_group(**group)


def test_an_existing_log_group_keeps_its_retention(aws: Any, world: World, cluster: dict[str, Any]) -> None:
    inputs = {"name": "/aws/eks/keeps/cluster", "retentionInDays": 30}
    world.make("aws:cloudwatch/logGroup:LogGroup", "keeps-logs", inputs)
    world.make(CLUSTER, "keeps", cluster_inputs(world, name="keeps", enabledClusterLogTypes=["api"]))
    (found,) = aws("logs").describe_log_groups(logGroupNamePrefix=inputs["name"])["logGroups"]
    assert found["retentionInDays"] == 30
    world.delete("keeps")
    world.delete("keeps-logs")


@pytest.mark.parametrize("minor", EKS_SUPPORT)
def test_every_pinned_add_on_is_offered_for_its_kubernetes_and_installed(aws: Any, world: World, minor: str) -> None:
    """The library's pins and the sandbox's catalog are independent."""
    world.make(CLUSTER, f"on-{minor}", cluster_inputs(world, name="pins", version=minor))
    for name, pins in EKS_ADDONS.items():
        offered = aws("eks").describe_addon_versions(addonName=name, kubernetesVersion=minor)["addons"][0]
        pin = pins.get(minor, offered["addonVersions"][0]["addonVersion"])
        assert pin in {each["addonVersion"] for each in offered["addonVersions"]}, name
        inputs = {"clusterName": "pins", "addonName": name, "addonVersion": pin}
        assert world.make("aws:eks/addon:Addon", name, inputs)["addonVersion"] == pin
        world.delete(name)
    world.delete(f"on-{minor}")


def test_an_update_that_starts_nodes_first_fails_in_a_full_reservation(world: World, cluster: Any) -> None:
    """field case A9: with the strategy MINIMAL the old nodes are terminated first."""
    target = {"capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"}}
    template = world.make(
        "aws:ec2/launchTemplate:LaunchTemplate", "reserved", {"capacityReservationSpecification": target}
    )
    full = {"minSize": 0, "maxSize": 2, "desiredSize": 2}
    launch = {"id": template["id"], "version": "1"}
    world.make(
        NODE_GROUP,
        "reserved-pool",
        nodegroup_inputs(world, launchTemplate=launch, scalingConfig=full, releaseVersion="1.34.9-20260714"),
    )
    newer = {"releaseVersion": "1.34.9-20260801"}
    with pytest.raises(ProviderError, match="ReservationCapacityExceeded"):
        world.change("reserved-pool", newer)
    world.change("reserved-pool", {"updateConfig": {"maxUnavailablePercentage": 33, "updateStrategy": "MINIMAL"}})
    world.change("reserved-pool", newer)
    for name in ("reserved-pool", "reserved"):
        world.delete(name)


def test_a_group_launches_from_a_later_version_of_its_template(aws: Any, world: World, cluster: Any) -> None:
    """A pool whose disk has changed: its new nodes have the user data of the new version."""
    token = "aws:ec2/launchTemplate:LaunchTemplate"
    old, new = (base64.b64encode(text).decode() for text in (b"old", b"new"))
    template = world.make(token, "rolled", {"userData": old})
    scaling = {"minSize": 0, "maxSize": 2, "desiredSize": 1}
    launch = {"id": template["id"], "version": "1"}
    inputs = nodegroup_inputs(world, launchTemplate=launch, scalingConfig=scaling)
    group = group_of(aws, world.make(NODE_GROUP, "rolled-pool", inputs))
    world.change("rolled", {"userData": new})
    world.change("rolled-pool", {"launchTemplate": {**launch, "version": "2"}})
    name = group["AutoScalingGroupName"]
    aws("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    (found,) = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    for machine in instances(aws, found):
        asked = {"InstanceId": machine["InstanceId"], "Attribute": "userData"}
        assert aws("ec2").describe_instance_attribute(**asked)["UserData"]["Value"] == new
    assert len(instances(aws, found)) == 2
    for each in ("rolled-pool", "rolled"):
        world.delete(each)


def test_a_launch_template_limits_user_data(world: World) -> None:
    """kops#10202: the limit applies before base64."""
    token = "aws:ec2/launchTemplate:LaunchTemplate"
    text = base64.b64encode(b"x" * 16_384).decode()
    world.make(token, "full", {"userData": text})
    world.delete("full")
    assert "limited to 16384 bytes" in world.refuses(token, {"userData": base64.b64encode(b"x" * 16_385).decode()})


def test_a_cluster_with_node_groups_is_not_deleted(world: World, pool: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="ResourceInUseException: Cluster has nodegroups attached"):
        world.delete("ml")


def test_deletion_protection_is_honoured(world: World, cluster: dict[str, Any]) -> None:
    inputs = cluster_inputs(world, name="kept", deletionProtection=True)
    world.make(CLUSTER, "kept", inputs)
    with pytest.raises(ProviderError, match="deletion protection"):
        world.delete("kept")
    world.change("kept", {"deletionProtection": False})
    world.delete("kept")


def test_a_subnet_with_machines_in_it_is_not_deleted(world: World, pool: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="DependencyViolation"):
        world.delete("subnet-a")
    with pytest.raises(ProviderError, match="DependencyViolation"):
        world.delete("vpc")


def test_the_guides_withdrawn_type_can_be_launched_but_is_offered_nowhere(
    aws: Any, world: World, cluster: dict[str, Any]
) -> None:
    """Seed row S03: p3.2xlarge, exactly as in the guide; a check whether a region offers it fails."""
    scaling = {"minSize": 1, "maxSize": 10, "desiredSize": 1}
    inputs = nodegroup_inputs(world, instanceTypes=["p3.2xlarge"], scalingConfig=scaling)
    outputs = world.make(NODE_GROUP, "guide", inputs)
    (machine,) = instances(aws, group_of(aws, outputs))
    assert machine["InstanceType"] == "p3.2xlarge"
    facts = aws("ec2").describe_instance_types(InstanceTypes=["p3.2xlarge"])["InstanceTypes"][0]
    assert (facts["VCpuInfo"]["DefaultVCpus"], facts["MemoryInfo"]["SizeInMiB"]) == (8, 61 * 1024)
    assert facts["SupportedInRegion"] is False
    only = [{"Name": "instance-type", "Values": ["p3.2xlarge"]}]
    assert aws("ec2").describe_instance_type_offerings(Filters=only)["InstanceTypeOfferings"] == []
    world.delete("guide")


def test_deleting_a_node_group_deletes_its_parts(aws: Any, world: World, cluster: dict[str, Any]) -> None:
    scaling = {"minSize": 1, "maxSize": 2, "desiredSize": 1}
    outputs = world.make(NODE_GROUP, "short", nodegroup_inputs(world, scalingConfig=scaling))
    group = group_of(aws, outputs)
    world.delete("short")
    found = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group["AutoScalingGroupName"]])
    assert found["AutoScalingGroups"] == []
    assert [each["State"]["Name"] for each in instances(aws, group)] == ["terminated"]
    templates = aws("ec2").describe_launch_templates()["LaunchTemplates"]
    name = group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]["LaunchTemplateName"]
    assert name not in {each["LaunchTemplateName"] for each in templates}


@pytest.mark.parametrize(
    ("token", "inputs", "message"),
    [
        ("aws:eks/addon:Addon", {"addonName": "vpc-cnii"}, "is not supported"),
        ("aws:eks/addon:Addon", {"addonName": "coredns", "addonVersion": "1.11"}, "Addon version specified is not"),
        ("aws:eks/addon:Addon", {"addonName": "kube-proxy", "addonVersion": "v1.99.0-eksbuild.1"}, "not supported"),
        ("aws:eks/addon:Addon", {"addonName": "kube-proxy", "addonVersion": "v1.30.9-eksbuild.1"}, "not supported"),
        ("aws:eks/addon:Addon", {"addonName": "coredns", "addonVersion": "v1.13.2-eksbuild.0"}, "not supported"),
        ("aws:eks/addon:Addon", {"addonName": "coredns", "configurationValues": "not: [json"}, "not supported"),
        ("aws:eks/addon:Addon", {"addonName": "coredns", "resolveConflictsOnCreate": "FORCE"}, "FORCE"),
        (
            "aws:eks/accessEntry:AccessEntry",
            {"principalArn": "arn:aws:iam::123456789012:role/missing"},
            "invalid principal",
        ),
        (
            "aws:eks/accessEntry:AccessEntry",
            {"principalArn": "arn:aws:iam::123456789012:user/a", "kubernetesGroups": ["system:masters"]},
            "cannot start with",
        ),
        (
            "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
            {
                "principalArn": "arn:aws:iam::123456789012:user/none",
                "policyArn": "x",
                "accessScope": {"type": "cluster"},
            },
            "could not be found",
        ),
        (
            "aws:eks/podIdentityAssociation:PodIdentityAssociation",
            {"namespace": "a", "serviceAccount": "b", "roleArn": "arn:aws:iam::123456789012:role/missing"},
            "does not exist",
        ),
    ],
)
def test_wrong_objects_of_a_cluster_are_refused(
    world: World, cluster: dict[str, Any], token: str, inputs: dict[str, Any], message: str
) -> None:
    assert message in world.refuses(token, {"clusterName": "ml", **inputs})
