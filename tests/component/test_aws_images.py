"""Node images of a pool on EKS, the nodes' user data, and what a custom image needs."""

from __future__ import annotations

import base64
import email
from typing import Any

import pulumi
import pytest
import yaml

from components import hardware
from components.aws import user_data
from components.aws.node_pool import EksNodePool
from components.versions import EKS_IMAGES
from recording.recorder import run
from recording.recording import Recording
from sandbox.aws import machine_types, node_shape
from sandbox.aws.node_shape import joins
from tests.component.eks_pools import TEMPLATE_TAG, autoscaler_tags, node_pool
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, aws_options, pool


@pytest.mark.parametrize(
    ("machine_type", "image", "ami_type"),
    [
        ("m5.2xlarge", "al2023", "AL2023_x86_64_STANDARD"),
        ("m7g.2xlarge", "al2023", "AL2023_ARM_64_STANDARD"),
        ("g6.2xlarge", "al2023", "AL2023_x86_64_NVIDIA"),
        ("g5g.2xlarge", "al2023", "AL2023_ARM_64_NVIDIA"),
        ("m5.2xlarge", "bottlerocket", "BOTTLEROCKET_x86_64"),
        ("m7g.2xlarge", "bottlerocket", "BOTTLEROCKET_ARM_64"),
        ("g6.2xlarge", "bottlerocket", "BOTTLEROCKET_x86_64_NVIDIA"),
        ("g5g.2xlarge", "bottlerocket", "BOTTLEROCKET_ARM_64_NVIDIA"),
    ],
)
def test_the_image_follows_from_the_machine_type(machine_type: str, image: str, ami_type: str) -> None:
    """seed row S03: the default of EKS is an image without a driver."""
    assert node_pool(pool(GUIDE_CPU, machine_types=[machine_type], image=image)).one("NodeGroup").inputs["amiType"] == (
        ami_type
    )


def test_the_image_release_is_pinned_and_a_tag_names_its_driver() -> None:
    """The driver of running pools never changes automatically (amazon-eks-ami#1697), and a preview shows a new
    release."""
    group = node_pool(GUIDE_GPU).one("NodeGroup").inputs
    assert group["releaseVersion"] == EKS_IMAGES["1.35"].release
    assert group["tags"]["gpuyard.dev/nvidia-driver"] == str(EKS_IMAGES["1.35"].driver_branch)
    assert "gpuyard.dev/nvidia-driver" not in node_pool(GUIDE_CPU).one("NodeGroup").inputs["tags"]


def test_a_pool_can_set_its_release_and_driver() -> None:
    group = node_pool(pool(GUIDE_GPU, release="1.35.8-20260930", driver_branch=595)).one("NodeGroup").inputs
    assert (group["releaseVersion"], group["tags"]["gpuyard.dev/nvidia-driver"]) == ("1.35.8-20260930", "595")


def test_without_the_clusters_version_eks_chooses_the_release() -> None:
    """A library user who names no version gets a working group, not a release of another minor."""
    spec = {**GUIDE_GPU}
    made = run(
        lambda: EksNodePool(
            "gpu-workers",
            {
                "pool": spec,
                "cluster": "train",
                "subnet_ids": {AWS_ZONES[0]: "subnet-1"},
                "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
            },
            aws_options(),
        )
    )
    assert made.one("NodeGroup").inputs.get("releaseVersion") is None


@pytest.mark.parametrize("image", ["al2023", "bottlerocket"])
def test_every_disk_of_a_node_is_encrypted_and_its_minor_is_the_clusters(image: str) -> None:
    """field case A11, security case M7: an organization's policy can deny other instances; and a pool whose release EKS
    chooses follows the cluster's version."""
    made = node_pool(pool(GUIDE_GPU, image=image))
    assert made.one("NodeGroup").inputs["version"] == "1.35"
    disks = {each["deviceName"]: each["ebs"] for each in made.one("LaunchTemplate").inputs["blockDeviceMappings"]}
    assert {*disks} == ({"/dev/xvda", "/dev/xvdb"} if image == "bottlerocket" else {"/dev/xvda"})
    assert all(each["encrypted"] == "true" and each["deleteOnTermination"] == "true" for each in disks.values())


