"""The next run repairs what a killed or failed run leaves, in the guide's exact environment."""

from __future__ import annotations

import json
import os
import signal
import time

from sandbox.aws import state as account
from sandbox.down import KEPT
from sandbox.paths import MARK
from tests.engine.conftest import Project, answers
from tests.engine.test_story import assert_the_guides_environment

STACK = ("--stack", "guide")


def pids_of(project: Project, *programs: str) -> list[int]:
    """The sandbox's processes that run one of these programs."""
    found = []
    for pid in project.processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().split(b"\0")
        except OSError:
            continue
        if os.path.basename(command[0]).decode() in programs:
            found.append(pid)
    return found


def kill_up(project: Project, sign: str, timeout: float = 300) -> None:
    """Starts `up` and kills the command and its engine once the state contains `sign`."""
    child = project.start("up", *STACK)
    state = project.home / "state" / ".pulumi" / "stacks" / "gpuyard" / "guide.json"
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and child.poll() is None:
        if state.exists() and sign in state.read_text(errors="replace"):
            break
        time.sleep(0.2)
    assert child.poll() is None, f"up ended before {sign} was seen: {child.communicate()}"
    os.kill(child.pid, signal.SIGKILL)
    for pid in pids_of(project, "pulumi"):
        os.kill(pid, signal.SIGKILL)
    child.communicate()
    assert not list((project.home / "state").rglob("*.attrs")), "a torn one makes the state unreadable"


def test_a_killed_up_converges(project: Project) -> None:
    """`up` is killed during the network, the cluster and a node group, and then runs to its end.

    Seed rows S01, S02, S03, S11, S24: what then stands is the guide's environment."""
    for sign in ("aws:ec2/natGateway", "aws:eks/cluster:Cluster", "aws:eks/nodeGroup:NodeGroup"):
        kill_up(project, sign)
    up = project.json("up", *STACK, "--json")
    assert_the_guides_environment(up, "m5.2xlarge", "p3.2xlarge", "true")
    assert sum("withdrawn" in warning for warning in up["warnings"]) == 1
    objects = project.json("status", *STACK, "--json")["cloud"]["aws"]
    single = {
        kind: count for kind, count in objects.items() if kind in ("eks cluster", "nat gateway", "vpc", "kms key")
    }
    assert single and set(single.values()) == {1}, f"a killed create must not be repeated: {single}"


def test_killed_servers_restart_and_concurrent_runs_are_locked(project: Project) -> None:
    """As after a reboot: every process of the sandbox is stopped, its files exist. Nothing was left to change by the
    `up` that completed the killed ones."""
    time.sleep(account.LONGEST + 1)  # the simulated account is saved
    for pid in project.processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    time.sleep(1)
    first = project.start("up", *STACK, "--json")
    lock = project.home / "lock"
    while not lock.exists():
        time.sleep(0.05)
    time.sleep(1)
    second = project.run("up", *STACK, code=1)
    assert str(first.pid) in second.stderr
    assert "Traceback" not in second.stderr
    answer, output = first.communicate(timeout=600)
    assert first.returncode == 0, output
    again = json.loads(answer)
    assert again["changed"] == 0, again["changes"]
    assert len(again["status"]["nodes"]) == len(again["status"]["node_pools"]) == 2


def test_the_demo_runs(project: Project) -> None:
    """Seed row S07, in the guide's environment."""
    assert project.json("demo", *STACK, "--json")["ok"] is True


def test_a_corrupt_state_is_repaired(project: Project) -> None:
    state = project.home / "state" / ".pulumi" / "stacks" / "gpuyard" / "guide.json"
    state.write_text(state.read_text()[:1000])
    done = project.run("up", *STACK, "--json")
    assert "unreadable" in done.stderr
    assert list((project.home / "attic").iterdir())
    assert json.loads(done.stdout)["changed"] == 0, "the state of the last update was restored"


def test_a_fault_is_one_error_and_the_next_up_continues(project: Project) -> None:
    fault = {
        "match": "aws:eks/addon:Addon::metrics-server",
        "operation": "delete",
        "error": "ServerException: made to fail",
        "times": 1,
    }
    (project.home / "faults.json").write_text(json.dumps([fault]))
    ports = project.ports("guide")
    assert ports and all(map(answers, ports))
    done = project.run("down", code=1)
    assert "made to fail" in done.stderr and "Traceback" not in done.stderr
    project.run("down")
    assert project.processes() == [] and not any(map(answers, ports))
    assert {each.name for each in project.home.iterdir()} == {KEPT, MARK}, "but for the state that was set aside"
