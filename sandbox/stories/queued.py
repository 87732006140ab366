"""What the stories of teams have in common: teams with queues, and their jobs.

A job runs until the story ends it, so that no step depends on how fast the machine is.
"""

from __future__ import annotations

from typing import Any

from sandbox.cluster.api import Object
from sandbox.cluster.kwok import RUN_SECONDS
from sandbox.cluster.nodes import GPU
from sandbox.errors import SandboxError
from sandbox.stories.story import POOL, Story, running
from sandbox.workload import training_job

KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
QUEUE_LABEL, TEAM_LABEL = "kueue.x-k8s.io/queue-name", "gpuyard.dev/team"
_NAME = "gpuyard-demo"
_LONG_SECONDS = 3600


class QueueStory(Story):
    """A story of teams with a share of the pool. `teams`: their names; `shares`: GPUs of the pool that each team is
    guaranteed."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.teams: list[str] = []
        self.shares: dict[str, int] = {}

    def _require(self) -> None:
        super()._require()
        queues = self._api.list(f"{KUEUE}/clusterqueues") if self._api.get("/apis/kueue.x-k8s.io") else []
        self.shares = {each["metadata"]["name"]: gpus(each) for each in queues}
        self.teams = [name for name, share in sorted(self.shares.items()) if share and self._namespace(name)]
        if len(self.teams) < 2:
            raise SandboxError(
                f"The cluster {self._key} has no two teams with a share of {POOL}.",
                "make up STACK=teams starts an environment that has them; or add two teams to `gpuyard:teams` of the "
                "stack's file (docs/teams.md), and run `make up`",
            )
        self.teams = self.teams[:2]
        self.namespaces = tuple(map(self._namespace, self.teams))

    def _clean(self) -> None:
        for team in self.teams:
            for job in self._jobs(team):
                self._api.delete(f"{self._path(team)}/{job['metadata']['name']}")

    def _evidence(self) -> list[str]:
        waiting = [(team, job["metadata"]["name"]) for team in self.teams for job in self._jobs(team)]
        reasons = [
            f"job {job} of {team} waits: {reason}" for team, job in waiting if (reason := self._reason(team, job))
        ]
        return [*reasons, *super()._evidence()]

    def _namespace(self, team: str) -> str:
        """The team's namespace; empty if it has none."""
        found = self._api.list("/api/v1/namespaces", labelSelector=f"{TEAM_LABEL}={team}")
        return found[0]["metadata"]["name"] if found else ""

    def _path(self, team: str) -> str:
        return f"/apis/batch/v1/namespaces/{self._namespace(team)}/jobs"

    def _submit(self, team: str, name: str) -> str:
        """Creates a job of one GPU in the team's queue, and returns its name."""
        (queue,) = self._api.list(f"{KUEUE}/namespaces/{self._namespace(team)}/localqueues")
        job = training_job(f"{_NAME}-{name}", _LONG_SECONDS)
        job["metadata"]["labels"] = {QUEUE_LABEL: queue["metadata"]["name"], "app": _NAME}
        self._api.create(self._path(team), job)
        return job["metadata"]["name"]

    def _jobs(self, team: str) -> list[Object]:
        """The story's jobs of a team."""
        return self._api.list(self._path(team), labelSelector=f"app={_NAME}")

    def _pods(self, team: str) -> dict[str, Object]:
        """The running pods of the story's jobs, by the name of the job."""
        pods = self._api.list(f"/api/v1/namespaces/{self._namespace(team)}/pods")
        alive = [pod for pod in pods if running(pod) and not pod["metadata"].get("deletionTimestamp")]
        found = {(pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-name", ""): pod for pod in alive}
        return {job: pod for job, pod in sorted(found.items()) if job.startswith(_NAME)}

    def _finish(self, team: str) -> None:
        """Ends the team's running jobs: each has trained for as long as it should."""
        for pod in self._pods(team).values():
            path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
            self._api.patch(path, {"metadata": {"annotations": {RUN_SECONDS: "0"}}})

    def _done(self, team: str) -> list[str]:
        """The team's jobs that are complete. Raises NotObserved if one has failed."""
        jobs = self._jobs(team)
        self._check(not any(job["status"].get("failed") for job in jobs), f"a job of {team} failed")
        return [job["metadata"]["name"] for job in jobs if job["status"].get("succeeded")]

    def _reason(self, team: str, job: str) -> str:
        """Kueue's message about a job that waits."""
        for workload in self._api.list(f"{KUEUE}/namespaces/{self._namespace(team)}/workloads"):
            owners = [owner["name"] for owner in workload["metadata"].get("ownerReferences") or []]
            conditions = workload.get("status", {}).get("conditions") or []
            waits = [each for each in conditions if each["type"] == "QuotaReserved" and each["status"] == "False"]
            if job in owners and waits:
                return waits[0]["message"].split(". ")[0]
        return ""


def gpus(queue: Object) -> int:
    """The quota of GPUs of the pool in a queue or cohort."""
    return sum(
        int(resource["nominalQuota"])
        for group in queue["spec"].get("resourceGroups") or []
        for flavor in group["flavors"]
        if flavor["name"].startswith(POOL)
        for resource in flavor["resources"]
        if resource["name"] == GPU
    )
