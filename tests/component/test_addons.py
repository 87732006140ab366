"""What is installed in a cluster: chart values that place pods where they belong, and rights that reach no further."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pulumi
import pytest

from components import versions
from components.aws.cluster_autoscaler import ClusterAutoscaler
from components.aws.dcgm_exporter import DcgmExporter
from components.aws.device_plugin import NvidiaDevicePlugin
from components.aws.efa_plugin import EfaDevicePlugin
from components.aws.node_pool import EksNodePool
from components.monitoring.prometheus_stack import Monitoring
from components.pools import NodePoolSpec
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record, recorded, settings
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, aws_options, pool

POOLS: dict[str, NodePoolSpec] = {"cpu-workers": GUIDE_CPU, "gpu-workers": GUIDE_GPU}
GPU_TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
EFA_POOL = pool(GUIDE_GPU, machine_types=["p5.48xlarge"], interconnect=True, zones=["us-east-1a"])
BOTTLEROCKET = pool(GUIDE_GPU, image="bottlerocket")
RELEASE = "kubernetes:helm.sh/v3:Release"


def autoscaler(**args: Any) -> Recording:
    """A recorded ClusterAutoscaler of the cluster `train`."""
    defaults = {
        "cluster": "train",
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


def efa_plugin(pools: dict[str, NodePoolSpec], **args: Any) -> Recording:
    """A recorded EfaDevicePlugin."""
    return run(lambda: EfaDevicePlugin("efa", {"node_pools": pools, **args}, aws_options()))  # type: ignore[typeddict-item]


def eks_pool(name: str, spec: NodePoolSpec) -> EksNodePool:
    """A pool of the cluster `train`."""
    args: Any = {
        "pool": spec,
        "cluster": "train",
        "subnet_ids": dict(zip(AWS_ZONES, ["subnet-a", "subnet-b"])),
        "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
    }
    return EksNodePool(name, args, aws_options())


def release(recording: Recording) -> dict[str, Any]:
    """Inputs of the only Helm release."""
    return recording.one(RELEASE).inputs


def stack_of(**pools: dict[str, Any]) -> Recording:
    """The development stack with its CPU pool and these pools, as they stand in its file."""
    config = settings("dev")
    pools = {"cpu-workers": config["gpuyard:nodePools"]["cpu-workers"], **pools}
    return record({**config, "gpuyard:nodePools": pools}, "dev")


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


def test_the_device_plugin_stays_off_nodes_whose_image_has_one() -> None:
    """seed row S05: Bottlerocket's own and a second one misbehave; a taint of such a pool is none of its business."""
    own = {"key": "team", "value": "vision", "effect": "NoSchedule"}
    values = release(device_plugin({**POOLS, "rocket": pool(BOTTLEROCKET, taints=[own])}))["values"]
    required = values["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert required["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": "gpuyard.dev/image", "operator": "NotIn", "values": ["bottlerocket"]}]}
    ]
    assert values["tolerations"] == [GPU_TOLERATION]


def test_the_exporter_runs_on_every_image() -> None:
    """seed row S18: GPUs of Bottlerocket nodes are measured too; a mount over a file of the image fails there."""
    own = {"key": "team", "value": "vision", "effect": "NoSchedule"}
    values = release(exporter({**POOLS, "rocket": pool(BOTTLEROCKET, taints=[own])}))["values"]
    assert "affinity" not in values and "runtimeClassName" not in values
    assert {"key": "team", "operator": "Exists", "effect": "NoSchedule"} in values["tolerations"]
    (mount,) = values["extraVolumeMounts"]
    assert "subPath" not in mount and not mount["mountPath"].startswith("/etc/dcgm-exporter")
    assert values["arguments"] == ["-f", f"{mount['mountPath']}/default-counters.csv"]


def test_the_efa_plugin_runs_on_the_nodes_of_pools_with_interconnect_and_no_others() -> None:
    """By label, by the chart's list of types (which would lack tomorrow's), and past these pools' taints only."""
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
def test_the_device_plugin_hands_out_gpus_as_the_nodes_take_them() -> None:
    """field case A0: by mounts, for which the chart gives the plugin rights unless a setting hides them. And through
    the kubelet, so that running containers keep their GPUs (amazon-eks-ami#2428, k8s-device-plugin#145)."""
    values = release(device_plugin(POOLS))["values"]
    assert (values["deviceListStrategy"], values["compatWithCPUManager"]) == ("volume-mounts", True)
    assert "securityContext" not in values


