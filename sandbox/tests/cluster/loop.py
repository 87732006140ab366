"""Waiting, and controllers that run in a thread of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sandbox.cluster.api import ApiError
from sandbox.cluster.controller import Controller

T = TypeVar("T")


@contextmanager
def running_loop(controller: Controller) -> Iterator[None]:
    """Runs the controller with short rounds in a separate thread."""
    stopped, troubles = threading.Event(), []

    def loop() -> None:
        while not stopped.wait(0.2):
            try:
                controller.run_once()
            except Exception as error:  # as in the real loop: the next round repeats it
                troubles.append(error)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()
    # Conflicts with other controllers are normal.
    assert not [error for error in troubles if not isinstance(error, (ApiError, OSError))]


def wait(found: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """Waits for a true answer and returns it; a failure names what was awaited."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:.0f} s"
        time.sleep(0.1)
    return answer
