"""Two teams on a full cluster: one borrows what the other leaves, and gives it back when the other needs it.

The first team's jobs take the whole pool, more than its share; the second team's job waits a moment, then Kueue
stops a borrower, and the job runs; the stopped job waits in its queue, runs when the second team is done, and
completes; the pool is at 0 again.
"""

from __future__ import annotations

from typing import Any

from sandbox.cluster.api import Object
from sandbox.errors import SandboxError
from sandbox.stories.story import POOL, Story, running
from sandbox.workload import training_job

QUEUE_LABEL, TEAM_LABEL = "kueue.x-k8s.io/queue-name", "gpuyard.dev/team"
GPU = "nvidia.com/gpu"
LONG_SECONDS, SHORT_SECONDS = 40, 8
_KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
_NAME = "gpuyard-demo"
_MOST_JOBS = 16


class Teams(Story):
    """One run of the story, with the first two teams that have a share of the pool."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._lender, self._borrower, self._share, self._whole = "", "", 0, 0

    def _require(self) -> None:
        super()._require()
        queues = self._api.list(f"{_KUEUE}/clusterqueues") if self._has_kueue() else []
        shares = {each["metadata"]["name"]: _gpus(each) for each in queues}
        teams = [name for name, gpus in sorted(shares.items()) if gpus and self._namespace(name)]
        if len(teams) < 2:
            raise SandboxError(
                f"The cluster {self._key} has no two teams with a share of {POOL}.",
                "add two teams to `gpuyard:teams` of the stack's file (docs/teams.md), and run `make up`",
            )
        self._lender, self._borrower = teams[:2]
        self._share = shares[self._borrower]
        cohorts = self._api.list(f"{_KUEUE}/cohorts")
        self._whole = sum(shares.values()) + sum(map(_gpus, cohorts))
        if self._whole > _MOST_JOBS:
            raise SandboxError(
                f"The teams share {self._whole} GPUs of {POOL}; the story fills at most {_MOST_JOBS}.",
                f"lower `max` of {POOL} in the stack's file, and run `make up`",
            )
        self.namespaces = (self._namespace(self._lender), self._namespace(self._borrower))

    def _clean(self) -> None:
        for namespace in self.namespaces:
            path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
            for job in self._api.list(path, labelSelector=f"app={_NAME}"):
                self._api.delete(f"{path}/{job['metadata']['name']}")

    def _story(self) -> None:
        lender, borrower = self._lender, self._borrower
        for number in range(self._whole):
            self._submit(borrower, f"long-{number}", LONG_SECONDS)
        self._until(f"{borrower} has the whole pool", lambda: len(self._running(borrower)) == self._whole)
        own, lent = self._share, self._whole - self._share
        self._report(
            "borrowed", f"{borrower} runs {self._whole} jobs of one GPU: {own} are its share, {lent} are borrowed"
        )

        self._submit(lender, "short", SHORT_SECONDS)
        stopped = self._until(f"a job of {borrower} is stopped", lambda: self._stopped(borrower))
        self._report("given back", f"{lender} submits a job, and {', '.join(stopped)} of {borrower} is stopped")
        self._until(f"the job of {lender} runs", lambda: self._running(lender))
        self._report("running", f"the job of {lender} runs; {borrower} keeps {len(self._running(borrower))} GPUs")
        reason = self._until("the stopped job says why it waits", lambda: self._reason(borrower, stopped[0]))
        self._report("waiting", f"{stopped[0]} waits: {reason}")

        self._until(f"the job of {lender} completes", lambda: self._done(lender) == 1)
        self._until("the stopped job runs again", lambda: stopped[0] in self._running(borrower) or self._done(borrower))
        self._report("its turn", f"the job of {lender} is done, and {stopped[0]} runs again")
        self._until(f"all jobs of {borrower} complete", lambda: self._done(borrower) == self._whole)
        self._report("done", "every job is complete, and none counted the stop as a failure")
        self._until(f"{POOL} goes back to 0", lambda: self._size() == 0 and not self._nodes())
        self._report("back to zero", f"{POOL} is at 0 again: nothing left to pay for")

    def _has_kueue(self) -> bool:
        return self._api.get("/apis/kueue.x-k8s.io") is not None

    def _namespace(self, team: str) -> str:
        """The team's namespace; empty if it has none."""
        found = self._api.list("/api/v1/namespaces", labelSelector=f"{TEAM_LABEL}={team}")
        return found[0]["metadata"]["name"] if found else ""

    def _submit(self, team: str, name: str, seconds: float) -> None:
        namespace = self._namespace(team)
        (queue,) = self._api.list(f"{_KUEUE}/namespaces/{namespace}/localqueues")
        job = training_job(f"{_NAME}-{name}", seconds)
        job["metadata"]["labels"] = {QUEUE_LABEL: queue["metadata"]["name"], "app": _NAME}
        self._api.create(f"/apis/batch/v1/namespaces/{namespace}/jobs", job)

    def _jobs(self, team: str) -> list[Object]:
        return self._api.list(f"/apis/batch/v1/namespaces/{self._namespace(team)}/jobs", labelSelector=f"app={_NAME}")

    def _running(self, team: str) -> list[str]:
        """Names of the team's jobs with a running pod."""
        pods = self._api.list(f"/api/v1/namespaces/{self._namespace(team)}/pods")
        alive = [pod for pod in pods if running(pod) and not pod["metadata"].get("deletionTimestamp")]
        names = {(pod["metadata"].get("labels") or {}).get("batch.kubernetes.io/job-name", "") for pod in alive}
        return sorted(name for name in names if name.startswith(_NAME))

    def _stopped(self, team: str) -> list[str]:
        """Names of the team's jobs that have run and are suspended again."""
        return sorted(
            job["metadata"]["name"]
            for job in self._jobs(team)
            if job["spec"].get("suspend") and not job["status"].get("succeeded")
        )

    def _reason(self, team: str, job: str) -> str:
        """Kueue's message about a job that waits."""
        for workload in self._api.list(f"{_KUEUE}/namespaces/{self._namespace(team)}/workloads"):
            owners = [owner["name"] for owner in workload["metadata"].get("ownerReferences") or []]
            conditions = workload.get("status", {}).get("conditions") or []
            waits = [each for each in conditions if each["type"] == "QuotaReserved" and each["status"] == "False"]
            if job in owners and waits:
                return waits[0]["message"].split(". ")[0]
        return ""

    def _done(self, team: str) -> int:
        """How many of the team's jobs are complete, without a failure."""
        jobs = self._jobs(team)
        self._check(not any(job["status"].get("failed") for job in jobs), f"a job of {team} failed")
        return sum(bool(job["status"].get("succeeded")) for job in jobs)


def _gpus(queue: Object) -> int:
    """The quota of GPUs of the pool in a queue or cohort."""
    return sum(
        int(resource["nominalQuota"])
        for group in queue["spec"].get("resourceGroups") or []
        for flavor in group["flavors"]
        if flavor["name"].startswith(POOL)
        for resource in flavor["resources"]
        if resource["name"] == GPU
    )
