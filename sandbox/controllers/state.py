"""What runs of a cluster's controllers, as their supervisor notes it for other commands."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

FILE = "controllers.json"
"""In the control plane's folder."""

UNDER_WAY = "is being built"
"""Part of the message about a controller whose program is being built."""

FIRST_ROUND = 20.0
"""Seconds within which a supervisor that has just started writes it."""


def read(folder: Path) -> list[dict[str, Any]]:
    """Each controller: `namespace`, `deployment`, `program`, `ready`, `restarts`, `message`."""
    try:
        return json.loads((folder / FILE).read_text())
    except FileNotFoundError:
        return []


def building(folder: Path) -> list[str]:
    """The messages about programs that are being built, which takes minutes."""
    return [each["message"] for each in read(folder) if UNDER_WAY in each["message"]]


def write(folder: Path, controllers: list[dict[str, Any]]) -> None:
    """Replaces it if it differs."""
    path, text = folder / FILE, json.dumps(controllers, indent=1)
    if not path.exists() or path.read_text() != text:
        draft = path.with_suffix(".new")
        draft.write_text(text)
        draft.replace(path)


def forget(folder: Path) -> None:
    """Removes what an earlier supervisor wrote."""
    (folder / FILE).unlink(missing_ok=True)


def await_ready(folder: Path, seconds: float = 90) -> list[str]:
    """Waits until all controllers are ready: their webhooks must answer before a program continues. Returns a line for
    each that is not ready in time."""
    begun = time.monotonic()
    while True:
        found, waited = read(folder), time.monotonic() - begun
        settled = (folder / FILE).exists() or waited > FIRST_ROUND
        late = [each for each in found if not each["ready"]]
        if (settled and not late) or waited > seconds:
            return [f"{each['program']} in {each['namespace']} is not ready: {each['message']}" for each in late]
        time.sleep(0.2)
