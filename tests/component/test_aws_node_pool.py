"""Pools of EKS nodes: what the groups, their launch templates and the autoscaler's tags say."""

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
from components.aws.pools import EksNodePoolSpec
from components.pools import NodePoolSpec
from components.versions import EKS_IMAGES
from sandbox.aws import fleet, machine_types
from sandbox.aws.fleet import joins
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, aws_options, pool
from tests.recorder import run
from tests.recording import Recording, Resource

RESERVATION = "cr-0123456789abcdef0"
TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template"


def node_pool(spec: NodePoolSpec | EksNodePoolSpec, name: str = "gpu-workers", **args: Any) -> Recording:
    """A recorded EksNodePool."""
    defaults = {
        "pool": spec,
        "zones": AWS_ZONES[:1],
        "subnet_ids": ["subnet-1"],
        "cluster_name": "train",
        "cluster": "train",
        "kubernetes_version": "1.35",
        "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
        "network_id": "vpc-1",
        "security_group_id": "sg-cluster",
    }
    return run(lambda: EksNodePool(name, {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


def autoscaler_tags(recording: Recording) -> dict[str, str]:
    """The tags that the pool puts on its Auto Scaling group."""
    return {
        found.inputs["tag"]["key"]: found.inputs["tag"]["value"] for found in recording.all("aws:autoscaling/tag:Tag")
    }


def test_cpu_workers_have_the_guides_machine_and_size() -> None:
    """seed row S02: m5.2xlarge, 2..20, named cpu-workers, and the autoscaler owns the size from then on."""
    group = node_pool(GUIDE_CPU, "cpu-workers").one("NodeGroup", "cpu-workers-us-east-1a")
    assert group.inputs["instanceTypes"] == ["m5.2xlarge"]
    assert group.inputs["scalingConfig"] == {"minSize": 2, "maxSize": 20, "desiredSize": 2}
    assert group.inputs["nodeGroupNamePrefix"] == "cpu-workers-"
    assert "scalingConfig.desiredSize" in group.options["ignoreChanges"]
    assert "taints" not in group.inputs or group.inputs["taints"] == []


def test_gpu_workers_scale_from_zero_to_ten_with_the_guides_label() -> None:
    """seed row S03: 0..10, label workload=gpu-training, an image with the driver in it."""
    group = node_pool(GUIDE_GPU).one("NodeGroup", "gpu-workers-us-east-1a")
    assert group.inputs["scalingConfig"] == {"minSize": 0, "maxSize": 10, "desiredSize": 0}
    assert group.inputs["labels"]["workload"] == "gpu-training"
    assert group.inputs["amiType"] == "AL2023_x86_64_NVIDIA"


def test_gpu_nodes_say_that_a_gpu_is_still_to_come() -> None:
    """seed row S03: without the accelerator label the autoscaler orders a second node while the plugin starts."""
    labels = node_pool(GUIDE_GPU).one("NodeGroup").inputs["labels"]
    assert labels["k8s.amazonaws.com/accelerator"].startswith("nvidia-")
    assert labels["nvidia.com/gpu.present"] == "true"
    assert "k8s.amazonaws.com/accelerator" not in node_pool(GUIDE_CPU).one("NodeGroup").inputs["labels"]


def test_the_guides_literal_gpu_type_builds_once_it_is_accepted_as_withdrawn() -> None:
    """seed row S03: p3.2xlarge, which EC2 no longer describes, still builds to the letter."""
    spec = pool(GUIDE_GPU, machine_types=["p3.2xlarge"], accept_withdrawn=True)
    assert node_pool(spec).one("NodeGroup").inputs["instanceTypes"] == ["p3.2xlarge"]
    with pytest.raises(pulumi.RunError, match="withdrawn"):
        node_pool(pool(GUIDE_GPU, machine_types=["p3.2xlarge"]))


def test_gpu_nodes_bear_the_guides_taint_and_cpu_nodes_bear_none() -> None:
    """seed row S07: nvidia.com/gpu=true:NoSchedule."""
    taints = node_pool(GUIDE_GPU).one("NodeGroup").inputs["taints"]
    assert taints == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]


def test_the_scaling_group_tells_the_autoscaler_what_an_empty_group_would_give() -> None:
    """seed row S04: from zero, by labels, taints and storage in the group's tags."""
    made = node_pool(GUIDE_GPU)
    tags = autoscaler_tags(made)
    template = "k8s.io/cluster-autoscaler/node-template"
    assert tags["k8s.io/cluster-autoscaler/enabled"] == "true"
    assert tags["k8s.io/cluster-autoscaler/train"] == "owned"
    assert tags[f"{template}/label/workload"] == "gpu-training"
    assert tags[f"{template}/taint/nvidia.com/gpu"] == "true:NoSchedule"
    asg = made.one("NodeGroup").outputs["resources"][0]["autoscalingGroups"][0]["name"]
    assert {found.inputs["autoscalingGroupName"] for found in made.all("aws:autoscaling/tag:Tag")} == {asg}


def test_every_label_and_taint_of_the_group_is_among_the_autoscalers_tags() -> None:
    """seed row S04: nothing is typed twice, so nothing is forgotten once."""
    extra = {"key": "team", "value": "vision", "effect": "NoExecute"}
    made = node_pool(pool(GUIDE_GPU, labels={"workload": "gpu-training", "tier": "gold"}, taints=[extra]))
    group, tags = made.one("NodeGroup"), autoscaler_tags(made)
    template = "k8s.io/cluster-autoscaler/node-template"
    assert {f"{template}/label/{k}": v for k, v in group.inputs["labels"].items()}.items() <= tags.items()
    effects = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute"}
    for taint in group.inputs["taints"]:
        assert tags[f"{template}/taint/{taint['key']}"] == f"{taint['value']}:{effects[taint['effect']]}"


def test_a_node_really_holds_the_guides_ephemeral_storage() -> None:
    """seed row S10: request 50Gi and limit 100Gi fit on the local disk that holds the pods."""
    made = node_pool(GUIDE_GPU)
    disk = made.one("LaunchTemplate").inputs["blockDeviceMappings"][0]["ebs"]
    promised = autoscaler_tags(made)["k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage"]
    nvme_gib = 450 * 10**9 // 2**30
    assert promised.endswith("Gi") and 100 <= int(promised[:-2]) < nvme_gib
    assert disk["encrypted"] == "true"


def test_the_template_shows_no_instance_credentials_to_pods() -> None:
    options = node_pool(GUIDE_CPU).one("LaunchTemplate").inputs["metadataOptions"]
    assert options["httpTokens"] == "required" and options["httpPutResponseHopLimit"] == 1


def test_machines_bear_the_pools_name() -> None:
    specifications = node_pool(GUIDE_GPU).one("LaunchTemplate").inputs["tagSpecifications"]
    by_kind = {found["resourceType"]: found["tags"] for found in specifications}
    assert by_kind["instance"]["gpuyard.dev/pool"] == "gpu-workers"
    assert {"instance", "volume"} <= set(by_kind)


def test_an_update_does_not_break_a_disruption_budget() -> None:
    """containers-roadmap#1282: a forced one ends pods that a PodDisruptionBudget protects."""
    assert not node_pool(GUIDE_CPU).one("NodeGroup").inputs.get("forceUpdateVersion")


def test_a_change_of_the_template_is_rolled_out_by_its_version() -> None:
    made = node_pool(GUIDE_GPU)
    group, template = made.one("NodeGroup"), made.one("LaunchTemplate")
    assert group.inputs["launchTemplate"] == {"id": template.id, "version": "1"}


def test_a_ladder_makes_a_group_for_each_rung_and_the_last_one_holds_the_minimum() -> None:
    made = node_pool(pool(GUIDE_GPU, capacity=["spot", "on_demand"], min=1))
    sizes = {
        found.inputs["capacityType"]: (
            found.inputs["scalingConfig"]["minSize"],
            found.inputs["scalingConfig"]["maxSize"],
        )
        for found in made.all("NodeGroup")
    }
    assert sizes == {"SPOT": (0, 10), "ON_DEMAND": (1, 10)}


def test_a_pool_in_one_zone_uses_that_zones_subnet() -> None:
    made = node_pool(pool(GUIDE_GPU, zones=["us-east-1b"]), zones=AWS_ZONES, subnet_ids=["subnet-1", "subnet-2"])
    assert made.one("NodeGroup").inputs["subnetIds"] == ["subnet-2"]
    assert "subnetIds" not in made.one("NodeGroup").options["ignoreChanges"], "other subnets are other nodes"


def test_a_taint_may_have_no_value() -> None:
    made = node_pool(pool(GUIDE_CPU, taints=[{"key": "dedicated", "effect": "NoSchedule"}]))
    assert made.one("NodeGroup").inputs["taints"] == [{"key": "dedicated", "value": "", "effect": "NO_SCHEDULE"}]
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/taint/dedicated"] == ":NoSchedule"


# -- images -----------------------------------------------------------------------------------------------------------


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
    """seed row S03: EKS's own guess is an image without a driver."""
    assert node_pool(pool(GUIDE_CPU, machine_types=[machine_type], image=image)).one("NodeGroup").inputs["amiType"] == (
        ami_type
    )


def test_the_image_is_pinned_and_the_group_says_which_driver_is_in_it() -> None:
    """A fleet's driver never moves by itself (amazon-eks-ami#1697), and a preview shows what a new release brings."""
    group = node_pool(GUIDE_GPU).one("NodeGroup").inputs
    assert group["releaseVersion"] == EKS_IMAGES["1.35"].release
    assert group["tags"]["gpuyard.dev/nvidia-driver"] == str(EKS_IMAGES["1.35"].driver_branch)
    assert "gpuyard.dev/nvidia-driver" not in node_pool(GUIDE_CPU).one("NodeGroup").inputs["tags"]


def test_a_pool_may_name_its_own_release_and_driver() -> None:
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
                "zones": AWS_ZONES[:1],
                "subnet_ids": ["subnet-1"],
                "cluster_name": "train",
                "cluster": "train",
                "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
            },
            aws_options(),
        )
    )
    assert made.one("NodeGroup").inputs.get("releaseVersion") is None


