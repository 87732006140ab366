"""Add-ons on EKS: chart values that place pods on the right nodes, pinned charts, and their mirrors."""

from __future__ import annotations

import hashlib
from typing import Any

import pulumi
import pytest

from components import versions
from components.aws.dcgm_exporter import DcgmExporter
from components.aws.device_plugin import NvidiaDevicePlugin
from components.aws.efa_plugin import EfaDevicePlugin
from components.pools import NodePoolSpec
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record, recorded, settings
from tests.component.helm_releases import POOLS, RELEASE, release, stack_of
from tests.component.stage import GUIDE_CPU, GUIDE_GPU, aws_options, pool

GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
EFA_POOL = pool(GUIDE_GPU, machine_types=["p5.48xlarge"], interconnect=True, zones=["us-east-1a"])
BOTTLEROCKET = pool(GUIDE_GPU, image="bottlerocket")


def device_plugin(pools: dict[str, NodePoolSpec], **args: Any) -> Recording:
    """A recorded NvidiaDevicePlugin."""
    return run(lambda: NvidiaDevicePlugin("plugin", {"node_pools": pools, **args}, aws_options()))  # type: ignore[typeddict-item]


def exporter(pools: dict[str, NodePoolSpec], **args: Any) -> Recording:
    """A recorded DcgmExporter."""
    return run(lambda: DcgmExporter("exporter", {"node_pools": pools, **args}, aws_options()))  # type: ignore[typeddict-item]


def efa_plugin(pools: dict[str, NodePoolSpec], **args: Any) -> Recording:
    """A recorded EfaDevicePlugin."""
    return run(lambda: EfaDevicePlugin("efa", {"node_pools": pools, **args}, aws_options()))  # type: ignore[typeddict-item]


@pytest.mark.parametrize("installed", [device_plugin, exporter])
def test_gpu_daemon_sets_run_on_gpu_nodes_whatever_the_value_of_their_taint(installed: Any) -> None:
    """seed rows S05, S07 and S18: by label, and by `Exists`; the charts' own defaults place no pod on EKS."""
    values = release(installed(POOLS))["values"]
    assert values["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert values["tolerations"] == [GPU_TOLERATION]


@pytest.mark.parametrize("installed", [device_plugin, exporter])
def test_an_additional_taint_of_a_pool_is_tolerated_automatically(installed: Any) -> None:
    """seed row S07"""
    own = {"key": "team", "value": "vision", "effect": "NoExecute"}
    pools = {**POOLS, "vision": pool(GUIDE_GPU, taints=[own]), "web": pool(GUIDE_CPU, taints=[{**own, "key": "web"}])}
    tolerations = release(installed(pools))["values"]["tolerations"]
    assert {"key": "team", "operator": "Exists", "effect": "NoExecute"} in tolerations
    assert GPU_TOLERATION in tolerations
    assert all(found["key"] != "web" for found in tolerations), "a taint of a pool without GPUs is none of its business"


def test_the_device_plugin_does_not_run_on_images_that_include_one() -> None:
    """seed row S05: Bottlerocket's plugin and a second one conflict; the plugin does not tolerate the taints of such a
    pool."""
    own = {"key": "team", "value": "vision", "effect": "NoSchedule"}
    values = release(device_plugin({**POOLS, "rocket": pool(BOTTLEROCKET, taints=[own])}))["values"]
    required = values["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": "gpuyard.dev/image", "operator": "NotIn", "values": ["bottlerocket"]}]}
    ]
    assert values["tolerations"] == [GPU_TOLERATION]


def test_the_exporter_runs_on_every_image() -> None:
    """seed row S18: GPUs of Bottlerocket nodes have metrics as well; there, a mount over a file of the image fails."""
    own = {"key": "team", "value": "vision", "effect": "NoSchedule"}
    values = release(exporter({**POOLS, "rocket": pool(BOTTLEROCKET, taints=[own])}))["values"]
    assert "affinity" not in values and "runtimeClassName" not in values
    assert {"key": "team", "operator": "Exists", "effect": "NoSchedule"} in values["tolerations"]
    (mount,) = values["extraVolumeMounts"]
    assert "subPath" not in mount and not mount["mountPath"].startswith("/etc/dcgm-exporter")
    assert values["arguments"] == ["-f", f"{mount['mountPath']}/default-counters.csv"]


