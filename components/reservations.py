"""How large a reservation is and when it ends: said once in the pool that uses it, for the alerts about it.

No series has these facts, and the engine's providers do not look up reservations.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, TypedDict

from typing_extensions import NotRequired

from .checks import Problem

_NODES_RANGE = (1, 1000)
_TERMS = ("nodes", "ends")


class ReservationTerms(TypedDict):
    """The size and the end of capacity that is reserved for a pool."""

    nodes: NotRequired[int]
    """Nodes that are reserved, 1 to 1000: the alert ReservationUnused compares. Default: none, no such alert."""
    ends: NotRequired[str]
    """When the reservation or capacity block ends, such as "2027-01-31T11:30:00Z": the alert ReservationEnds warns
    before. Default: none, no such alert."""


def problems(terms: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the terms."""
    low, high = _NODES_RANGE
    if "nodes" in terms and not low <= terms["nodes"] <= high:
        yield Problem("nodes", terms["nodes"], "out of range", f"{low} to {high}", "correct the number")
    if "ends" in terms and end(terms) is None:
        yield Problem(
            "ends", terms["ends"], "not a date with a time and a zone", "such as 2027-01-31T11:30:00Z",
            "write it as the cloud shows it",
        )  # fmt: skip


def end(terms: Mapping[str, Any]) -> datetime | None:
    """When the reservation ends; None without an end, or if it is not a time with a zone."""
    try:
        found = datetime.fromisoformat(str(terms.get("ends", "")).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else None


def of_pools(specs: Mapping[str, Any]) -> dict[str, ReservationTerms]:
    """Pool → the terms of its reservation, if it has any. `specs`: of either cloud."""
    found = {
        name: {field: value for field, value in (spec.get("reservation") or {}).items() if field in _TERMS}
        for name, spec in specs.items()
    }
    return {name: terms for name, terms in found.items() if terms}  # type: ignore[misc]


def warnings(specs: Mapping[str, Any], today: date) -> Iterator[str]:
    """Reservations that are over, and capacity blocks whose end nothing announces. `today`: in UTC."""
    for name, spec in specs.items():
        terms = spec.get("reservation") or {}
        until = end(terms)
        if until and until.date() < today:
            yield (
                f"{name}.reservation.ends: the reservation ended on {until.date()}, so the rung reserved gets no "
                "nodes; correct it, or name the next reservation"
            )
        if terms.get("capacity_block") and "ends" not in terms:
            yield (
                f"{name}.reservation.ends: not set, so no alert announces the end of the capacity block, before which "
                "its nodes are drained"
            )