def test_a_stack_installs_the_device_plugins_that_its_pools_need() -> None:
    """seed row S05: neither a DaemonSet without nodes nor a pool without its plugin; each waits for its pools only."""
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


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_every_add_on_of_eks_overwrites_what_differs(stack: str) -> None:
    """amazon-vpc-cni-k8s#2607: "Will not continue due to resolve conflicts mode"."""
    made = recorded(stack).all("aws:eks/addon:Addon")
    modes = {(each.inputs["resolveConflictsOnCreate"], each.inputs["resolveConflictsOnUpdate"]) for each in made}
    assert len(made) > 5 and modes == {("OVERWRITE", "OVERWRITE")}


def test_the_exporter_may_answer_late() -> None:
    """dcgm-exporter#23: three answers that took more than a second within fifteen ended it."""
    probe = release(exporter(POOLS))["values"]["livenessProbe"]
    assert probe["initialDelaySeconds"] > 45 and probe["periodSeconds"] > 5


def test_the_exporter_is_scraped_only_where_somebody_scrapes() -> None:
    """seed row S18"""
    assert release(exporter(POOLS, scrape=True))["values"]["serviceMonitor"] == {"enabled": True, "honorLabels": True}
    assert release(exporter(POOLS))["values"]["serviceMonitor"]["enabled"] is False


def test_prometheus_takes_every_monitor_and_rule_and_keeps_its_samples() -> None:
    """seed row S18: GPU metrics land in Prometheus. Field case A14: on a cheap volume, which a destroy takes along."""
    values = release(run(lambda: Monitoring("monitoring", {}, aws_options())))["values"]
    spec = values["prometheus"]["prometheusSpec"]
    for kind in ("serviceMonitor", "podMonitor", "rule"):
        assert spec[f"{kind}SelectorNilUsesHelmValues"] is False
    assert spec["storageSpec"]["volumeClaimTemplate"]["spec"]["storageClassName"] == "block"


def test_the_autoscaler_finds_the_clusters_groups_and_follows_its_version() -> None:
    """seed row S04"""
    values = release(autoscaler())["values"]
    assert values["autoDiscovery"] == {"clusterName": "train"} and values["awsRegion"] == "us-east-1"
    assert values["image"]["tag"] == versions.CLUSTER_AUTOSCALER_IMAGE["1.35"]
    assert values["image"]["tag"].startswith("v1.35.")
    assert values["extraArgs"]["expander"] == "least-waste"


def test_a_capacity_ladder_is_climbed_by_priority() -> None:
    """seed row S04: the first rung has the highest priority; each group is in the list once, for the autoscaler uses no
    group that is not. Names as EKS and the provider make them: eks-PREFIX, 26 digits, a UUID."""
    ladder = pool(GUIDE_GPU, capacity=["reserved", "spot", "on_demand"], reservation={"id": "cr-0123456789abcdef0"})
    long = "a-pool-with-a-name-of-32-letters"
    pools = {**POOLS, "gpu": ladder, "gpu-2026": GUIDE_GPU, long: pool(GUIDE_CPU, capacity=["spot", "on_demand"])}
    values = release(autoscaler(node_pools=pools))["values"]
    assert values["extraArgs"]["expander"] == "priority,least-waste"

    def priority(prefix: str) -> int:
        name = f"eks-{prefix}20261123201500123400000007-0ac1b2d3-1111-2222-3333-444455556666"
        found = [
            int(rank) for rank, patterns in values["expanderPriorities"].items() for p in patterns if re.search(p, name)
        ]
        assert len(found) == 1, (prefix, found)
        return found[0]

    assert priority("gpu-reserved-") > priority("gpu-spot-") > priority("gpu-") == priority("gpu-2026-")
    assert priority(f"{long}-") == priority("cpu-workers-") < priority("gpu-spot-")
    # A prefix may have 37 characters (63 less the provider's 26), so the rung's name is cut and gets a hash.
    groups = run(lambda: eks_pool(long, pools[long])).all("NodeGroup")
    cut = next(group.inputs["nodeGroupNamePrefix"] for group in groups if "-spot-" in group.name)
    assert len(cut) <= 37 and priority(cut) == priority("gpu-spot-")


def test_the_zones_of_a_rung_grow_evenly_and_are_found_by_label() -> None:
    """field case A4: by the autoscaler's own rules a group with nodes is unlike an empty one."""
    flags = release(autoscaler())["values"]["extraArgs"]
    assert flags["balance-similar-node-groups"] is True
    labels = {value for flag, value in flags.items() if flag.startswith("balancing-label_")}
    assert labels == {"gpuyard.dev/pool", "gpuyard.dev/capacity"}


