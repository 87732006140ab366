"""Resources that were created without an answer to the engine: `down` leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

from sandbox.down import LEFTOVERS
from tests.engine.conftest import Project


def lose_answers(project: Project, *faults: dict[str, Any]) -> None:
    project.home.mkdir(exist_ok=True)
    (project.home / "faults.json").write_text(
        json.dumps([{"operation": "create", "phase": "after", "times": 1, **fault} for fault in faults])
    )


def test_down_leaves_nothing_after_the_provider_was_killed(project: Project) -> None:
    """reliability case R7: the provider host is killed while it has objects that the engine does not know."""
    lose_answers(project, *({"match": f"aws:{each}::*", "seconds": 30} for each in ("iam/role:Role", "kms/key:Key")))
    child = project.start("up")
    journal = project.home / "run" / "created.jsonl"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and child.poll() is None:
        if journal.exists() and all(token in journal.read_text() for token in ("iam/role:Role", "kms/key:Key")):
            break
        time.sleep(0.2)
    assert child.poll() is None, child.communicate()
    os.kill(json.loads((project.home / "run" / "host.json").read_text())["pid"], signal.SIGKILL)
    child.communicate(timeout=600)
    project.run("down")
    assert project.processes() == [] and not project.home.exists()


def test_down_succeeds_without_a_state(project: Project) -> None:
    """reliability case R7: the state is missing; the remaining objects are listed and deleted with the sandbox."""
    lose_answers(project, {"match": "aws:ec2/natGateway:NatGateway::*", "error": "made to fail", "phase": "before"})
    project.run("up", code=1)
    for left in (project.home / "state" / ".pulumi" / "stacks" / "gpuyard").glob("dev*"):
        left.unlink()
    done = project.run("down", dirty=True)
    assert LEFTOVERS in done.stderr and "eipalloc-" in done.stderr
    assert project.processes() == [] and not project.home.exists()
