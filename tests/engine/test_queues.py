"""Teams and queues in a deployed environment, in order: the two stories of teams that the sandbox tells, a larger pool
for a gang that waits, and a preview that shows no change after all of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.workload import LIMITS, REQUESTS, TOLERATIONS
from tests.engine.conftest import Project
from tests.engine.test_story import steps

CONTROLLERS = ("kueue",)
STACK = ("--stack", "teams")
PODS = 6


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


def gang(pods: int) -> dict[str, Any]:
    """A Job whose pods run together or not at all."""
    container = {"name": "train", "image": "a", "resources": {"requests": REQUESTS, "limits": LIMITS}}
    spec = {"restartPolicy": "Never", "containers": [container], "tolerations": TOLERATIONS}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "gang", "namespace": "nlp"},
        "spec": {"parallelism": pods, "completions": pods, "template": {"spec": spec}},
    }


def until(seconds: float, found: Callable[[], Any], wanted: Callable[[Any], Any]) -> None:
    """Asks until the answer is the wanted one."""
    deadline = time.monotonic() + seconds
    while not wanted(answer := found()):
        assert time.monotonic() < deadline, answer
        time.sleep(1)


def test_a_gang_that_does_not_fit_runs_once_the_pool_is_larger(deployed: Project) -> None:
    """kueue#3183: one `up` with a larger `max` changes pool and quota. No node is added for a part of the gang."""
    (deployed.root / "gang.json").write_text(json.dumps(gang(PODS)))
    kubectl = ("kubectl", *STACK, "--")
    deployed.run(*kubectl, "apply", "-f", str(deployed.root / "gang.json"))

    def messages() -> str:
        path = "jsonpath={.items[*].status.conditions[*].message}"
        return deployed.run(*kubectl, "get", "workloads", "-n", "nlp", "-o", path).stdout

    until(30, messages, lambda text: "request (6) > maximum capacity (4)" in text)
    assert not [node for node in deployed.json("status", *STACK, "--json")["nodes"] if node["pool"] == "gpu-workers"]
    config = deployed.config("teams")
    config["gpuyard:nodePools"]["gpu-workers"]["max"] = PODS
    deployed.write("teams", config)
    deployed.run("up", *STACK)
    job = (*kubectl, "get", "job", "gang", "-n", "nlp", "-o", "jsonpath={.status.ready} {.status.succeeded}")
    until(60, lambda: deployed.run(*job).stdout, lambda text: str(PODS) in text)


def test_a_preview_shows_no_change(deployed: Project) -> None:
    """The stories restored what they changed, and what Kueue and the autoscaler did is not drift."""
    assert {operation for operation, _ in steps(deployed.json("preview", *STACK, "--json"))} <= {"same"}