def test_tags_reach_the_group_its_instances_and_their_disks() -> None:
    """field case A8"""
    made = node_pool(pool(GUIDE_GPU), tags={"team": "ml"})
    specs = {each["resourceType"]: each["tags"] for each in made.one("LaunchTemplate").inputs["tagSpecifications"]}
    assert all(specs[kind]["team"] == "ml" for kind in ("instance", "volume"))
    assert made.one("NodeGroup").inputs["tags"]["team"] == "ml"
    assert autoscaler_tags(made)["team"] == "ml"


def test_tags_that_no_cloud_resource_takes_are_refused() -> None:
    """reliability case R13, for users of the library"""
    with pytest.raises(pulumi.RunError, match="AWS reserves keys that begin with aws:"):
        node_pool(pool(GUIDE_GPU), tags={"AWS:team": "ml"})


PLACE = {"endpoint": "https://train.example.com", "certificate_authority": "Q0E=", "service_cidr": "172.20.0.0/16"}
AMI = "ami-0123456789abcdef0"


def user_data_of(made: Recording) -> str:
    """The user data of a node, decoded."""
    return base64.b64decode(made.one("LaunchTemplate").inputs["userData"]).decode()


def node_configs(made: Recording) -> list[dict[str, Any]]:
    """The NodeConfigs in the user data, by their `spec`."""
    parts: Any = email.message_from_string(user_data_of(made)).get_payload()
    kinds = [part for part in parts if part.get_content_type() == "application/node.eks.aws"]
    return [yaml.safe_load(part.get_payload())["spec"] for part in kinds]


def test_a_custom_image_joins_with_generated_user_data() -> None:
    """field case A15: EKS does not add the cluster, labels or taints to it."""
    made = node_pool(pool(GUIDE_GPU, ami=AMI, scratch=False), **PLACE)
    group, template = made.one("NodeGroup").inputs, made.one("LaunchTemplate").inputs
    assert (group["amiType"], template["imageId"]) == ("CUSTOM", AMI)
    assert "releaseVersion" not in group and "version" not in group
    (spec,) = node_configs(made)
    assert spec["cluster"] == {
        "name": "train",
        "apiServerEndpoint": PLACE["endpoint"],
        "certificateAuthority": "Q0E=",
        "cidr": "172.20.0.0/16",
    }
    assert spec["kubelet"]["config"] == {"maxPods": 110}  # amazon-eks-ami#2045
    labels, taints = spec["kubelet"]["flags"]
    assert labels.startswith("--node-labels=") and "nvidia.com/gpu.present=true" in labels
    assert taints == "--register-with-taints=nvidia.com/gpu=true:NoSchedule"
    assert joins({"amiType": "CUSTOM"}, {"UserData": template["userData"]})


@pytest.mark.parametrize("types", [["g6.2xlarge"], ["p5.48xlarge"], ["g6.4xlarge", "g6.8xlarge"], ["p3.2xlarge"]])
@pytest.mark.parametrize("image", ["al2023", "bottlerocket"])
def test_custom_images_have_the_same_pod_limit_as_eks_images(image: str, types: list[str]) -> None:
    """amazon-eks-ami#2045: nodeadm counts single addresses, but the VPC CNI assigns prefixes of sixteen."""
    spec = pool(GUIDE_GPU, machine_types=types, image=image, ami=AMI, accept_withdrawn=types == ["p3.2xlarge"])
    data = {"UserData": node_pool(spec, **PLACE).one("LaunchTemplate").inputs["userData"]}
    facts = [found for name in types if (found := machine_types.find(name))]
    eks_type = {"amiType": "AL2023_x86_64_NVIDIA"}
    of_eks = min(node_shape.kubelet_pods(each, eks_type, {}, prefixes=True) for each in facts)
    assert {node_shape.kubelet_pods(each, {"amiType": "CUSTOM"}, data, prefixes=True) for each in facts} == {of_eks}
    assert node_shape.kubelet_pods(facts[0], {"amiType": "CUSTOM"}, {}, prefixes=True) == addresses_of(types[0])


def addresses_of(name: str) -> int:
    """Pods by single addresses, as nodeadm counts them."""
    machine = hardware.find(hardware.AWS, name)
    assert machine is not None
    return machine.max_pods


