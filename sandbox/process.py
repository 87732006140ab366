"""Long-running processes of the sandbox: started once, found by every later command, stopped with all their children.

Each process has a name, a record `run/NAME.json` (pid, the kernel's start time of that pid, port, data) and a log
`run/NAME.log`. The start time distinguishes a process from another one with the same pid after a reboot, so that
other programs never get a signal. Every process runs in its own session, with `GPUYARD_PROCESS=NAME` and
`GPUYARD_SANDBOX` in its environment; `strays()` finds by that mark the remaining processes of a killed command,
including grandchildren.

Does not know what the processes do. Times are seconds. Needs Linux's /proc or a `ps` that knows `lstart`.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox import paths
from sandbox.errors import SandboxError

MARK = "GPUYARD_PROCESS"
"""Environment variable of every process of a sandbox and its children."""

PORTS = range(17_000, 30_000)
"""Below Linux's ephemeral ports and Kubernetes' node ports, so that a server's port stays free while it restarts."""

_FRUGAL = {"MALLOC_ARENA_MAX": "2"}
"""glibc keeps an arena per thread, up to eight per core; servers with a thread per request use a third more memory than
needed."""

_children: dict[int, subprocess.Popen[bytes]] = {}
_handed_out: set[int] = set()


@dataclass(frozen=True)
class Process:
    """A process of the sandbox, from its record. `data`: values that the command that started it stored."""

    name: str
    pid: int
    port: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    started: str = ""
    ready: bool = True

    @property
    def log(self) -> Path:
        return _log(self.name)


def start(
    name: str,
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    ready: Callable[[], bool],
    timeout: float = 60,
    what: str = "",
    port: int | None = None,
    data: Mapping[str, Any] | None = None,
    cwd: Path | str | None = None,
) -> Process:
    """Starts `argv` and returns when `ready()` is true; a running process of that name is returned unchanged.

    Args:
        env: the whole environment (default: this process's own); the marks are added.
        ready: polled; an OSError in it means "not yet".
        what: its name in messages.
        port: where it will listen; an error if another process listens there.

    Raises SandboxError with the end of the log if the process ends or is not ready in time; it is then stopped.
    """
    what = what or name
    with _lock(name):
        running = alive(name)
        if running and running.ready:
            return running
        if running:  # the command that started it was killed before it was ready: its state is unknown
            _end(running, 5)
        if port is not None and not _is_free(port):
            raise SandboxError(
                f"Port {port} on 127.0.0.1, which {what} needs, is taken by another process.",
                f"stop what listens there (`ss -ltnp 'sport = :{port}'` names it) and run the command again",
            )
        log = _log(name)
        begin = log.stat().st_size if log.exists() else 0
        marks = {MARK: name, "GPUYARD_SANDBOX": str(paths.home())}
        try:
            with log.open("ab") as out:
                child = subprocess.Popen(
                    list(argv),
                    env={**_FRUGAL, **(os.environ if env is None else env), **marks},
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    umask=0o077,
                    cwd=cwd or paths.ROOT,
                )
        except OSError as error:
            raise SandboxError(
                f"{what} cannot be started: {error}.", "run `make up` again; it provides the tools"
            ) from None
        _children[child.pid] = child
        process = Process(name, child.pid, port, dict(data or {}), _start_time(child.pid) or "", ready=False)
        _write(process)
        try:
            _await(process, child, ready, timeout, what, begin)
        except BaseException:
            _end(process, 5)
            raise
        process = Process(name, child.pid, port, process.data, process.started)
        _write(process)
        return process