@pytest.mark.parametrize("image", ["al2023", "bottlerocket"])
def test_every_disk_of_a_node_is_encrypted_and_its_minor_is_the_clusters(image: str) -> None:
    """field case A11, security case M7: under a policy of the organization nothing else starts; and a pool whose
    release EKS chooses moves with the cluster."""
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
    with pytest.raises(pulumi.RunError, match="AWS keeps keys that begin with aws:"):
        node_pool(pool(GUIDE_GPU), tags={"AWS:team": "ml"})


PLACE = {"endpoint": "https://train.example.com", "certificate_authority": "Q0E=", "service_cidr": "172.20.0.0/16"}
AMI = "ami-0123456789abcdef0"


def user_data_of(made: Recording) -> str:
    """The text that a node gets."""
    return base64.b64decode(made.one("LaunchTemplate").inputs["userData"]).decode()


def node_configs(made: Recording) -> list[dict[str, Any]]:
    """The NodeConfigs in the user data, by their `spec`."""
    parts: Any = email.message_from_string(user_data_of(made)).get_payload()
    kinds = [part for part in parts if part.get_content_type() == "application/node.eks.aws"]
    return [yaml.safe_load(part.get_payload())["spec"] for part in kinds]


def test_an_image_of_the_users_joins_by_the_user_data_that_it_is_given() -> None:
    """field case A15: EKS adds nothing to it, neither the cluster nor labels and taints."""
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
def test_nodes_with_an_image_of_the_users_take_as_many_pods_as_eks_lets_onto_its_own(
    image: str, types: list[str]
) -> None:
    """amazon-eks-ami#2045: nodeadm counts single addresses, and the VPC CNI gives prefixes of sixteen."""
    spec = pool(GUIDE_GPU, machine_types=types, image=image, ami=AMI, accept_withdrawn=types == ["p3.2xlarge"])
    data = {"UserData": node_pool(spec, **PLACE).one("LaunchTemplate").inputs["userData"]}
    facts = [found for name in types if (found := machine_types.find(name))]
    of_eks = min(fleet.kubelet_pods(each, {"amiType": "AL2023_x86_64_NVIDIA"}, {}, prefixes=True) for each in facts)
    assert {fleet.kubelet_pods(each, {"amiType": "CUSTOM"}, data, prefixes=True) for each in facts} == {of_eks}
    assert fleet.kubelet_pods(facts[0], {"amiType": "CUSTOM"}, {}, prefixes=True) == addresses_of(types[0])


