"""Pulumi's own Kubernetes provider as the judge of the simulated one: both lead an environment through the same life.

Runs where `$GPUYARD_KUBERNETES_PROVIDER` names the provider and `$GPUYARD_CHARTS` a folder of the charts (the real
provider knows no stand-ins); see docs/air-gapped.md and sandbox/README.md.
"""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.engine.conftest import Project

PROVIDER, CHARTS = os.environ.get("GPUYARD_KUBERNETES_PROVIDER", ""), os.environ.get("GPUYARD_CHARTS", "")
pytestmark = pytest.mark.skipif(
    not (PROVIDER and CHARTS), reason="GPUYARD_KUBERNETES_PROVIDER and GPUYARD_CHARTS name the judge and its charts"
)

# A change in the cluster for each stack: what Helm upgrades on EKS, what a rule says on GKE.
CHANGES: dict[str, dict[str, Any]] = {
    "dev": {"gpuyard:addons": {"scaleDownAfterMinutes": 12}},
    "dev-gke": {"gpuyard:addons": {"alerts": False}},
}


def lead(project: Project, stack: str, provider: str) -> list[Any]:
    """up, up again, a change, a refresh, down: what each of them did, in words that do not depend on the run."""
    os.environ["GPUYARD_KUBERNETES_PROVIDER"] = provider
    tracked = (project.root / f"Pulumi.{stack}.yaml").read_bytes()
    # GKE takes no charts.
    charts = {} if stack.endswith("-gke") else {"gpuyard:charts": {"mirror": CHARTS}}
    config = {**project.config(stack), **charts}
    project.write(stack, config)
    try:
        first = project.json("up", "--stack", stack, "--json")
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
    kept = ("node_pools", "storage_classes", "releases")
    return [first["changes"], again["changes"], change["changes"], {name: status[name] for name in kept}]


@pytest.mark.parametrize("stack", sorted(CHANGES))
def test_the_real_provider_does_what_the_simulated_one_does(
    project: Project, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUYARD_KUBERNETES_PROVIDER", PROVIDER)
    simulated, real = lead(project, stack, ""), lead(project, stack, PROVIDER)
    for moment, ours, theirs in zip(("up", "second up", "change", "status"), simulated, real):
        assert ours == theirs, f"{stack}, {moment}: simulated {ours}, real {theirs}"
    assert set(real[1]) <= {"same", "read"}, real[1]
    assert not set(real[2]) <= {"same", "read"}, "the change changed nothing"