def test_the_efa_plugin_runs_on_the_nodes_of_pools_with_interconnect_and_no_others() -> None:
    """The plugin selects nodes by label, overrides the chart's list of types (it lacks newer ones), and tolerates only
    the taints of these pools."""
    own = {"key": "team", "value": "research", "effect": "NoExecute"}
    pools = {
        **POOLS,
        "efa": pool(EFA_POOL, taints=[own]),
        "hpc": pool(GUIDE_CPU, machine_types=["c6in.32xlarge"], interconnect=True, zones=["us-east-1a"]),
        "plain": pool(GUIDE_GPU, machine_types=["p4d.24xlarge"], taints=[{**own, "key": "other"}]),
    }
    values = release(efa_plugin(pools))["values"]
    assert values["nodeSelector"] == {"gpuyard.dev/interconnect": "efa"}
    assert values["supportedInstanceLabels"] == {
        "keys": ["node.kubernetes.io/instance-type"],
        "values": ["c6in.32xlarge", "p5.48xlarge"],
    }
    assert values["tolerations"] == [GPU_TOLERATION, {"key": "team", "operator": "Exists", "effect": "NoExecute"}]


@pytest.mark.slow
def test_the_device_plugin_passes_gpus_as_volume_mounts() -> None:
    """field case A0: by volume mounts, for which the chart gives the plugin permissions unless a setting overrides
    them. The plugin also passes devices through the kubelet, so that running containers keep their GPUs
    (amazon-eks-ami#2428, k8s-device-plugin#145)."""
    values = release(device_plugin(POOLS))["values"]
    assert (values["deviceListStrategy"], values["compatWithCPUManager"]) == ("volume-mounts", True)
    assert "securityContext" not in values


def test_a_stack_installs_the_device_plugins_that_its_pools_need() -> None:
    """seed row S05: no DaemonSet without nodes and no pool without its plugin; each depends only on its pools."""
    efa = {"machineTypes": ["p5.48xlarge"], "min": 0, "max": 4, "interconnect": True, "zones": ["us-east-1a"]}
    rocket = {"machineTypes": ["g6.2xlarge"], "min": 0, "max": 4, "image": "bottlerocket"}

    def plugins(made: Recording) -> set[str]:
        charts = {found.inputs["name"] for found in made.all(RELEASE)}
        return charts & {"nvidia-device-plugin", "aws-efa-k8s-device-plugin"}

    both = stack_of(efa=efa, rocket=rocket)
    assert plugins(both) == {"nvidia-device-plugin", "aws-efa-k8s-device-plugin"}
    for name in ("nvidia-device-plugin-release", "efa-device-plugin-release"):
        assert both.must_outlive(both.one("NodeGroup", "efa-us-east-1a"), both.one(RELEASE, name)), name
        assert not both.must_outlive(both.one("NodeGroup", "rocket-us-east-1a"), both.one(RELEASE, name)), name
    assert both.must_outlive(both.one("NodeGroup", "rocket-us-east-1a"), both.one(RELEASE, "dcgm-exporter-release"))
    assert plugins(stack_of(rocket=rocket)) == set()
    assert plugins(stack_of(rocket={**rocket, **efa})) == {"aws-efa-k8s-device-plugin"}
    config = {**settings("dev"), "gpuyard:addons": {"efaPlugin": False}}
    config["gpuyard:nodePools"] = {**config["gpuyard:nodePools"], "efa": efa}
    assert plugins(record(config, "dev")) == {"nvidia-device-plugin"}


@pytest.mark.parametrize(
    ("installed", "chart"),
    [
        (device_plugin, "NVIDIA_DEVICE_PLUGIN"),
        (efa_plugin, "EFA_DEVICE_PLUGIN"),
        (exporter, "DCGM_EXPORTER"),
    ],
)
def test_charts_are_pinned_and_pulled_from_their_repository(installed: Any, chart: str) -> None:
    """seed rows S05 and S18: chart `dcgm-exporter` of NVIDIA's repository."""
    wanted = getattr(versions, chart)
    inputs = release(installed(POOLS))
    assert (inputs["chart"], inputs["version"]) == (wanted.name, wanted.version)
    assert inputs["repositoryOpts"] == {"repo": wanted.repository}


