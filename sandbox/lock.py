"""Allows one command at a time to change a sandbox. The lock's file names its holder and the time. The kernel releases
the lock when its holder ends for any reason, so a dead holder never blocks another command.
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
    """Locks the sandbox for `command`. Raises SandboxError if another command has the lock."""
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
        return f"`{holder['command']}` is using this sandbox (pid {holder['pid']}, since {since})."
    except (ValueError, KeyError):
        return "Another command is using this sandbox."
