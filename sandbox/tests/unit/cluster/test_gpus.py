"""How containers get GPUs: what the toolkit accepts, what the device plugin passes, and which pods fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.cluster import gpus
from sandbox.cluster.cloud import ENVVAR, MOUNTS, Machine, NodeShape

SYS_ADMIN = {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}
DROPPED = {"securityContext": {"capabilities": {"drop": ["ALL"]}}}
ONE_GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}


class Written:
    """An API that records the written statuses."""

    def __init__(self) -> None:
        self.statuses: list[dict[str, Any]] = []

    def patch(self, path: str, body: dict[str, Any], *_: Any) -> None:
        self.statuses.append(body["status"])


def machine(*ways: str) -> Machine:
    shape = NodeShape({}, (), {}, "g6.2xlarge", "us-east-1a")
    return Machine("i-1", "group", "gpu", "node", "aws:///i-1", shape, 1, "device-plugin", False, 0, frozenset(ways))


def pod(**container: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "image", **container}]}
    return {"metadata": {"name": "pod", "namespace": "default"}, "spec": spec, "status": {}}


def strategy(value: str) -> dict[str, Any]:
    return {"env": [{"name": "DEVICE_LIST_STRATEGY", "value": value}]}


@pytest.mark.parametrize(
    ("plugin", "node", "works"),
    [
        (pod(**DROPPED), machine(ENVVAR), True),
        (pod(**DROPPED), machine(MOUNTS), False),
        (pod(**SYS_ADMIN), machine(MOUNTS), True),
        (pod(securityContext={"privileged": True}), machine(MOUNTS), True),
    ],
)
def test_a_plugin_finds_the_gpus_if_the_node_accepts_its_variable(plugin: Any, node: Machine, works: bool) -> None:
    """field case A0: amazon-eks-ami#2706."""
    api: Any = Written()
    assert bool(gpus.plugins_that_work(api, [plugin], node)) is works
    states = [each["containerStatuses"][0]["state"]["waiting"]["reason"] for each in api.statuses]
    assert states == ([] if works else ["CrashLoopBackOff"])


@pytest.mark.parametrize("passes", ["", "true"])
@pytest.mark.parametrize("pinned", [False, True])
def test_the_static_cpu_manager_removes_gpus_that_the_kubelet_does_not_know(pinned: bool, passes: str) -> None:
    """k8s-device-plugin#145, amazon-eks-ami#2428: "Failed to initialize NVML: Unknown Error" in a running container."""
    api: Any = Written()
    plugin = pod(env=[*strategy("volume-mounts")["env"], {"name": "PASS_DEVICE_SPECS", "value": passes}])
    gpus.end_blind_pods(api, [pod(**ONE_GPU), pod()], [plugin], replace(machine(MOUNTS), pins_cpus=pinned))
    ended = [each["containerStatuses"][0]["state"]["terminated"]["message"] for each in api.statuses]
    assert ended == (["Failed to initialize NVML: Unknown Error"] if pinned and not passes else [])


@pytest.mark.parametrize(
    ("container", "plugin", "node", "sees"),
    [
        (ONE_GPU, {}, machine(ENVVAR), True),
        (ONE_GPU, {}, machine(MOUNTS), False),
        (ONE_GPU, strategy("volume-mounts"), machine(MOUNTS), True),
        (ONE_GPU, strategy("volume-mounts"), machine(ENVVAR), False),
        (ONE_GPU, strategy("cdi-cri,volume-mounts"), machine("cdi-cri"), True),
        ({**ONE_GPU, **SYS_ADMIN}, {}, machine(MOUNTS), True),
        ({}, {}, machine(MOUNTS), True),
    ],
)
def test_a_pod_finds_its_gpus_if_plugin_and_node_agree(
    container: dict[str, Any], plugin: dict[str, Any], node: Machine, sees: bool
) -> None:
    """field case A0: a pod without GPU requests is not changed."""
    api: Any = Written()
    gpus.end_blind_pods(api, [pod(**container)], [pod(**plugin)], node)
    assert [each["phase"] for each in api.statuses] == ([] if sees else ["Failed"])
    if not sees:
        assert "libnvidia-ml" in api.statuses[0]["containerStatuses"][0]["state"]["terminated"]["message"]


SLICED = "sharing: {timeSlicing: {failRequestsGreaterThanOne: true, resources: [{name: nvidia.com/gpu, replicas: 4}]}}"
MPS = "sharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: 2}]}}"


class Configured(Written):
    """An API that has the plugin's configurations."""

    def get(self, path: str) -> dict[str, Any]:
        assert path == "/api/v1/namespaces/default/configmaps/configs"
        return {"data": {"default": "version: v1", "sliced": SLICED, "mps": MPS}}


def configured_plugin() -> dict[str, Any]:
    found = pod()
    found["spec"]["volumes"] = [{"name": "available-configs", "configMap": {"name": "configs"}}]
    init = {"name": "init", "env": [{"name": "DEFAULT_CONFIG", "value": "default"}]}
    return {**found, "spec": {**found["spec"], "initContainers": [init]}}


@pytest.mark.parametrize(
    ("config", "mps_runs", "found"),
    [
        (None, False, gpus.Sharing(1, False)),
        ("sliced", False, gpus.Sharing(4, True)),
        ("mps", True, gpus.Sharing(2, True)),
        ("mps", False, None),
        ("no-such", False, None),
    ],
)
def test_a_node_shares_its_gpus_by_the_configuration_in_its_label(
    config: str | None, mps_runs: bool, found: gpus.Sharing | None
) -> None:
    """MPS needs its daemon on the node; a configuration that is not there stops the plugin."""
    api: Any = Configured()
    labels = {gpus.CONFIG_LABEL: config} if config else {}
    assert gpus.sharing(api, configured_plugin(), labels, mps_runs) == found


def test_a_pod_gets_one_shared_gpu_at_most() -> None:
    """k8s-device-plugin, internal/plugin/server.go: the plugin refuses, and the kubelet does not admit the pod."""
    api: Any = Written()
    gpus.end_greedy_pods(api, [pod(**ONE_GPU), pod(resources={"limits": {"nvidia.com/gpu": "2"}}), pod()])
    assert [each["reason"] for each in api.statuses] == ["UnexpectedAdmissionError"]
    assert "maximum request size for shared resources is 1" in api.statuses[0]["message"]
