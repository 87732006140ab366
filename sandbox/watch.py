"""Watches the sandbox's processes while the engine works: restarts parts of a control plane that ended, as a cloud
would. A process that cannot be restarted during a run is reported at once instead of after a time-out, and so is a
controller's program that is built first, which takes minutes.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sandbox import process
from sandbox.cluster import control_plane
from sandbox.controllers import state
from sandbox.errors import ReportedError

PERIOD = 1.0
"""Seconds between two checks."""

_TRIES = 3
_JOIN_SECONDS = 5.0
_SINGLE = {"aws": "the simulated AWS", "host": "the provider host"}


@contextmanager
def watching(report: Callable[[str], None], period: float = PERIOD) -> Iterator[None]:
    """Watches until the block ends. `report` is called from another thread, once for each process that ended and for
    each program that is being built."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(report, ended, period), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # The run continues while a process is restarted: a program that needs the process waits for it and reports
        # that.
        thread.join(timeout=_JOIN_SECONDS)


def _watch(report: Callable[[str], None], ended: threading.Event, period: float) -> None:
    alive = {name for name in _SINGLE if process.alive(name)}
    tries: Counter[str] = Counter()
    reported: set[str] = set()
    while not ended.wait(period):
        for name in sorted(alive):
            if not process.alive(name):
                alive.remove(name)
                report(f"{_SINGLE[name]} ended; this run cannot continue without it. The next run starts it (make up)")
        for plane in control_plane.all():
            for message in sorted({*state.building(plane.folder)} - reported):
                reported.add(message)
                report(message)
            missing = set(control_plane.PARTS) - set(plane.running())
            if not missing or tries[plane.key] >= _TRIES:
                continue
            try:
                revived = control_plane.revive(plane.key)
            except ReportedError as error:
                revived, missing = [], set()
                report(f"{plane.key}: {error.problem}")
            tries[plane.key] += bool(revived) or not missing
            if revived:
                report(f"{', '.join(revived)} of {plane.key} ended and was started again")
