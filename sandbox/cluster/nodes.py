"""The node controller: adds a Kubernetes node for each machine that the cloud reports, and deletes it with its machine.

A node has the labels, taints, providerID and capacity of a real node of its group. It has `nvidia.com/gpu` only while
something advertises the GPUs: a running device-plugin pod on it that finds them (gpus.py), its image (Bottlerocket) or
the cloud itself (GKE). It has `vpc.amazonaws.com/efa` only while a pod of the EFA plugin runs on it. KWOK simulates the
kubelet. When a machine is gone, its node is deleted and its pods end as the pod garbage collector ends them (condition
DisruptionTarget, phase Failed), without its delay of 40 s.

Allocatable equals capacity: the fleet that reports a machine has already subtracted what kubelet and system reserve.
"""

from __future__ import annotations

import datetime
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.cluster import gpus
from sandbox.cluster.api import STRATEGIC, Api, ApiError, Object
from sandbox.cluster.cloud import Machine
from sandbox.cluster.kwok import ANNOTATION

MACHINE = "gpuyard.dev/machine"
"""Annotation: the cloud's id of the machine behind the node. Nodes without it are not this controller's."""

APPLIED = "gpuyard.dev/applied"
"""Annotation: the labels and taints that the cloud set last, so that only those that the cloud drops are removed."""

GPU = gpus.GPU
EFA = "vpc.amazonaws.com/efa"

_PLUGINS = {GPU: ("nvidia-device-plugin", "k8s-device-plugin"), EFA: ("aws-efa-k8s-device-plugin",) * 2}
"""By resource: the name of the chart whose plugin advertises it (in a label of its pods), and the name of its image."""

NOTICE = {"eks": "aws-node-termination-handler/spot-itn", "gke": "cloud.google.com/impending-node-termination"}
"""By cloud: the taint of a node whose machine is about to be reclaimed."""


class Nodes:
    """Adds and deletes nodes to match the cloud's machines, one `sync` after the other."""

    def __init__(self, api: Api, version: str) -> None:
        """`version`: the Kubernetes version that the cloud was asked for."""
        self._api = api
        self._kubelet = f"v{version.removeprefix('v')}{'.0' * (version.count('.') < 2)}+sandbox"

    def sync(self, machines: Sequence[Machine], pods: Sequence[Object], nodes: Sequence[Object]) -> bool:
        """One round. `pods` must have been listed before `nodes`: a pod's node that is missing is gone, not too new.

        Returns whether nodes were added or deleted; the caller then lists them again before it decides.
        """
        ours = {node["metadata"]["name"]: node for node in nodes if machine_id(node)}
        wanted = {machine.node_name: machine for machine in machines}
        changed = False
        for name, node in ours.items():
            machine = wanted.get(name)
            # A new machine may get the name of an old one; its node is then a new one as well.
            if machine is None or machine.id != machine_id(node):
                self._api.delete(_path(name), grace=0)
                changed = True
        for name, machine in wanted.items():
            node = ours.get(name)
            if node is None:
                self._api.create("/api/v1/nodes", self._node(machine))
                changed = True
            elif machine.id == machine_id(node):
                self._align(node, machine)
                self._show_devices(node, machine, pods)
        self._delete_pods_without_node(pods, {node["metadata"]["name"] for node in nodes})
        return changed

    def _node(self, machine: Machine) -> Object:
        shape = machine.node
        resources = dict(shape.resources)
        if machine.gpu_ready_by == "cloud" and machine.gpus:
            resources[GPU] = str(machine.gpus)
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": machine.node_name,
                "labels": _labels(machine),
                "annotations": {ANNOTATION: "fake", MACHINE: machine.id, APPLIED: _applied(machine)},
            },
            "spec": {"providerID": machine.provider_id, "taints": _taints(machine)},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "addresses": [
                    {"type": "InternalIP", "address": _address(machine.node_name)},
                    {"type": "Hostname", "address": machine.node_name},
                ],
                "nodeInfo": {
                    "architecture": _labels(machine)["kubernetes.io/arch"],
                    "operatingSystem": "linux",
                    "kubeletVersion": machine.kubelet or self._kubelet,
                    "kubeProxyVersion": "",
                    "containerRuntimeVersion": "kwok://sandbox",
                    "kernelVersion": "",
                    "osImage": "simulated by KWOK",
                    "machineID": "",
                    "systemUUID": "",
                    "bootID": "",
                },
            },
        }

    def _align(self, node: Object, machine: Machine) -> None:
        """Labels and taints that the cloud changed on a group with machines (both clouds change them in place)."""
        meta = node["metadata"]
        applied = meta["annotations"].get(APPLIED, "{}")
        if applied == _applied(machine):
            return
        before: dict[str, Any] = json.loads(applied)
        gone_labels = {*before.get("labels", {})} - {*_labels(machine)}
        retaint(self._api, meta["name"], _taints(machine), {taint["key"] for taint in before.get("taints", [])})
        labels = {**_labels(machine), **dict.fromkeys(gone_labels)}
        body = {"metadata": {"labels": labels, "annotations": {APPLIED: _applied(machine)}}}
        self._api.patch(_path(meta["name"]), body)

    def _show_devices(self, node: Object, machine: Machine, pods: Iterable[Object]) -> None:
        """Does what the kubelet does for a device plugin: the devices are resources of the node while the plugin
        runs."""
        here = [pod for pod in pods if pod["spec"].get("nodeName") == machine.node_name and is_running(pod)]
        devices = {GPU: 0, EFA: machine.efa if any(_plugs(pod, EFA) for pod in here) else 0}
        if machine.gpu_ready_by != "device-plugin":
            devices[GPU] = machine.gpus
        elif working := gpus.plugins_that_work(self._api, (pod for pod in here if _plugs(pod, GPU)), machine):
            labels = node["metadata"].get("labels", {})
            shared = gpus.sharing(self._api, working[0], labels, any(map(_is_mps_daemon, here)))
            if shared:
                devices[GPU] = machine.gpus * shared.replicas
                gpus.end_blind_pods(self._api, here, working, machine)
                if shared.one_each:
                    gpus.end_greedy_pods(self._api, here)
        shown = node["status"].get("allocatable", {})
        wanted = {resource: str(count) if count else None for resource, count in devices.items()}
        changed = {resource: count for resource, count in wanted.items() if shown.get(resource) != count}
        if changed:
            body = {"status": {"capacity": changed, "allocatable": changed}}
            self._api.patch(f"{_path(machine.node_name)}/status", body)

    def _delete_pods_without_node(self, pods: Iterable[Object], nodes: set[str]) -> None:
        """Fails the pods whose node is gone, since no kubelet does."""
        for pod in pods:
            name = pod["spec"].get("nodeName")
            if not name or name in nodes:
                continue
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            if pod["status"].get("phase") not in ("Succeeded", "Failed"):
                condition = {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByPodGC",
                    "message": f"PodGC: node {name} no longer exists",
                    "lastTransitionTime": now(),
                }
                self._api.patch(f"{path}/status", {"status": {"phase": "Failed", "conditions": [condition]}}, STRATEGIC)
            self._api.delete(path, grace=0)


