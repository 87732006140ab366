"""An in-memory cluster with teams, queues and a pool of GPUs: what stories need of Kueue and of the autoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cluster.nodes import MACHINE
from sandbox.stories.queued import KUEUE

Object = dict[str, Any]
POOL = "gpu-workers"


class QueuedCluster:
    """Both the API server and the cloud of a story. `shares`: GPUs that each team is guaranteed; None: without Kueue.
    `loses_jobs`: a job of a pool that is held is stopped once another one waits."""

    def __init__(self, shares: Mapping[str, int] | None, loses_jobs: bool = False) -> None:
        self.shares, self.loses_jobs = shares, loses_jobs
        self.held = False
        self.jobs: dict[str, Object] = {}
        self.machines_of: dict[str, str] = {}
        self._made = 0

    def running(self) -> list[str]:
        return [name for name, job in self.jobs.items() if not job["spec"]["suspend"] and not job["status"]]

    def replace_nodes(self) -> None:
        self.machines_of.clear()

    # The API server.

    def list(self, path: str, **selectors: str) -> list[Object]:
        self._admit()
        parts = path.removeprefix(KUEUE).strip("/").split("/")
        kind = parts[-1]
        shares = self.shares or {}
        if kind == "clusterqueues":
            return [{"metadata": {"name": team}, "spec": _quota(gpus)} for team, gpus in shares.items()]
        if kind == "namespaces":
            return [
                {"metadata": {"name": f"{team}-jobs"}} for team in shares if selectors["labelSelector"].endswith(team)
            ]
        if kind == "localqueues":
            return [{"metadata": {"name": "default"}}]
        if kind == "resourceflavors":
            return [{"spec": {"nodeTaints": [{"key": "gpuyard.dev/held"}] if self.held else []}}]
        mine = [job for job in self.jobs.values() if job["metadata"]["namespace"] == parts[-2]]
        found = {"jobs": mine, "pods": [_pod(job, self._machine(job)) for job in mine if self._runs(job)]}
        return found.get(kind, []) if kind != "workloads" else list(map(self._workload, mine))

    def get(self, path: str) -> Object | None:
        return {"kind": "APIGroup"} if self.shares is not None and path == "/apis/kueue.x-k8s.io" else None

    def request(self, _: str, path: str) -> Object:
        return {"metadata": {"name": path.rpartition("/")[2], "annotations": {MACHINE: path.rpartition("/")[2]}}}

    def create(self, path: str, body: Object) -> None:
        body["metadata"] |= {"namespace": path.split("/")[-2], "uid": body["metadata"]["name"]}
        body["spec"]["suspend"], body["status"] = True, {}
        self.jobs[body["metadata"]["name"]] = body

    def patch(self, path: str, body: Object) -> None:
        assert body == {"metadata": {"annotations": {"gpuyard.dev/run-seconds": "0"}}}
        self.jobs[path.rpartition("/")[2].removesuffix("-pod")]["status"] = {"succeeded": 1}

    def delete(self, path: str) -> None:
        self.jobs.pop(path.rpartition("/")[2], None)

    # The cloud.

    def groups(self) -> list[Any]:
        return [type("Group", (), {"pool": POOL, "desired": len(self.running())})()]

    def machines(self) -> list[Any]:
        return []

    # The queues.

    def _admit(self) -> None:
        """Suspends borrowers for a team that is within its share, then admits what there is room for."""
        if self.held:
            for name in self.running() if self.loses_jobs and len(self.jobs) > 1 else ():
                self.jobs[name]["spec"]["suspend"] = True
            return
        shares = self.shares or {}
        for job in self.jobs.values():
            used = len(self.running())
            team = _team(job)
            if job["spec"]["suspend"] and used == sum(shares.values()) and self._used(team) < shares[team]:
                last = [name for name in self.running() if _team(self.jobs[name]) != team][-1]
                self.jobs[last]["spec"]["suspend"] = True
            if len(self.running()) < sum(shares.values()):
                job["spec"]["suspend"] = False

    def _used(self, team: str) -> int:
        return sum(_team(self.jobs[name]) == team for name in self.running())

    def _runs(self, job: Object) -> bool:
        return job["metadata"]["name"] in self.running()

    def _machine(self, job: Object) -> str:
        if job["metadata"]["name"] not in self.machines_of:
            self._made += 1
            self.machines_of[job["metadata"]["name"]] = f"i-{self._made}"
        return self.machines_of[job["metadata"]["name"]]

    def _workload(self, job: Object) -> Object:
        why = "untolerated taint {gpuyard.dev/held}" if self.held else "insufficient unused quota"
        waits = {"type": "QuotaReserved", "status": str(not job["spec"]["suspend"]), "message": f"{why}. More"}
        owner = {"name": job["metadata"]["name"]}
        return {"metadata": {"ownerReferences": [owner]}, "status": {"conditions": [waits]}}


def _team(job: Object) -> str:
    return job["metadata"]["namespace"].removesuffix("-jobs")


def _quota(gpus: int) -> Object:
    resources = [{"name": "nvidia.com/gpu", "nominalQuota": str(gpus)}]
    return {"resourceGroups": [{"flavors": [{"name": POOL, "resources": resources}]}]}


def _pod(job: Object, machine: str) -> Object:
    meta = job["metadata"]
    labels = {"batch.kubernetes.io/job-name": meta["name"]}
    return {
        "metadata": {
            "name": f"{meta['name']}-pod",
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "labels": labels,
        },
        "spec": {"nodeName": machine},
        "status": {"phase": "Running"},
    }
