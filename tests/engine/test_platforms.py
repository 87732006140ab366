"""A stack with platforms under the real engine: charts are rendered, their kinds survive the removal of a platform, and
are taken over when it comes back. The charts come from Go modules where no repository can be reached."""

from __future__ import annotations

from typing import Any

from tests.engine.conftest import Project

CONTROLLERS = ("jobset",)
STACK = "dev"
CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinitionPatch"


def with_platforms(project: Project, *keys: str) -> None:
    config = {**project.config(STACK), "gpuyard:deletionProtection": False}
    project.write(STACK, {**config, "gpuyard:platforms": dict.fromkeys(keys, True)})


def of_type(project: Project, token: str) -> list[dict[str, Any]]:
    return [each for each in project.state(STACK) if each["type"] == token]


def test_platforms_are_installed_and_a_second_up_changes_nothing(project: Project) -> None:
    """seed row S23"""
    with_platforms(project, "kubeflowTrainer")
    up: dict[str, Any] = project.json("up", "--stack", STACK, "--json")
    assert not [warning for warning in up["warnings"] if "could not be reached" in warning and "jobset" in warning]
    kinds = {each["outputs"]["metadata"]["name"] for each in of_type(project, CRD)}
    assert kinds >= {"jobsets.jobset.x-k8s.io", "trainjobs.trainer.kubeflow.org"}
    (runtime,) = of_type(project, "kubernetes:trainer.kubeflow.org/v1alpha1:ClusterTrainingRuntime")
    assert runtime["outputs"]["metadata"]["name"] == "torch-gpu-workers"
    assert project.json("up", "--stack", STACK, "--json")["changed"] == 0


def test_kinds_stay_when_a_platform_is_removed_and_are_taken_over_later(project: Project) -> None:
    """lws#880, xpk#296: with a definition, Kubernetes deletes all its objects."""
    before = {each["outputs"]["metadata"]["name"]: each["outputs"]["metadata"] for each in of_type(project, CRD)}
    with_platforms(project)
    project.json("up", "--stack", STACK, "--json")
    assert not of_type(project, CRD)
    with_platforms(project, "jobSet")
    project.json("up", "--stack", STACK, "--json")
    (crd,) = of_type(project, CRD)
    assert crd["outputs"]["metadata"]["uid"] == before["jobsets.jobset.x-k8s.io"]["uid"], "it is the same definition"


def test_a_destroy_ends(project: Project) -> None:
    project.run("down")
    assert project.processes() == []
