"""Pools of EKS nodes: the groups, their launch templates and the autoscaler's tags."""

from __future__ import annotations

import base64
from typing import Any

import pulumi
import pytest

from components.aws import image_pull, user_data
from components.aws.node_pool import EksNodePool
from components.pools import NodePoolSpec
from recording.recorder import run
from tests.component.eks_pools import TEMPLATE_TAG, autoscaler_tags, node_pool
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, aws_options, pool


def test_cpu_workers_have_the_guides_machine_and_size() -> None:
    """seed row S02: m5.2xlarge, 2..20, named cpu-workers; after creation, the autoscaler controls the size."""
    group = node_pool(GUIDE_CPU, "cpu-workers").one("NodeGroup", "cpu-workers-us-east-1a")
    assert group.inputs["instanceTypes"] == ["m5.2xlarge"]
    assert group.inputs["scalingConfig"] == {"minSize": 2, "maxSize": 20, "desiredSize": 2}
    assert group.inputs["nodeGroupNamePrefix"] == "cpu-workers-"
    assert "scalingConfig.desiredSize" in group.options["ignoreChanges"]
    assert "taints" not in group.inputs or group.inputs["taints"] == []


def test_gpu_workers_scale_from_zero_to_ten_with_the_guides_label() -> None:
    """seed row S03: 0..10, label workload=gpu-training, an image that includes the driver."""
    group = node_pool(GUIDE_GPU).one("NodeGroup", "gpu-workers-us-east-1a")
    assert group.inputs["scalingConfig"] == {"minSize": 0, "maxSize": 10, "desiredSize": 0}
    assert group.inputs["labels"]["workload"] == "gpu-training"
    assert group.inputs["amiType"] == "AL2023_x86_64_NVIDIA"


def test_gpu_nodes_have_the_accelerator_label() -> None:
    """seed row S03: without the label, the autoscaler adds a second node while the device plugin starts."""
    labels = node_pool(GUIDE_GPU).one("NodeGroup").inputs["labels"]
    assert labels["k8s.amazonaws.com/accelerator"].startswith("nvidia-")
    assert labels["nvidia.com/gpu.present"] == "true"
    assert "k8s.amazonaws.com/accelerator" not in node_pool(GUIDE_CPU).one("NodeGroup").inputs["labels"]


def test_the_guides_withdrawn_gpu_type_can_be_accepted() -> None:
    """seed row S03: p3.2xlarge, which EC2 no longer describes, can still be used."""
    spec = pool(GUIDE_GPU, machine_types=["p3.2xlarge"], accept_withdrawn=True)
    assert node_pool(spec).one("NodeGroup").inputs["instanceTypes"] == ["p3.2xlarge"]
    with pytest.raises(pulumi.RunError, match="withdrawn"):
        node_pool(pool(GUIDE_GPU, machine_types=["p3.2xlarge"]))


def test_gpu_nodes_have_the_guides_taint_and_cpu_nodes_have_none() -> None:
    """seed row S07: nvidia.com/gpu=true:NoSchedule."""
    taints = node_pool(GUIDE_GPU).one("NodeGroup").inputs["taints"]
    assert taints == [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]


def test_the_groups_tags_describe_the_node_that_it_would_add() -> None:
    """seed row S04: scaling from zero uses labels, taints and storage in the group's tags."""
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
    """seed row S04: the tags follow from the pool."""
    extra = {"key": "team", "value": "vision", "effect": "NoExecute"}
    made = node_pool(pool(GUIDE_GPU, labels={"workload": "gpu-training", "tier": "gold"}, taints=[extra]))
    group, tags = made.one("NodeGroup"), autoscaler_tags(made)
    template = "k8s.io/cluster-autoscaler/node-template"
    assert {f"{template}/label/{k}": v for k, v in group.inputs["labels"].items()}.items() <= tags.items()
    effects = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute"}
    for taint in group.inputs["taints"]:
        assert tags[f"{template}/taint/{taint['key']}"] == f"{taint['value']}:{effects[taint['effect']]}"


def test_a_gpu_node_has_the_guides_ephemeral_storage() -> None:
    """seed row S10: request 50Gi and limit 100Gi fit on the local disk that holds the pods."""
    made = node_pool(GUIDE_GPU)
    disk = made.one("LaunchTemplate").inputs["blockDeviceMappings"][0]["ebs"]
    promised = autoscaler_tags(made)["k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage"]
    nvme_gib = 450 * 10**9 // 2**30
    assert promised.endswith("Gi") and 100 <= int(promised[:-2]) < nvme_gib
    assert disk["encrypted"] == "true"


def test_pods_cannot_reach_the_instance_metadata() -> None:
    options = node_pool(GUIDE_CPU).one("LaunchTemplate").inputs["metadataOptions"]
    assert options["httpTokens"] == "required" and options["httpPutResponseHopLimit"] == 1


def test_instances_have_the_pools_name() -> None:
    specifications = node_pool(GUIDE_GPU).one("LaunchTemplate").inputs["tagSpecifications"]
    by_kind = {found["resourceType"]: found["tags"] for found in specifications}
    assert by_kind["instance"]["gpuyard.dev/pool"] == "gpu-workers"
    assert {"instance", "volume"} <= set(by_kind)


def test_an_update_respects_disruption_budgets() -> None:
    """containers-roadmap#1282: a forced update deletes pods that a PodDisruptionBudget protects."""
    assert not node_pool(GUIDE_CPU).one("NodeGroup").inputs.get("forceUpdateVersion")