def addresses_of(name: str) -> int:
    """Pods by single addresses, as nodeadm counts them."""
    machine = hardware.find(hardware.AWS, name)
    assert machine is not None
    return machine.max_pods


def test_an_image_like_bottlerocket_joins_by_its_settings() -> None:
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


def test_settings_of_bottlerocket_are_toml_whatever_is_nested_in_them() -> None:
    """field case A15: a node with user data that it cannot read never joins."""
    settings = {
        "container-registry": {"mirrors": [{"registry": "*", "endpoint": ["https://r.example.com"]}]},
        "motd": "größer 🚀",
        "ntp": {"time-servers": [], "options": ["iburst", "minpoll 1"]},
    }
    made = node_pool(pool(GUIDE_GPU, image="bottlerocket", scratch=False, node_settings=settings))
    assert pytest.importorskip("tomllib").loads(user_data_of(made))["settings"] == settings


def test_an_image_of_the_users_needs_to_know_its_cluster() -> None:
    """field case A15: without the cluster's address no node would ever join."""
    with pytest.raises(pulumi.RunError) as error:
        node_pool(pool(GUIDE_GPU, ami=AMI))
    assert all(field in str(error.value) for field in PLACE)
    assert not joins({"amiType": "CUSTOM"}, {"UserData": user_data.encoded("#!/bin/sh")})


