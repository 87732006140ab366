"""The fleet: what the autoscaler may know of a group, and what the nodes are that really join."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from components.aws import user_data
from components.aws.cluster_autoscaler import expander_priorities
from sandbox.aws import machine_types
from sandbox.aws.fleet import Fleet
from sandbox.aws.node_shape import device_lists, max_pods
from sandbox.cluster.cloud import Group, Taint
from sandbox.errors import SandboxError
from sandbox.tests.unit.aws.conftest import REGION, World, nodegroup_inputs

pytestmark = pytest.mark.slow

GPU_TAINT = Taint("nvidia.com/gpu", "true", "NoSchedule")
TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template/"
CDI = ("cdi-annotations", "cdi-cri")


@pytest.fixture
def fleet(world: World, cluster: dict[str, Any]) -> Fleet:
    return Fleet(REGION, "ml")


@pytest.fixture
def pool(world: World, cluster: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    name = request.node.name.replace("[", "-").replace("]", "")[-30:]
    yield world.make("aws:eks/nodeGroup:NodeGroup", name, nodegroup_inputs(world, **getattr(request, "param", {})))
    world.delete(name)


@pytest.fixture
def group_of(world: World, fleet: Fleet) -> Iterator[Any]:
    """`group_of(template=…, **changes)`: the guide's GPU node group on a launch template of these inputs."""
    made: list[str] = []

    def make(template: dict[str, Any], **changes: Any) -> Group:
        number = len(made) // 2
        launch = world.make("aws:ec2/launchTemplate:LaunchTemplate", f"launch-{number}", template)
        inputs = nodegroup_inputs(world, launchTemplate={"id": launch["id"], "version": "1"}, **changes)
        group = world.make("aws:eks/nodeGroup:NodeGroup", f"group-{number}", inputs)
        made.extend([f"launch-{number}", f"group-{number}"])
        name = group["resources"][0]["autoscalingGroups"][0]["name"]
        return next(found for found in fleet.groups() if found.id == name)

    yield make
    for name in reversed(made):
        world.delete(name)


def only(fleet: Fleet) -> Group:
    (group,) = fleet.groups()
    return group


def tag(aws: Any, group: Group, key: str, value: str) -> None:
    made = {"ResourceId": group.id, "ResourceType": "auto-scaling-group", "Key": key, "Value": value}
    aws("autoscaling").create_or_update_tags(Tags=[{**made, "PropagateAtLaunch": False}])


def test_a_group_that_never_had_nodes_is_known_from_describe_nodegroup(fleet: Fleet, pool: Any) -> None:
    """Seed row S04: labels, taints and the type's GPUs, but no ephemeral storage that no tag promises."""
    group = only(fleet)
    assert (group.pool, group.min, group.max, group.desired, group.autoscaled) == ("gpu-workers", 0, 10, 0, True)
    assert group.template.labels["workload"] == "gpu-training"
    assert group.template.taints == (GPU_TAINT,)
    assert group.template.resources == {"cpu": "8", "memory": "32768Mi", "pods": "110", "nvidia.com/gpu": "1"}
    assert (group.template.machine_type, group.template.zone) == ("g6.2xlarge", "us-east-1a")


def test_once_it_had_nodes_only_the_tags_count(aws: Any, fleet: Fleet, pool: Any) -> None:
    """Seed rows S03, S04: the trap that tags on the Auto Scaling group are for."""
    fleet.set_desired(only(fleet).id, 1)
    fleet.groups()
    fleet.set_desired(only(fleet).id, 0)
    bare = only(fleet).template
    assert "workload" not in bare.labels and bare.taints == ()

    group = only(fleet)
    tag(aws, group, f"{TEMPLATE_TAG}label/workload", "gpu-training")
    tag(aws, group, f"{TEMPLATE_TAG}taint/nvidia.com/gpu", "true:NoSchedule")
    tag(aws, group, f"{TEMPLATE_TAG}resources/ephemeral-storage", "180Gi")
    told = only(fleet).template
    assert told.labels["workload"] == "gpu-training"
    assert told.taints == (GPU_TAINT,)
    assert told.resources["ephemeral-storage"] == "180Gi"


