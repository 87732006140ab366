"""The guide's story: a training job scales the GPU pool from zero, survives a spot interruption, and leaves it at zero.

A training job is pending; the GPU pool scales from 0 to 1; the job's pod runs on the tainted node, and a plain pod does
not; the node is reclaimed as in a spot interruption; the pod runs again on a new node; the job completes; the pool is
at 0 again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.cluster import interruption
from sandbox.cluster.api import Object
from sandbox.cluster.nodes import GPU, machine_id
from sandbox.stories.story import POOL, Story, running, taint_of, unschedulable
from sandbox.workload import plain_pod, training_job

NAMESPACE = "gpuyard-demo"
JOB = "training"
PLAIN = "plain"
RUN_SECONDS = 15


class ScaleFromZero(Story):
    """One run of the story."""

    namespaces = own = (NAMESPACE,)

    def __init__(
        self, *args: Any, reclaim: Callable[[str, str], list[str]] = interruption.reclaim, **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self._reclaim = reclaim

    def _story(self) -> None:
        job = self._start()
        waiting = self._until("the training pod is pending", lambda: unschedulable(self._pod()))
        self._report("pending", f"{job} asks for 16Gi, 4 cpu, 1 GPU, 50Gi of disk; no node has that: {waiting}")

        self._until(f"{POOL} goes 0 → 1", lambda: self._size() == 1)
        self._report("scaled up", f"{POOL} goes 0 → 1")

        pod = self._until("the training pod runs on a GPU node", lambda: running(self._pod()))
        found = self._gpu_node(pod)
        node, machine = found["metadata"]["name"], machine_id(found)
        self._report("running", f"{pod['metadata']['name']} runs on {node}, past the taint {taint_of(found)}")

        self._api.create(f"/api/v1/namespaces/{NAMESPACE}/pods", plain_pod(PLAIN))
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{PLAIN}"
        plain = self._until("the plain pod runs elsewhere", lambda: running(self._api.get(path)))
        home = plain["spec"]["nodeName"]
        self._check(not taint_of(self._node(home)), f"the plain pod was put on {home}, a GPU node")
        self._report("kept apart", f"a plain pod runs on {home}, a CPU node")

        lost = self._reclaim(self._key, node)
        first = pod["metadata"]["name"]
        self._check(f"{NAMESPACE}/{first}" in lost, f"{first} was not on {node} any more when it was reclaimed")
        self._report("reclaimed", f"spot takes {node} away, and {first} with it")

        again = self._until("the job's pod runs again", lambda: running(self._pod(but=pod)))
        new = self._gpu_node(again)
        # The new machine may have got the address of the old one, and with it the node's name.
        self._check(machine_id(new) != machine, f"the pod came back on machine {machine}, which should be gone")
        self._report("back", f"{again['metadata']['name']} runs on {new['metadata']['name']}, a new machine")

        path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{JOB}"
        self._until("the job completes", lambda: (self._api.get(path) or {}).get("status", {}).get("succeeded"))
        failed = self._api.request("GET", path)["status"].get("failed", 0)
        self._check(not failed, f"the interruption was counted as a failure of the job ({failed})")
        self._report("done", "the job is complete; the interruption did not count as a failure")

        self._until(f"{POOL} goes back to 0", lambda: self._size() == 0 and not self._nodes())
        self._report("back to zero", f"{POOL} is at 0 again: nothing left to pay for")

    def _start(self) -> str:
        """Creates the namespace and the job."""
        self._api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        self._until("the namespace is ready", lambda: self._api.get(account))
        self._api.create(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", training_job(JOB, RUN_SECONDS))
        return f"job {NAMESPACE}/{JOB}"

    def _pod(self, but: Object | None = None) -> Object | None:
        """The job's youngest pod, other than `but`."""
        pods = self._api.list(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"app={JOB}")
        others = [pod for pod in pods if but is None or pod["metadata"]["uid"] != but["metadata"]["uid"]]
        return max(others, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)

    def _gpu_node(self, pod: Object) -> Object:
        """The pod's node, which must belong to the pool and have the taint, the label and an allocatable GPU."""
        name = pod["spec"]["nodeName"]
        node = self._node(name)
        self._check(name in self._nodes(), f"the training pod runs on {name}, which is not of {POOL}")
        self._check(bool(taint_of(node)), f"{name} runs the training pod and has no taint {GPU}")
        self._check(node["metadata"]["labels"].get("workload") == "gpu-training", f"{name} lacks workload=gpu-training")
        self._check(node["status"]["allocatable"].get(GPU, "0") != "0", f"{name} shows no {GPU}")
        return node