def test_settings_of_nodes_are_put_to_those_of_the_pool() -> None:
    """field case A15"""
    settings = {"kubelet": {"config": {"cpuManagerPolicy": "static"}}}
    made = node_pool(pool(GUIDE_GPU, machine_types=["g6.48xlarge"], node_settings=settings))
    (spec,) = node_configs(made)
    assert spec == {"instance": {"localStorage": {"strategy": "RAID0"}}, **settings}
    assert made.one("NodeGroup").inputs["amiType"] == "AL2023_x86_64_NVIDIA"


@pytest.mark.parametrize("interconnect", [False, True])
def test_further_security_groups_are_beside_the_clusters_own(interconnect: bool) -> None:
    """field case A15: groups of a launch template take the place of the cluster's."""
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


def test_a_machine_type_that_the_table_lacks_comes_with_its_facts() -> None:
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


def test_bottlerockets_pods_are_on_its_second_disk_and_its_nodes_are_labelled() -> None:
    made = node_pool(pool(GUIDE_GPU, image="bottlerocket", scratch=False))
    system, disk = made.one("LaunchTemplate").inputs["blockDeviceMappings"]
    assert (system["deviceName"], disk["deviceName"]) == ("/dev/xvda", "/dev/xvdb")
    assert made.one("NodeGroup").inputs["labels"]["gpuyard.dev/image"] == "bottlerocket"
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/label/gpuyard.dev/image"] == "bottlerocket"


# -- disks ------------------------------------------------------------------------------------------------------------


def test_user_data_is_what_it_was(golden: Any) -> None:
    """Nodes with other user data are replaced one by one: a change is deliberate."""
    cases = {
        image: (user_data.render(image, scratch=True, gpus=True) or "").splitlines()
        for image in ("al2023", "bottlerocket")
    }
    assert user_data.render("al2023", scratch=False, gpus=False) is None
    golden("user-data", cases)


@pytest.mark.parametrize("scratch", [True, False])
def test_gpu_nodes_of_al2023_take_gpus_by_mounts_and_from_no_variable(scratch: bool) -> None:
    """field case A0: whatever the release's default is; parts of several kinds are well-formed MIME."""
    made = node_pool(pool(GUIDE_GPU, machine_types=["g6.48xlarge"], scratch=scratch))
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


def test_local_disks_become_the_pods_storage_where_a_machine_has_them() -> None:
    """seed row S10: striped by user data, and promised to the autoscaler."""
    made = node_pool(pool(GUIDE_GPU, machine_types=["g6.48xlarge"]))
    given = made.one("LaunchTemplate").inputs["userData"]
    assert base64.b64decode(given).decode() == user_data.render("al2023", scratch=True, gpus=True)
    promised = autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/ephemeral-storage"]
    assert promised == f"{int(7520 * 10**9 / 2**30 * 0.9) - 3}Gi"


@pytest.mark.parametrize("changes", [{"machine_types": ["p3.2xlarge"], "accept_withdrawn": True}, {"scratch": False}])
def test_without_local_disks_the_root_volume_holds_the_pods(changes: dict[str, Any]) -> None:
    """seed row S10: the guide's 100Gi fit."""
    made = node_pool(pool(GUIDE_GPU, **changes))
    template = made.one("LaunchTemplate").inputs
    assert "localStorage" not in base64.b64decode(template["userData"]).decode()
    assert template["blockDeviceMappings"][0]["ebs"]["volumeSize"] == 200
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/ephemeral-storage"] == "177Gi"