def test_a_group_over_several_zones_moves_machines_in_use_and_one_of_one_zone_does_not(
    aws: Any, world: World, fleet: Fleet, group_of: Any
) -> None:
    """field case A4: AZRebalance, which EKS cannot suspend. And the autoscaler knows the first zone only."""

    def after_scale_down(group: Group) -> tuple[set[str], set[str]]:
        fleet.set_desired(group.id, 4)
        before = [machine for machine in fleet.machines() if machine.group == group.id]
        last = [machine.id for machine in before if machine.node.zone == before[-1].node.zone][:2]
        for machine in last:
            fleet.remove(machine)
        kept = {machine.id for machine in before} - set(last)
        return kept, {machine.id for machine in fleet.machines() if machine.group == group.id}

    wide = group_of({})
    assert wide.template.zone == wide.template.labels["topology.ebs.csi.aws.com/zone"] == "us-east-1a"
    kept, there = after_scale_down(wide)
    assert len(there) == 2 and there != kept
    narrow = group_of({}, subnetIds=[world.made["subnet-b"][2]])
    assert narrow.template.zone == narrow.template.labels["topology.ebs.csi.aws.com/zone"] == "us-east-1b"
    kept, there = after_scale_down(narrow)
    assert there == kept


def test_a_machine_that_is_gone_is_no_groups_any_more(fleet: Fleet) -> None:
    """Two scale-downs at once: the second one gets Auto Scaling's answer, not a broken server's."""
    with pytest.raises(botocore.exceptions.ClientError, match="ValidationError"):
        fleet.remove("i-0123456789abcdef0")


def test_a_kubelet_that_may_not_give_itself_a_label_never_joins(fleet: Fleet, group_of: Any) -> None:
    """field case A2: EKS takes the label, and each machine is bought for nothing."""
    group = group_of({}, labels={"node-role.kubernetes.io/gpu": "true"})
    fleet.set_desired(group.id, 1)
    assert [machine for machine in fleet.machines() if machine.group == group.id] == []
    other = group_of({}, labels={"node.kubernetes.io/team": "a"})
    fleet.set_desired(other.id, 1)
    assert len([machine for machine in fleet.machines() if machine.group == other.id]) == 1


def test_amazon_linux_2023_starts_on_no_first_graviton(fleet: Fleet, group_of: Any) -> None:
    """Its user guide, "System requirements"; Bottlerocket does."""
    arm = {"instanceTypes": ["a1.xlarge"], "taints": [], "releaseVersion": None}
    for image, count in (("AL2023_ARM_64_STANDARD", 0), ("BOTTLEROCKET_ARM_64", 1)):
        group = group_of({}, amiType=image, **arm)
        fleet.set_desired(group.id, 1)
        assert len([machine for machine in fleet.machines() if machine.group == group.id]) == count, image


def test_spot_brings_the_smallest_type_and_the_autoscaler_counts_on_the_first(fleet: Fleet, group_of: Any) -> None:
    """field case A6"""
    group = group_of({}, instanceTypes=["g6.16xlarge", "g6.xlarge"])
    fleet.set_desired(group.id, 1)
    (machine,) = [each for each in fleet.machines() if each.group == group.id]
    assert (group.template.machine_type, machine.node.machine_type) == ("g6.16xlarge", "g6.xlarge")


def test_without_the_discovery_tags_a_group_is_not_autoscaled(aws: Any, fleet: Fleet, pool: Any) -> None:
    group = only(fleet)
    gone = {"ResourceId": group.id, "ResourceType": "auto-scaling-group", "Key": "k8s.io/cluster-autoscaler/enabled"}
    aws("autoscaling").delete_tags(Tags=[gone])
    assert only(fleet).autoscaled is False


