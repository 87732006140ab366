"""What is installed in a cluster: chart values that place pods where they belong, and rights that reach no further."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components import versions
from components.addons.cluster_autoscaler import ClusterAutoscaler
from components.addons.dcgm_exporter import DcgmExporter
from components.addons.device_plugin import NvidiaDevicePlugin
from components.addons.monitoring import Monitoring
from components.pools import NodePoolSpec
from tests.component.stage import GUIDE_CPU, GUIDE_GPU, aws_options, pool
from tests.recorder import run
from tests.recording import Recording

POOLS: dict[str, NodePoolSpec] = {"cpu-workers": GUIDE_CPU, "gpu-workers": GUIDE_GPU}
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def autoscaler(**args: Any) -> Recording:
    """A recorded ClusterAutoscaler of the cluster `train`."""
    defaults = {
        "cluster": "train",
        "cluster_name": "train",
        "kubernetes_version": "1.35",
        "region": "us-east-1",
        "node_pools": POOLS,
    }
    return run(lambda: ClusterAutoscaler("cluster-autoscaler", {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


def device_plugin(pools: dict[str, NodePoolSpec], **args: Any) -> Recording:
    """A recorded NvidiaDevicePlugin."""
    return run(lambda: NvidiaDevicePlugin("plugin", {"node_pools": pools, **args}, aws_options()))  # type: ignore[typeddict-item]


def exporter(pools: dict[str, NodePoolSpec], **args: Any) -> Recording:
    """A recorded DcgmExporter."""
    return run(lambda: DcgmExporter("exporter", {"node_pools": pools, **args}, aws_options()))  # type: ignore[typeddict-item]


def release(recording: Recording) -> dict[str, Any]:
    """Inputs of the only Helm release."""
    return recording.one("kubernetes:helm.sh/v3:Release").inputs


@pytest.mark.parametrize("installed", [device_plugin, exporter])
def test_gpu_daemon_sets_run_on_gpu_nodes_whatever_the_value_of_their_taint(installed: Any) -> None:
    """seed rows S05, S07 and S18: by label, and by `Exists`; the charts' own defaults place no pod on EKS."""
    values = release(installed(POOLS))["values"]
    assert values["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert values["tolerations"] == [GPU_TOLERATION]


@pytest.mark.parametrize("installed", [device_plugin, exporter])
def test_a_taint_of_a_pools_own_is_tolerated_without_typing_it_again(installed: Any) -> None:
    """seed row S07"""
    own = {"key": "team", "value": "vision", "effect": "NoExecute"}
    pools = {**POOLS, "vision": pool(GUIDE_GPU, taints=[own]), "web": pool(GUIDE_CPU, taints=[{**own, "key": "web"}])}
    tolerations = release(installed(pools))["values"]["tolerations"]
    assert {"key": "team", "operator": "Exists", "effect": "NoExecute"} in tolerations
    assert GPU_TOLERATION in tolerations
    assert all(found["key"] != "web" for found in tolerations), "a taint of a pool without GPUs is none of its business"


@pytest.mark.parametrize(("installed", "chart"), [(device_plugin, "NVIDIA_DEVICE_PLUGIN"), (exporter, "DCGM_EXPORTER")])
def test_charts_come_pinned_from_their_own_repository(installed: Any, chart: str) -> None:
    """seed rows S05 and S18: chart `dcgm-exporter` of NVIDIA's repository."""
    wanted = getattr(versions, chart)
    inputs = release(installed(POOLS))
    assert (inputs["chart"], inputs["version"]) == (wanted.name, wanted.version)
    assert inputs["repositoryOpts"] == {"repo": wanted.repository}


def test_the_device_plugin_is_not_in_the_namespace_that_its_chart_refuses() -> None:
    """seed row S05"""
    made = device_plugin(POOLS)
    assert release(made)["namespace"] == "nvidia-device-plugin"
    labels = made.one("Namespace").inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "privileged"


def test_the_exporters_memory_grows_with_the_gpus_of_the_largest_node() -> None:
    """seed row S18: at eight GPUs the chart's 512Mi was killed (dcgm-exporter#702)."""

    def limit(pools: dict[str, NodePoolSpec]) -> int:
        return int(release(exporter(pools))["values"]["resources"]["limits"]["memory"].removesuffix("Mi"))

    eight = limit({**POOLS, "big": pool(GUIDE_GPU, machine_types=["p5.48xlarge"])})
    assert eight >= 1024 and eight > limit(POOLS)


def test_the_exporter_is_scraped_only_where_somebody_scrapes() -> None:
    """seed row S18"""
    assert release(exporter(POOLS, scrape=True))["values"]["serviceMonitor"] == {"enabled": True, "honorLabels": True}
    assert release(exporter(POOLS))["values"]["serviceMonitor"]["enabled"] is False


def test_prometheus_takes_every_monitor_and_rule_and_keeps_its_samples() -> None:
    """seed row S18: GPU metrics land in Prometheus, on a volume that survives the release."""
    values = release(run(lambda: Monitoring("monitoring", {}, aws_options())))["values"]
    spec = values["prometheus"]["prometheusSpec"]
    for kind in ("serviceMonitor", "podMonitor", "rule"):
        assert spec[f"{kind}SelectorNilUsesHelmValues"] is False
    assert spec["storageSpec"]["volumeClaimTemplate"]["spec"]["storageClassName"] == "block-fast"


def test_the_autoscaler_finds_the_clusters_groups_and_follows_its_version() -> None:
    """seed row S04"""
    values = release(autoscaler())["values"]
    assert values["autoDiscovery"] == {"clusterName": "train"} and values["awsRegion"] == "us-east-1"
    assert values["image"]["tag"] == versions.CLUSTER_AUTOSCALER_IMAGE["1.35"]
    assert values["image"]["tag"].startswith("v1.35.")
    assert values["extraArgs"]["expander"] == "least-waste"


def test_a_capacity_ladder_is_climbed_by_priority() -> None:
    """seed row S04: the first rung has the highest priority and names the group that the pool makes."""
    values = release(autoscaler(node_pools={**POOLS, "g": pool(GUIDE_GPU, capacity=["spot", "on_demand"])}))["values"]
    assert values["extraArgs"]["expander"] == "priority,least-waste"
    ranked = {pattern: int(rank) for rank, patterns in values["expanderPriorities"].items() for pattern in patterns}
    assert ranked["^eks-g-spot-.*"] > ranked["^eks-g-on-demand-.*"]


def test_the_autoscaler_may_look_anywhere_and_resize_this_clusters_groups_only() -> None:
    """seed rows S02, S03 and S04: what eksctl's --asg-access gives, without the rest of the account."""
    made = autoscaler()
    policy = json.loads(made.one("RolePolicy").inputs["policy"])
    actions = {action: found for found in policy["Statement"] for action in found["Action"]}
    for action in ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"):
        condition = actions[action]["Condition"]["StringEquals"]
        assert condition == {"autoscaling:ResourceTag/k8s.io/cluster-autoscaler/train": "owned"}
    writes = {action for action, found in actions.items() if not action.split(":")[1].startswith(("Describe", "Get"))}
    assert writes == {"autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"}


def test_the_autoscalers_pod_has_its_role_before_it_starts() -> None:
    """seed row S04"""
    made = autoscaler()
    association = made.one("PodIdentityAssociation")
    assert association.inputs["serviceAccount"] == release(made)["values"]["rbac"]["serviceAccount"]["name"]
    assert association.inputs["namespace"] == release(made)["namespace"]
    for needed in (association, made.one("RolePolicy")):
        assert made.must_outlive(needed, made.one("kubernetes:helm.sh/v3:Release")), needed


@pytest.mark.parametrize(
    ("mirror", "chart", "repository"),
    [
        ("https://charts.example.com", "nvidia-device-plugin", {"repo": "https://charts.example.com"}),
        ("oci://registry.example.com/charts", "oci://registry.example.com/charts/nvidia-device-plugin", None),
    ],
)
def test_a_mirror_replaces_the_charts_repository(mirror: str, chart: str, repository: Any) -> None:
    inputs = release(device_plugin(POOLS, chart_mirror=mirror))
    assert (inputs["chart"], inputs.get("repositoryOpts")) == (chart, repository)


def test_a_mirror_folder_serves_packed_and_unpacked_charts(tmp_path: Any) -> None:
    (tmp_path / "nvidia-device-plugin").mkdir()
    assert release(device_plugin(POOLS, chart_mirror=str(tmp_path)))["chart"] == str(tmp_path / "nvidia-device-plugin")
    packed = tmp_path / f"nvidia-device-plugin-{versions.NVIDIA_DEVICE_PLUGIN.version}.tgz"
    packed.touch()
    assert release(device_plugin(POOLS, chart_mirror=str(tmp_path)))["chart"] == str(packed)
