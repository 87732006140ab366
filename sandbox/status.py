"""The facts of `status --json`: what runs, from the clouds, the cluster and the engine, never from the program.

Node pools come from the cloud's API, nodes, pods and storage classes from the cluster's, releases from the cluster's
Helm records, resources and outputs from the engine's state. This module changes nothing and never waits for long. A
source that does not answer is omitted and named in `problems`.
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from sandbox import environment, paths, process
from sandbox.cluster import control_plane
from sandbox.cluster.address import plane_at
from sandbox.cluster.cloud import Fleet, Group
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.key import parts
from sandbox.cluster.registry import cloud_of
from sandbox.controllers import state
from sandbox.stacks import Checkpoint, CorruptState, Stack, existing
from tools.manifest import TOOLS
from tools.provide import version_of

Facts = dict[str, Any]
GPU = "nvidia.com/gpu"

# Imported when they are used, because each loads its cloud's SDK.
_CLUSTERS = ("aws:eks/cluster:Cluster", "gcp:container/cluster:Cluster")
_CLOUDS = {"aws": "sandbox.aws.inventory", "gcp": "sandbox.gcp.store"}


def collect(stack: Stack) -> Facts:
    """All facts about the sandbox and one stack. Parts that are not up raise no error."""
    problems: list[str] = []
    checkpoint = _attempt(problems, "state", stack.checkpoint, Checkpoint({}))
    plane = plane_of(checkpoint)
    facts: Facts = {
        "sandbox": sandbox(),
        "engine": engine(),
        "stack": _stack(stack, checkpoint),
        "cloud": {
            name: _attempt(problems, name, lambda n=name: inventory(n), {}) for name in ("aws", "gcp") if has(name)
        },
        "control_plane": plane.key if plane else None,
        "node_pools": [],
        "nodes": [],
        "pods": [],
        "storage_classes": [],
        "releases": [],
        "controllers": [],
        "stacks_up": [other.name for other in existing() if _is_up(other)],
    }
    if plane:
        groups = _attempt(problems, "node pools", lambda: node_pools(cloud_of(plane.key).fleet), [])
        facts["node_pools"] = groups
        facts["nodes"] = _attempt(problems, "nodes", lambda: nodes(plane), [])
        facts["pods"] = _attempt(problems, "pods", lambda: pods(plane), [])
        facts["storage_classes"] = _attempt(problems, "storage classes", lambda: storage_classes(plane), [])
        facts["controllers"] = state.read(plane.folder)
        facts["releases"] = _attempt(problems, "releases", lambda: releases(plane), [])
    facts["problems"] = problems
    return facts


def plane_of(checkpoint: Checkpoint) -> ControlPlane | None:
    """The control plane of the stack's cluster: by the endpoint that the stack exports. If the last `up` failed: by the
    endpoint of the cluster in the state, or by the name of the cluster that was being created."""
    clusters = [resource for resource in checkpoint.resources if resource["type"] in _CLUSTERS]
    exported = checkpoint.outputs.get("endpoint")
    for endpoint in (exported, *(resource.get("outputs", {}).get("endpoint") for resource in clusters)):
        if isinstance(endpoint, str) and endpoint:
            found = plane_at(endpoint if "://" in endpoint else f"https://{endpoint}")
            if found:
                return found
    under_way = [operation["resource"] for operation in checkpoint.pending]
    names = {each["inputs"].get("name") for each in (*clusters, *under_way) if each["type"] in _CLUSTERS}
    planes = [plane for plane in control_plane.all() if parts(plane.key)[-1] in names]
    return planes[0] if len(planes) == 1 else None


def sandbox() -> Facts:
    processes = process.all()
    return {
        "home": str(paths.home()),
        "processes": [{"name": each.name, "pid": each.pid, "port": each.port} for each in processes],
        "memory_mib": process.memory_mib() if processes else 0,
    }


def engine() -> Facts:
    """Which Pulumi the sandbox runs."""
    path = environment.linked().get("pulumi")
    version = ".".join(map(str, version_of(path, TOOLS["pulumi"]))) if path and path.exists() else ""
    return {"version": version, "path": str(path or ""), "backend": f"file://{paths.home() / 'state'}"}


def node_pools(of: Fleet) -> list[Facts]:
    """One entry per pool, the sum of its groups (a group is one rung of a capacity ladder, and on EKS one zone)."""
    machines, groups = of.machines(), of.groups()
    found = []
    for name in sorted({group.pool for group in groups}):
        rungs = [group for group in groups if group.pool == name]
        template = rungs[0].template
        found.append(
            {
                "name": name,
                "machine_types": sorted({machine_type for rung in rungs for machine_type in _machine_types(rung)}),
                "min": sum(rung.min for rung in rungs),
                "max": max(sum(each.max for each in rungs if _bought(each) == _bought(rung)) for rung in rungs),
                "desired": sum(rung.desired for rung in rungs),
                "nodes": sum(machine.pool == name for machine in machines),
                "capacity": _capacity(rungs),
                "labels": _common([node.labels for rung in rungs for node in (rung.template, *rung.elsewhere)]),
                "taints": [{"key": t.key, "value": t.value, "effect": t.effect} for t in template.taints],
                "gpus_per_node": int(template.resources.get(GPU, 0)),
                "autoscaled": all(rung.autoscaled for rung in rungs),
            }
        )
    return found


def _common(labels: list[dict[str, str]]) -> dict[str, str]:
    """The labels that the nodes of all groups have in common, without the zone of a single group."""
    first, *others = labels
    return {key: value for key, value in first.items() if all(each.get(key) == value for each in others)}


def nodes(plane: ControlPlane) -> list[Facts]:
    found = []
    for node in plane.api().list("/api/v1/nodes"):
        metadata, spec, status = node["metadata"], node["spec"], node.get("status", {})
        labels = metadata.get("labels", {})
        found.append(
            {
                "name": metadata["name"],
                "pool": labels.get("gpuyard.dev/pool", ""),
                "ready": any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", [])),
                "machine_type": labels.get("node.kubernetes.io/instance-type", ""),
                "zone": labels.get("topology.kubernetes.io/zone", ""),
                "gpus": int(status.get("allocatable", {}).get(GPU, 0)),
                "taints": [
                    {"key": t["key"], "value": t.get("value", ""), "effect": t["effect"]}
                    for t in spec.get("taints", [])
                ],
            }
        )
    return sorted(found, key=lambda node: (node["pool"], node["name"]))


def await_nodes(stack: Stack, seconds: float = 20) -> None:
    """Waits until every pool has its minimum of ready nodes, because machines take a moment to join."""
    plane = plane_of(stack.checkpoint())
    deadline = time.monotonic() + seconds
    while plane and time.monotonic() < deadline:
        ready = Counter(node["pool"] for node in nodes(plane) if node["ready"])
        if all(ready[pool["name"]] >= pool["min"] for pool in node_pools(cloud_of(plane.key).fleet)):
            return
        time.sleep(0.3)


def pods(plane: ControlPlane) -> list[Facts]:
    return [
        {
            "namespace": pod["metadata"]["namespace"],
            "name": pod["metadata"]["name"],
            "phase": pod.get("status", {}).get("phase", ""),
            "node": pod["spec"].get("nodeName", ""),
        }
        for pod in plane.api().list("/api/v1/pods")
    ]


def storage_classes(plane: ControlPlane) -> list[Facts]:
    default = "storageclass.kubernetes.io/is-default-class"
    return [
        {
            "name": each["metadata"]["name"],
            "provisioner": each["provisioner"],
            "default": each["metadata"].get("annotations", {}).get(default) == "true",
            "reclaim_policy": each.get("reclaimPolicy", "Delete"),
        }
        for each in plane.api().list("/apis/storage.k8s.io/v1/storageclasses")
    ]


def releases(plane: ControlPlane) -> list[Facts]:
    from sandbox.plugins import helm

    return helm.releases(plane)


def has(cloud: str) -> bool:
    """Whether the sandbox has anything of that cloud."""
    return (paths.home() / cloud).is_dir()


def inventory(cloud: str) -> dict[str, int]:
    """How many objects of each type the simulated cloud has, from the cloud itself."""
    return importlib.import_module(_CLOUDS[cloud]).inventory()


def leftovers(cloud: str) -> list[str]:
    """Objects that remain after a destroy of all stacks although they should not."""
    return importlib.import_module(_CLOUDS[cloud]).leftovers()


def kept(cloud: str) -> list[str]:
    """Objects that are declared to outlive their stack."""
    return importlib.import_module(_CLOUDS[cloud]).kept()


def _stack(stack: Stack, checkpoint: Checkpoint) -> Facts:
    outputs = checkpoint.outputs
    return {
        "name": stack.name,
        "cloud": outputs.get("cloud") or (stack.cloud if stack.file.exists() else ""),
        "region": outputs.get("region") or (stack.region if stack.file.exists() else ""),
        "resources": len(checkpoint.managed),
        "last_update": checkpoint.time if checkpoint.resources else "",
        "outputs": outputs,
    }


def _machine_types(group: Group) -> list[str]:
    return list(group.details.get("machine_types") or [group.template.machine_type])


def _capacity(rungs: list[Group]) -> list[str]:
    """The capacity types by the groups' labels, or else by the cloud, in the order of the ladder."""
    ladder = ("capacity_block", "reserved", "flex", "spot", "on_demand")
    return sorted(
        {_bought(rung) for rung in rungs}, key=lambda each: (each not in ladder, each in ladder and ladder.index(each))
    )


def _bought(rung: Group) -> str:
    capacity = rung.details.get("labels", {}).get("gpuyard.dev/capacity") or rung.details.get("capacity")
    return (capacity or ("spot" if rung.details.get("spot") else "on_demand")).lower()


def _is_up(stack: Stack) -> bool:
    try:
        return bool(stack.checkpoint().managed)
    except CorruptState:
        return True


def _attempt(problems: list[str], what: str, ask: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return ask()
    except Exception as error:
        # Any error of a damaged sandbox is reported, and the status continues.
        problems.append(f"{what}: {getattr(error, 'problem', error) or type(error).__name__}")
        return otherwise