def test_the_group_references_the_version_of_its_template() -> None:
    made = node_pool(GUIDE_GPU)
    group, template = made.one("NodeGroup"), made.one("LaunchTemplate")
    assert group.inputs["launchTemplate"] == {"id": template.id, "version": "1"}


def test_each_capacity_type_has_a_group_and_the_last_one_has_the_minimum() -> None:
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
    made = node_pool(pool(GUIDE_GPU, zones=["us-east-1b"]), subnet_ids=dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"])))
    assert made.one("NodeGroup").inputs["subnetIds"] == ["subnet-2"]
    assert "subnetIds" not in made.one("NodeGroup").options["ignoreChanges"], "other subnets are other nodes"


def test_a_taint_may_have_no_value() -> None:
    made = node_pool(pool(GUIDE_CPU, taints=[{"key": "dedicated", "effect": "NoSchedule"}]))
    assert made.one("NodeGroup").inputs["taints"] == [{"key": "dedicated", "value": "", "effect": "NO_SCHEDULE"}]
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/taint/dedicated"] == ":NoSchedule"


def test_local_disks_are_the_pods_ephemeral_storage() -> None:
    """seed row S10: user data creates a RAID 0, and the autoscaler's tags have the size."""
    made = node_pool(pool(GUIDE_GPU, machine_types=["g6.48xlarge"]))
    given = made.one("LaunchTemplate").inputs["userData"]
    assert base64.b64decode(given).decode() == user_data.render(
        "al2023", scratch=True, gpus=True, settings=image_pull.GATE
    )
    promised = autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/ephemeral-storage"]
    assert promised == f"{int(7520 * 10**9 / 2**30 * 0.9) - 3}Gi"


@pytest.mark.parametrize("changes", [{"machine_types": ["p3.2xlarge"], "accept_withdrawn": True}, {"scratch": False}])
def test_without_local_disks_the_root_volume_is_the_pods_ephemeral_storage(changes: dict[str, Any]) -> None:
    """seed row S10: the guide's 100Gi fit."""
    made = node_pool(pool(GUIDE_GPU, **changes))
    template = made.one("LaunchTemplate").inputs
    assert "localStorage" not in base64.b64decode(template["userData"]).decode()
    assert template["blockDeviceMappings"][0]["ebs"]["volumeSize"] == 200
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/ephemeral-storage"] == "177Gi"


def test_with_several_machine_types_the_smallest_local_disk_counts() -> None:
    made = node_pool(pool(GUIDE_GPU, machine_types=["g6.2xlarge", "g5.4xlarge"]))
    promised = autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/ephemeral-storage"]
    assert promised == f"{int(450 * 10**9 / 2**30 * 0.9) - 3}Gi"


def test_a_pool_without_a_subnet_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match=r"subnet_ids = \{\}: no zone has a subnet for nodes"):
        node_pool(GUIDE_CPU, subnet_ids={})


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"cluster_name": "train"}, "cluster_name = .*unknown key"),
        ({"cluster": None}, "cluster = None: missing"),
        ({"subnet_ids": ["subnet-1"]}, "subnet_ids = .*not a map"),
        ({"pool": {**GUIDE_CPU, "capacities": ["spot"]}}, r"pool\.capacities = (.|\n)*fix: write `?capacity`?"),
        ({"sizes": {"gpu": -1}}, r"sizes\.gpu = -1: must not be negative"),
        ({"node_role_arn": "nodes"}, "node_role_arn = 'nodes': not the ARN of a role"),
        ({"pool": {**GUIDE_CPU, "max": None}}, r"pool\.max = None: missing"),
    ],
)
def test_a_wrong_argument_of_a_pool_is_one_clear_error(args: dict[str, Any], words: str) -> None:
    with pytest.raises(pulumi.RunError, match=words):
        node_pool(GUIDE_CPU, **args)


def args_of(spec: NodePoolSpec, *zones: str, **changes: Any) -> Any:
    """Arguments of a pool in these zones; to be built inside a program."""
    subnets = {zone: f"subnet-{zone[-1]}" for zone in zones}
    role = "arn:aws:iam::123456789012:role/nodes"
    return {"pool": spec, "cluster": "train", "subnet_ids": subnets, "node_role_arn": role, **changes}


def test_a_size_must_be_known_when_the_arguments_are_checked() -> None:
    def program() -> None:
        spec = pool(GUIDE_CPU, max=pulumi.Output.from_input(3))
        EksNodePool("cpu", args_of(spec, AWS_ZONES[0]), aws_options())

    with pytest.raises(pulumi.RunError, match=r"pool\.max = 'an Output'"):
        run(program)


def test_the_cluster_can_be_an_output() -> None:
    def program() -> None:
        later = pulumi.Output.from_input("later")
        EksNodePool("gpu", args_of(GUIDE_GPU, AWS_ZONES[0], cluster=later), aws_options())

    made = run(program)
    assert made.one("NodeGroup").inputs["clusterName"] == "later"
    assert autoscaler_tags(made)["k8s.io/cluster-autoscaler/later"] == "owned"
    assert made.one("LaunchTemplate").inputs["tags"]["Name"] == "later-gpu"


def test_the_node_groups_are_attributes_of_the_pool() -> None:
    groups: list[str] = []

    def program() -> None:
        made = EksNodePool("cpu", args_of(pool(GUIDE_CPU, capacity=["spot", "on_demand"]), *AWS_ZONES), aws_options())
        groups.extend(made.node_groups)
        pulumi.export("name", made.node_groups["cpu-us-east-1a"].node_group_name)

    assert run(program).exports["name"]
    assert groups == [f"cpu{rung}-{zone}" for rung in ("-spot", "") for zone in AWS_ZONES]