def alive(name: str) -> Process | None:
    """The process of that name if it runs."""
    try:
        process = Process(**json.loads(_record(name).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if _lives(process.pid, process.started) else None


def all() -> list[Process]:
    """Every process of this sandbox that runs, oldest first."""
    run = paths.home() / "run"
    records = sorted(run.glob("*.json"), key=lambda path: path.stat().st_mtime) if run.is_dir() else []
    return [process for record in records if (process := alive(record.stem))]


def stop(name: str, grace: float = 15) -> None:
    """Stops the process (SIGTERM to its session), kills it after `grace` seconds, and returns when it has ended."""
    if not (paths.home() / "run").is_dir():
        return
    with _lock(name):
        process = alive(name)
        if process:
            _end(process, grace)
        _record(name).unlink(missing_ok=True)


def stop_all(grace: float = 15) -> list[str]:
    """Stops every process of this sandbox, newest first, and everything marked as its child. Returns their names."""
    names = []
    for process in reversed(all()):
        stop(process.name, grace)
        names.append(process.name)
    end_strays(None, 5)
    return names


def end_strays(mark: str | None, grace: float) -> None:
    """Stops the processes that `strays` finds, and kills them after `grace` seconds."""
    left = strays(mark)
    for sent in (signal.SIGTERM, signal.SIGKILL):
        for pid in left:
            _signal(pid, sent)
        deadline = time.monotonic() + grace
        while left and (left := strays(mark)) and time.monotonic() < deadline:
            time.sleep(0.1)


def strays(mark: str | None = None) -> list[int]:
    """Pids with this sandbox's mark (or only those with the mark `mark`), except this process and its ancestors."""
    home = f"GPUYARD_SANDBOX={paths.home()}".encode()
    wanted = f"{MARK}={mark or ''}".encode()
    kin = set(_lineage(os.getpid()))
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if pid in kin:
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        marked = wanted in variables if mark else any(v.startswith(wanted) for v in variables)
        if marked and home in variables and _lives(pid, ""):
            found.append(pid)
    return sorted(found)


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens. Never returns the same port twice in one process."""
    for port in random.sample(PORTS, len(PORTS)):
        if port not in _handed_out and _is_free(port):
            _handed_out.add(port)
            return port
    raise SandboxError("No port between 17000 and 29999 is free on 127.0.0.1.", "stop the processes that use them")


def log_end(name: str, lines: int = 15, begin: int = 0) -> str:
    """The last lines of a process's log, for messages."""
    try:
        with _log(name).open("rb") as log:
            log.seek(begin)
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def memory_mib(pids: Sequence[int] | None = None) -> int:
    """Memory of this sandbox's processes and their children: proportional set size, so shared pages count once."""
    if pids is None:
        pids = sorted({*strays(), *(process.pid for process in all())})
    total = 0
    for pid in pids:
        try:
            found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
        except OSError:
            continue
        total += int(found[1]) if found else 0
    return round(total / 1024)


def _await(
    process: Process, child: subprocess.Popen[bytes], ready: Callable[[], bool], timeout: float, what: str, begin: int
) -> None:
    deadline = time.monotonic() + timeout
    while True:
        code = child.poll()
        if code is not None:
            raise SandboxError(
                f"{what} ended at once ({_ending(code)}).",
                f"read {process.log}; `make down` and `make up` start again from nothing",
                log_end(process.name, begin=begin),
            )
        try:
            if ready():
                return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SandboxError(
                f"{what} was not ready after {timeout:.0f} s.",
                f"read {process.log}; or try again if the machine was busy",
                log_end(process.name, begin=begin),
            )
        time.sleep(0.05)


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _end(process: Process, grace: float) -> None:
    for sent, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        if not _lives(process.pid, process.started):
            break
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + seconds
        while _lives(process.pid, process.started) and time.monotonic() < deadline:
            time.sleep(0.03)
    with suppress(ProcessLookupError, PermissionError):  # processes of its session that still run
        os.killpg(process.pid, signal.SIGKILL)


def _signal(pid: int, sent: signal.Signals) -> None:
    try:
        os.kill(pid, sent)
    except OSError as error:
        if error.errno not in (errno.ESRCH, errno.EPERM):
            raise


def _lives(pid: int, started: str) -> bool:
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        return False
    found = _start_time(pid)
    return found is not None and (not started or found == started)


def _start_time(pid: int) -> str | None:
    """When the kernel started that pid (on Linux with the boot's id); None if it does not run or is a zombie."""
    if sys.platform.startswith("linux"):
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return None
        # In a killed process with threads, the first thread may be a zombie while the others still hold its ports.
        gone = state == "X" or (state == "Z" and int(fields[16]) <= 1)
        return None if gone else f"{boot}:{fields[18]}"
    found = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], check=False, capture_output=True, text=True)
    state, _, since = found.stdout.strip().partition(" ")
    return since.strip() if since and not state.startswith("Z") else None


def _lineage(pid: int) -> Iterator[int]:
    """`pid` and its ancestors."""
    while pid > 1:
        yield pid
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _record(name: str) -> Path:
    return paths.home() / "run" / f"{name}.json"


def _log(name: str) -> Path:
    return paths.folder("run") / f"{name}.log"


def _write(process: Process) -> None:
    record = _record(process.name)
    new = record.with_suffix(".new")
    new.write_text(json.dumps(asdict(process)))
    new.replace(record)


@contextmanager
def _lock(name: str) -> Iterator[None]:
    with (paths.folder("run") / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
