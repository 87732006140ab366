"""Queues in the stack: what a file with teams adds on both clouds, in which order, and what it leaves as it is."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from components.sharing import kueue
from recording.recording import Recording
from recording.stacks import record, recorded, settings
from sandbox.tests.eks_nodes import rungs
from stack import sharing
from tests.component.queue_objects import objects, quotas
from tests.config.test_errors import parse

STACKS = ("dev", "dev-gke")
HOLD = "pulumi-python:dynamic/gpuyard:PoolHold"
RELEASE = "pulumi-python:dynamic/gpuyard:PoolRelease"
GPUS = "nvidia.com/gpu"


@functools.cache
def without_teams(stack: str) -> Recording:
    return record(settings(stack), stack)


@functools.cache
def with_teams(stack: str) -> Recording:
    return changed(stack)


def changed(stack: str, pool: dict[str, Any] | None = None, **queues: Any) -> Recording:
    """The stack with two teams, and with changed fields of the pool `gpu-workers`."""
    config = settings(stack)
    config["gpuyard:teams"] = {"vision": {"guaranteed": {"gpu-workers": 3}}, "nlp": {}}
    config["gpuyard:queues"] = queues
    config["gpuyard:nodePools"]["gpu-workers"] |= pool or {}
    return record(config, stack)


def plan(found: Recording, pool: str) -> str:
    """What the hold of a pool compares."""
    plans = found.all("pulumi-python:dynamic/gpuyard:PoolPlan")
    return next(each.inputs["replaces"] for each in plans if each.name == f"{pool}-hold-plan")


@pytest.mark.parametrize("stack", STACKS)
def test_a_stack_without_teams_has_nothing_of_queues_and_teams_change_no_urn(stack: str) -> None:
    before, after = without_teams(stack), with_teams(stack)
    assert not [name for name in before.resources if "kueue" in name.lower() or "Hold" in name or "Priority" in name]
    assert {*before.resources} <= {*after.resources}


@pytest.mark.parametrize("stack", STACKS)
def test_the_teams_of_the_file_share_the_pools_of_the_file(stack: str) -> None:
    """seed row S22"""
    found = with_teams(stack)
    most = settings(stack)["gpuyard:nodePools"]["gpu-workers"]["max"]
    assert quotas(found, "vision")["gpu-workers"][GPUS] == "3"
    assert quotas(found, "nlp")["gpu-workers"][GPUS] == str(most - 3)
    local = {each["metadata"]["namespace"]: each["spec"] for each in _local_queues(found)}
    assert local == {"vision": {"clusterQueue": "vision"}, "nlp": {"clusterQueue": "nlp"}}
    kinds = ("PriorityClass", "WorkloadPriorityClass")
    assert [len(objects(found, kind)) for kind in kinds] == [4 + _of_kueue(found), 3]


def _local_queues(found: Recording) -> list[dict[str, Any]]:
    return [each.inputs for each in found.resources.values() if each.inputs.get("kind") == "LocalQueue"]


def _of_kueue(found: Recording) -> int:
    return sum("gpuyard" not in name for name in objects(found, "PriorityClass"))


@pytest.mark.parametrize("stack", STACKS)
def test_a_changed_max_changes_pool_and_quota_and_holds_nothing(stack: str) -> None:
    """kueue#3183"""
    before, after = with_teams(stack), changed(stack, {"max": 20})
    assert quotas(after, "nlp")["gpu-workers"][GPUS] == "17"
    assert plan(before, "gpu-workers") == plan(after, "gpu-workers")


@pytest.mark.parametrize("stack", STACKS)
def test_a_change_that_replaces_nodes_holds_their_pool_only(stack: str) -> None:
    """terraform-aws-eks#2905"""
    before, after = with_teams(stack), changed(stack, {"diskGib": 555})
    assert plan(before, "gpu-workers") != plan(after, "gpu-workers")
    assert plan(before, "cpu-workers") == plan(after, "cpu-workers")


@pytest.mark.parametrize("stack", STACKS)
def test_a_pool_is_held_before_it_is_updated_and_released_after_it(stack: str) -> None:
    found = with_teams(stack)
    holds = {each.name: each for each in found.all(HOLD)}
    releases = {each.name: each for each in found.all(RELEASE)}
    order = [*found.resources]
    for pool in ("cpu-workers", "gpu-workers"):
        hold, release = holds[f"{pool}-hold-hold"], releases[f"{pool}-release-release"]
        component = next(each for each in found.resources.values() if each.name == pool and "NodePool" in each.type)
        assert hold.urn in component.dependencies and hold.urn in release.dependencies
        outer = next(each for each in found.resources.values() if each.name == f"{pool}-release")
        own = {each.urn for each in found.resources.values() if each.name == f"queues-{pool}-flavor"}
        own |= {each.urn for each in found.resources.values() if each.urn.startswith(f"{component.urn}$")}
        assert own & outer.dependencies, "it follows the pool and its flavor"
        assert order.index(hold.urn) < order.index(component.urn) < order.index(release.urn)


def test_headroom_is_an_option() -> None:
    name = "headroom-gpu-workers"
    assert not with_teams("dev").all("gpuyard:index:Headroom")
    found = changed("dev", headroom={"gpu-workers": 1})
    (made,) = [each for each in found.resources.values() if each.name == name]
    assert made.inputs["spec"]["replicas"] == 1


def test_queues_can_be_switched_off() -> None:
    found = changed("dev", enabled=False)
    assert not objects(found, "ClusterQueue") and not found.all(HOLD) and not _local_queues(found)


def test_every_node_has_the_labels_of_its_flavor() -> None:
    """seed row S04: also the node that the autoscaler expects of an empty group; otherwise a job waits for nodes that
    never fit it."""
    found = with_teams("dev")
    flavors = objects(found, "ResourceFlavor")
    for rung in rungs(found):
        for node in (rung.expected(), rung.joined()):
            assert flavors[rung.pool]["spec"]["nodeLabels"].items() <= node.labels.items()


def test_a_stopped_job_waits_until_idle_nodes_are_removed() -> None:
    """Kueue's longest wait is not shorter than the first one."""
    config = {**settings("dev"), "gpuyard:teams": {"a": {}}, "gpuyard:addons": {"scaleDownAfterMinutes": 59}}
    args = sharing._kueue_args(parse("dev", config))
    assert args["first_retry_seconds"] == 60 * args["longest_retry_minutes"] == 3600
    assert not list(kueue.problems(args))


def test_the_stack_of_the_stories_is_dev_with_two_teams_and_a_small_pool() -> None:
    """Two GPUs of four for each team, so that a team with four has borrowed two."""
    dev, teams = settings("dev"), settings("teams")
    dev["gpuyard:teams"] = {"nlp": {}, "vision": {}}
    dev["gpuyard:nodePools"]["gpu-workers"]["max"] = 4
    assert teams == dev
    found = recorded("teams")
    assert {team: quotas(found, team)["gpu-workers"][GPUS] for team in ("nlp", "vision")} == {"nlp": "2", "vision": "2"}
