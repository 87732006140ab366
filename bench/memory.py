"""The memory of the sandbox's processes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox import process


@contextmanager
def peak() -> Iterator[list[int]]:
    """Peak memory (MiB, proportional set size) of the sandbox's processes inside the block, appended at its end."""
    seen, found, over = [0], [], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            seen.append(process.memory_mib())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    yield found
    over.set()
    watcher.join()
    found.append(max(seen))