def retaint(api: Api, node: str, add: Sequence[Mapping[str, str]] = (), remove: Iterable[str] = ()) -> None:
    """Adds taints and removes those with the given keys; the list is atomic, so others' changes must not be lost."""
    gone = {*remove, *(taint["key"] for taint in add)}
    for _ in range(10):
        found = api.get(_path(node))
        if found is None:
            return
        before = found["spec"].get("taints") or []
        taints = [taint for taint in before if taint["key"] not in gone] + list(add)
        if taints == before:
            return
        try:
            api.patch(
                _path(node),
                {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "spec": {"taints": taints}},
            )
            return
        except ApiError as error:
            if error.reason != "Conflict":
                raise


def machine_id(node: Object) -> str:
    """The id of a node's machine; empty for a node that is not from the cloud."""
    return node["metadata"].get("annotations", {}).get(MACHINE, "")


def is_ready(node: Object) -> bool:
    """Whether the node is Ready and has lost the not-ready taint, which is removed a moment later."""
    if any(taint["key"] == "node.kubernetes.io/not-ready" for taint in node["spec"].get("taints") or ()):
        return False
    conditions = node.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def is_running(pod: Object) -> bool:
    conditions = pod["status"].get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return pod["status"].get("phase") == "Running" and ready and not pod["metadata"].get("deletionTimestamp")


def now() -> str:
    """The current time in Kubernetes' format."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plugs(pod: Object, resource: str) -> bool:
    """Whether a running pod advertises the resource on its node."""
    chart, image = _PLUGINS[resource]
    if _is_mps_daemon(pod):  # of the same chart and image
        return False
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    if chart in (labels.get("app.kubernetes.io/name"), labels.get("name")):
        return True
    images = (container.get("image", "") for container in pod["spec"]["containers"])
    return any(re.fullmatch(rf"(.*/)?{image}(:.*)?(@.*)?", each) for each in images)


def _is_mps_daemon(pod: Object) -> bool:
    return any(container["name"] == gpus.MPS_DAEMON for container in pod["spec"]["containers"])


def _labels(machine: Machine) -> dict[str, str]:
    """The group's labels and those that every kubelet and cloud controller sets."""
    return {
        "kubernetes.io/hostname": machine.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": machine.node.machine_type,
        "topology.kubernetes.io/zone": machine.node.zone,
        **machine.node.labels,
    }


def _taints(machine: Machine) -> list[dict[str, str]]:
    return [{"key": taint.key, "value": taint.value, "effect": taint.effect} for taint in machine.node.taints]


def _applied(machine: Machine) -> str:
    return json.dumps({"labels": _labels(machine), "taints": _taints(machine)}, sort_keys=True)


def _address(name: str) -> str:
    """An address for a node whose machine has no known address: the one in its name (`ip-10-0-3-7…`) or one derived
    from it."""
    digits = name.split(".")[0].removeprefix("ip-").split("-")
    if len(digits) == 4 and all(d.isdigit() and int(d) < 256 for d in digits):
        return ".".join(digits)
    number = zlib.crc32(name.encode())
    return f"10.{number >> 16 & 127}.{number >> 8 & 255}.{number & 253 | 2}"


def _path(name: str) -> str:
    return f"/api/v1/nodes/{name}"
