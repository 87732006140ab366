"""The guide's environment to the letter, and its twin on GKE: each comes up, tells the story and goes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.conftest import Project

EXPECTED = {
    # stack: (CPU machine, GPU machine, the GPU taint's value)
    "guide": ("m5.2xlarge", "p3.2xlarge", "true"),
    "dev-gke": ("n2-standard-8", "g2-standard-8", "present"),
}


@pytest.mark.parametrize("stack", EXPECTED)
def test_stack_comes_up_and_tells_the_story(project: Project, stack: str) -> None:
    """Seed rows S01, S02, S03, S07, S11, S24: the guide's figures on both clouds."""
    cpu_machine, gpu_machine, value = EXPECTED[stack]
    up: dict[str, Any] = project.json("up", "--stack", stack, "--json")
    pools = {pool["name"]: pool for pool in up["status"]["node_pools"]}
    cpu, gpu = pools["cpu-workers"], pools["gpu-workers"]
    assert (cpu["machine_types"], cpu["min"], cpu["max"], cpu["nodes"]) == ([cpu_machine], 2, 20, 2)
    assert (gpu["machine_types"], gpu["min"], gpu["max"], gpu["nodes"]) == ([gpu_machine], 0, 10, 0)
    assert gpu["labels"]["workload"] == "gpu-training"
    assert gpu["taints"] == [{"key": "nvidia.com/gpu", "value": value, "effect": "NoSchedule"}]
    assert {"block", "block-fast", "shared"} <= {found["name"] for found in up["status"]["storage_classes"]}
    withdrawn = [warning for warning in up["warnings"] if "withdrawn" in warning]
    assert len(withdrawn) == (1 if stack == "guide" else 0)

    assert project.json("up", "--stack", stack, "--json")["changed"] == 0
    assert project.json("demo", "--stack", stack, "--json")["ok"] is True
    project.run("down")
    assert project.processes() == []
    assert not project.home.exists()


def test_gke_installs_nothing_twice(project: Project) -> None:
    """Seed rows S04, S05, S18 on GKE: device plugin, autoscaler and DCGM are Google's own."""
    preview = project.json("preview", "--stack", "dev-gke", "--json")
    assert [step["urn"] for step in preview["steps"] if "helm.sh" in step["type"]] == []