def test_of_several_types_the_smallest_local_disk_is_promised() -> None:
    made = node_pool(pool(GUIDE_GPU, machine_types=["g6.2xlarge", "g5.4xlarge"]))
    promised = autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/ephemeral-storage"]
    assert promised == f"{int(450 * 10**9 / 2**30 * 0.9) - 3}Gi"


# -- interconnect -----------------------------------------------------------------------------------------------------

EFA = [
    ("p4d.24xlarge", 4),
    ("p5.48xlarge", 32),
    ("p5en.48xlarge", 16),
    ("p6-b200.48xlarge", 8),
    ("p6-b300.48xlarge", 16),
    ("g6e.48xlarge", 4),
    ("g6e.24xlarge", 2),
    ("p5.4xlarge", 1),
]


def efa_pool(machine_type: str, **changes: Any) -> NodePoolSpec:
    return pool(GUIDE_GPU, machine_types=[machine_type], interconnect=True, zones=["us-east-1a"], **changes)


@pytest.mark.parametrize(("machine_type", "count"), EFA)
def test_every_network_card_with_efa_gets_an_efa_interface(machine_type: str, count: int) -> None:
    """seed row S06: as many as the type has; the first card of p6-b300 has none and is a plain one."""
    made = node_pool(efa_pool(machine_type))
    interfaces = made.one("LaunchTemplate").inputs["networkInterfaces"]
    kinds = [found["interfaceType"] for found in interfaces]
    assert len([kind for kind in kinds if kind.startswith("efa")]) == count
    plain = machine_type.startswith("p6-b300")
    assert kinds == ["interface" if plain else "efa", *["efa-only"] * (count if plain else count - 1)]
    assert [found["networkCardIndex"] for found in interfaces] == list(range(len(interfaces)))
    assert [found["deviceIndex"] for found in interfaces] == [0, *[1] * (len(interfaces) - 1)]
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/vpc.amazonaws.com/efa"] == str(count)


def test_efa_traffic_passes_within_one_group_both_ways_and_the_clusters_group_is_on_every_interface() -> None:
    """seed row S06: naming groups in a template suppresses the cluster's own."""
    made = node_pool(efa_pool("p5.48xlarge"))
    group = made.one("SecurityGroup")
    for interface in made.one("LaunchTemplate").inputs["networkInterfaces"]:
        assert interface["securityGroups"] == ["sg-cluster", group.id]
    rules = made.all("SecurityGroupIngressRule") + made.all("SecurityGroupEgressRule")
    assert len(rules) == 2
    for rule in rules:
        assert rule.inputs["securityGroupId"] == rule.inputs["referencedSecurityGroupId"] == group.id
        assert rule.inputs["ipProtocol"] == "-1"


def test_a_pool_without_interconnect_leaves_its_interface_to_ec2() -> None:
    made = node_pool(pool(GUIDE_GPU, machine_types=["p5.48xlarge"]))
    assert made.one("LaunchTemplate").inputs.get("networkInterfaces") is None
    assert not made.all("SecurityGroup") and not made.all("PlacementGroup")


def test_nodes_with_interconnect_are_placed_together_except_where_capacity_is_reserved() -> None:
    """A placement group beside a reservation is InsufficientInstanceCapacity (eksctl#7949)."""
    made = node_pool(efa_pool("p5.48xlarge", capacity=["reserved", "on_demand"], reservation={"id": RESERVATION}))
    group = made.one("PlacementGroup")
    assert group.inputs["strategy"] == "cluster"
    placements = {found.name: found.inputs.get("placement") for found in made.all("LaunchTemplate")}
    assert placements == {"gpu-workers-reserved-template": None, "gpu-workers-template": {"groupName": group.id}}
    alone = node_pool(efa_pool("p5.48xlarge", capacity=["reserved"], reservation={"id": RESERVATION}))
    assert not alone.all("PlacementGroup")


