"""The stories of teams on an in-memory cluster: what they need, what they report, and that a stack is restored."""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from sandbox import paths
from sandbox.errors import SandboxError
from sandbox.stacks import Stack
from sandbox.stories import roll, update
from sandbox.stories.queued import QueueStory
from sandbox.stories.roll import Roll
from sandbox.stories.teams import Teams
from sandbox.tests.unit.queued_cluster import QueuedCluster

KEY = "eks-us-east-1-test"


@dataclass
class FakeUpdate:
    """An `up` that holds the pool, waits for its jobs, replaces its nodes and releases it, one step per question."""

    cluster: QueuedCluster
    values: tuple[str, ...]
    code: int | None = None
    fails: bool = False
    printed: list[str] = field(default_factory=list)

    def wait(self) -> None:
        while self.code is None:
            self._go_on()

    def lines(self) -> list[str]:
        return self.printed

    def line(self, part: str) -> str:
        if self.code is None:
            self._go_on()
        return next((line for line in self.printed if part in line), "")

    def _go_on(self) -> None:
        if self.fails:
            self.code, self.printed = 1, ["Error: no credentials"]
        elif not self.printed:
            self.cluster.held = True
            self.printed = ["gpu-workers: its queues admit no new jobs", "gpu-workers: waiting for training/train"]
        elif not self.cluster.running():
            self.cluster.replace_nodes()
            self.cluster.held = False
            self.printed.append("gpu-workers: its queues admit jobs again")
            self.code = 0


@pytest.fixture
def updates(monkeypatch: pytest.MonkeyPatch) -> list[FakeUpdate]:
    """The updates that the story starts, on the cluster of `played`."""
    started: list[FakeUpdate] = []
    monkeypatch.setattr(roll, "last_value", lambda *_: 100)
    monkeypatch.setattr(roll, "_UP_SECONDS", 2)
    return started


def played(
    story: type[QueueStory], cluster: QueuedCluster, monkeypatch: pytest.MonkeyPatch, updates: list[FakeUpdate],
    fails: bool = False,
) -> tuple[bool, dict[str, str], str]:  # fmt: skip
    """Whether the story went well, its steps, and what it printed."""

    def begin(_: Stack, *values: str) -> FakeUpdate:
        updates.append(FakeUpdate(cluster, values, fails=fails and bool(values), code=None if values else 0))
        return updates[-1]

    monkeypatch.setattr(roll, "Update", begin)
    more: dict[str, Any] = {"stack": Stack("teams")} if story is Roll else {}
    screen = io.StringIO()
    run = story(KEY, cluster, cluster, Console(file=screen, width=200), bound=2, **more)  # type: ignore[arg-type]
    ok = run.play()
    return ok, {step.name: step.seen for step in run.steps}, screen.getvalue()


def test_a_team_borrows_gives_back_waits_and_runs_again(monkeypatch, updates) -> None:
    cluster = QueuedCluster({"nlp": 2, "vision": 2})
    ok, seen, screen = played(Teams, cluster, monkeypatch, updates)
    assert ok, screen
    assert [*seen] == ["at rest", "borrowed", "given back", "running", "waiting", "its turn", "done", "back to zero"]
    assert seen["borrowed"] == "vision runs 4 jobs of one GPU: 2 are its share, 2 are borrowed"
    assert seen["waiting"].endswith("insufficient unused quota")
    assert not cluster.jobs


def test_a_roll_lets_the_job_end_and_the_next_one_start_on_a_new_machine(monkeypatch, updates) -> None:
    cluster = QueuedCluster({"nlp": 2, "vision": 2})
    ok, seen, screen = played(Roll, cluster, monkeypatch, updates)
    assert ok, screen
    names = ["at rest", "training", "changed", "held", "time to finish", "waiting", "trained", "released", "running"]
    assert [*seen] == [*names, "as before", "back to zero"]
    assert seen["held"] == "gpu-workers: its queues admit no new jobs" and "gpuyard.dev/held" in seen["waiting"]
    assert [each.values for each in updates] == [("gpuyard:nodePools.gpu-workers.diskGib=110",), ()]


def test_a_roll_that_stops_the_job_is_reported_and_the_stack_is_restored(monkeypatch, updates) -> None:
    cluster = QueuedCluster({"nlp": 2, "vision": 2}, loses_jobs=True)
    ok, _, screen = played(Roll, cluster, monkeypatch, updates)
    assert not ok and "✗ this did not happen: gpuyard-demo-train was stopped" in screen
    assert [each.values for each in updates] == [("gpuyard:nodePools.gpu-workers.diskGib=110",), ()]
    assert "gives gpu-workers the disk of Pulumi.teams.yaml again" in screen and not cluster.jobs


def test_an_update_that_fails_ends_the_story_and_shows_why(monkeypatch, updates) -> None:
    cluster = QueuedCluster({"nlp": 2, "vision": 2})
    ok, _, screen = played(Roll, cluster, monkeypatch, updates, fails=True)
    assert not ok and "`make up` ended with exit code 1" in screen and "up: Error: no credentials" in screen
    assert updates[-1].values == ()


@pytest.mark.parametrize("story", [Teams, Roll])
@pytest.mark.parametrize("shares", [None, {}, {"vision": 4}, {"nlp": 0, "vision": 4}])
def test_a_cluster_without_two_teams_is_an_error_with_a_fix(story, shares, monkeypatch, updates) -> None:
    """None: without Kueue."""
    with pytest.raises(SandboxError, match="has no two teams with a share of gpu-workers") as caught:
        played(story, QueuedCluster(shares), monkeypatch, updates)
    assert "make up STACK=teams" in caught.value.fix
    assert not updates


def test_a_pool_that_is_too_large_to_fill_is_an_error(monkeypatch, updates) -> None:
    with pytest.raises(SandboxError, match="share 20 GPUs of gpu-workers; the story fills at most 16"):
        played(Teams, QueuedCluster({"nlp": 10, "vision": 10}), monkeypatch, updates)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack whose last run had another disk than its file."""
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    found = Stack("teams")
    paths.folder("config")
    found.copy.write_text("config:\n  gpuyard:nodePools: {gpu-workers: {diskGib: 210}, cpu-workers: {}}\n")
    return found


def test_the_value_of_the_last_run_is_found(stack: Stack) -> None:
    assert update.last_value(stack, "gpuyard:nodePools", "gpu-workers", "diskGib") == 210
    assert update.last_value(stack, "gpuyard:nodePools", "cpu-workers", "diskGib") is None
    assert update.last_value(stack, "gpuyard:queues", "holdMinutes") is None


def test_an_update_is_a_process_whose_lines_are_read_while_it_runs(stack: Stack, monkeypatch) -> None:
    program = "import sys, time; print('  held', sys.argv[1:], flush=True); time.sleep(60)"
    monkeypatch.setattr(update, "COMMAND", (sys.executable, "-c", program))
    running = update.Update(stack, "a=1")
    try:
        while not running.line("held"):
            assert running.code is None
        assert running.line("held") == "held ['up', '--stack', 'teams', '--config', 'a=1']" and not running.line("end")
    finally:
        running._child.kill()
        running.wait()
    assert running.code
