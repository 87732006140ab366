"""AWS objects of Kubernetes: load balancers, which block the deletion of their network, and the volumes of claims."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import botocore.exceptions
import pytest

from sandbox.aws import disks, inventory
from sandbox.aws.disks import Disks
from sandbox.aws.load_balancers import LoadBalancers
from sandbox.cluster.load_balancers import CannotBalance
from sandbox.cluster.volumes import Refused
from sandbox.plugins import faults
from sandbox.tests.unit.aws.conftest import REGION, World

pytestmark = pytest.mark.slow

NAME = "a0123456789"


def service(**annotations: str) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "default",
            "name": "web",
            "annotations": {
                f"service.beta.kubernetes.io/aws-load-balancer-{key}": value for key, value in annotations.items()
            },
        },
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
    }


@pytest.fixture
def balancers(aws: Any, world: World, cluster: dict[str, Any]) -> Iterator[LoadBalancers]:
    """In a VPC with one subnet for public load balancers and one for internal ones."""
    ec2 = aws("ec2")
    for subnet, role in (("subnet-a", "elb"), ("subnet-b", "internal-elb")):
        tags = [{"Key": f"kubernetes.io/role/{role}", "Value": "1"}]
        ec2.create_tags(Resources=[world.made[subnet][2]], Tags=tags)
    yield LoadBalancers(REGION, "ml")
    for subnet, role in (("subnet-a", "elb"), ("subnet-b", "internal-elb")):
        ec2.delete_tags(Resources=[world.made[subnet][2]], Tags=[{"Key": f"kubernetes.io/role/{role}"}])


def refused(call: Any, **arguments: str) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


def interfaces(aws: Any, subnet: str) -> list[str]:
    wanted = [{"Name": "subnet-id", "Values": [subnet]}]
    found = aws("ec2").describe_network_interfaces(Filters=wanted)["NetworkInterfaces"]
    return [each["Description"] for each in found if each["Description"].startswith("ELB")]


@pytest.mark.parametrize("kind", ["classic", "nlb"])
def test_a_load_balancer_blocks_the_deletion_of_its_network(
    aws: Any, world: World, balancers: LoadBalancers, kind: str
) -> None:
    ec2, subnet, vpc = aws("ec2"), world.made["subnet-a"][2], world.made["vpc"][2]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    web = service(**({"type": "nlb"} if kind == "nlb" else {}))
    host = balancers.ensure(NAME, web)
    assert host.endswith(".elb.amazonaws.com") and balancers.ensure(NAME, web) == host
    assert len(interfaces(aws, subnet)) == 1
    assert any("load balancer " + NAME in each for each in inventory.leftovers(REGION))

    assert refused(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    assert refused(ec2.delete_vpc, VpcId=vpc) == "DependencyViolation"
    assert refused(ec2.detach_internet_gateway, InternetGatewayId=gateway, VpcId=vpc) == "DependencyViolation"
    if kind == "classic":
        group = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"k8s-elb-{NAME}"]}])
        found = group["SecurityGroups"][0]
        assert {"Key": "kubernetes.io/cluster/ml", "Value": "owned"} in found["Tags"]
        assert refused(ec2.delete_security_group, GroupId=found["GroupId"]) == "DependencyViolation"

    balancers.remove(NAME)
    balancers.remove(NAME)  # a missing one is not an error
    assert interfaces(aws, subnet) == []
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    assert not [each for each in inventory.leftovers(REGION) if NAME in each]


def test_an_internal_load_balancer_uses_the_internal_subnets(aws: Any, world: World, balancers: LoadBalancers) -> None:
    balancers.ensure(NAME, service(internal="true"))
    assert interfaces(aws, world.made["subnet-b"][2]) == [f"ELB {NAME}"]
    assert interfaces(aws, world.made["subnet-a"][2]) == []
    balancers.remove(NAME)


@pytest.mark.parametrize("kind", ["classic", "nlb"])
def test_a_node_with_two_tagged_groups_gets_no_load_balancer(
    aws: Any, world: World, balancers: LoadBalancers, cluster: dict[str, Any], kind: str
) -> None:
    """terraform-aws-eks#1441, eksctl#1581."""
    ec2, tag = aws("ec2"), {"Key": "kubernetes.io/cluster/ml", "Value": "owned"}
    own = ec2.create_security_group(GroupName="own", Description="own", VpcId=world.made["vpc"][2])["GroupId"]
    group = aws("eks").describe_cluster(name="ml")["cluster"]["resourcesVpcConfig"]["clusterSecurityGroupId"]
    node = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=world.made["subnet-a"][2],
        SecurityGroupIds=[group, own], TagSpecifications=[{"ResourceType": "instance", "Tags": [tag]}],
    )["Instances"][0]["InstanceId"]  # fmt: skip
    balancers.ensure(NAME, service(type=kind))
    balancers.remove(NAME)
    ec2.create_tags(Resources=[own], Tags=[tag])
    with pytest.raises(CannotBalance, match=f"Multiple tagged security groups found for instance {node}"):
        balancers.ensure(NAME, service(type=kind))
    ec2.terminate_instances(InstanceIds=[node])
    ec2.delete_security_group(GroupId=own)


