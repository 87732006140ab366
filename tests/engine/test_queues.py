"""Teams, queues and platforms in a deployed environment, in order: the two stories of teams that the sandbox tells, a
larger pool for a gang that waits, a preview that shows no change after all of it; then the kinds of a platform survive
its removal, and are taken over when it comes back. The charts come from Go modules where no repository can be
reached."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.workload import LIMITS, REQUESTS, TOLERATIONS
from tests.engine.conftest import Project
from tests.engine.test_story import steps

CONTROLLERS = ("kueue", "jobset")
STACK = ("--stack", "teams")
PODS = 6
CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinitionPatch"


@pytest.fixture(scope="module")
def first(project: Project) -> dict[str, Any]:
    """The result of the first `up` of the environment of the stories, with a platform."""
    project.write("teams", {**project.config("teams"), **platforms("kubeflowTrainer")})
    return project.json("up", *STACK, "--json")


@pytest.fixture(scope="module")
def deployed(project: Project, first: dict[str, Any]) -> Project:
    """The environment, up."""
    return project


def platforms(*keys: str) -> dict[str, Any]:
    return {"gpuyard:platforms": dict.fromkeys(keys, True)}


def of_type(deployed: Project, token: str) -> list[dict[str, Any]]:
    return [each for each in deployed.state("teams") if each["type"] == token]


def definitions(deployed: Project) -> dict[str, str]:
    """The custom resource definitions of platforms in the state: name → UID."""
    found = [each["outputs"]["metadata"] for each in of_type(deployed, CRD)]
    return {each["name"]: each["uid"] for each in found if "kueue" not in each["name"]}


def test_platforms_are_installed(deployed: Project, first: dict[str, Any]) -> None:
    """seed row S23"""
    assert not [warning for warning in first["warnings"] if "could not be reached" in warning and "jobset" in warning]
    assert definitions(deployed).keys() >= {"jobsets.jobset.x-k8s.io", "trainjobs.trainer.kubeflow.org"}
    (runtime,) = of_type(deployed, "kubernetes:trainer.kubeflow.org/v1alpha1:ClusterTrainingRuntime")
    assert runtime["outputs"]["metadata"]["name"] == "torch-gpu-workers"


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


def test_kinds_stay_when_a_platform_is_removed_and_are_taken_over_later(deployed: Project) -> None:
    """lws#880, xpk#296: with a definition, Kubernetes deletes all its objects."""
    before = definitions(deployed)
    deployed.write("teams", {**deployed.config("teams"), **platforms()})
    deployed.run("up", *STACK)
    assert definitions(deployed) == {}
    deployed.write("teams", {**deployed.config("teams"), **platforms("jobSet")})
    deployed.run("up", *STACK)
    assert definitions(deployed) == {"jobsets.jobset.x-k8s.io": before["jobsets.jobset.x-k8s.io"]}


def test_a_destroy_ends(deployed: Project) -> None:
    """With queues, workloads and the kinds of a platform, whose finalizers could stop it."""
    deployed.run("down")
    assert deployed.processes() == []
