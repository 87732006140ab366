"""Machines become nodes, GPUs are advertised only by a plugin, pods are scheduled as in the guide."""

from __future__ import annotations

import time
from dataclasses import replace

from sandbox.cluster.api import Api
from sandbox.cluster.cloud import MOUNTS, Taint
from sandbox.cluster.controller import Controller
from sandbox.cluster.nodes import EFA, GPU, is_ready
from sandbox.tests.cluster.conftest import Pods, wait
from sandbox.tests.cluster.fake_fleet import FakeFleet
from sandbox.workload import plain_pod, training_spec

PLUGIN = {"app.kubernetes.io/name": "nvidia-device-plugin"}


def device_plugin(pods: Pods, node: str) -> None:
    """A pod of a device plugin's DaemonSet on the node."""
    spec = {"nodeName": node, "tolerations": [{"operator": "Exists"}]}
    pods.make("plugin", spec, labels=PLUGIN)
    pods.running("plugin")


def gpu_node(api: Api, fleet: FakeFleet) -> str:
    """One ready node of the GPU pool."""
    fleet.change("asg-gpu", desired=1)
    return wait(lambda: next(iter(ready_nodes(api, "gpu-workers")), None), "a GPU node")


def ready_nodes(api: Api, pool: str) -> list[str]:
    nodes = api.list("/api/v1/nodes", labelSelector=f"gpuyard.dev/pool={pool}")
    return [node["metadata"]["name"] for node in nodes if is_ready(node)]


def gpus(api: Api, node: str) -> str | None:
    return (api.get(f"/api/v1/nodes/{node}") or {"status": {}})["status"].get("allocatable", {}).get("nvidia.com/gpu")


