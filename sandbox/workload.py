"""The guide's sample workloads, as Kubernetes objects: the training job and a plain pod.

Figures are the guide's own (requests, limits, toleration, affinity, ephemeral storage); values that are not in the
guide (names, images, the duration of a run, the second toleration) are marked as ours. The job is the same on both
clouds.
"""

from __future__ import annotations

from typing import Any

from components.taints import COMPUTE_CLASS_TOLERATION, GPU_TOLERATION, Toleration
from sandbox.cluster.kwok import RUN_SECONDS

Object = dict[str, Any]

IMAGE = "registry.example/train:1"
"""Ours; never pulled, because simulated nodes run no containers."""

REQUESTS = {"memory": "16Gi", "cpu": "4", "nvidia.com/gpu": "1", "ephemeral-storage": "50Gi"}
LIMITS = {"memory": "32Gi", "cpu": "8", "nvidia.com/gpu": "1", "ephemeral-storage": "100Gi"}
TOLERATIONS: list[Toleration] = [GPU_TOLERATION, COMPUTE_CLASS_TOLERATION]
"""The guide's toleration, and ours for pools on GKE that have more than one rung."""
AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [
                {"matchExpressions": [{"key": "workload", "operator": "In", "values": ["gpu-training"]}]}
            ]
        }
    }
}


def training_spec() -> Object:
    """The pod of the guide's training job."""
    return {
        "restartPolicy": "Never",
        "containers": [{"name": "train", "image": IMAGE, "resources": {"requests": REQUESTS, "limits": LIMITS}}],
        "tolerations": TOLERATIONS,
        "affinity": AFFINITY,
    }


def training_job(name: str, run_seconds: float) -> Object:
    """The training job. A run that is disrupted (spot, drain) starts again and does not count as a failure.

    Args:
        run_seconds: how long one undisturbed run takes on a simulated node.
    """
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 3,
            "podFailurePolicy": {
                "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
            },
            "template": {
                "metadata": {"labels": {"app": name}, "annotations": {RUN_SECONDS: f"{run_seconds:g}"}},
                "spec": training_spec(),
            },
        },
    }


def plain_pod(name: str) -> Object:
    """A pod without tolerations or selectors: it must never be on a GPU node."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": IMAGE, "resources": {"requests": {"cpu": "250m"}}}]},
    }
