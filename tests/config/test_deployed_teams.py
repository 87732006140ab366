"""A file whose teams change while their namespaces exist: no change deletes a namespace as a side effect."""

from __future__ import annotations

import copy
from typing import Any

import pulumi
import pytest

from recording.stacks import record
from tests.config.test_deployed import reported_problems
from tests.config.test_errors import changed
from tests.deployed import changed as run

BOTH = pytest.mark.parametrize("stack", ["dev", "dev-gke"])
TEAMS: dict[str, Any] = {"training": {}, "research": {"namespace": "lab"}}


def file(stack: str, **teams: Any) -> dict[str, Any]:
    """The stack's file with two teams. `teams`: what a team has instead; None removes it."""
    found = {**copy.deepcopy(TEAMS), **teams}
    return changed(stack, {"gpuyard:teams": {name: spec for name, spec in found.items() if spec is not None}})


@BOTH
@pytest.mark.parametrize("finished", [True, False], ids=["up", "failed-up"])
def test_a_team_cannot_be_removed_in_one_step(stack: str, finished: bool) -> None:
    """seed row S22: also where the environment has no deletion protection, and where an `up` failed. The error names
    the namespace and the steps."""
    there = record(file(stack), stack)
    for team, namespace in (("training", "training"), ("research", "lab")):
        left = {name: spec for name, spec in TEAMS.items() if name != team}
        (problem,) = reported_problems(stack, {"gpuyard:teams": left}, there, finished=finished)
        assert (
            problem.path == f"gpuyard:teams.{team}" and f"its namespace {namespace} would be deleted" in problem.wrong
        )
        assert f"teams.{team}.deletionProtection: false" in problem.fix and "`pulumi up`" in problem.fix


@BOTH
def test_a_team_whose_protection_was_taken_away_can_be_removed_with_a_warning(stack: str, warned: list[str]) -> None:
    """seed row S22: the second of two steps."""
    there = record(file(stack, training={"deletionProtection": False}), stack)
    made = run(there, file(stack, training=None), stack)
    labels = [found.inputs["metadata"]["labels"].get("gpuyard.dev/team") for found in made.all("Namespace")]
    assert [team for team in labels if team] == ["research"]
    (warning,) = [each for each in warned if "teams" in each]
    assert warning.startswith("teams.training: THE NAMESPACE training IS DELETED with everything in it")


@BOTH
@pytest.mark.parametrize(
    ("change", "exists"), [({"training": {"namespace": "other"}}, "training"), ({"research": {}}, "lab")]
)
def test_a_team_cannot_move_to_another_namespace(stack: str, change: dict[str, Any], exists: str) -> None:
    """seed row S22: a renamed namespace is a new, empty one, and the old one is deleted."""
    there = record(file(stack), stack)
    with pytest.raises(pulumi.RunError, match="a team cannot move to another namespace") as caught:
        run(there, file(stack, **change), stack)
    assert f"write {exists}" in str(caught.value)


@BOTH
def test_other_changes_of_a_team_are_neither_refused_nor_warned_about(stack: str, warned: list[str]) -> None:
    there = record(file(stack), stack)
    for training in ({"quota": {"gpus": 4}}, {"namespace": "training"}, {"network": {"internet": True}}):
        run(there, file(stack, training=training), stack)
    run(record(changed(stack, {}), stack), file(stack), stack)
    assert [each for each in warned if "teams" in each] == []
