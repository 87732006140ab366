"""An `up` of a stack in a separate process, while a story watches the cluster."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import yaml

from sandbox import paths
from sandbox.stacks import Stack

COMMAND = (sys.executable, "-m", "sandbox")


class Update:
    """A running `up`. `values`: keys of the stack's file that have another value in this run, each as `PATH=VALUE`."""

    def __init__(self, stack: Stack, *values: str) -> None:
        settings = [part for value in values for part in ("--config", value)]
        self._log = paths.folder("run") / "demo-up.log"
        with self._log.open("w") as log:
            self._child = subprocess.Popen(
                [*COMMAND, "up", "--stack", stack.name, *settings],
                cwd=paths.ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._child.poll()

    def wait(self) -> None:
        """Waits for its end."""
        self._child.wait()

    def lines(self) -> list[str]:
        """What it has printed so far."""
        return [line.strip() for line in self._log.read_text().splitlines() if line.strip()]

    def line(self, part: str) -> str:
        """The first line that contains `part`; empty if there is none yet."""
        return next((line for line in self.lines() if part in line), "")


def last_value(stack: Stack, *keys: str) -> Any:
    """A value of the config of the stack's last run; None if it was not set."""
    found = yaml.safe_load(stack.copy.read_text()).get("config")
    for key in keys:
        found = (found or {}).get(key)
    return found
