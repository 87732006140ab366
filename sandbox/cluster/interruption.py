"""A spot interruption, as in a managed node group (EKS with capacity rebalancing) or on GKE.

The cloud gives notice: the node is cordoned and its pods are evicted, each with its own grace period, but no longer
than the notice. Then the machine is deleted. The group keeps its desired size, so the cloud tries to replace the
machine.
"""

from __future__ import annotations

import time

from sandbox.cluster import control_plane, key
from sandbox.cluster.api import Api, Object
from sandbox.cluster.cloud import Fleet
from sandbox.cluster.eviction import evict, is_daemon
from sandbox.cluster.nodes import NOTICE, machine_id, retaint
from sandbox.cluster.registry import cloud_of
from sandbox.errors import SandboxError

NOTICE_SECONDS = 10.0
"""Seconds between notice and end in the sandbox; 120 s on AWS, 30 s on Google Cloud."""


def reclaim(cluster: str, node: str, notice: float = NOTICE_SECONDS) -> list[str]:
    """Reclaims the machine of a node. Returns the lost pods (namespace/name) when the node is gone.

    Raises SandboxError if the node is not one of the cloud's, or is not gone within a minute.
    """
    plane = control_plane.get(cluster)
    if plane is None:
        raise SandboxError(f"There is no cluster {cluster!r}.", "`python -m sandbox status` lists them")
    return interrupt(plane.api(), cloud_of(cluster).fleet, node, NOTICE[key.parts(cluster)[0]], notice)


def interrupt(api: Api, fleet: Fleet, node: str, taint: str, notice: float = NOTICE_SECONDS) -> list[str]:
    """The same on a given API server and fleet."""
    path = f"/api/v1/nodes/{node}"
    found = api.get(path)
    machine = machine_id(found) if found else ""
    if not machine:
        raise SandboxError(f"There is no node {node!r} with a machine.", "`kubectl get nodes` lists them")
    api.patch(path, {"spec": {"unschedulable": True}})
    retaint(api, node, [{"key": taint, "effect": "NoSchedule"}])
    lost = [pod for pod in _pods(api, node) if not is_daemon(pod)]
    _drain(api, node, notice)
    fleet.reclaim(machine)
    deadline = time.monotonic() + 60
    while (left := api.get(path)) and machine_id(left) == machine:
        if time.monotonic() > deadline:
            raise SandboxError(
                f"Node {node} still exists a minute after its machine {machine} was deleted.",
                "check whether the cluster's controller runs: `python -m sandbox status`",
            )
        time.sleep(0.2)
    return [f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in lost]


def _drain(api: Api, node: str, notice: float) -> None:
    """Evicts pods until none is left or the notice is over. A disruption budget only delays the eviction."""
    deadline = time.monotonic() + notice
    while time.monotonic() < deadline:
        pods = [pod for pod in _pods(api, node) if not is_daemon(pod)]
        if not pods:
            return
        for pod in pods:
            if not pod["metadata"].get("deletionTimestamp"):
                evict(api, pod, grace=min(pod["spec"].get("terminationGracePeriodSeconds", 30), int(notice)))
        time.sleep(0.2)


def _pods(api: Api, node: str) -> list[Object]:
    pods = api.list("/api/v1/pods", fieldSelector=f"spec.nodeName={node}")
    return [pod for pod in pods if pod["status"].get("phase") not in ("Succeeded", "Failed")]