def test_a_machine_becomes_a_node_with_its_groups_labels_taints_and_provider_id(
    api: Api, fleet: FakeFleet, controllers: Controller
) -> None:
    """seed rows S02, S03, S07: two CPU nodes, and a GPU node with the guide's label and taint."""
    wait(lambda: len(ready_nodes(api, "cpu-workers")) == 2, "two CPU nodes")
    node = api.request("GET", f"/api/v1/nodes/{gpu_node(api, fleet)}")
    assert node["metadata"]["labels"]["workload"] == "gpu-training"
    assert {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"} in node["spec"]["taints"]
    assert node["spec"]["providerID"].startswith("aws:///us-east-1a/i-")
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.0+sandbox"
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == "g6.2xlarge"


def test_a_node_advertises_its_gpu_only_while_a_device_plugin_pod_runs_on_it(
    api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """seed row S05: without the plugin the training pod stays pending; with it the pod runs; after its deletion, the
    node has no GPU."""
    node = gpu_node(api, fleet)
    pods.make("train", training_spec())
    assert "Insufficient nvidia.com/gpu" in pods.unschedulable("train")
    assert gpus(api, node) is None
    device_plugin(pods, node)
    wait(lambda: gpus(api, node) == "1", "the GPU")
    assert pods.running("train")["spec"]["nodeName"] == node
    api.delete(f"{pods.path}/plugin")
    wait(lambda: gpus(api, node) is None, "the end of the GPU")


UNPRIVILEGED = {"capabilities": {"drop": ["ALL"]}}
BY_MOUNTS = {"env": [{"name": "DEVICE_LIST_STRATEGY", "value": "volume-mounts"}]}
SYS_ADMIN = {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}


def plugin_of(pods: Pods, node: str, **container: object) -> None:
    """A device plugin's pod whose container has these settings."""
    plugin = {"name": "plugin", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.20.0", **container}
    pods.make("plugin", {"nodeName": node, "tolerations": [{"operator": "Exists"}], "containers": [plugin]})


def test_a_plugin_without_access_to_gpus_crashes_and_advertises_none(
    api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """field case A0: the chart's default on an image from v20260423 on (amazon-eks-ami#2706)."""
    fleet.device_lists = frozenset({MOUNTS})
    node = gpu_node(api, fleet)
    plugin_of(pods, node, securityContext=UNPRIVILEGED)

    def crashed() -> str:
        states = (pods.get("plugin") or {"status": {}})["status"].get("containerStatuses") or [{"state": {}}]
        return states[0]["state"].get("waiting", {}).get("reason", "")

    wait(lambda: crashed() == "CrashLoopBackOff", "the crash")
    assert gpus(api, node) is None


def test_a_pod_gets_its_gpus_only_in_a_way_that_its_node_accepts(
    api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """field case A0: with the capability alone the node advertises its GPU, but no training program finds it; with
    mounts an unprivileged pod runs."""
    fleet.device_lists = frozenset({MOUNTS})
    node = gpu_node(api, fleet)
    plugin_of(pods, node, **SYS_ADMIN)
    wait(lambda: gpus(api, node) == "1", "the GPU")
    pods.make("blind", training_spec())
    ended = wait(lambda: (pod := pods.get("blind")) and pod["status"].get("phase") == "Failed" and pod, "its end")
    assert "libnvidia-ml" in ended["status"]["containerStatuses"][0]["state"]["terminated"]["message"]
    api.delete(f"{pods.path}/plugin")
    wait(lambda: gpus(api, node) is None and pods.get("plugin") is None, "the end of the plugin")
    plugin_of(pods, node, **BY_MOUNTS, **SYS_ADMIN)
    pods.make("sees", training_spec())
    assert pods.running("sees")["spec"]["nodeName"] == node
    time.sleep(2)
    assert (pods.get("sees") or {})["status"]["phase"] == "Running"


def test_the_clouds_own_plugin_needs_no_pod(api: Api, fleet: FakeFleet, controllers: Controller) -> None:
    """seed row S05: on GKE the cloud itself advertises the GPU."""
    fleet.gpu_ready_by = "cloud"
    node = gpu_node(api, fleet)
    assert gpus(api, node) == "1"


def test_bottlerocket_advertises_its_gpus_without_any_pod(api: Api, fleet: FakeFleet, controllers: Controller) -> None:
    """seed row S05: its device plugin is a service of the system."""
    fleet.gpu_ready_by = "image"
    node = gpu_node(api, fleet)
    wait(lambda: gpus(api, node) == "1", "the GPU")


def test_efa_interfaces_are_advertised_only_while_the_efa_plugin_runs_on_the_node(
    api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """NVIDIA's plugin does not advertise EFA interfaces, and AWS's plugin does not advertise GPUs, although the name of
    one ends with that of the other."""
    template = fleet.groups()[1].template
    fleet.change("asg-gpu", template=replace(template, resources={**template.resources, EFA: "4"}))
    node = gpu_node(api, fleet)

    def shown() -> dict[str, str]:
        found = api.request("GET", f"/api/v1/nodes/{node}")["status"]["allocatable"]
        return {resource: found[resource] for resource in (GPU, EFA) if resource in found}

    image = "602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin:v0.5.20"
    spec = {
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "efa", "image": image}],
    }
    assert shown() == {}
    pods.make("efa", spec)
    pods.running("efa")
    wait(lambda: shown() == {EFA: "4"}, "the interfaces alone")
    device_plugin(pods, node)
    wait(lambda: shown() == {EFA: "4", GPU: "1"}, "the GPU as well")
    api.delete(f"{pods.path}/efa")
    wait(lambda: shown() == {GPU: "1"}, "the end of the interfaces")


def test_the_training_pod_lands_on_the_tainted_node_and_a_plain_pod_never_does(
    api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """seed rows S07, S08, S09, S10: taint, toleration, affinity, requests and ephemeral storage of the guide."""
    node = gpu_node(api, fleet)
    device_plugin(pods, node)
    pods.make("train", training_spec())
    assert pods.running("train")["spec"]["nodeName"] == node
    pods.make("plain", plain_pod("plain")["spec"])
    assert pods.running("plain")["spec"]["nodeName"] in ready_nodes(api, "cpu-workers")
    pods.make("stubborn", {**plain_pod("stubborn")["spec"], "nodeSelector": {"workload": "gpu-training"}})
    assert "untolerated taint" in pods.unschedulable("stubborn")


def test_a_pod_that_requests_a_gpu_gets_the_toleration_automatically(
    api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """seed row S07: ExtendedResourceToleration is on, as in both clouds."""
    limits = {"nvidia.com/gpu": "1"}
    pod = pods.make("asks", {"containers": [{"name": "a", "image": "a", "resources": {"limits": limits}}]})
    assert {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod["spec"]["tolerations"]


def test_the_node_and_pods_of_a_lost_machine_are_deleted(
    api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods
) -> None:
    """seed row S12: no pod remains for a machine that is gone."""
    node = gpu_node(api, fleet)
    device_plugin(pods, node)
    machine = next(m for m in fleet.machines() if m.node_name == node)
    fleet.remove(machine.id)
    wait(lambda: api.get(f"/api/v1/nodes/{node}") is None, "the end of the node")
    wait(lambda: pods.get("plugin") is None, "the end of its pod", 10)


def test_labels_and_taints_that_the_group_changes_reach_its_nodes(
    api: Api, fleet: FakeFleet, controllers: Controller
) -> None:
    """Both clouds change them in place; labels and taints of other programs are kept."""
    name = wait(lambda: next(iter(ready_nodes(api, "cpu-workers")), None), "a CPU node")
    api.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {"mine": "stays"}}})
    fleet.restyle(name, labels={"gpuyard.dev/pool": "renamed"}, taints=(Taint("busy", "", "NoSchedule"),))

    def changed() -> bool:
        found = api.request("GET", f"/api/v1/nodes/{name}")
        tainted = any(taint["key"] == "busy" for taint in found["spec"].get("taints", []))
        labels = found["metadata"]["labels"]
        return tainted and labels["gpuyard.dev/pool"] == "renamed" and labels["mine"] == "stays"

    wait(changed, "the new labels and taints", 10)
