"""One command at a time may change a sandbox; who holds the lock, and since when, is written in it.

The kernel drops the lock with its holder, however that ended, so a dead one never blocks another command.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox import paths
from sandbox.errors import SandboxError


@contextmanager
def exclusive(command: str) -> Iterator[None]:
    """Holds the sandbox for `command`. Raises SandboxError when another command has it."""
    path = paths.folder() / "lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SandboxError(_busy(path.read_text()), "wait for it, or stop it with Ctrl-C where it runs") from None
        lock.truncate(0)
        json.dump({"command": command, "pid": os.getpid(), "since": time.time()}, lock)
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def _busy(note: str) -> str:
    try:
        holder = json.loads(note)
        since = time.strftime("%H:%M:%S", time.localtime(holder["since"]))
        return f"`{holder['command']}` is at work on this sandbox (pid {holder['pid']}, since {since})."
    except (ValueError, KeyError):
        return "Another command is at work on this sandbox."
