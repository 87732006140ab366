"""Messages from a provider to the user while it works on a resource.

The host opens a `scope` around every operation. Inside it, `warn`, `info` and `status` reach the engine, which prints
them under that resource. Outside a scope (tests, a provider's own threads) they are written to the process's log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Sink = Callable[[int, str, bool], None]
"""Takes severity (a `logging` level), text, and whether the line is only a temporary status."""

_sink: ContextVar[Sink | None] = ContextVar("sink", default=None)
_log = logging.getLogger("gpuyard.plugins")


@contextmanager
def scope(sink: Sink) -> Iterator[None]:
    """Sends the messages inside to `sink`."""
    token = _sink.set(sink)
    try:
        yield
    finally:
        _sink.reset(token)


def warn(text: str) -> None:
    """Prints a line that stays on the screen and in the summary."""
    _send(logging.WARNING, text, False)


def info(text: str) -> None:
    """Prints a line that stays in the resource's messages."""
    _send(logging.INFO, text, False)


def status(text: str) -> None:
    """Shows what the provider is waiting for; the next status replaces it."""
    _send(logging.INFO, text, True)


def _send(level: int, text: str, passing: bool) -> None:
    sink = _sink.get()
    if sink is None:
        _log.log(level, text)
    else:
        sink(level, text, passing)
