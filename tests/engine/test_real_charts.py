"""The real charts, if they are available: `GPUYARD_CHARTS` names a folder of them.

docs/air-gapped.md describes how to make one. The real API server accepts everything that the charts render, with their
custom kinds, and `dev` and `prod` go through their whole life.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import Project

CHARTS = os.environ.get("GPUYARD_CHARTS", "")
pytestmark = pytest.mark.skipif(not CHARTS, reason="GPUYARD_CHARTS names no folder of the charts")


def share_of_a_core(project: Project, program: str, seconds: float = 20) -> float:
    """The CPU use of the sandbox's process of that name in an idle environment, as a share of one core."""
    (pid,) = [pid for pid in project.processes() if Path(f"/proc/{pid}/exe").resolve().name == program]

    def spent() -> float:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, began = spent(), time.monotonic()
    time.sleep(seconds)
    return (spent() - before) / (time.monotonic() - began)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_an_environment_works_with_the_real_charts(project: Project, stack: str) -> None:
    """field cases C1, C2 and C4: up, nothing to change, demo, down."""
    mirror = str(Path(CHARTS).resolve())
    project.write(stack, {**project.config(stack), "gpuyard:charts": {"mirror": mirror}})
    up: dict[str, Any] = project.json("up", "--stack", stack, "--json")
    releases = {release["name"]: release for release in up["status"]["releases"]}
    assert {"kube-prometheus-stack", "cluster-autoscaler", "dcgm-exporter", "nvidia-device-plugin"} <= set(releases)
    assert {release["rendered"] for release in releases.values()} == {"chart"}
    assert {release["status"] for release in releases.values()} == {"deployed"}
    assert not [warning for warning in up["warnings"] if "could not be reached" in warning]
    assert project.json("up", "--stack", stack, "--json")["changed"] == 0
    # With too little memory it collects garbage all the time: it used 55 to 80 % of a core.
    assert share_of_a_core(project, "kube-apiserver") < 0.3
    assert project.json("demo", "--stack", stack, "--json")["ok"] is True
    project.run("down")
    assert project.processes() == []
