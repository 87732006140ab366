"""Processes of the sandbox: found again, never confused with others, ended by stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox import process
from sandbox.errors import SandboxError

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(autouse=True)
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path / "sandbox"))
    yield
    process.stop_all(grace=1)


def start(name: str, argv: list[str] = SLEEP, **options) -> process.Process:
    return process.start(name, argv, ready=options.pop("ready", lambda: True), **options)


def test_a_live_process_is_returned_and_not_started_again() -> None:
    first = start("one", data={"a": 1}, port=process.free_port())
    assert start("one", ["/does/not/exist"]) == first
    assert process.alive("one") == first
    assert process.all() == [first]


def test_it_runs_in_a_separate_session_that_stop_ends() -> None:
    child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    started = start("family", [sys.executable, "-c", f"{child} time.sleep(60)"])
    deadline = time.monotonic() + 10
    while len(process.strays("family")) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert os.getsid(started.pid) == started.pid
    assert len(process.strays("family")) == 2
    process.stop("family")
    assert process.strays("family") == []
    assert process.alive("family") is None


def test_a_record_with_a_reused_pid_is_dead_and_the_other_process_keeps_running() -> None:
    other_program = subprocess.Popen(SLEEP)
    time.sleep(0.05)  # the kernel counts start times in hundredths of a second
    try:
        start("old")
        record = Path(os.environ["GPUYARD_SANDBOX"], "run", "old.json")
        facts = json.loads(record.read_text())
        process.stop("old")
        record.write_text(json.dumps({**facts, "pid": other_program.pid}))
        assert process.alive("old") is None
        process.stop("old")
        assert other_program.poll() is None
    finally:
        other_program.kill()
        other_program.wait()


def test_a_killed_process_is_dead_even_if_its_parent_never_waited() -> None:
    started = start("victim")
    os.kill(started.pid, signal.SIGKILL)
    time.sleep(0.2)
    assert process.alive("victim") is None


def test_a_process_that_ends_at_once_is_reported_with_the_end_of_its_log() -> None:
    with pytest.raises(SandboxError) as caught:
        start("boom", [sys.executable, "-c", "print('out of luck'); raise SystemExit(3)"], ready=lambda: False)
    assert "exit code 3" in caught.value.problem
    assert "out of luck" in caught.value.detail
    assert process.alive("boom") is None


def test_a_process_that_is_never_ready_is_stopped() -> None:
    with pytest.raises(SandboxError, match="was not ready after 0 s"):
        start("late", ready=lambda: False, timeout=0.3)
    assert process.strays("late") == []


def test_a_process_whose_starter_was_killed_is_restarted() -> None:
    first = start("half")
    record = Path(os.environ["GPUYARD_SANDBOX"], "run", "half.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "ready": False}))
    second = start("half")
    assert second.pid != first.pid
    assert process.strays("half") == [second.pid]


def test_a_port_in_use_is_reported_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(SandboxError, match=f"Port {port} .* taken"):
            start("server", port=port)
    assert process.all() == []


def test_free_ports_are_free_and_unique() -> None:
    ports = [process.free_port() for _ in range(20)]
    assert len(set(ports)) == 20
    assert all(port in process.PORTS for port in ports)


def test_a_damaged_record_is_a_dead_process() -> None:
    pid = start("torn").pid
    Path(os.environ["GPUYARD_SANDBOX"], "run", "torn.json").write_text("{")
    assert process.alive("torn") is None
    process.stop_all(grace=1)  # found by its mark anyway
    assert process.strays() == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0) if not _is_zombie(pid) else (_ for _ in ()).throw(ProcessLookupError)


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False
