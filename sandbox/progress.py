"""The progress output while the engine works: a few live lines on a terminal, plain lines anywhere else.

It is written to stderr, because programs read stdout.
"""

from __future__ import annotations

import threading
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
    "refresh": "read",
    "import": "imported",
    "failed": "failed",
}
PLANNED = {
    "create": "to create",
    "update": "to update",
    "delete": "to delete",
    "replace": "to replace",
    "read": "read",
    "refresh": "read",
    "import": "to import",
    "failed": "failed",
}
"""Words of a preview. The two halves of a replacement are not counted apart from it."""

console = Console(stderr=True, highlight=False, soft_wrap=True)


class Progress:
    """Counts finished and running operations; a context manager around one engine run.

    Without a terminal it prints a line every few seconds, also while the engine reports nothing.
    """

    def __init__(self, title: str, quiet: bool = False, planned: bool = False) -> None:
        self.title = title
        self.words = PLANNED if planned else DONE
        self.quiet = quiet
        self.begun = time.monotonic()
        self.counts: dict[str, int] = {}
        self._running: dict[str, tuple[str, str, float]] = {}
        self._ended = threading.Event()
        self._beats = threading.Thread(target=self._beat, name="progress", daemon=True)
        self._spinner = Spinner("dots")
        self._live = Live(get_renderable=self._picture, console=console, transient=True, refresh_per_second=8)

    def __enter__(self) -> Progress:
        if not self.quiet:
            (self._live if console.is_terminal else self._beats).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
        self._ended.set()
        if self._beats.ident:
            self._beats.join()

    def begin(self, urn: str, label: str, operation: str) -> None:
        self._running[urn] = (label, operation, time.monotonic())

    def end(self, urn: str, operation: str) -> None:
        """`operation` may differ from the one at the start: a refresh ends as an update if something has changed."""
        if urn not in self._running:
            return
        label, begun, since = self._running.pop(urn)
        word = self.words.get(begun if operation == "same" else operation)
        if word is None:
            return
        self.counts[word] = self.counts.get(word, 0) + 1
        seconds = time.monotonic() - since
        if seconds >= SLOW and begun != "refresh":
            self.note(f"{word} {label} ({seconds:.0f} s)")

    def note(self, line: str) -> None:
        """Prints a line that remains on the screen."""
        if not self.quiet:
            console.print(Text(f"  {line}"))

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT):
            console.print(Text(f"  {self._headline()}"))

    def _headline(self) -> str:
        done = ", ".join(f"{count} {word}" for word, count in [*self.counts.items()]) or "starting"
        under_way = f", {len(self._running)} under way" if self._running else ""
        return f"{self.title}: {done}{under_way} ({time.monotonic() - self.begun:.0f} s)"

    def _picture(self) -> RenderableType:
        self._spinner.update(text=Text(self._headline()))
        oldest = sorted([*self._running.values()], key=lambda entry: entry[2])
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