def test_without_a_tagged_subnet_there_is_no_load_balancer(aws: Any, world: World, cluster: dict[str, Any]) -> None:
    ec2 = aws("ec2")
    for subnet in ("subnet-a", "subnet-b"):
        other = {"Key": "kubernetes.io/cluster/another", "Value": "shared"}
        ec2.create_tags(
            Resources=[world.made[subnet][2]], Tags=[{"Key": "kubernetes.io/role/elb", "Value": "1"}, other]
        )
    with pytest.raises(CannotBalance, match="could not find any suitable subnets"):
        LoadBalancers(REGION, "ml").ensure(NAME, service())
    for subnet in ("subnet-a", "subnet-b"):
        ec2.delete_tags(
            Resources=[world.made[subnet][2]], Tags=[{"Key": "kubernetes.io/role/elb"}, {"Key": other["Key"]}]
        )


def test_services_of_the_load_balancer_controller_are_ignored() -> None:
    ours = LoadBalancers(REGION, "ml")
    assert ours.serves(service()) and ours.serves(service(type="nlb"))
    assert not ours.serves(service(type="external"))
    assert not ours.serves({"metadata": {}, "spec": {"loadBalancerClass": "service.k8s.aws/nlb"}})


def persistent(reclaim: str, uid: str) -> dict[str, Any]:
    claim = {"namespace": "default", "name": "data"}
    spec = {"capacity": {"storage": "1500M"}, "persistentVolumeReclaimPolicy": reclaim, "claimRef": claim}
    return {"metadata": {"name": f"pvc-{uid}"}, "spec": spec}


def test_a_claims_volume_is_an_ebs_volume_of_its_class(aws: Any, cluster: dict[str, Any]) -> None:
    """seed row S11: encrypted, with the class's performance, in the pod's zone."""
    ours = Disks(REGION, "ml")
    parameters = {"type": "gp3", "encrypted": "true", "throughput": "750"}
    handle = ours.make(persistent("Delete", "1"), parameters, f"{REGION}b")
    assert ours.make(persistent("Delete", "1"), parameters, f"{REGION}b") == handle
    found = aws("ec2").describe_volumes(VolumeIds=[handle])["Volumes"][0]
    facts = (found["Size"], found["VolumeType"], found["Iops"], found["Throughput"], found["Encrypted"])
    assert facts == (2, "gp3", 3000, 750, True)
    assert found["AvailabilityZone"] == f"{REGION}b"
    assert {"Key": "kubernetes.io/created-for/pvc/name", "Value": "data"} in found["Tags"]
    assert f"volume {handle}" in inventory.leftovers(REGION)
    ours.remove(handle)
    ours.remove(handle)
    assert refused(aws("ec2").describe_volumes, VolumeIds=[handle]).startswith("InvalidVolume")


@pytest.mark.parametrize(
    ("size", "iops", "throughput", "message"),
    [
        (1, 16000, 0, "Iops to volume size ratio"),
        (5, 16000, 1000, "Iops to volume size ratio"),
        (7, 16000, 1000, "Throughput (MiBps) to iops ratio"),
        (8, 16000, 1000, ""),
        (1, 0, 750, ""),
        (1, 0, 751, "Throughput (MiBps) to iops ratio"),
    ],
)
def test_small_volumes_are_refused_like_the_driver_and_ec2_do(
    size: int, iops: int, throughput: int, message: str
) -> None:
    """field case A14: the driver caps IOPS by the size, and never the throughput."""
    if not message:
        assert disks.performance("gp3", size, iops, throughput)["Throughput"] == throughput
        return
    with pytest.raises(Refused) as error:
        disks.performance("gp3", size, iops, throughput)
    assert message in str(error.value)


def test_a_claims_volume_has_the_drivers_tags_that_a_policy_requires(
    world: World, aws: Any, cluster: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """field case A8: `extraVolumeTags` of the add-on; a tag policy of the organization in faults.json."""
    policy = faults.Fault(match="aws:ebs/volume:Volume::*", error="tag policy", requires=["tag:team", "encrypted"])
    monkeypatch.setattr(faults, "load", lambda: [policy])
    ours = Disks(REGION, "ml")
    with pytest.raises(Refused, match=r"tag policy.* lacks tag:team"):
        ours.make(persistent("Delete", "3"), {"encrypted": "true"}, f"{REGION}a")
    settings = json.dumps({"controller": {"extraVolumeTags": {"team": "ml"}}})
    driver = {"clusterName": "ml", "addonName": "aws-ebs-csi-driver", "configurationValues": settings}
    world.make("aws:eks/addon:Addon", "ebs", driver)
    try:
        with pytest.raises(Refused, match="lacks encrypted"):
            ours.make(persistent("Delete", "3"), {}, f"{REGION}a")
        handle = ours.make(persistent("Delete", "3"), {"encrypted": "true"}, f"{REGION}a")
        found = aws("ec2").describe_volumes(VolumeIds=[handle])["Volumes"][0]
        assert {"Key": "team", "Value": "ml"} in found["Tags"]
        ours.remove(handle)
    finally:
        world.delete("ebs")


def test_a_retained_volume_is_not_a_leftover(aws: Any, cluster: dict[str, Any]) -> None:
    ours = Disks(REGION, "ml")
    handle = ours.make(persistent("Retain", "2"), {}, f"{REGION}a")
    assert inventory.kept(REGION) == [f"volume {handle}"]
    assert f"volume {handle}" not in inventory.leftovers(REGION)
    assert inventory.inventory(REGION)["volume"] >= 1
    assert disks.KEPT in {tag["Key"] for tag in aws("ec2").describe_volumes(VolumeIds=[handle])["Volumes"][0]["Tags"]}
    ours.remove(handle)
