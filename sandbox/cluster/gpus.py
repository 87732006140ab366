"""How containers get GPUs on a node with NVIDIA's container toolkit and device plugin, and when they get none. The
toolkit gives a container its GPUs if the request is made in a way that the node accepts (`Machine.device_lists`). The
plugin's own pod requests them with its environment variable, and crashes if the node does not accept that; for the pods
that it serves, the plugin uses the ways in its setting. A container with CAP_SYS_ADMIN may always use the variable
(nvidia-container-toolkit, internal/config/image: VisibleDevices, IsPrivileged).

The static CPU manager rewrites the containers' cgroups, and removes devices that the toolkit added without the
kubelet's knowledge. Only devices that the plugin passes to the kubelet remain (k8s-device-plugin#145).

A plugin with configurations takes the one that the node's label names: it shows each GPU several times, and refuses a
request for more than one of them. With MPS it waits for the MPS control daemon of its node (NVIDIA's k8s-device-plugin
0.20.0: README, "Shared Access to GPUs"; internal/plugin/server.go, getAllocateResponse).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from sandbox.cluster.api import STRATEGIC, Api, Object
from sandbox.cluster.cloud import ENVVAR, Machine

GPU = "nvidia.com/gpu"
MPS_DAEMON = "mps-control-daemon-ctr"
CONFIG_LABEL = "nvidia.com/device-plugin.config"
_CONFIGS, _DEFAULT = "available-configs", "DEFAULT_CONFIG"


@dataclass(frozen=True)
class Sharing:
    """How often a plugin shows each GPU of its node. `one_each`: it refuses requests for more than one."""

    replicas: int = 1
    one_each: bool = False


def sharing(api: Api, plugin: Object, node: Mapping[str, str], mps_runs: bool) -> Sharing | None:
    """How a running plugin shares the GPUs of its node; None while it cannot start.

    Args:
        plugin: its pod.
        node: labels of the node.
        mps_runs: whether the MPS control daemon runs on the node.
    """
    named = next((each for each in plugin["spec"].get("volumes") or [] if each["name"] == _CONFIGS), None)
    if named is None:
        return Sharing()
    path = f"/api/v1/namespaces/{plugin['metadata']['namespace']}/configmaps/{named['configMap']['name']}"
    configs = (api.get(path) or {}).get("data") or {}
    text = configs.get(node.get(CONFIG_LABEL) or _variable(plugin, _DEFAULT))
    # Without such a configuration the config manager stops with an error.
    return None if text is None else configured(text, mps_runs)


def configured(text: str, mps_runs: bool) -> Sharing | None:
    """What a configuration of the plugin means."""
    given = (yaml.safe_load(text) or {}).get("sharing") or {}
    mps, sliced = given.get("mps"), given.get("timeSlicing")
    if mps and not mps_runs:
        return None
    resources = ((mps or sliced) or {}).get("resources") or []
    replicas = next((int(each["replicas"]) for each in resources if each["name"] == GPU), 1)
    once = bool(mps) or bool((sliced or {}).get("failRequestsGreaterThanOne"))
    return Sharing(replicas, once and replicas > 1)


def end_greedy_pods(api: Api, pods: Iterable[Object]) -> None:
    """Fails the pods with a container that requests more than one shared GPU: the plugin refuses, and the kubelet does
    not admit the pod."""
    for pod in pods:
        asked = max((_count(each) for each in pod["spec"]["containers"]), default=0)
        if asked > 1:
            message = f"request for '{GPU}: {asked}' too large: maximum request size for shared resources is 1"
            meta = pod["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
            status = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": f"Allocate failed: {message}"}
            api.patch(path, {"status": status}, STRATEGIC)


def _count(container: Object) -> int:
    return int(((container.get("resources") or {}).get("limits") or {}).get(GPU, 0))


_SETTING = "DEVICE_LIST_STRATEGY"
_PASSES = "PASS_DEVICE_SPECS"
_NO_DRIVER = "could not load NVML library: libnvidia-ml.so.1: cannot open shared object file"


def plugins_that_work(api: Api, plugins: Iterable[Object], machine: Machine) -> list[Object]:
    """The node's plugin pods that find its GPUs; the others crash."""
    found = []
    for pod in plugins:
        if ENVVAR in machine.device_lists or any(map(_privileged, pod["spec"]["containers"])):
            found.append(pod)
        else:
            waiting = {"reason": "CrashLoopBackOff", "message": f"back-off restarting failed container: {_NO_DRIVER}"}
            _settle(api, pod, "Running", {"waiting": waiting})
    return found


def end_blind_pods(api: Api, pods: Iterable[Object], plugins: Iterable[Object], machine: Machine) -> None:
    """Fails the pods whose GPUs are passed in a way that the node does not accept: their programs find no GPU."""
    plugins = list(plugins)
    ways = {way for pod in plugins for way in _ways(pod)}
    lost = machine.pins_cpus and not any(_variable(pod, _PASSES) == "true" for pod in plugins)
    for pod in pods:
        if any(_asks(each) and not ways & _taken(each, machine) for each in pod["spec"]["containers"]):
            message = f"{_NO_DRIVER}: the node takes GPUs by {', '.join(sorted(machine.device_lists))}, "
            message += f"the device plugin gives them by {', '.join(sorted(ways))}"
            _settle(api, pod, "Failed", {"terminated": {"exitCode": 1, "reason": "Error", "message": message}})
        elif lost and any(map(_asks, pod["spec"]["containers"])):
            message = "Failed to initialize NVML: Unknown Error"
            _settle(api, pod, "Failed", {"terminated": {"exitCode": 255, "reason": "Error", "message": message}})


def _taken(container: Object, machine: Machine) -> set[str]:
    return {*machine.device_lists, ENVVAR} if _privileged(container) else {*machine.device_lists}


def _privileged(container: Object) -> bool:
    context: dict[str, Any] = container.get("securityContext") or {}
    return bool(context.get("privileged")) or "SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or [])


def _ways(plugin: Object) -> Iterator[str]:
    """The plugin's setting, which the chart passes as a variable: a list with commas, `envvar` by default."""
    yield from (_variable(plugin, _SETTING) or ENVVAR).split(",")


def _variable(plugin: Object, name: str) -> str:
    spec = plugin["spec"]
    containers = [*spec["containers"], *(spec.get("initContainers") or [])]
    env = (each for container in containers for each in container.get("env") or [])
    return next((each.get("value") or "" for each in env if each["name"] == name), "")


def _asks(container: Object) -> bool:
    return GPU in ((container.get("resources") or {}).get("limits") or {})


def _settle(api: Api, pod: Object, phase: str, state: Object) -> None:
    meta = pod["metadata"]
    kinds = ("Ready", "ContainersReady")
    not_ready = [{"type": kind, "status": "False", "reason": "ContainersNotReady"} for kind in kinds]
    containers = [
        {"name": each["name"], "image": each["image"], "imageID": "", "ready": False, "restartCount": 1, "state": state}
        for each in pod["spec"]["containers"]
    ]
    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
    api.patch(path, {"status": {"phase": phase, "conditions": not_ready, "containerStatuses": containers}}, STRATEGIC)