@pytest.mark.parametrize(
    ("machine_type", "changes", "promised"),
    [
        ("p5.48xlarge", {}, "10256Mi"),
        ("p5.48xlarge", {"image": "bottlerocket"}, "42240Mi"),
        ("c6in.32xlarge", {"image": "bottlerocket"}, "28160Mi"),
        ("c6in.32xlarge", {}, None),  # AL2023 without GPUs has no EFA software
        # A program in another language says whole numbers as floats.
        (
            "x9.64xlarge",
            {"image": "bottlerocket", "machine": {"vcpu": 64.0, "memory_mib": 262144.0, "efa": 1.0}},
            "14080Mi",
        ),
    ],
)
def test_the_autoscaler_knows_the_huge_pages_that_come_with_efa(
    machine_type: str, changes: dict[str, Any], promised: str | None
) -> None:
    """field case A5: AWS's own NCCL test asks for 5120Mi of them, and waited for good."""
    tags = autoscaler_tags(node_pool(efa_pool(machine_type, **changes)))
    assert tags.get(f"{TEMPLATE_TAG}/resources/hugepages-2Mi") == promised


# -- capacity ---------------------------------------------------------------------------------------------------------


def rungs(made: Recording) -> dict[str, Resource]:
    return {found.name.removesuffix("-us-east-1a"): found for found in made.all("NodeGroup")}


def test_a_group_is_named_after_its_rung_so_that_another_rung_replaces_none() -> None:
    """seed row S12: what a ladder has had keeps its name when the ladder grows."""
    before = rungs(node_pool(pool(GUIDE_GPU, capacity=["spot"])))
    after = rungs(node_pool(pool(GUIDE_GPU, capacity=["spot", "on_demand"])))
    assert set(before) == {"gpu-workers-spot"} and set(after) == {"gpu-workers-spot", "gpu-workers"}
    assert before["gpu-workers-spot"].inputs == after["gpu-workers-spot"].inputs


def test_a_reservation_is_drawn_on_by_the_reserved_rung_alone() -> None:
    spec = pool(
        GUIDE_GPU, zones=["us-east-1a"], capacity=["reserved", "spot", "on_demand"], reservation={"id": RESERVATION}
    )
    made = node_pool(spec)
    assert {name: found.inputs["capacityType"] for name, found in rungs(made).items()} == {
        "gpu-workers-reserved": "ON_DEMAND",
        "gpu-workers-spot": "SPOT",
        "gpu-workers": "ON_DEMAND",
    }
    targets = {found.name: found.inputs.get("capacityReservationSpecification") for found in made.all("LaunchTemplate")}
    assert targets == {
        "gpu-workers-template": None,
        "gpu-workers-reserved-template": {"capacityReservationTarget": {"capacityReservationId": RESERVATION}},
    }
    used = {name: found.inputs["launchTemplate"]["id"] for name, found in rungs(made).items()}
    assert used["gpu-workers-spot"] == used["gpu-workers"] != used["gpu-workers-reserved"]


def test_a_group_of_reservations_is_named_by_its_arn_and_may_span_zones() -> None:
    arn = "arn:aws:resource-groups:us-east-1:123456789012:group/gpus"
    made = node_pool(pool(GUIDE_GPU, capacity=["reserved"], reservation={"group_arn": arn}))
    target = made.one("LaunchTemplate").inputs["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target == {"capacityReservationResourceGroupArn": arn}


def test_a_capacity_block_names_market_reservation_and_type_in_the_template() -> None:
    """EKS refuses the group without any of the three, and with instance types of its own."""
    block = {"id": RESERVATION, "capacity_block": True}
    made = node_pool(efa_pool("p5.48xlarge", capacity=["reserved"], reservation=block))
    template, group = made.one("LaunchTemplate").inputs, made.one("NodeGroup").inputs
    assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}
    assert template["instanceType"] == "p5.48xlarge"
    assert template["capacityReservationSpecification"]["capacityReservationTarget"] == {
        "capacityReservationId": RESERVATION
    }
    assert group["capacityType"] == "CAPACITY_BLOCK" and group.get("instanceTypes") is None
    assert group["subnetIds"] == ["subnet-1"]


def test_spot_draws_on_all_the_types_of_the_pool() -> None:
    """seed row S12"""
    types = ["g6.2xlarge", "g5.2xlarge"]
    assert node_pool(pool(GUIDE_GPU, machine_types=types, capacity=["spot"])).one("NodeGroup").inputs[
        "instanceTypes"
    ] == (types)


def test_interconnect_without_the_network_is_refused() -> None:
    """A library user's mistake, told before EC2 does."""
    with pytest.raises(pulumi.RunError, match=r"network_id = None.*\n.*\n.*\n.*security_group_id = None"):
        node_pool(efa_pool("p5.48xlarge"), network_id=None, security_group_id=None)
