"""The progress output while the engine works: a few live lines on a terminal, plain lines anywhere else.

It is written to stderr, because programs read stdout.
"""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

HEARTBEAT = 5.0
SLOW = 3.0
SHOWN = 6

DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "created",
    "delete-replaced": "deleted",
    "read": "read",
    "refresh": "looked at",
    "import": "imported",
    "failed": "failed",
}

console = Console(stderr=True, highlight=False, soft_wrap=True)


class Progress:
    """Counts finished and running operations; a context manager around one engine run."""

    def __init__(self, title: str, quiet: bool = False) -> None:
        self.title = title
        self.quiet = quiet
        self.begun = time.monotonic()
        self.counts: dict[str, int] = {}
        self._running: dict[str, tuple[str, str, float]] = {}
        self._last = time.monotonic()
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._picture, console=console, transient=True, refresh_per_second=8)

    def __enter__(self) -> Progress:
        if console.is_terminal and not self.quiet:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def begin(self, urn: str, label: str, operation: str) -> None:
        self._running[urn] = (label, operation, time.monotonic())
        self._beat()

    def end(self, urn: str, operation: str) -> None:
        """`operation` may differ from the one at the start: a refresh ends as an update if something has changed."""
        if urn not in self._running:
            return
        label, begun, since = self._running.pop(urn)
        word = DONE.get(begun if operation == "same" else operation, operation)
        self.counts[word] = self.counts.get(word, 0) + 1
        seconds = time.monotonic() - since
        if seconds >= SLOW and begun != "refresh":
            self.note(f"{word} {label} ({seconds:.0f} s)")
        self._beat()

    def note(self, line: str) -> None:
        """Prints a line that remains on the screen."""
        if not self.quiet:
            console.print(Text(f"  {line}"))

    def _beat(self) -> None:
        if self.quiet or console.is_terminal or time.monotonic() - self._last < HEARTBEAT:
            return
        self._last = time.monotonic()
        console.print(Text(f"  {self._headline()}"))

    def _headline(self) -> str:
        done = ", ".join(f"{count} {word}" for word, count in self.counts.items()) or "starting"
        under_way = f", {len(self._running)} under way" if self._running else ""
        return f"{self.title}: {done}{under_way} ({time.monotonic() - self.begun:.0f} s)"

    def _picture(self) -> RenderableType:
        self._spinner.update(text=Text(self._headline()))
        oldest = sorted(self._running.values(), key=lambda entry: entry[2])
        lines: list[RenderableType] = [
            Text(
                f"    {operation} {label} ({time.monotonic() - since:.0f} s)",
                style="dim",
                no_wrap=True,
                overflow="ellipsis",
            )
            for label, operation, since in oldest[:SHOWN]
        ]
        if len(oldest) > SHOWN:
            lines.append(Text(f"    and {len(oldest) - SHOWN} more", style="dim"))
        return Group(self._spinner, *lines)
