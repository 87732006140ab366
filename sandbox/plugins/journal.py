"""Records objects that are created or being created, so that objects that the engine does not know can be found.

The engine records an object in its state only after the provider has answered. If no answer arrives (the engine or
the provider host is killed, a connection breaks), Pulumi does not know the object: the real clouds keep it, and so does
the sandbox. The journal has one JSON object per line. A provider writes one before it sends the request, with the id if
the inputs determine it, and another as soon as it gets the id. The host writes one when a create is complete.
`sandbox/recovery.py` and `sandbox/orphans.py` read the journal.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sandbox import paths

_lock = threading.Lock()


@dataclass(frozen=True)
class Made:
    """One object. `id`: '' while unknown; `config`: of the provider that created it; `inputs`: of the create, as far as
    they are recorded."""

    urn: str
    id: str
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> str:
        """The type token, without those of its parents."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1] if self.urn.count("::") > 2 else ""

    @property
    def stack(self) -> str:
        """Name of the stack."""
        return self.urn.removeprefix("urn:pulumi:").split("::")[0]


def note(urn: str, id: str, config: Mapping[str, Any] | None = None, inputs: Mapping[str, Any] | None = None) -> None:
    """Records that the object of that URN has that id, if it exists. Does nothing if the sandbox is not running."""
    if _path().parent.is_dir():
        line = json.dumps(asdict(Made(urn, id, config or {}, inputs or {})), default=str)
        with _lock, open(_path(), "a", opener=_private) as journal:
            journal.write(line + "\n")


def entries() -> list[Made]:
    """Every object once, in the order of their first entries. One without an id only if its URN has more creations than
    ids, so that one of them has brought none."""
    found: dict[tuple[str, str], Made] = {}
    begun: Counter[str] = Counter()
    if _path().exists():
        for line in _path().read_text().splitlines():
            try:
                made = Made(**json.loads(line))
            except (ValueError, TypeError):  # the host was killed during a write
                continue
            begun[made.urn] += not made.id
            before = found.get((made.urn, made.id), made)
            found[made.urn, made.id] = Made(
                made.urn, made.id, made.config or before.config, made.inputs or before.inputs
            )
    answered = Counter(urn for urn, id in found if id)
    return [made for made in found.values() if made.id or begun[made.urn] > answered[made.urn]]


def ids() -> dict[str, str]:
    """The last recorded id of every URN."""
    return {made.urn: made.id for made in entries() if made.id}


def keep(wanted: Callable[[Made], bool]) -> None:
    """Removes all entries that are not wanted. Call it only while nothing else uses the journal."""
    kept = [made for made in entries() if wanted(made)]
    clear()
    for made in kept:
        note(made.urn, made.id, made.config, made.inputs)


def clear() -> None:
    _path().unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _path() -> Path:
    return paths.home() / "run" / "created.jsonl"
