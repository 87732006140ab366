"""The nodes of instances: disks, GPUs, EFA interfaces, huge pages, and the number of pods."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from components.aws import user_data
from sandbox.aws import machine_types
from sandbox.aws.fleet import Fleet
from sandbox.aws.node_shape import device_lists, max_pods
from sandbox.tests.unit.aws.conftest import World, nodegroup_inputs
from sandbox.tests.unit.aws.groups import TEMPLATE_TAG, only, tag

CDI = ("cdi-annotations", "cdi-cri")


def test_local_disks_count_if_user_data_formats_them_for_the_node(world: World, fleet: Fleet) -> None:
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


def test_the_autoscaler_reads_efa_interfaces_from_a_tag(aws: Any, fleet: Fleet, group_of: Any) -> None:
    """An interface without EFA does not count; the resource does not exist before the plugin runs."""
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
def test_bottlerocket_advertises_its_gpus_and_stores_pods_on_its_second_disk(
    fleet: Fleet, group_of: Any, template: dict[str, Any], least: int, most: int
) -> None:
    """Seed rows S05, S10: of g6.2xlarge (450 GB of NVMe); user data for the other image has no effect."""
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
def test_image_and_user_data_decide_how_pods_get_gpus(
    ami_type: str, release: str, gpu_pool: bool, taken: set[str]
) -> None:
    """field case A0: amazon-eks-ami#2706, bottlerocket#3718; with gpuyard's user data all releases are the same."""
    text = user_data.encoded(user_data.render("al2023", scratch=False, gpus=True)) if gpu_pool else None
    found = device_lists({"amiType": ami_type, "releaseVersion": release}, {"UserData": text})
    assert found == taken


@pytest.mark.parametrize(("like", "ready_by"), [("al2023", "device-plugin"), ("bottlerocket", "image")])
def test_nodes_with_a_custom_image_join_only_with_user_data(
    fleet: Fleet, group_of: Any, like: str, ready_by: str
) -> None:
    """field case A15: EKS configures the cluster only in its own images."""
    place = user_data.Join("ml", "https://ml.example.com", "Q0E=", "172.20.0.0/16", {"team": "a"}, [], 110)
    with_join = user_data.encoded(user_data.render(like, scratch=False, gpus=True, join=place))
    without_join = user_data.encoded(user_data.render(like, scratch=True, gpus=True))
    for text, joined in ((with_join, 1), (without_join, 0)):
        template = {"imageId": "ami-0123456789abcdef0", "userData": text}
        group = group_of(template, amiType="CUSTOM")
        fleet.set_desired(group.id, 1)
        machines = [machine for machine in fleet.machines() if machine.group == group.id]
        assert len(machines) == joined
        assert {machine.gpu_ready_by for machine in machines} <= {ready_by}


@pytest.mark.parametrize(
    ("ami_type", "pages"), [("AL2023_x86_64_NVIDIA", "10256Mi"), ("BOTTLEROCKET_x86_64_NVIDIA", "42240Mi")]
)
def test_the_autoscaler_reads_the_huge_pages_of_efa_from_a_tag(
    aws: Any, fleet: Fleet, group_of: Any, ami_type: str, pages: str
) -> None:
    """field case A5: their size is subtracted from the memory."""
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
def test_pods_per_node_with_addresses_and_with_prefixes(machine_type: str, plain: int, prefixes: int) -> None:
    facts = machine_types.find(machine_type)
    assert facts is not None
    assert (max_pods(facts), max_pods(facts, prefixes=True)) == (plain, prefixes)


def test_the_vpc_cni_settings_limit_the_pods_per_node(world: World, fleet: Fleet, group_of: Any) -> None:
    """gpuyard's clusters delegate prefixes; a kubelet keeps its initial number."""
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
