"""Pools that are held before their nodes are replaced, and released afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest

from components.cleanup import cluster_api
from components.sharing import flavors, hold
from components.sharing.hold import PoolHold, PoolRelease
from recording.recorder import run

GPU = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
PLAN, HOLD, RELEASE = hold._PlanProvider(), hold._HoldProvider(), hold._ReleaseProvider()


def flavor(name: str, pool: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"gpuyard.dev/pool": pool}}, "spec": {"nodeTaints": [GPU]}}


def workload(name: str, flavor: str, finished: bool = False) -> dict[str, Any]:
    conditions = [{"type": "Finished", "status": "True"}] if finished else []
    assignments = [{"flavors": {"cpu": flavor, "nvidia.com/gpu": flavor}}]
    return {
        "metadata": {"name": f"job-{name}", "namespace": "vision", "ownerReferences": [{"name": name}]},
        "status": {"admission": {"podSetAssignments": assignments}, "conditions": conditions},
    }


class Cluster:
    """The API of a cluster with Kueue. `unreachable`: why it does not answer."""

    def __init__(self) -> None:
        self.flavors = {each["metadata"]["name"]: each for each in (flavor("gpu", "gpu"), flavor("cpu", "cpu"))}
        self.workloads: list[dict[str, Any]] = []
        self.unreachable = ""

    def __call__(self, kubeconfig: str) -> Cluster:
        return self

    def list(self, path: str) -> list[dict[str, Any]]:
        if self.unreachable:
            raise cluster_api.Unreachable(self.unreachable)
        return self.workloads if path.endswith("workloads") else list(self.flavors.values())

    def patch(self, path: str, body: dict[str, Any]) -> None:
        self.flavors[path.rpartition("/")[2]]["spec"].update(body["spec"])

    def held(self) -> list[str]:
        return [name for name, each in self.flavors.items() if flavors.HELD in each["spec"]["nodeTaints"]]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    made = Cluster()
    monkeypatch.setattr(cluster_api, "Api", made)
    yield made


def state(held_at: str) -> dict[str, Any]:
    return {"kubeconfig": "{}", "pool": "gpu", "minutes": 0, "held_at": held_at}


def test_only_the_flavors_of_the_pool_are_held_and_keep_their_taints(cluster: Cluster) -> None:
    HOLD.update("id", state("1"), state("2"))
    assert cluster.held() == ["gpu"]
    assert cluster.flavors["gpu"]["spec"]["nodeTaints"] == [GPU, flavors.HELD]
    HOLD.update("id", state("2"), state("3"))
    assert cluster.flavors["gpu"]["spec"]["nodeTaints"] == [GPU, flavors.HELD]
    RELEASE.update("id", state("1"), state("3"))
    assert cluster.flavors["gpu"]["spec"]["nodeTaints"] == [GPU]


def test_running_jobs_of_the_pool_get_their_time_and_not_more(cluster: Cluster) -> None:
    """Jobs on other pools and finished ones are not waited for."""
    cluster.workloads = [workload("other", "cpu"), workload("done", "gpu", True), workload("train", "gpu")]
    lines: list[str] = []

    def end(_: float) -> None:
        cluster.workloads.pop()

    flavors.hold("{}", "gpu", 3600, lines.append, end)
    assert "waiting for vision/train (up to 60 more minutes)" in lines[1] and "no job of a queue runs" in lines[2]
    cluster.workloads.append(workload("train", "gpu"))
    flavors.hold("{}", "gpu", 0, lines.append, end)
    assert "the time is over; these jobs are drained with their nodes: vision/train" in lines[-1]


def test_a_cluster_that_stops_answering_does_not_end_the_wait(cluster: Cluster) -> None:
    """Its jobs still run, and their nodes would be replaced."""
    cluster.workloads = [workload("train", "gpu")]
    lines: list[str] = []
    steps = iter(["connection refused", ""])

    def later(_: float) -> None:
        cluster.unreachable = next(steps)
        if not cluster.unreachable:
            cluster.workloads.clear()

    flavors.hold("{}", "gpu", 3600, lines.append, later)
    assert next(steps, "over") == "over" and "no job of a queue runs there" in lines[-1]
    cluster.workloads = [workload("train", "gpu")]
    steps = iter(["connection refused"])
    flavors.hold("{}", "gpu", 0.2, lines.append, lambda _: later(0) if not cluster.unreachable else time.sleep(0.1))
    assert lines[-1].endswith("drained with their nodes: jobs that cannot be listed (connection refused)")


def test_without_kueue_or_a_cluster_nothing_is_held(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.flavors.clear()
    HOLD.update("id", state("1"), state("2"))
    assert capsys.readouterr().out == ""
    cluster.unreachable = "connection refused"
    HOLD.update("id", state("2"), state("3"))
    assert "warning: gpu is not held before its nodes are replaced: connection refused" in capsys.readouterr().out


def test_a_pool_that_cannot_be_released_is_an_error_with_the_command(cluster: Cluster) -> None:
    """So the next `up` tries again."""
    cluster.unreachable = "connection refused"
    with pytest.raises(flavors.HeldPoolError, match="kubectl edit resourceflavors"):
        RELEASE.update("id", state("1"), state("2"))


def test_creation_holds_nothing(cluster: Cluster) -> None:
    assert HOLD.create(state("1")).outs == state("1") and RELEASE.create(state("1")).outs == state("1")
    assert cluster.held() == []


class Engine:
    """The steps of an `up`, in their order, with the state that the engine keeps. `dies`: the step that is killed."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.plan = PLAN.create({"replaces": "a"}).outs
        self.hold = self.release = state(self.plan["planned_at"])
        self.pool = "a"

    def up(self, replaces: str, dies: str = "") -> list[str]:
        """Runs `up`. Returns what was held while the nodes were replaced."""
        news = {"replaces": replaces}
        if PLAN.diff("id", self.plan, news).changes:
            after = PLAN.update("id", self.plan, news).outs
            if dies == "plan":
                return []
            self.plan = after
        held = state(self.plan["planned_at"])
        if HOLD.diff("id", self.hold, held).changes:
            HOLD.update("id", self.hold, held)
            if dies == "hold":
                return []
            self.hold = held
        meanwhile = self.cluster.held()
        if self.pool != replaces:
            if dies == "pool":
                return meanwhile
            self.pool = replaces
        if RELEASE.diff("id", self.release, held).changes:
            RELEASE.update("id", self.release, held)
            if dies == "release":
                return meanwhile
            self.release = held
        return meanwhile


