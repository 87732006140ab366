"""Taints and tolerations: one type in Kubernetes' spelling, and how each cloud's API spells it."""

from collections.abc import Iterable
from typing import TypedDict

from typing_extensions import NotRequired

from .hardware import AWS

GPU_KEY = "nvidia.com/gpu"

COMPUTE_CLASS = "cloud.google.com/compute-class"
"""Label and taint of the node pools that a ComputeClass of GKE puts in order; see `gcp/compute_class.py`."""

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class Taint(TypedDict):
    """A taint of every node of a pool. `value`: optional. `effect`: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str
    value: NotRequired[str]
    effect: str


class Toleration(TypedDict):
    """Tolerates a key with `Exists`: a value would match one cloud only, since EKS pools have `nvidia.com/gpu=true` and
    GKE adds `nvidia.com/gpu=present`."""

    key: str
    operator: str
    effect: str


GPU_TOLERATION: Toleration = {"key": GPU_KEY, "operator": "Exists", "effect": "NoSchedule"}
"""Of whatever uses GPUs; both clouds add it to pods that ask for one."""

COMPUTE_CLASS_TOLERATION: Toleration = {"key": COMPUTE_CLASS, "operator": "Exists", "effect": "NoSchedule"}
"""Of workloads that run on either cloud unchanged. On GKE the nodes of a pool with more than one rung bear the taint,
and GKE adds the toleration only to pods that select the class, by a label that no node on EKS has; a pod that finds its
pool by the pool's own labels brings it along. No node on EKS has the taint, so there it does nothing."""


def gpu_taint(cloud: str) -> Taint:
    """The taint of GPU pools: the guide's `true` on AWS; on GKE its own `present`, which collides with any other."""
    return {"key": GPU_KEY, "value": "true" if cloud == AWS else "present", "effect": "NoSchedule"}


def cloud_effect(effect: str) -> str:
    """The effect as both clouds' APIs spell it: NoSchedule → NO_SCHEDULE."""
    return {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}[effect]


def tolerations(taints: Iterable[Taint]) -> list[Toleration]:
    """Tolerations for all of them, without repeats, in a stable order."""
    keys = sorted({(taint["key"], taint["effect"]) for taint in taints})
    return [{"key": key, "operator": "Exists", "effect": effect} for key, effect in keys]
