"""Pulumi's Kubernetes provider compared with the simulated one: both run an environment through the same steps.

Runs where `$GPUYARD_KUBERNETES_PROVIDER` names the provider and `$GPUYARD_CHARTS` a folder of the charts (the real
provider does not support stand-ins); see docs/air-gapped.md and sandbox/README.md.
"""

from __future__ import annotations

import os
import re
from typing import Any

import pytest

from tests.engine.conftest import Project

PROVIDER, CHARTS = os.environ.get("GPUYARD_KUBERNETES_PROVIDER", ""), os.environ.get("GPUYARD_CHARTS", "")
pytestmark = pytest.mark.skipif(
    not (PROVIDER and CHARTS), reason="GPUYARD_KUBERNETES_PROVIDER or GPUYARD_CHARTS is not set"
)

# A change in the cluster of each stack: of a Helm release on EKS, of a rule on GKE.
CHANGES: dict[str, dict[str, Any]] = {
    "dev": {"gpuyard:addons": {"scaleDownAfterMinutes": 12}},
    "dev-gke": {"gpuyard:addons": {"alerts": False}},
}


DRAWN = re.compile(r"\b(fs|sg|eipalloc|subnet|vpc)-[0-9a-f]{8,17}\b|(?<=-)[0-9a-f]{7}\b")
"""Random values of a cloud or a provider: ids, and suffixes of names."""
OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "uid", "__fieldManager", "__inputs")
"""Fields that differ in every run: set by the API server, or internal to a provider."""


def objects(project: Project, stack: str) -> dict[str, Any]:
    """Inputs and outputs of every object of the cluster in the state."""
    found = {}
    for resource in project.state(stack):
        if not resource["type"].startswith("kubernetes:"):
            continue
        kept = settled({key: resource.get(key) for key in ("id", "inputs", "outputs")})
        # The real provider treats a kind that did not exist at its configuration as namespaced, without an effect.
        if "namespace" not in (kept["outputs"] or {}).get("metadata", {"namespace": ""}):
            kept["inputs"]["metadata"].pop("namespace", None)
        found[resource["urn"]] = kept
    return found


def settled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: settled(each) for key, each in value.items() if key not in OWN}
    if isinstance(value, list):
        return [settled(each) for each in value]
    return DRAWN.sub("#", value) if isinstance(value, str) else value


def run_through(project: Project, stack: str, provider: str) -> list[Any]:
    """Runs up, up again, a change, a refresh and down; returns the result of each step, without values that differ
    between runs."""
    os.environ["GPUYARD_KUBERNETES_PROVIDER"] = provider
    tracked = (project.root / f"Pulumi.{stack}.yaml").read_bytes()
    # There are no charts on GKE.
    charts = {} if stack.endswith("-gke") else {"gpuyard:charts": {"mirror": CHARTS}}
    config = {**project.config(stack), **charts}
    project.write(stack, config)
    try:
        first = project.json("up", "--stack", stack, "--json")
        made = objects(project, stack)
        again = project.json("up", "--stack", stack, "--json")
        project.write(stack, {**config, **CHANGES[stack]})
        change = project.json("up", "--stack", stack, "--json")
        refresh = [
            "shell",
            "--stack",
            stack,
            "--",
            "pulumi",
            "preview",
            "--stack",
            stack,
            "--refresh",
            "--expect-no-changes",
        ]
        project.run(*refresh)
        status = project.json("status", "--stack", stack, "--json")
        down = project.run("down", "--stack", stack)
    finally:
        (project.root / f"Pulumi.{stack}.yaml").write_bytes(tracked)
    assert "error" not in down.stderr.lower()
    kept = {name: status[name] for name in ("node_pools", "storage_classes", "releases")}
    for pool in kept["node_pools"]:
        pool["labels"].pop("cloud.google.com/gke-nodepool", None)  # ends in random letters
    return [first["changes"], again["changes"], change["changes"], kept, made]


@pytest.mark.parametrize("stack", sorted(CHANGES))
def test_the_real_and_the_simulated_provider_behave_the_same(
    project: Project, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUYARD_KUBERNETES_PROVIDER", PROVIDER)
    simulated, real = run_through(project, stack, ""), run_through(project, stack, PROVIDER)
    for moment, ours, theirs in zip(("up", "second up", "change", "status", "objects"), simulated, real):
        assert ours == theirs, f"{stack}, {moment}"
    assert set(real[1]) <= {"same", "read"}, real[1]
    assert not set(real[2]) <= {"same", "read"}, "the change changed nothing"