def test_the_node_that_joins(fleet: Fleet, pool: Any) -> None:
    """Seed rows S07, S10: labels, taints, provider id and a disk that holds the guide's 100Gi; never a GPU resource."""
    group = only(fleet)
    fleet.set_desired(group.id, 2)
    first, second = fleet.machines()
    assert {first.node.zone, second.node.zone} == {"us-east-1a", "us-east-1b"}
    labels = first.node.labels
    assert first.provider_id == f"aws:///{first.node.zone}/{first.id}"
    assert first.node_name.startswith("ip-10-0-") and first.node_name.endswith(".ec2.internal")
    assert labels["kubernetes.io/hostname"] == first.node_name
    assert labels["node.kubernetes.io/instance-type"] == "g6.2xlarge"
    assert labels["topology.kubernetes.io/zone"] == first.node.zone
    assert labels["eks.amazonaws.com/capacityType"] == "SPOT"
    assert labels["workload"] == "gpu-training"
    assert first.node.taints == (GPU_TAINT,)
    assert "nvidia.com/gpu" not in first.node.resources
    assert int(first.node.resources["ephemeral-storage"]) > 100 * 2**30
    assert first.node.resources["pods"] == "58"
    assert (first.gpus, first.gpu_ready_by, first.spot, first.pool) == (1, "device-plugin", True, "gpu-workers")


@pytest.mark.parametrize(
    ("encrypted", "tagged", "comes"), [("true", True, True), ("true", False, False), ("false", True, False)]
)
def test_machines_and_their_disks_have_the_templates_tags_or_a_policy_refuses_them(
    home: Path, aws: Any, fleet: Fleet, group_of: Any, encrypted: str, tagged: bool, comes: bool
) -> None:
    """field cases A8 and A11: after a scale-up instance and volume are in the bill of their team; under a policy
    of the organization, which faults.json stands for, nothing else starts."""
    policy = {"match": "aws:ec2/instance:Instance::*", "requires": ["tag:team", "encrypted"]}
    (home / "faults.json").write_text(json.dumps([policy]))
    root = {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 100, "encrypted": encrypted}}
    kinds = ("instance", "volume", "network-interface") if tagged else ("instance",)
    specs = [{"resourceType": kind, "tags": {"team": "ml"}} for kind in kinds]
    group = group_of({"blockDeviceMappings": [root], "tagSpecifications": specs})
    fleet.set_desired(group.id, 1)
    (home / "faults.json").unlink()
    machines = fleet.machines()
    assert bool(machines) is comes
    if comes:
        ec2, wanted = aws("ec2"), {"Key": "team", "Value": "ml"}
        (found,) = ec2.describe_instances(InstanceIds=[machines[0].id])["Reservations"][0]["Instances"]
        assert wanted in found["Tags"]
        volumes = [each["Ebs"]["VolumeId"] for each in found["BlockDeviceMappings"]]
        assert volumes and all(wanted in each["Tags"] for each in ec2.describe_volumes(VolumeIds=volumes)["Volumes"])


def test_a_reclaimed_machine_is_replaced_and_a_removed_one_is_not(fleet: Fleet, pool: Any) -> None:
    """Seed rows S04, S12."""
    fleet.set_desired(only(fleet).id, 2)
    gone = fleet.machines()[0].id
    fleet.reclaim(gone)
    assert gone not in {machine.id for machine in fleet.machines()}
    assert (len(fleet.machines()), only(fleet).desired) == (2, 2)
    fleet.remove(fleet.machines()[0].id)
    assert (len(fleet.machines()), only(fleet).desired) == (1, 1)


