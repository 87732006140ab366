"""Programs of tools/, provided in the background: a supervisor must not wait minutes for one of them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from sandbox.controllers.state import UNDER_WAY
from tools.manifest import TOOLS
from tools.provide import cached, machines_own, provide


@dataclass
class Builds:
    """What is being provided, and what could not be."""

    _threads: dict[str, threading.Thread] = field(default_factory=dict)
    _failures: dict[str, str] = field(default_factory=dict)

    def path(self, name: str) -> str | None:
        """The program; None while it is being provided, which the first call starts."""
        tool = TOOLS[name]
        if found := machines_own(tool) or cached(tool):
            return str(found)
        if name not in self._threads:
            self._threads[name] = threading.Thread(target=self._provide, args=(name,), daemon=True)
            self._threads[name].start()
        return None

    def message(self, name: str) -> str:
        """Why there is no program yet."""
        tool = TOOLS[name]
        usual = f"{name} {tool.pinned} {UNDER_WAY}, about {tool.seconds // 60 + 1} minutes"
        return self._failures.get(name, usual)

    def _provide(self, name: str) -> None:
        try:
            provide([name])
        except Exception as error:  # any failure is shown at the pod
            self._failures[name] = f"{name} cannot be built: {error}"
