"""What a change of a field does to what exists already. Each cloud's node pools have a table of them (`CHANGES`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Effect(Enum):
    """What a change of a field does. The values are the text in warnings and in the documentation."""

    IN_PLACE = "in place"
    ROLLS = "nodes are replaced"
    NEW_POOL = "new nodes are added, then the old ones are deleted"
    REFUSED = "refused"


@dataclass(frozen=True)
class Rule:
    """The effect of a change of one field. `note`: a detail in one clause; for a refused change, the reason."""

    effect: Effect
    note: str = ""

    def __str__(self) -> str:
        return f"{self.effect.value}: {self.note}" if self.note else self.effect.value


IN_PLACE = Rule(Effect.IN_PLACE)
ROLLS = Rule(Effect.ROLLS)
NEW_POOL = Rule(Effect.NEW_POOL)


def refused(reason: str) -> Rule:
    """A field that cannot change while the resource exists."""
    return Rule(Effect.REFUSED, reason)


def of(path: str, rules: Mapping[str, Rule]) -> Rule | None:
    """The rule of a field: its own, or that of the nearest field that it is in (`reservation` for `reservation.id`)."""
    while path and path not in rules:
        path = path.rpartition(".")[0]
    return rules.get(path)