def test_local_disks_count_when_user_data_makes_them_the_nodes_disk(world: World, fleet: Fleet) -> None:
    """Seed row S10: g6.2xlarge has 450 GB of NVMe."""
    text = "apiVersion: node.eks.aws/v1alpha1\nspec:\n  instance:\n    localStorage:\n      strategy: RAID0\n"
    template = world.make(
        "aws:ec2/launchTemplate:LaunchTemplate", "raid", {"userData": base64.b64encode(text.encode()).decode()}
    )
    scaling = {"minSize": 1, "maxSize": 2, "desiredSize": 1}
    inputs = nodegroup_inputs(world, launchTemplate={"id": template["id"], "version": "1"}, scalingConfig=scaling)
    world.make("aws:eks/nodeGroup:NodeGroup", "scratch", inputs)
    (machine,) = fleet.machines()
    assert int(machine.node.resources["ephemeral-storage"]) > 380e9
    world.delete("scratch")
    world.delete("raid")


def disk(device: str, size: int) -> dict[str, Any]:
    return {"deviceName": device, "ebs": {"volumeSize": size, "volumeType": "gp3", "encrypted": "true"}}


def test_efa_interfaces_are_the_machines_and_the_autoscaler_learns_of_them_by_a_tag(
    aws: Any, fleet: Fleet, group_of: Any
) -> None:
    """An interface without EFA counts for nothing; no resource shows before the plugin runs."""
    kinds = ["interface", "efa-only", "efa-only", "efa-only"]
    cards = [{"networkCardIndex": i, "deviceIndex": min(i, 1), "interfaceType": kind} for i, kind in enumerate(kinds)]
    group = group_of({"networkInterfaces": cards}, instanceTypes=["p4d.24xlarge"], capacityType="ON_DEMAND")
    assert group.template.resources["nvidia.com/gpu"] == "8"
    assert "vpc.amazonaws.com/efa" not in group.template.resources
    tag(aws, group, f"{TEMPLATE_TAG}resources/vpc.amazonaws.com/efa", "3")
    assert only(fleet).template.resources["vpc.amazonaws.com/efa"] == "3"
    fleet.set_desired(group.id, 1)
    (machine,) = fleet.machines()
    assert (machine.efa, machine.gpus) == (3, 8)
    assert not {"vpc.amazonaws.com/efa", "nvidia.com/gpu"} & machine.node.resources.keys()


@pytest.mark.parametrize(
    ("template", "least", "most"),
    [
        ({"blockDeviceMappings": [disk("/dev/xvdb", 300)]}, 265, 270),
        ({"blockDeviceMappings": [disk("/dev/xvda", 300)]}, 15, 20),
        (
            {
                "blockDeviceMappings": [disk("/dev/xvdb", 300)],
                "userData": user_data.encoded(user_data.render("bottlerocket", scratch=True, gpus=True)),
            },
            370,
            380,
        ),
        (
            {
                "blockDeviceMappings": [disk("/dev/xvdb", 300)],
                "userData": user_data.encoded(user_data.render("al2023", scratch=True, gpus=True)),
            },
            265,
            270,
        ),
    ],
)
def test_bottlerocket_shows_its_gpus_itself_and_keeps_pods_on_its_second_disk(
    fleet: Fleet, group_of: Any, template: dict[str, Any], least: int, most: int
) -> None:
    """Seed rows S05, S10: of g6.2xlarge (450 GB of NVMe); the other image's user data means nothing to it."""
    group = group_of(template, amiType="BOTTLEROCKET_x86_64_NVIDIA")
    fleet.set_desired(group.id, 1)
    (machine,) = fleet.machines()
    assert (machine.gpus, machine.gpu_ready_by) == (1, "image")
    assert least < int(machine.node.resources["ephemeral-storage"]) / 2**30 < most


