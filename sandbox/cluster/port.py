"""Which process listens on a TCP port of this machine. Needs Linux's /proc; elsewhere the process is not named."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

LISTEN = "0A"


def is_free(port: int) -> bool:
    """Whether a server could listen on that port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def comes_free(port: int, seconds: float = 3) -> bool:
    """Whether the port is free now or soon: a process that was just killed holds its port for a moment."""
    deadline = time.monotonic() + seconds
    while not (free := is_free(port)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return free


def holder(port: int) -> str:
    """The process that listens there, as text for a message: `nginx (pid 812)`."""
    inodes = set(_listeners(port))
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = os.readlink(descriptor)
        except OSError:  # another user's process, or one that just ended
            continue
        if target.startswith("socket:[") and target[8:-1] in inodes:
            folder = descriptor.parent.parent
            command = (folder / "comm").read_text().strip()
            return f"{command} (pid {folder.name})"
    return "another process"


def _listeners(port: int) -> list[str]:
    """Inodes of the sockets that listen on `port`."""
    found = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else []:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                found.append(fields[9])
    return found
