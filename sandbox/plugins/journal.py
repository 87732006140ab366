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
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sandbox import paths

_lock = threading.Lock()


@dataclass(frozen=True)
class Made:
    """One object. `id`: '' while unknown; `config`: of the provider that created it; `inputs`: of the create, as far as
    they are recorded; `attempt`: which creation wrote the line, '' if that is not known."""

    urn: str
    id: str
    config: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    attempt: str = ""

    @property
    def type(self) -> str:
        """The type token, without those of its parents."""
        return self.urn.split("::")[2].rsplit("$", 1)[-1] if self.urn.count("::") > 2 else ""

    @property
    def stack(self) -> str:
        """Name of the stack."""
        return self.urn.removeprefix("urn:pulumi:").split("::")[0]


def note(
    urn: str,
    id: str,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    attempt: str = "",
) -> None:
    """Records that the object of that URN has that id, if it exists. Does nothing if the sandbox is not running."""
    if _path().parent.is_dir():
        line = json.dumps(asdict(Made(urn, id, config or {}, inputs or {}, attempt)), default=str)
        with _lock, open(_path(), "a", opener=_private) as journal:
            journal.write(line + "\n")


def entries() -> list[Made]:
    """Every object once, in the order of their first entries. One without an id only if its creation has brought none:
    otherwise each command would search the cloud for everything that was ever created."""
    lines = list(_lines())
    answered = {made.attempt for made in lines if made.id and made.attempt}
    found: dict[tuple[str, str], Made] = {}
    for made in lines:
        if made.id or made.attempt not in answered:
            before = found.get((made.urn, made.id), made)
            found[made.urn, made.id] = replace(
                made, config=made.config or before.config, inputs=made.inputs or before.inputs
            )
    return list(found.values())


def _lines() -> Iterator[Made]:
    if _path().exists():
        for line in _path().read_text().splitlines():
            with suppress(ValueError, TypeError):  # the host was killed during a write
                yield Made(**json.loads(line))


def ids() -> dict[str, str]:
    """The last recorded id of every URN."""
    return {made.urn: made.id for made in entries() if made.id}


def keep(wanted: Callable[[Made], bool]) -> None:
    """Removes all entries that are not wanted. Call it only while nothing else uses the journal."""
    kept = [made for made in entries() if wanted(made)]
    clear()
    for made in kept:
        note(made.urn, made.id, made.config, made.inputs, made.attempt)


def clear() -> None:
    _path().unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _path() -> Path:
    return paths.home() / "run" / "created.jsonl"