@pytest.mark.parametrize(
    ("ami_type", "release", "gpu_pool", "taken"),
    [
        ("AL2023_x86_64_NVIDIA", "1.35.3-20260403", False, {"envvar", *CDI}),
        ("AL2023_x86_64_NVIDIA", "1.35.3-20260423", False, {*CDI}),
        ("AL2023_x86_64_NVIDIA", "1.35.3-20260403", True, {"volume-mounts", *CDI}),
        ("AL2023_ARM_64_NVIDIA", "1.35.6-20260714", True, {"volume-mounts", *CDI}),
        ("BOTTLEROCKET_x86_64_NVIDIA", "1.62.0-a49015db", True, {"volume-mounts"}),
        ("CUSTOM", "ami-0123456789abcdef0", True, {"envvar", "volume-mounts", *CDI}),
    ],
)
def test_how_a_node_gives_gpus_to_pods_follows_from_image_and_user_data(
    ami_type: str, release: str, gpu_pool: bool, taken: set[str]
) -> None:
    """field case A0: amazon-eks-ami#2706, bottlerocket#3718; gpuyard's own user data makes all releases alike."""
    text = user_data.encoded(user_data.render("al2023", scratch=False, gpus=True)) if gpu_pool else None
    found = device_lists({"amiType": ami_type, "releaseVersion": release}, {"UserData": text})
    assert found == taken


@pytest.mark.parametrize(("like", "ready_by"), [("al2023", "device-plugin"), ("bottlerocket", "image")])
def test_nodes_with_an_image_of_the_users_join_by_their_user_data_alone(
    fleet: Fleet, group_of: Any, like: str, ready_by: str
) -> None:
    """field case A15: EKS tells its own images where the cluster is, and no others."""
    place = user_data.Join("ml", "https://ml.example.com", "Q0E=", "172.20.0.0/16", {"team": "a"}, [], 110)
    told = user_data.encoded(user_data.render(like, scratch=False, gpus=True, join=place))
    untold = user_data.encoded(user_data.render(like, scratch=True, gpus=True))
    for text, joined in ((told, 1), (untold, 0)):
        template = {"imageId": "ami-0123456789abcdef0", "userData": text}
        group = group_of(template, amiType="CUSTOM")
        fleet.set_desired(group.id, 1)
        machines = [machine for machine in fleet.machines() if machine.group == group.id]
        assert len(machines) == joined
        assert {machine.gpu_ready_by for machine in machines} <= {ready_by}


def test_ec2_learns_of_a_type_that_is_newer_than_the_sandboxs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """field case A15: from what `aws ec2 describe-instance-types` prints, in `.sandbox/machine_types.json`."""
    from moto.ec2.models import instance_types

    facts = {**(machine_types.find("p5.48xlarge") or {}), "InstanceType": "p0-new.48xlarge"}
    (tmp_path / "machine_types.json").write_text(json.dumps({"InstanceTypes": [facts]}))
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path))
    assert machine_types.find("p0-new.48xlarge") == facts
    zones = instance_types.INSTANCE_TYPE_OFFERINGS["availability-zone"]["us-east-1"]
    assert {each["Location"] for each in zones if each["InstanceType"] == "p0-new.48xlarge"} >= {"us-east-1a"}
    for broken in (b"[]", b"\xff"):
        (tmp_path / "machine_types.json").write_bytes(broken)
        with pytest.raises(SandboxError, match="describe-instance-types"):
            machine_types.load()


def test_a_capacity_blocks_type_stands_in_the_launch_template(fleet: Fleet, group_of: Any) -> None:
    """The node group names none; the autoscaler and the node know the type all the same."""
    target = {"capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"}}
    template = {
        "instanceType": "p5.48xlarge",
        "instanceMarketOptions": {"marketType": "capacity-block"},
        "capacityReservationSpecification": target,
    }
    group = group_of(template, capacityType="CAPACITY_BLOCK", instanceTypes=None)
    assert (group.template.machine_type, group.template.resources["nvidia.com/gpu"]) == ("p5.48xlarge", "8")
    assert group.details["capacity"] == "CAPACITY_BLOCK"
    fleet.set_desired(group.id, 1)
    (machine,) = fleet.machines()
    assert (machine.node.machine_type, machine.gpus, machine.spot) == ("p5.48xlarge", 8, False)
    assert machine.node.labels["eks.amazonaws.com/capacityType"] == "CAPACITY_BLOCK"


