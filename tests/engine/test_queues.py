"""Teams and queues in a deployed environment, in order: the two stories of teams that the sandbox tells, and a
preview that shows no change after them."""

from __future__ import annotations

import pytest

from tests.engine.conftest import Project
from tests.engine.test_story import steps

STACK = ("--stack", "teams")


@pytest.fixture(scope="module")
def deployed(project: Project) -> Project:
    """The environment of the stories, up."""
    project.run("up", *STACK)
    return project


def story_of(deployed: Project, story: str) -> dict[str, str]:
    """The steps of a story, which must all happen."""
    report = deployed.json("demo", *STACK, "--story", story, "--json")
    assert report["ok"], report["steps"]
    return {step["name"]: step["seen"] for step in report["steps"]}


def test_two_teams_share_a_full_pool(deployed: Project) -> None:
    """seed rows S17, S22: borrow, give back, wait, run."""
    seen = story_of(deployed, "teams")
    assert seen["borrowed"] == "vision runs 4 jobs of one GPU: 2 are its share, 2 are borrowed"
    assert "insufficient unused quota for nvidia.com/gpu" in seen["waiting"]


def test_a_pool_is_replaced_while_a_job_trains(deployed: Project) -> None:
    """terraform-aws-eks#2905: the `up` holds the pool, waits for the job, replaces the nodes and releases the pool."""
    seen = story_of(deployed, "roll")
    assert seen["held"].endswith("gpu-workers: its queues admit no new jobs until its nodes are replaced")
    assert "waiting for nlp/gpuyard-demo-train (up to 60 more minutes)" in seen["time to finish"]
    assert "untolerated taint {gpuyard.dev/held" in seen["waiting"]
    assert seen["released"].endswith("gpu-workers: its queues admit jobs again")


def test_a_preview_shows_no_change(deployed: Project) -> None:
    """The stories restored what they changed, and what Kueue and the autoscaler did is not drift."""
    assert {operation for operation, _ in steps(deployed.json("preview", *STACK, "--json"))} <= {"same"}