def test_a_custom_bottlerocket_image_joins_with_its_settings() -> None:
    """field case A15"""
    settings = {"kernel": {"sysctl": {"net.core.rmem_max": "16777216"}}, "kubernetes": {"max-pods": 58}}
    made = node_pool(pool(GUIDE_GPU, ami=AMI, image="bottlerocket", node_settings=settings), **PLACE)
    found = pytest.importorskip("tomllib").loads(user_data_of(made))["settings"]
    assert found["kubernetes"]["api-server"] == PLACE["endpoint"] and found["kubernetes"]["max-pods"] == 58
    assert found["kubernetes"]["cluster-dns-ip"] == "172.20.0.10"
    assert found["kubernetes"]["node-taints"] == {"nvidia.com/gpu": ["true:NoSchedule"]}
    assert found["kernel"]["sysctl"] == {"net.core.rmem_max": "16777216"}
    assert found["bootstrap-commands"]["gpuyard-scratch"]["essential"] is True
    assert joins({"amiType": "CUSTOM"}, {"UserData": made.one("LaunchTemplate").inputs["userData"]})


def test_nested_bottlerocket_settings_are_valid_toml() -> None:
    """field case A15: a node with user data that it cannot read never joins."""
    settings = {
        "container-registry": {"mirrors": [{"registry": "*", "endpoint": ["https://r.example.com"]}]},
        "motd": "größer 🚀",
        "ntp": {"time-servers": [], "options": ["iburst", "minpoll 1"]},
    }
    made = node_pool(pool(GUIDE_GPU, image="bottlerocket", scratch=False, node_settings=settings))
    assert pytest.importorskip("tomllib").loads(user_data_of(made))["settings"] == settings


def test_a_custom_image_requires_the_clusters_address() -> None:
    """field case A15: without the cluster's address, nodes cannot join."""
    with pytest.raises(pulumi.RunError) as error:
        node_pool(pool(GUIDE_GPU, ami=AMI))
    assert all(field in str(error.value) for field in PLACE)
    assert not joins({"amiType": "CUSTOM"}, {"UserData": user_data.encoded("#!/bin/sh")})


def test_node_settings_are_merged_with_those_of_the_pool() -> None:
    """field case A15"""
    settings = {"kubelet": {"config": {"cpuManagerPolicy": "static"}}}
    made = node_pool(pool(GUIDE_GPU, machine_types=["g6.48xlarge"], node_settings=settings))
    (spec,) = node_configs(made)
    gate = {"featureGates": {"FastImagePull": True}}
    assert spec == {"instance": {"localStorage": {"strategy": "RAID0"}}, **gate, **settings}
    assert made.one("NodeGroup").inputs["amiType"] == "AL2023_x86_64_NVIDIA"


@pytest.mark.parametrize("interconnect", [False, True])
def test_additional_security_groups_do_not_replace_the_clusters(interconnect: bool) -> None:
    """field case A15: groups in a launch template replace the cluster's."""
    own = "sg-0123456789abcdef0"
    efa = {"machine_types": ["p5.48xlarge"], "zones": ["us-east-1a"], "interconnect": True} if interconnect else {}
    made = node_pool(pool(GUIDE_GPU, **efa, security_group_ids=[own]))
    template = made.one("LaunchTemplate").inputs
    found = [template.get("vpcSecurityGroupIds")] + [
        e["securityGroups"] for e in template.get("networkInterfaces") or []
    ]
    for groups in [each for each in found if each]:
        assert groups[:2] == ["sg-cluster", own] and len(groups) == 2 + interconnect
    assert (found[0] is None) is interconnect


