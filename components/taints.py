"""Taints and tolerations: one type in Kubernetes' spelling, and how each cloud's API spells it."""

from collections.abc import Iterable
from typing import TypedDict

from typing_extensions import NotRequired

from .clouds import CLOUDS, GCP

GPU_KEY = "nvidia.com/gpu"

COMPUTE_CLASS = CLOUDS[GCP].ladder_label
"""Label and taint of the node pools that a ComputeClass of GKE puts in order; see `gcp/compute_class.py`."""

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class Taint(TypedDict):
    """A taint of every node of a pool, in Kubernetes' spelling."""

    key: str
    """Key: an optional DNS prefix with '/', then up to 63 letters, digits, '-', '_' and '.'."""
    value: NotRequired[str]
    """Value. Default: empty."""
    effect: str
    """NoSchedule, PreferNoSchedule or NoExecute."""


class Toleration(TypedDict):
    """Tolerates a key with `Exists`: a value would match one cloud only, since EKS pools have `nvidia.com/gpu=true` and
    GKE adds `nvidia.com/gpu=present`."""

    key: str
    """Key of the taint."""
    operator: str
    """Exists."""
    effect: str
    """Effect of the taint."""


GPU_TOLERATION: Toleration = {"key": GPU_KEY, "operator": "Exists", "effect": "NoSchedule"}
"""The toleration for everything that uses GPUs; both clouds add it to pods that request one."""

COMPUTE_CLASS_TOLERATION: Toleration = {"key": COMPUTE_CLASS, "operator": "Exists", "effect": "NoSchedule"}
"""The toleration for workloads that run unchanged on either cloud. On GKE the nodes of a pool with more than one rung
have the taint, and GKE adds the toleration only to pods that select the class, by a label that no EKS node has. A pod
that finds its pool by the pool's own labels needs the toleration itself. No EKS node has the taint, so there it has no
effect."""


def gpu_taint(cloud: str) -> Taint:
    """The taint of GPU pools, with the value that the cloud needs."""
    return {"key": GPU_KEY, "value": CLOUDS[cloud].gpu_taint_value, "effect": "NoSchedule"}


def cloud_effect(effect: str) -> str:
    """The effect as both clouds' APIs spell it: NoSchedule → NO_SCHEDULE."""
    return {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}[effect]


def tolerations(taints: Iterable[Taint]) -> list[Toleration]:
    """Tolerations for all of them, without repeats, in a stable order."""
    keys = sorted({(taint["key"], taint["effect"]) for taint in taints})
    return [{"key": key, "operator": "Exists", "effect": effect} for key, effect in keys]