def test_the_device_plugin_is_in_a_namespace_that_its_chart_accepts() -> None:
    """seed row S05"""
    made = device_plugin(POOLS)
    assert release(made)["namespace"] == "nvidia-device-plugin"
    labels = made.one("Namespace").inputs["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "privileged"


def test_the_exporters_memory_grows_with_the_gpus_of_the_largest_node() -> None:
    """seed row S18: with eight GPUs, a pod with the chart's 512Mi ran out of memory (dcgm-exporter#702)."""

    def limit(pools: dict[str, NodePoolSpec]) -> int:
        return int(release(exporter(pools))["values"]["resources"]["limits"]["memory"].removesuffix("Mi"))

    eight = limit({**POOLS, "big": pool(GUIDE_GPU, machine_types=["p5.48xlarge"])})
    assert eight >= 1024 and eight > limit(POOLS)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_add_on_of_eks_overwrites_what_differs(stack: str) -> None:
    """amazon-vpc-cni-k8s#2607: "Will not continue due to resolve conflicts mode"."""
    made = recorded(stack).all("aws:eks/addon:Addon")
    modes = {(each.inputs["resolveConflictsOnCreate"], each.inputs["resolveConflictsOnUpdate"]) for each in made}
    assert len(made) > 5 and modes == {("OVERWRITE", "OVERWRITE")}


def test_the_exporters_liveness_check_allows_slow_answers() -> None:
    """dcgm-exporter#23: the default liveness check restarts the exporter after three answers that take longer than a
    second."""
    probe = release(exporter(POOLS))["values"]["livenessProbe"]
    assert probe["initialDelaySeconds"] > 45 and probe["periodSeconds"] > 5


def test_the_exporter_has_a_service_monitor_only_with_prometheus() -> None:
    """seed row S18"""
    assert release(exporter(POOLS, scrape=True))["values"]["serviceMonitor"] == {"enabled": True, "honorLabels": True}
    assert release(exporter(POOLS))["values"]["serviceMonitor"]["enabled"] is False


@pytest.mark.parametrize(
    ("mirror", "chart", "repository"),
    [
        ("https://charts.example.com", "nvidia-device-plugin", {"repo": "https://charts.example.com"}),
        ("oci://registry.example.com/charts", "oci://registry.example.com/charts/nvidia-device-plugin", None),
    ],
)
def test_a_mirror_replaces_the_charts_repository(mirror: str, chart: str, repository: Any) -> None:
    inputs = release(device_plugin(POOLS, charts={"mirror": mirror}))
    assert (inputs["chart"], inputs.get("repositoryOpts")) == (chart, repository)


def test_a_mirror_folder_serves_packed_and_unpacked_charts(tmp_path: Any) -> None:
    (tmp_path / "nvidia-device-plugin").mkdir()
    assert release(device_plugin(POOLS, charts={"mirror": str(tmp_path)}))["chart"] == str(
        tmp_path / "nvidia-device-plugin"
    )
    packed = tmp_path / f"nvidia-device-plugin-{versions.NVIDIA_DEVICE_PLUGIN.version}.tgz"
    packed.touch()
    assert release(device_plugin(POOLS, charts={"mirror": str(tmp_path)}))["chart"] == str(packed)


def test_a_chart_with_another_digest_is_refused(tmp_path: Any) -> None:
    """security case M10: by digest, from a folder and from an OCI registry."""
    packed = tmp_path / f"nvidia-device-plugin-{versions.NVIDIA_DEVICE_PLUGIN.version}.tgz"
    packed.write_bytes(b"chart")
    right = f"sha256:{hashlib.sha256(b'chart').hexdigest()}"
    found = release(device_plugin(POOLS, charts={"mirror": str(tmp_path), "digests": {"nvidia-device-plugin": right}}))
    assert found["chart"] == str(packed)
    packed.write_bytes(b"another")
    with pytest.raises(pulumi.RunError, match="is another chart"):
        device_plugin(POOLS, charts={"mirror": str(tmp_path), "digests": {"nvidia-device-plugin": right}})
    oci = {"mirror": "oci://registry.example.com/charts", "digests": {"nvidia-device-plugin": right}}
    assert release(device_plugin(POOLS, charts=oci))["chart"].endswith(f"/nvidia-device-plugin@{right}")
