"""What is made or being made, so that a killed engine's unfinished creates can be found again.

The engine notes an object in its state only after the provider has answered. When it is killed in between, its state
says "creating" and nobody knows the id: the real clouds lose the object then, the sandbox does not. One JSON line per
create with URN and id: the host writes it when a create is done, a provider already before it asks the cloud if the id
follows from the inputs. `sandbox/recovery.py` reads it and starts a new journal.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path

from sandbox import paths

_lock = threading.Lock()


def note(urn: str, id: str) -> None:
    """The object of that URN has that id, if it exists. Without a running sandbox nobody would read it."""
    if _path().parent.is_dir():
        with _lock, _path().open("a") as journal:
            journal.write(json.dumps([urn, id]) + "\n")


def ids() -> dict[str, str]:
    """The last id of every URN that was noted since `clear`."""
    found = {}
    if _path().exists():
        for line in _path().read_text().splitlines():
            try:
                urn, id = json.loads(line)
            except ValueError:  # the host was killed while it wrote
                continue
            found[urn] = id
    return found


def clear() -> None:
    _path().unlink(missing_ok=True)


def _path() -> Path:
    return paths.home() / "run" / "created.jsonl"