@pytest.mark.parametrize(
    ("ami_type", "pages"), [("AL2023_x86_64_NVIDIA", "10256Mi"), ("BOTTLEROCKET_x86_64_NVIDIA", "42240Mi")]
)
def test_huge_pages_come_with_efa_and_the_autoscaler_knows_them_by_tag_only(
    aws: Any, fleet: Fleet, group_of: Any, ami_type: str, pages: str
) -> None:
    """field case A5: what they hold is taken off the memory."""
    efa = {"networkInterfaces": [{"networkCardIndex": 0, "deviceIndex": 0, "interfaceType": "efa"}]}
    found = {}
    for name, template in (("plain", {}), ("efa", efa)):
        group = group_of(template, instanceTypes=["p5.48xlarge"], amiType=ami_type, capacityType="ON_DEMAND")
        fleet.set_desired(group.id, 1)
        assert "hugepages-2Mi" not in group.template.resources
        (found[name],) = [machine.node.resources for machine in fleet.machines() if machine.group == group.id]
    assert found["efa"]["hugepages-2Mi"] == pages and "hugepages-2Mi" not in found["plain"]
    less = int(found["plain"]["memory"][:-2]) - int(found["efa"]["memory"][:-2])
    assert less == int(pages[:-2])
    tag(aws, group, f"{TEMPLATE_TAG}resources/hugepages-2Mi", pages)
    (known,) = [each for each in fleet.groups() if each.id == group.id]
    assert known.template.resources["hugepages-2Mi"] == pages


@pytest.mark.parametrize(
    ("machine_type", "plain", "prefixes"),
    [
        ("g6.2xlarge", 58, 110),
        ("p5.48xlarge", 250, 250),
        ("t3.small", 11, 110),
        ("p3.2xlarge", 58, 58),  # not a Nitro machine
    ],
)
def test_pods_per_node_by_addresses_and_by_prefixes(machine_type: str, plain: int, prefixes: int) -> None:
    facts = machine_types.find(machine_type)
    assert facts is not None
    assert (max_pods(facts), max_pods(facts, prefixes=True)) == (plain, prefixes)


def test_a_node_holds_as_many_pods_as_the_clusters_network_plugin_is_set_to(
    world: World, fleet: Fleet, group_of: Any
) -> None:
    """gpuyard's clusters delegate prefixes; a kubelet keeps the number that it started with."""
    group = group_of({})
    fleet.set_desired(group.id, 1)
    assert [machine.node.resources["pods"] for machine in fleet.machines()] == ["58"]
    settings = json.dumps({"env": {"ENABLE_PREFIX_DELEGATION": "true"}})
    addon = {"clusterName": "ml", "addonName": "vpc-cni", "configurationValues": settings}
    world.make("aws:eks/addon:Addon", "vpc-cni", addon)
    try:
        fleet.set_desired(group.id, 2)
        assert sorted(machine.node.resources["pods"] for machine in fleet.machines()) == ["110", "58"]
    finally:
        world.delete("vpc-cni")


def test_the_autoscalers_priorities_mean_the_groups_that_eks_makes(group_of: Any) -> None:
    """Seed row S04: a ladder's patterns against the names of real node groups, each found once."""
    capacity = ["reserved", "spot", "on_demand"]
    spec: Any = {"machine_types": ["g6.2xlarge"], "min": 0, "max": 4, "capacity": capacity}
    ranked = expander_priorities({"gpu-workers": spec, "gpu-workers-large": spec})
    found = []
    for rung in ("-reserved", "-spot", ""):
        group = group_of({}, nodeGroupNamePrefix=f"gpu-workers{rung}-")
        found.append([rank for rank, patterns in ranked.items() for each in patterns if re.search(each, group.id)])
    assert found == [["30"], ["20"], ["10"]]


def test_the_fleet_never_scales_by_itself(fleet: Fleet) -> None:
    assert fleet.may_act() is False
    assert fleet.groups() == [] and fleet.machines() == []
