"""Resources that were created without an answer to the engine: running the commands in the errors and `up` again
completes the environment, and `down` leaves nothing. With `$GPUYARD_EVERY_TYPE`, for every type."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from recording.stacks import recorded
from sandbox import conflicts
from sandbox.tests import clis
from tests.engine.conftest import Project
from tests.engine.test_lost_answers import lose_answers

AGAIN = "run the same command again"
TRIES = 40
CLUSTER = "aws:eks/cluster:Cluster"
EVERY = bool(os.environ.get("GPUYARD_EVERY_TYPE"))
IN_CLUSTER = ("kubernetes:core/v1:Namespace", "kubernetes:helm.sh/v3:Release")


@pytest.fixture(scope="module", autouse=True)
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The programs `aws` and `gcloud`."""
    with clis.programs(tmp_path_factory.mktemp("clis")) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        yield


def shown(stderr: str) -> list[str]:
    """The commands that an error shows."""
    lines = stderr.partition("\nFix: ")[2].splitlines()
    return [line.strip() for line in lines if line.startswith("    ")]


def commands_of_the_errors(project: Project, stack: str) -> list[str]:
    """Runs `up` and the commands in its errors until it succeeds; returns the commands."""
    used = []
    for _ in range(TRIES):
        done = project.run("up", "--stack", stack, "--json", code=None)
        if done.returncode == 0:
            return used
        # Lines may be wrapped, but a command is always on one line.
        assert AGAIN in " ".join(done.stderr.split()), done.stderr
        for command in shown(done.stderr):
            project.run("shell", "--stack", stack, "--", "bash", "-ec", command)
            used.append(command)
    pytest.fail(f"not up after {TRIES} runs; the last one:\n{done.stderr}")


def types(stack: str) -> set[str]:
    """The types that a simulated provider creates."""
    made = recorded(stack).resources.values()
    return {found.type for found in made if found.package in ("aws", "gcp", "kubernetes")}


def needed(stack: str) -> set[str]:
    """The beginnings of the commands for objects that conflict with a second creation of the stack's types."""
    found = {conflicts.COMMANDS.get(token, "kubectl delete ") for token in types(stack) - {*conflicts.NEVER}}
    # EC2 answers a second association of a subnet with the same table like the first one.
    return {template.partition("{")[0] for template in found if "disassociate-route-table" not in template}


@pytest.mark.skipif(not EVERY, reason="GPUYARD_EVERY_TYPE is not set")
@pytest.mark.parametrize("stack", ["dev", "dev-gke"])
def test_up_converges_after_a_lost_answer_for_every_type(project: Project, stack: str) -> None:
    """Reliability cases R7, R10. It takes about twenty runs of `up`, so it runs only with `$GPUYARD_EVERY_TYPE`. The
    command of each type is tested separately in sandbox/tests/unit/aws/test_conflicts.py and in the same test for
    Google Cloud."""
    faults = [lost(token) for token in sorted(types(stack))]
    # A short delay, so that all parallel creations have started before the first error ends the run.
    lose_answers(project, *faults, {"match": "*", "phase": "before", "seconds": 1, "times": None})
    used = commands_of_the_errors(project, stack)
    plain = [command.replace("--region us-east-1 ", "") for command in used]
    assert {start for start in needed(stack) if not any(line.startswith(start) for line in plain)} == set(), used
    settled_and_gone(project, stack)


def test_up_converges_after_lost_answers_for_cluster_namespace_and_release(project: Project) -> None:
    """Reliability case R7: the provider host is killed during the creation of the cluster; then the answers for a
    namespace and a release are lost. One command each of `aws`, `kubectl` and `helm`."""
    lose_answers(project, {"match": f"{CLUSTER}::*", "seconds": 60})
    child = project.start("up")
    journal = project.home / "run" / "created.jsonl"
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and child.poll() is None:
        if journal.exists() and times(journal, CLUSTER) > 1:  # before AWS is asked, and as soon as it has answered
            break
        time.sleep(0.2)
    assert child.poll() is None, child.communicate()
    os.kill(json.loads((project.home / "run" / "host.json").read_text())["pid"], signal.SIGKILL)
    _, output = child.communicate(timeout=600)
    assert AGAIN in " ".join(output.split())
    lose_answers(project, *map(lost, IN_CLUSTER))
    used = commands_of_the_errors(project, "dev")
    for start in ("aws --region us-east-1 eks delete-cluster", "helm uninstall", "kubectl delete namespace"):
        assert any(command.startswith(start) for command in used), (start, used)
    settled_and_gone(project, "dev")


def lost(token: str) -> dict[str, str]:
    return {"match": f"{token}::*", "error": "connection reset by peer"}


def settled_and_gone(project: Project, stack: str) -> None:
    again = project.json("up", "--stack", stack, "--json")
    assert again["changed"] == 0, again["changes"]
    project.run("down")
    assert project.processes() == [] and not project.home.exists()


def times(journal: Path, token: str) -> int:
    return sum(f"${token}::" in line for line in journal.read_text().splitlines())