@pytest.mark.parametrize("dies", ["plan", "hold", "pool", "release"])
@pytest.mark.parametrize("after", ["b", "a"], ids=["same", "changed back"])
def test_after_a_failure_the_next_up_replaces_under_a_hold_and_releases(
    cluster: Cluster, dies: str, after: str
) -> None:
    """Also if the file was changed back: no pool stays held after a successful `up`."""
    engine = Engine(cluster)
    engine.up("b", dies)
    replaced = engine.pool == "b"
    meanwhile = engine.up(after)
    assert engine.pool == after and cluster.held() == []
    assert meanwhile == ["gpu"] or replaced == (after == "b")
    assert engine.up(after) == []


def test_an_up_without_a_replacement_holds_nothing(cluster: Cluster) -> None:
    engine = Engine(cluster)
    assert engine.up("a") == []
    assert engine.up("b") == ["gpu"] and cluster.held() == []


def program() -> None:
    made = PoolHold("gpu-hold", {"kubeconfig": "{}", "pool": "gpu", "replaces": "a"})
    PoolRelease("gpu-release", {"kubeconfig": "{}", "pool": "gpu", "held_at": made.held_at})


def test_the_release_follows_the_hold_and_kubeconfigs_are_secret() -> None:
    found = run(program)
    held = found.one("pulumi-python:dynamic/gpuyard:PoolHold")
    released = found.one("pulumi-python:dynamic/gpuyard:PoolRelease")
    assert held.secrets == released.secrets == {"kubeconfig"}
    assert held.urn in released.dependencies
    assert found.one("pulumi-python:dynamic/gpuyard:PoolPlan").urn in held.dependencies


def test_the_time_to_wait_has_a_range() -> None:
    with pytest.raises(pulumi.RunError, match="minutes = 1441: out of range"):
        run(lambda: PoolHold("x", {"kubeconfig": "{}", "pool": "gpu", "replaces": "a", "minutes": 1441}))
