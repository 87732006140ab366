"""A pool's nodes are replaced while a job trains: the pool is held, the job gets its time, and nothing is lost.

A job trains; an `up` with a larger disk for the pool begins, and holds the pool; a new job waits; the first job
completes; the nodes are replaced, and the pool is released; the new job runs on a new node. At the end another `up`
gives the pool the disk of the stack's file again.
"""

from __future__ import annotations

from typing import Any

from components.pools import GPU_DISK_GIB
from sandbox.cluster.nodes import machine_id
from sandbox.stacks import Stack, project
from sandbox.stories.queued import KUEUE, QueueStory
from sandbox.stories.story import POOL
from sandbox.stories.update import Update, last_value

HELD = "gpuyard.dev/held"
_POOL_LABEL = "gpuyard.dev/pool"
_MORE_GIB = 10
_UP_SECONDS = 600


class Roll(QueueStory):
    """One run of the story. `stack`: the one whose cluster it is."""

    def __init__(self, *args: Any, stack: Stack, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._stack = stack
        self._update: Update | None = None
        self._is_changed = False

    def _story(self) -> None:
        first, second = self.teams
        train = self._submit(first, "train")
        pod = self._until("the job trains", lambda: self._pods(first).get(train))
        node = self._node(pod["spec"]["nodeName"])
        self._report("training", f"{train} of {first} runs on {node['metadata']['name']}")

        # Not more than the file's, but than the last run's: a story that was killed may have left its own disk.
        last = last_value(self._stack, f"{project()}:nodePools", POOL, "diskGib") or GPU_DISK_GIB
        update = self._begin(f"{project()}:nodePools.{POOL}.diskGib={last + _MORE_GIB}")
        self._report("changed", f"`make up` begins with `diskGib: {last + _MORE_GIB}` for {POOL}, which replaces nodes")
        self._quote("held", update, "admit no new jobs")
        self._until(f"{POOL} has the taint", self._is_held)
        self._quote("time to finish", update, "waiting for")
        after = self._submit(second, "next")
        reason = self._until(f"{after} waits", lambda: self._reason(second, after))
        self._report("waiting", f"{second} submits {after}, which waits: {reason}")
        now = self._pods(first).get(train, {}).get("metadata", {})
        self._check(now.get("uid") == pod["metadata"]["uid"], f"{train} was stopped")

        self._finish(first)
        self._until(f"{train} completes", lambda: train in self._done(first))
        self._report("trained", f"{train} is complete; it was not stopped")
        self._quote("released", update, "admit jobs again")
        self._check(not self._is_held(), f"{POOL} still has the taint {HELD}")
        found = self._until(f"{after} runs", lambda: self._pods(second).get(after))
        new = self._node(found["spec"]["nodeName"])
        self._check(machine_id(new) != machine_id(node), f"{after} runs on machine {machine_id(node)}, an old one")
        self._report("running", f"{after} runs on {new['metadata']['name']}, a new machine")
        self._end()

        self._finish(second)
        self._until(f"{after} completes", lambda: after in self._done(second))
        self._begin()
        self._end()
        self._report("as before", f"another `make up` has given {POOL} the disk of {self._stack.file.name} again")
        self._until(f"{POOL} goes back to 0", lambda: self._size() == 0 and not self._nodes())
        self._report("back to zero", f"{POOL} is at 0 again: nothing left to pay for")

    def _clean(self) -> None:
        """Deletes the jobs, for which an `up` may wait, and restores the pool."""
        super()._clean()
        if self._update:
            self._update.wait()
        if self._is_changed:
            self._note(f"`make up` gives {POOL} the disk of {self._stack.file.name} again")
            self._begin().wait()

    def _evidence(self) -> list[str]:
        lines = self._update.lines()[-8:] if self._update else []
        return [*super()._evidence(), *(f"up: {line}" for line in lines)]

    def _begin(self, *values: str) -> Update:
        """Starts an `up`."""
        self._update, self._is_changed = Update(self._stack, *values), bool(values)
        return self._update

    def _end(self) -> None:
        """Waits for the end of the `up`, which must succeed."""
        self._until("the end of `make up`", self._has_ended, _UP_SECONDS)

    def _has_ended(self) -> bool:
        code = self._update.code if self._update else 0
        self._check(not code, f"`make up` ended with exit code {code}")
        return code == 0

    def _quote(self, name: str, update: Update, part: str) -> None:
        """Reports the line of the `up` that contains `part`."""

        def line() -> str:
            self._has_ended()
            return update.line(part)

        self._report(name, self._until(f"`make up` reports: {part}", line, _UP_SECONDS))

    def _is_held(self) -> bool:
        """Whether every flavor of the pool has the taint."""
        flavors = self._api.list(f"{KUEUE}/resourceflavors", labelSelector=f"{_POOL_LABEL}={POOL}")
        return all(HELD in {taint["key"] for taint in each["spec"].get("nodeTaints") or ()} for each in flavors)
