"""The quota and the limits of a team, as Kubernetes' ResourceQuota and LimitRange have them.

A quota limits what exists: of jobs in a queue, only those that the queue has started have pods. With a queue, the
quota has no CPU, memory and GPUs unless the team's spec names them: what the queue starts, and Kubernetes then refuses,
would hold the queue's quota without running.
"""

from collections.abc import Mapping
from typing import Any

from ..quantities import binary, decimal

GPU_QUOTA = "requests.nvidia.com/gpu"
WITHOUT_QUEUE = {"cpu": 64, "memory_gib": 256, "gpus": 8}
"""Defaults of a team without a queue: a few people with one node of 8 GPUs."""

_SYSTEM_CLASSES = ("system-cluster-critical", "system-node-critical")

# Ports of a load balancer. Kubernetes counts a node port for each of them.
_PORTS = 5


def hard(quota: Mapping[str, Any], queued: bool) -> dict[str, str]:
    """The amounts of the ResourceQuota. `queued`: whether the team has a queue."""
    limited = {**({} if queued else WITHOUT_QUEUE), **quota}
    balancers = limited["load_balancers"]
    amounts = {
        "requests.cpu": _count(limited.get("cpu")),
        "requests.memory": _gib(limited.get("memory_gib")),
        GPU_QUOTA: _count(limited.get("gpus")),
        "pods": _count(limited["pods"]),
        "persistentvolumeclaims": _count(limited["claims"]),
        "requests.storage": _gib(limited["storage_gib"]),
        "services.loadbalancers": _count(balancers),
        "services.nodeports": _count(balancers * _PORTS),
        # On GKE, an Ingress creates a load balancer as well.
        "count/ingresses.networking.k8s.io": _count(balancers),
    }
    return {resource: amount for resource, amount in amounts.items() if amount}


def without_system_pods() -> Any:
    """The spec of a ResourceQuota that allows no pod of the priority classes of Kubernetes' own components. Any user
    may name these, also outside kube-system (Kubernetes, "Limit Priority Class consumption by default"), and such a
    pod evicts the pods of every team. GKE refuses them where no quota allows them; EKS does not."""
    scope = {"scopeName": "PriorityClass", "operator": "In", "values": list(_SYSTEM_CLASSES)}
    return {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [scope]}}


def limit_range(limits: Mapping[str, Any]) -> list[Any]:
    """The limits of the LimitRange: those of containers and those of claims."""
    cpu, memory = decimal(limits["cpu_millicores"]), binary(limits["memory_mib"])
    most = {"cpu": _count(limits.get("max_cpu")), "memory": _gib(limits.get("max_memory_gib"))}
    most = {resource: amount for resource, amount in most.items() if amount}
    # Kubernetes would give every container without a limit the maximum; written down, a refresh finds no difference.
    usual = {**({"cpu": most["cpu"]} if "cpu" in most else {}), "memory": memory}
    container = {"type": "Container", "defaultRequest": {"cpu": cpu, "memory": memory}, "default": usual}
    claim = {"type": "PersistentVolumeClaim", "max": {"storage": _gib(limits["max_claim_gib"])}}
    return [{**container, **({"max": most} if most else {})}, claim]


def _count(amount: int | None) -> str:
    return "" if amount is None else decimal(amount * 1000)


def _gib(amount: int | None) -> str:
    return "" if amount is None else binary(amount * 1024)
