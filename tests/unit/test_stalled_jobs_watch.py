"""Which pods of a stalled job the program of `StalledJobs` evicts, without a cluster."""

from __future__ import annotations

import time
from typing import Any

from components.monitoring import stalled_jobs_watch as watch

GPU = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
PARTITION = {"resources": {"limits": {"nvidia.com/mig-1g.10gb": "1"}}}


def pod(name: str, node: str, minutes: float = 60, container: dict[str, Any] | None = None) -> dict[str, Any]:
    """A running pod of the job `gang` that started so many minutes ago."""
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60 * minutes))
    labels = {"jobset.sigs.k8s.io/jobset-name": "gang"}
    owners = [{"kind": "Job", "name": "gang", "controller": True}]
    return {
        "metadata": {"name": name, "namespace": "training", "labels": labels, "ownerReferences": owners},
        "spec": {"nodeName": node, "containers": [{"name": "main", **(GPU if container is None else container)}]},
        "status": {"phase": "Running", "startTime": started},
    }


class Cluster:
    """An API server with these pods. What is done is in `evicted` and `nodes`."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self._pods = list(pods)
        self.evicted: list[str] = []
        self.nodes: list[str] = []

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        return self._pods

    def tainted(self) -> set[str]:
        return set(self.nodes)

    def taint(self, node: str) -> None:
        self.nodes.append(node)

    def evict(self, pod: dict[str, Any]) -> None:
        self.evicted.append(pod["metadata"]["name"])


class Prometheus:
    """The alert fires for the pod `a`, whose GPUs are busy; `b` is busy as well, and others are not measured."""

    def vector(self, query: str) -> list[tuple[dict[str, str], float]]:
        names = {"a": 1.0} if query.startswith("ALERTS") else {"a": 99.0, "b": 99.0}
        return [({"namespace": "training", "pod": name}, value) for name, value in names.items()]


def after(*pods: dict[str, Any]) -> Cluster:
    """The cluster after one round."""
    cluster: Any = Cluster(*pods)
    prometheus: Any = Prometheus()
    watch.round_once(prometheus, cluster, {"training"}, 1, True)
    return cluster


def test_the_pod_with_gpus_that_are_not_busy_is_evicted() -> None:
    for container in (GPU, PARTITION):
        made = after(pod("a", "one"), pod("b", "two"), pod("c", "three", container=container))
        assert made.evicted == ["c"] and made.nodes == ["three"]


def test_a_launcher_without_gpus_is_no_pod_that_has_stopped() -> None:
    """Its GPUs are not measured, because it has none."""
    made = after(pod("a", "one"), pod("b", "two"), pod("launcher", "cpu", container={}))
    assert made.evicted == ["a"] and made.nodes == []


def test_a_job_that_was_just_restarted_is_left_alone() -> None:
    """Its new pod is not busy yet, while the alert still fires for the others: every round would evict it again."""
    made = after(pod("a", "one"), pod("b", "two"), pod("c", "three", minutes=5))
    assert made.evicted == [] and made.nodes == []
