"""Two teams on a full cluster: one borrows what the other leaves, and gives it back when the other needs it.

The first team's jobs take the whole pool, more than its share; the second team's job waits a moment, then Kueue
stops a borrower, and the job runs; the stopped job waits in its queue, runs when the second team is done, and
completes; the pool is at 0 again.
"""

from __future__ import annotations

from typing import Any

from sandbox.errors import SandboxError
from sandbox.stories.queued import KUEUE, QueueStory, gpus
from sandbox.stories.story import POOL

_MOST_JOBS = 16


class Teams(QueueStory):
    """One run of the story, with the first two teams that have a share of the pool."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._whole = 0

    def _require(self) -> None:
        super()._require()
        self._whole = sum(self.shares.values()) + sum(map(gpus, self._api.list(f"{KUEUE}/cohorts")))
        if self._whole > _MOST_JOBS:
            raise SandboxError(
                f"The teams share {self._whole} GPUs of {POOL}; the story fills at most {_MOST_JOBS}.",
                f"lower `max` of {POOL} in the stack's file, and run `make up`",
            )

    def _story(self) -> None:
        lender, borrower = self.teams
        for number in range(self._whole):
            self._submit(borrower, f"long-{number}")
        self._until(f"{borrower} has the whole pool", lambda: len(self._pods(borrower)) == self._whole)
        own, lent = self.shares[borrower], self._whole - self.shares[borrower]
        self._report(
            "borrowed", f"{borrower} runs {self._whole} jobs of one GPU: {own} are its share, {lent} are borrowed"
        )

        short = self._submit(lender, "short")
        stopped = self._until(f"a job of {borrower} is stopped", lambda: self._stopped(borrower))[0]
        self._report("given back", f"{lender} submits {short}, and {stopped} of {borrower} is stopped")
        self._until(f"the job of {lender} runs", lambda: self._pods(lender))
        self._report("running", f"{short} runs; {borrower} keeps {len(self._pods(borrower))} GPUs")
        reason = self._until("the stopped job says why it waits", lambda: self._reason(borrower, stopped))
        self._report("waiting", f"{stopped} waits: {reason}")

        self._finish(lender)
        self._until(f"the job of {lender} completes", lambda: self._done(lender))
        self._until("the stopped job runs again", lambda: stopped in self._pods(borrower))
        self._report("its turn", f"{short} is done, and {stopped} runs again")
        self._finish(borrower)
        self._until(f"all jobs of {borrower} complete", lambda: len(self._done(borrower)) == self._whole)
        self._report("done", "every job is complete, and none counted the stop as a failure")
        self._until(f"{POOL} goes back to 0", lambda: self._size() == 0 and not self._nodes())
        self._report("back to zero", f"{POOL} is at 0 again: nothing left to pay for")

    def _stopped(self, team: str) -> list[str]:
        """Names of the team's jobs that have run and are suspended again."""
        return sorted(
            job["metadata"]["name"]
            for job in self._jobs(team)
            if job["spec"].get("suspend") and not job["status"].get("succeeded")
        )