def test_the_autoscaler_leaves_running_gpus_alone_and_idle_ones_not() -> None:
    """seed row S04: a training run is not moved for tidiness; scratch volumes and system pods keep no node; one pool's
    scale-up does not keep another's idle nodes; a CSI driver's startup taint is not taken for lasting."""
    flags = release(autoscaler(scale_down_after_minutes=5))["values"]["extraArgs"]
    assert flags["scale-down-gpu-utilization-threshold"] == 0
    assert flags["skip-nodes-with-local-storage"] is False and flags["skip-nodes-with-system-pods"] is False
    assert flags["scale-down-delay-type-local"] is True
    assert flags["scale-down-unneeded-time"] == "5m"
    taints = {value for flag, value in flags.items() if flag.startswith("startup-taint_")}
    assert taints == {f"{driver}.csi.aws.com/agent-not-ready" for driver in ("ebs", "efs", "fsx", "s3")}


def test_prometheus_scrapes_the_autoscaler_which_does_not_wait_for_it() -> None:
    """seed rows S04 and S18: Prometheus may need a node that only the autoscaler brings."""
    made = stack_of(gpu={"machineTypes": ["g6.2xlarge"], "min": 0, "max": 4})
    autoscaler_, prometheus = made.one(RELEASE, "cluster-autoscaler-release"), made.one(RELEASE, "monitoring-release")
    assert not made.must_outlive(prometheus, autoscaler_)
    (monitor,) = prometheus.inputs["values"]["prometheus"]["additionalServiceMonitors"]
    assert monitor["namespaceSelector"]["matchNames"] == [autoscaler_.inputs["namespace"]]
    labels = monitor["selector"]["matchLabels"]
    assert labels["app.kubernetes.io/instance"] == autoscaler_.inputs["name"]
    # The chart's own name for it: cloud provider and chart.
    assert labels["app.kubernetes.io/name"] == f"{autoscaler_.inputs['values']['cloudProvider']}-cluster-autoscaler"
    alone = release(run(lambda: Monitoring("monitoring", {}, aws_options())))["values"]
    assert alone["prometheus"]["additionalServiceMonitors"] == []


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


def test_a_chart_is_the_one_that_was_looked_at(tmp_path: Any) -> None:
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


def test_the_autoscalers_pod_is_restricted() -> None:
    """security case M15: what the chart offers, as the Pod Security Standards call it."""
    values = release(autoscaler())["values"]
    pod, container = values["securityContext"], values["containerSecurityContext"]
    assert pod["runAsNonRoot"] is True and pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False and container["capabilities"] == {"drop": ["ALL"]}


def test_only_node_exporter_may_look_at_nodes() -> None:
    """security case M14: a separate namespace, before the release; the other pods are restricted."""
    made = run(lambda: Monitoring("monitoring", {}, aws_options()))
    labels = {each.inputs["metadata"]["name"]: each.inputs["metadata"]["labels"] for each in made.all("Namespace")}
    levels = {name: found["pod-security.kubernetes.io/enforce"] for name, found in labels.items()}
    assert levels == {"monitoring": "restricted", "node-exporter": "privileged"}
    values = release(made)["values"]
    assert values["prometheus-node-exporter"]["namespaceOverride"] == "node-exporter"
    assert made.must_outlive(made.one("Namespace", "monitoring-node-exporter-namespace"), made.one(RELEASE))
    assert {"secrets", "configmaps"} <= set(values["kube-state-metrics"]["collectorsExclude"])
    for part in ("prometheus", "alertmanager", "prometheusOperator", "kube-state-metrics"):
        assert values[part]["networkPolicy"]["enabled"] is True, part


def test_no_monitor_of_a_namespace_gets_prometheus_token() -> None:
    """security case M14: monitors may name no file, and what needs the token is scraped by jobs of Prometheus' own,
    under the labels that the chart's rules ask for."""
    values = release(run(lambda: Monitoring("monitoring", {}, aws_options())))["values"]
    spec = values["prometheus"]["prometheusSpec"]
    assert spec["arbitraryFSAccessThroughSMs"] == {"deny": True}
    for part in ("kubelet", "kubeApiServer"):
        assert values[part] == {"serviceMonitor": {"enabled": False}}, "off, but its rules are not"
    jobs = {job["job_name"]: job for job in spec["additionalScrapeConfigs"]}
    assert set(jobs) == {"kubelet/metrics", "kubelet/metrics/cadvisor", "kubelet/metrics/probes", "apiserver"}
    for name, job in jobs.items():
        labels = {
            each["target_label"]: each.get("replacement") for each in job["relabel_configs"] if "target_label" in each
        }
        assert labels.get("job", name) == name.split("/")[0]
        assert {"namespace", "service", "endpoint"} <= set(labels)
        assert job["authorization"] and job["scheme"] == "https"
