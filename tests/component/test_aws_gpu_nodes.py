"""What an EKS pool makes of its GPUs, its disk and its health: sharing, fast image pulls, repair."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from components.aws.device_plugin import NvidiaDevicePlugin
from components.pools import NodePoolSpec
from recording.recorder import run
from recording.stacks import record, settings
from tests.component.eks_pools import TEMPLATE_TAG, autoscaler_tags, node_pool
from tests.component.helm_releases import POOLS, RELEASE, release
from tests.component.stage import aws_options, pool

L4: NodePoolSpec = {"machine_types": ["g6.2xlarge"], "min": 0, "max": 4}
SLICED = {"strategy": "time_sharing", "clients": 4}
MPS = {"strategy": "mps", "clients": 2}


def device_plugin(**pools: NodePoolSpec) -> dict[str, Any]:
    """Values of the device plugin's release."""
    args: Any = {"node_pools": {**POOLS, **pools}}
    return release(run(lambda: NvidiaDevicePlugin("plugin", args, aws_options())))["values"]


def test_each_way_of_sharing_is_a_configuration_that_nodes_name_in_a_label() -> None:
    """Two pools that share in one way have one configuration."""
    values = device_plugin(a=pool(L4, sharing=SLICED), b=pool(L4, sharing=SLICED), c=pool(L4, sharing=MPS))
    assert {*values["config"]["map"]} == {"default", "time-sharing-4", "mps-2"}
    assert values["config"]["default"] == "default"
    assert yaml.safe_load(values["config"]["map"]["time-sharing-4"])["sharing"] == {
        "timeSlicing": {"failRequestsGreaterThanOne": True, "resources": [{"name": "nvidia.com/gpu", "replicas": 4}]}
    }
    labels = node_pool(pool(L4, sharing=SLICED)).all("NodeGroup")[0].inputs["labels"]
    assert labels["nvidia.com/device-plugin.config"] == "time-sharing-4"
    assert "nvidia.com/mps.capable" not in labels


def test_the_mps_daemon_runs_where_a_pool_shares_by_mps() -> None:
    """The chart starts it by a label of the node, and gives it the plugin's memory limit."""
    labels = node_pool(pool(L4, sharing=MPS)).all("NodeGroup")[0].inputs["labels"]
    assert labels["nvidia.com/mps.capable"] == "true"
    assert "limits" not in device_plugin(a=pool(L4, sharing=MPS))["resources"]


def test_without_sharing_the_plugin_has_one_configuration() -> None:
    """A release that exists does not change."""
    values = device_plugin(rocket=pool(L4, image="bottlerocket", sharing=SLICED))
    assert "config" not in values and values["resources"]["limits"] == {"memory": "256Mi"}


def test_bottlerocket_shares_and_partitions_by_its_own_settings() -> None:
    """A shared GPU keeps its name there, so that pods request the same resource on every image."""
    spec = pool(L4, machine_types=["p4d.24xlarge"], image="bottlerocket", partition="1g.5gb", sharing=SLICED)
    text = base64.b64decode(node_pool(spec).one("LaunchTemplate").inputs["userData"]).decode()
    assert 'device-partitioning-strategy = "mig"' in text and '"a100.40gb" = "1g.5gb"' in text
    assert 'device-sharing-strategy = "time-slicing"' in text
    assert "replicas = 4\nrename-by-default = false" in text
    labels = node_pool(spec).all("NodeGroup")[0].inputs["labels"]
    assert "nvidia.com/device-plugin.config" not in labels


def test_one_dcgm_owns_the_gpus_of_a_node() -> None:
    """The monitoring agent runs a host engine on every node with GPUs, and the exporter reads from it
    (containers-roadmap#2555)."""
    found = [each for each in record(settings("dev"), "dev").all(RELEASE) if each.inputs["name"] == "dcgm-exporter"]
    env = {each["name"]: each for each in found[0].inputs["values"]["extraEnv"]}
    assert env["DCGM_REMOTE_HOSTENGINE_INFO"]["value"] == "$(NODE_IP):5555"
    assert env["NODE_IP"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.hostIP"}}


def test_on_machine_types_that_the_agent_may_not_know_the_exporter_runs_its_own_dcgm() -> None:
    config = settings("dev")
    gpus = config["gpuyard:nodePools"]["gpu-workers"]
    gpus["machineTypes"] = ["g99.2xlarge"]
    gpus["machine"] = {"vcpu": 8, "memoryMib": 32768, "gpus": 1, "gpu": "L99", "gpuMemoryMib": 24576}
    found = [each for each in record(config, "dev").all(RELEASE) if each.inputs["name"] == "dcgm-exporter"]
    assert "DCGM_REMOTE_HOSTENGINE_INFO" not in [each["name"] for each in found[0].inputs["values"]["extraEnv"]]


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ({"sharing": {"strategy": "time_sharing", "clients": 4}}, "4"),
        ({"sharing": {"strategy": "mps", "clients": 6}, "image": "bottlerocket"}, "6"),
        ({"machine_types": ["p4d.24xlarge"], "image": "bottlerocket", "partition": "1g.5gb"}, "56"),
    ],
)
def test_the_autoscaler_knows_the_shared_gpus_of_an_empty_group(spec: dict[str, Any], count: str) -> None:
    """Without the tag it counts the GPUs of the machine type (cluster-autoscaler, aws_manager.go,
    buildNodeFromTemplate)."""
    assert autoscaler_tags(node_pool(pool(L4, **spec)))[f"{TEMPLATE_TAG}/resources/nvidia.com/gpu"] == count


def test_whole_gpus_need_no_tag() -> None:
    """The tags of existing groups stay as they are."""
    assert f"{TEMPLATE_TAG}/resources/nvidia.com/gpu" not in autoscaler_tags(node_pool(L4))


@pytest.mark.parametrize(
    ("spec", "fast", "throughput"),
    [
        ({}, True, 500),  # images are on local NVMe
        ({"scratch": False}, False, 500),  # 625 MB/s on EBS are too few
        ({"machine_types": ["g5g.8xlarge"]}, True, 1000),
        ({"fast_image_pull": False}, False, 500),
        ({"machine_types": ["m5.2xlarge"]}, False, 125),
    ],
)
def test_images_are_pulled_in_parallel_where_the_disk_is_fast(
    spec: dict[str, Any], fast: bool, throughput: int
) -> None:
    template = node_pool(pool(L4, **spec)).one("LaunchTemplate").inputs
    text = base64.b64decode(template.get("userData") or "").decode()
    assert ("FastImagePull: true" in text) is fast
    disk = template["blockDeviceMappings"][0]["ebs"]
    assert (disk["throughput"], disk["iops"]) == (throughput, max(3000, 4 * throughput))


def test_the_repair_of_a_pool_is_that_of_its_groups() -> None:
    repair = {"max_unhealthy_percentage": 40, "xids": {"79": "reboot", "48": "none"}, "xid_wait_minutes": 5}
    found = node_pool(pool(L4, repair=repair, zones=["us-east-1a"])).one("NodeGroup").inputs["nodeRepairConfig"]
    assert found["enabled"] is True and found["maxUnhealthyNodeThresholdPercentage"] == 40
    assert [(each["nodeUnhealthyReason"], each["repairAction"]) for each in found["nodeRepairConfigOverrides"]] == [
        ("NvidiaXID48Error", "NoAction"),
        ("NvidiaXID79Error", "Reboot"),
    ]
    assert {each["minRepairWaitTimeMins"] for each in found["nodeRepairConfigOverrides"]} == {5}