def test_an_unknown_machine_type_is_described_in_the_pool() -> None:
    """field case A15: image, GPUs, disks and EFA follow from them as from the table's."""
    facts = {
        "arch": "arm64", "vcpu": 144, "memory_mib": 983040, "gpus": 4, "gpu": "GB200", "gpu_memory_mib": 189440,
        "nvme_gb": 22500, "nvme_disks": 3, "efa": 4, "network_cards": 4,
    }  # fmt: skip
    wanted = {"machine_types": ["p0-new.36xlarge"], "machine": facts, "zones": ["us-east-1a"], "interconnect": True}
    made = node_pool(pool(GUIDE_GPU, **wanted))
    group = made.one("NodeGroup").inputs
    assert (group["amiType"], group["instanceTypes"]) == ("AL2023_ARM_64_NVIDIA", ["p0-new.36xlarge"])
    assert group["labels"]["k8s.amazonaws.com/accelerator"] == "nvidia-gb200"
    assert len(made.one("LaunchTemplate").inputs["networkInterfaces"]) == 4
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/vpc.amazonaws.com/efa"] == "4"


@pytest.mark.parametrize("image", ["al2023", "bottlerocket"])
@pytest.mark.parametrize("services", ["172.20.0.0", "nowhere", "172.20.0.0/30", "fd00::/108", "8.0.0.0/16", ""])
def test_a_wrong_range_of_services_is_refused(image: str, services: str) -> None:
    """Reliability case R11: Bottlerocket's user data has an address of it."""
    with pytest.raises(pulumi.RunError, match=r"one value cannot work.\n +service_cidr = "):
        node_pool(pool(GUIDE_GPU, ami=AMI, image=image), **{**PLACE, "service_cidr": services})


def test_each_pool_has_the_facts_of_its_own_machine_type() -> None:
    """field case A15: what one pool declares is not known to another one, nor kept for later."""
    facts = {"vcpu": 8, "memory_mib": 32768, "efa": 1}
    wanted = {"machine_types": ["p0-own.xlarge"], "zones": ["us-east-1a"], "interconnect": True}
    two = {**facts, "efa": 2, "network_cards": 2}
    made = [node_pool(pool(GUIDE_GPU, **wanted, machine=each)) for each in (facts, two, facts)]
    assert [len(each.one("LaunchTemplate").inputs["networkInterfaces"]) for each in made] == [1, 2, 1]
    with pytest.raises(pulumi.RunError, match=r"machine_types\[0\] = 'p0-own\.xlarge': unknown machine type"):
        node_pool(pool(GUIDE_GPU, **wanted))


def test_bottlerockets_pods_are_on_its_second_disk_and_its_nodes_are_labelled() -> None:
    made = node_pool(pool(GUIDE_GPU, image="bottlerocket", scratch=False))
    system, disk = made.one("LaunchTemplate").inputs["blockDeviceMappings"]
    assert (system["deviceName"], disk["deviceName"]) == ("/dev/xvda", "/dev/xvdb")
    assert made.one("NodeGroup").inputs["labels"]["gpuyard.dev/image"] == "bottlerocket"
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/label/gpuyard.dev/image"] == "bottlerocket"


def test_user_data_equals_the_golden_file(golden: Any) -> None:
    """A change of user data replaces all nodes, so it must be deliberate."""
    cases = {
        image: (user_data.render(image, scratch=True, gpus=True) or "").splitlines()
        for image in ("al2023", "bottlerocket")
    }
    assert user_data.render("al2023", scratch=False, gpus=False) is None
    golden("user-data", cases)


@pytest.mark.parametrize("scratch", [True, False])
def test_gpu_nodes_of_al2023_accept_gpus_as_volume_mounts_only(scratch: bool) -> None:
    """field case A0: whatever the release's default is; parts of several kinds are well-formed MIME."""
    made = node_pool(pool(GUIDE_GPU, machine_types=["g6.2xlarge"], scratch=scratch))
    message = email.message_from_bytes(base64.b64decode(made.one("LaunchTemplate").inputs["userData"]))
    parts = {part.get_content_type(): part.get_payload() for part in message.get_payload()}  # type: ignore[union-attr]
    assert ("application/node.eks.aws" in parts) is scratch
    script = parts["text/x-shellscript"]
    assert script.startswith("#!/bin/sh\n")
    assert "--in-place" in script and "as-volume-mounts=true" in script
    assert "envvar-when-unprivileged=false" in script


@pytest.mark.parametrize("spec", [GUIDE_CPU, pool(GUIDE_GPU, image="bottlerocket", scratch=False)])
def test_other_nodes_need_no_user_data(spec: Any) -> None:
    assert node_pool(spec, name="other").one("LaunchTemplate").inputs.get("userData") is None
