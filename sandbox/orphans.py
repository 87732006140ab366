"""Objects that were created in the simulated clouds and that are in no state, because the answer to their creation was
lost. In a real account they remain until someone finds them. Here the provider host's journal lists them all, so the
next command can report them, and `down` can delete them before they block the engine. No object in a state depends on
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sandbox import conflicts
from sandbox.errors import ReportedError
from sandbox.plugins import journal
from sandbox.plugins.journal import Made
from sandbox.plugins.provider import ProviderError, SimulatedProvider
from sandbox.stacks import CorruptState, Stack, existing

Report = Callable[[str], None]
_PROTECTED = {"deletionProtection": False, "deletionProtectionEnabled": False, "deletionPolicy": "DELETE"}


def of(stack: Stack) -> list[Made]:
    """The stack's possible orphans in the clouds, newest first; without an id if no answer contained one. Objects in
    a cluster are deleted with the cluster."""
    known = _known()
    return [
        made
        for made in reversed(journal.entries())
        if made.stack == stack.name and made.type.split(":")[0] in ("aws", "gcp") and (made.type, made.id) not in known
    ]


def forget(stack: Stack, everything: bool = False) -> None:
    """Removes from the journal what is in the stack's state; with `everything`, all objects of the stack."""
    known = _known()
    journal.keep(
        lambda made: made.stack != stack.name or not (everything or (made.type, made.id) in known),
    )


def announce(stack: Stack, report: Report) -> None:
    """Reports the orphans of the stack that block nothing, since no error mentions them."""
    left = [made for made in _found(of(stack)) if made.type in conflicts.LEAKS and _exists(made)]
    if left:
        report(
            f"an earlier run created objects that are not in the state: {_names(left)}. A real account continues to "
            'bill them (docs/upgrades.md, "When a run was cut off"); here make down deletes it'
        )


def remove(stack: Stack, report: Report) -> None:
    """Deletes the stack's orphans, dependents first. An orphan that cannot be deleted is left to the caller."""
    left, before = [made for made in _found(of(stack)) if _exists(made, unsure=True)], 0
    if not left:
        return
    report(f"removing objects that an earlier run created without an answer: {_names(left)}")
    _unprotect(left)
    while left and len(left) != before:
        before = len(left)
        left = [made for made in left if not _deleted(made)]


def _found(orphans: list[Made]) -> Iterator[Made]:
    """The orphans with their ids, each once. For those without an id, it searches the cloud."""
    seen = _known() | {(made.type, made.id) for made in orphans if made.id}
    for made in orphans:
        if made.id:
            yield made
            continue
        for id in _provider(made).find(made.type, dict(made.inputs)):
            if (made.type, id) not in seen:
                seen.add((made.type, id))
                yield replace(made, id=id)


def _known() -> set[tuple[str, str]]:
    """(type, id) of every object in any stack's state."""
    found = set()
    for stack in existing():
        try:
            found |= {(each["type"], each.get("id", "")) for each in stack.checkpoint().resources}
        except CorruptState:
            continue
    return found


def _provider(made: Made) -> SimulatedProvider:
    """The provider that created the object, with its configuration of that time."""
    from sandbox.plugins import host  # imported late, because it loads gRPC and the clouds' SDKs

    provider = host.make(made.type.split(":")[0])
    provider.configure(made.config)
    return provider


def _names(left: list[Made]) -> str:
    names = [f"{made.type.rpartition(':')[2]} {made.id.rsplit('/', 1)[-1]}" for made in left]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _exists(made: Made, unsure: bool = False) -> bool:
    """Whether the object exists in its cloud; `unsure` if the cloud does not answer."""
    try:
        return _provider(made).read(made.type, made.urn, made.id, dict(made.inputs), {}) is not None
    except (ProviderError, ReportedError, LookupError):
        return unsure


def _deleted(made: Made) -> bool:
    try:
        _provider(made).delete(made.type, made.urn, made.id, _unprotected(made.inputs), {}, 0)
    except (ProviderError, ReportedError, LookupError):
        return False
    return True


def _unprotected(inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _PROTECTED.get(key, value) for key, value in inputs.items()}


def _unprotect(orphans: list[Made]) -> None:
    clusters = [made.id for made in orphans if made.type == "aws:eks/cluster:Cluster"]
    if clusters:
        from sandbox.aws import inventory

        inventory.unprotect(clusters)
    files = [made.id for made in orphans if made.type == "gcp:filestore/instance:Instance"]
    if files:
        from sandbox.gcp import store

        store.unprotect(name for name in files if store.Store().find("file.instances", name))
