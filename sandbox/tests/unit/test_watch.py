"""Failures of the sandbox's processes during a run are reported, and fixed where possible (case R8)."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox import paths, process, watch
from sandbox.cluster import control_plane
from sandbox.controllers import builds, state

ROOT = Path(__file__).parents[3]
NOWHERE = Path("/nonexistent")


def seen(output: list[str], count: int) -> None:
    deadline = time.monotonic() + 10
    while len(output) < count and time.monotonic() < deadline:
        time.sleep(0.01)


def test_a_part_that_ends_is_restarted_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reliability case R8: before the fix, an error followed after three minutes without a message."""
    plane = SimpleNamespace(
        key="eks-us-east-1-x", folder=NOWHERE, running=lambda: [p for p in control_plane.PARTS if p != "etcd"]
    )
    revived: list[str] = []
    monkeypatch.setattr(control_plane, "all", lambda: [plane])
    monkeypatch.setattr(control_plane, "revive", lambda key: revived.append(key) or ["etcd"])
    output: list[str] = []
    with watch.watching(output.append, 0.01):
        seen(output, 3)
        time.sleep(0.2)
    assert output == ["etcd of eks-us-east-1-x ended and was started again"] * 3
    assert revived == ["eks-us-east-1-x"] * 3


def test_a_program_that_is_being_built_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first `up` of a stack with Kueue waits minutes for it; a controller that is only starting is no news."""
    plane = SimpleNamespace(key="eks-us-east-1-x", folder=tmp_path, running=lambda: list(control_plane.PARTS))
    monkeypatch.setattr(control_plane, "all", lambda: [plane])
    message = builds.Builds().message("kueue")
    state.write(tmp_path, [{"message": message}, {"message": "not started yet"}])
    output: list[str] = []
    with watch.watching(output.append, 0.01):
        seen(output, 1)
        time.sleep(0.1)
    assert output == [message] and "is being built, about" in message


def test_a_part_that_is_starting_or_stopping_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = SimpleNamespace(key="eks-us-east-1-x", folder=NOWHERE, running=list)
    monkeypatch.setattr(control_plane, "all", lambda: [plane])
    monkeypatch.setattr(control_plane, "revive", lambda key: [])
    output: list[str] = []
    with watch.watching(output.append, 0.01):
        time.sleep(0.1)
    assert output == []


def test_a_slow_start_does_not_delay_other_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reliability case R8: the simulated AWS needs most of a minute to start a control plane; meanwhile the provider
    host ends, and that is reported at once."""
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    key = "eks-us-east-1-x"
    plane = SimpleNamespace(key=key, folder=NOWHERE, running=list)
    monkeypatch.setattr(control_plane, "all", lambda: [plane])
    process.start("host", [sys.executable, "-c", "import time; time.sleep(60)"], ready=lambda: True)
    output: list[str] = []
    with (paths.folder("run") / f"{key}.lock").open("w") as start_under_way:
        fcntl.flock(start_under_way, fcntl.LOCK_EX)
        begun = time.monotonic()
        with watch.watching(output.append, 0.05):
            time.sleep(0.2)
            process.stop("host", 1)
            seen(output, 1)
        assert time.monotonic() - begun < 4
    assert len(output) == 1 and output[0].startswith("the provider host ended")


def test_the_loss_of_the_provider_host_is_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    process.start("host", [sys.executable, "-c", "import time; time.sleep(60)"], ready=lambda: True)
    output: list[str] = []
    with watch.watching(output.append, 0.05):
        time.sleep(0.2)
        process.stop("host", 1)
        seen(output, 1)
    assert len(output) == 1 and output[0].startswith("the provider host ended")


def test_programs_of_a_background_command_can_be_interrupted(tmp_path: Path) -> None:
    """Reliability case R11: a script's `make preview &` ignores SIGINT, with which the engine stops its language host;
    one kept running and cost the next command 20 s."""
    probe = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    code = f"""
import subprocess, sys
from sandbox import environment
environment.isolate()
print(subprocess.run([sys.executable, "-c", {probe!r}], capture_output=True, text=True).stdout.strip())
"""
    done = subprocess.run(
        ["sh", "-c", "trap '' INT; exec \"$0\" -c \"$1\"", sys.executable, code],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"
