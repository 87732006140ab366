"""The fleet: the autoscaler's knowledge of a group, and the nodes that really join."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from components.aws.cluster_autoscaler import expander_priorities
from sandbox.aws import machine_types
from sandbox.aws.fleet import Fleet
from sandbox.cluster.cloud import Group, Taint
from sandbox.errors import SandboxError
from sandbox.tests.unit.aws.conftest import World
from sandbox.tests.unit.aws.groups import TEMPLATE_TAG, only, tag

pytestmark = pytest.mark.slow

GPU_TAINT = Taint("nvidia.com/gpu", "true", "NoSchedule")


def test_a_group_that_never_had_nodes_is_known_from_describe_nodegroup(fleet: Fleet, pool: Any) -> None:
    """Seed row S04: labels, taints and the type's GPUs, but no ephemeral storage without a tag."""
    group = only(fleet)
    assert (group.pool, group.min, group.max, group.desired, group.autoscaled) == ("gpu-workers", 0, 10, 0, True)
    assert group.template.labels["workload"] == "gpu-training"
    assert group.template.taints == (GPU_TAINT,)
    assert group.template.resources == {"cpu": "8", "memory": "32768Mi", "pods": "110", "nvidia.com/gpu": "1"}
    assert (group.template.machine_type, group.template.zone) == ("g6.2xlarge", "us-east-1a")


def test_after_the_first_node_only_the_tags_count(aws: Any, fleet: Fleet, pool: Any) -> None:
    """Seed rows S03, S04: the reason for the tags on the Auto Scaling group."""
    fleet.set_desired(only(fleet).id, 1)
    fleet.groups()
    fleet.set_desired(only(fleet).id, 0)
    bare = only(fleet).template
    assert "workload" not in bare.labels and bare.taints == ()

    group = only(fleet)
    tag(aws, group, f"{TEMPLATE_TAG}label/workload", "gpu-training")
    tag(aws, group, f"{TEMPLATE_TAG}taint/nvidia.com/gpu", "true:NoSchedule")
    tag(aws, group, f"{TEMPLATE_TAG}resources/ephemeral-storage", "180Gi")
    template = only(fleet).template
    assert template.labels["workload"] == "gpu-training"
    assert template.taints == (GPU_TAINT,)
    assert template.resources["ephemeral-storage"] == "180Gi"


def test_only_a_group_over_several_zones_moves_machines_in_use(
    aws: Any, world: World, fleet: Fleet, group_of: Any
) -> None:
    """field case A4: AZRebalance, which EKS cannot suspend. In addition, the autoscaler knows only the first zone."""

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


def test_a_deleted_machine_belongs_to_no_group(fleet: Fleet) -> None:
    """Two scale-downs at once: the second one gets Auto Scaling's answer, not a broken server's."""
    with pytest.raises(botocore.exceptions.ClientError, match="ValidationError"):
        fleet.remove("i-0123456789abcdef0")


def test_a_kubelet_with_a_forbidden_label_never_joins(fleet: Fleet, group_of: Any) -> None:
    """field case A2: EKS accepts the label, and every machine is paid for without joining."""
    group = group_of({}, labels={"node-role.kubernetes.io/gpu": "true"})
    fleet.set_desired(group.id, 1)
    assert [machine for machine in fleet.machines() if machine.group == group.id] == []
    other = group_of({}, labels={"node.kubernetes.io/team": "a"})
    fleet.set_desired(other.id, 1)
    assert len([machine for machine in fleet.machines() if machine.group == other.id]) == 1


def test_amazon_linux_2023_does_not_start_on_the_first_graviton(fleet: Fleet, group_of: Any) -> None:
    """AL2023 does not (its user guide, "System requirements"); Bottlerocket does."""
    arm = {"instanceTypes": ["a1.xlarge"], "taints": [], "releaseVersion": None}
    for image, count in (("AL2023_ARM_64_STANDARD", 0), ("BOTTLEROCKET_ARM_64", 1)):
        group = group_of({}, amiType=image, **arm)
        fleet.set_desired(group.id, 1)
        assert len([machine for machine in fleet.machines() if machine.group == group.id]) == count, image


def test_spot_launches_the_smallest_type_and_the_autoscaler_expects_the_first(fleet: Fleet, group_of: Any) -> None:
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
    """Seed rows S07, S10: labels, taints, provider id and a disk that fits the guide's 100Gi; never a GPU resource."""
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
def test_machines_and_disks_get_the_templates_tags_that_a_policy_requires(
    home: Path, aws: Any, fleet: Fleet, group_of: Any, encrypted: str, tagged: bool, comes: bool
) -> None:
    """field cases A8 and A11: after a scale-up, instance and volume have the cost tags of their team; under a policy
    of the organization, which faults.json simulates, nothing else starts."""
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


def test_a_newer_machine_type_is_read_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """field case A15: from the output of `aws ec2 describe-instance-types` in `.sandbox/machine_types.json`."""
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


def test_a_capacity_blocks_type_is_in_the_launch_template(fleet: Fleet, group_of: Any) -> None:
    """The node group has no instance types; the autoscaler and the node know the type anyway."""
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


def test_the_autoscalers_priorities_match_the_groups_that_eks_creates(group_of: Any) -> None:
    """Seed row S04: a ladder's patterns match the names of real node groups, each once."""
    capacity = ["reserved", "spot", "on_demand"]
    spec: Any = {"machine_types": ["g6.2xlarge"], "min": 0, "max": 4, "capacity": capacity}
    ranked = expander_priorities({"gpu-workers": spec, "gpu-workers-large": spec})
    found = []
    for rung in ("-reserved", "-spot", ""):
        group = group_of({}, nodeGroupNamePrefix=f"gpu-workers{rung}-")
        found.append([rank for rank, patterns in ranked.items() for each in patterns if re.search(each, group.id)])
    assert found == [["30"], ["20"], ["10"]]


def test_the_fleet_never_scales_on_its_own(fleet: Fleet) -> None:
    assert fleet.may_act() is False
    assert fleet.groups() == [] and fleet.machines() == []


def test_each_group_is_described_once_in_a_few_seconds(
    fleet: Fleet, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The controller asks for the groups about once a second, and an environment has a dozen or more."""
    clock, asked = [0.0], []
    monkeypatch.setattr("sandbox.aws.fleet.time.monotonic", lambda: clock[0])
    describe = Fleet._nodegroup
    monkeypatch.setattr(Fleet, "_nodegroup", lambda self, tags: asked.append(tags) or describe(self, tags))
    assert fleet.groups() == fleet.groups() and len(asked) == 1
    clock[0] = 4
    fleet.groups()
    assert len(asked) == 2
