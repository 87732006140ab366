"""The fleet: what the autoscaler may know of a group, and what the nodes are that really join."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from sandbox.aws.fleet import Fleet
from sandbox.cluster.cloud import Group, Taint
from tests.unit.aws.conftest import REGION, World, nodegroup_inputs

pytestmark = pytest.mark.slow

GPU_TAINT = Taint("nvidia.com/gpu", "true", "NoSchedule")
TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template/"


@pytest.fixture
def fleet(world: World, cluster: dict[str, Any]) -> Fleet:
    return Fleet(REGION, "ml")


@pytest.fixture
def pool(world: World, cluster: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    name = request.node.name.replace("[", "-").replace("]", "")[-30:]
    yield world.make("aws:eks/nodeGroup:NodeGroup", name, nodegroup_inputs(world, **getattr(request, "param", {})))
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


def test_the_fleet_never_scales_by_itself(fleet: Fleet) -> None:
    assert fleet.may_act() is False
    assert fleet.groups() == [] and fleet.machines() == []
