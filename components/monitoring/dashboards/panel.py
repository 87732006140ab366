"""What a dashboard is made from: rows of panels, each with PromQL, a unit and thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..rules import sources
from ..rules.rule import Context

PERCENT, COUNT, SECONDS, CELSIUS, WATT, MEGAHERTZ = "percent", "count", "seconds", "celsius", "watt", "megahertz"
BYTES_PER_SECOND, PER_SECOND, GPU_HOURS, DOLLARS, DOLLARS_PER_HOUR = "Bps", "rate", "GPU-hours", "dollars", "dollars/h"
UNITS = (
    PERCENT, COUNT, SECONDS, CELSIUS, WATT, MEGAHERTZ, BYTES_PER_SECOND, PER_SECOND, GPU_HOURS, DOLLARS,
    DOLLARS_PER_HOUR,
)  # fmt: skip

LINES, NUMBER, BARS, STACK = "lines", "number", "bars", "stack"
KINDS = (LINES, NUMBER, BARS, STACK)
"""How a panel draws: lines or a stack over time; a number, or one bar for each series, of the present."""


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    expr: str
    """PromQL. Selectors of variables come from `Variable.matcher`."""
    legend: str
    """Name of a series, with labels such as {{pod}}."""


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard."""

    name: str
    """Name, and the label that it selects."""
    values: str
    """Series whose label has the values to choose from."""

    @property
    def matcher(self) -> str:
        """The matcher in a selector; `placed` fills it."""
        return f'{self.name}=~"{_mark(self.name)}"'


@dataclass(frozen=True)
class Panel:
    """One panel."""

    title: str
    queries: Sequence[Query]
    unit: str
    needs: Sequence[str]
    """The sources of its series."""
    text: str = ""
    """What it shows, and what is normal."""
    kind: str = LINES
    warn: float | None = None
    """A value above this is a reason to look."""
    wide: bool = False
    """Whether it has the whole width."""


@dataclass(frozen=True)
class Row:
    """Panels that belong together."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Dashboard:
    """One dashboard."""

    name: str
    """Name; alerts lead to it."""
    title: str
    text: str
    """The question that it answers."""
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    hours: int = 6
    """How far back it looks."""

    def for_sources(self, found: frozenset[str]) -> "Dashboard":
        """Without the panels whose series a system does not have, and the rows that are empty then."""
        rows = [Row(row.title, [panel for panel in row.panels if found.issuperset(panel.needs)]) for row in self.rows]
        kept = [row for row in rows if row.panels]
        return Dashboard(self.name, self.title, self.text, kept, self.variables, self.hours)


def placed(expr: str, variables: Sequence[Variable], reference: str) -> str:
    """PromQL with references to variables, such as `$NAME`; NAME stands for the variable's name."""
    for variable in variables:
        expr = expr.replace(_mark(variable.name), reference.replace("NAME", variable.name))
    return expr


def _mark(name: str) -> str:
    return f"<{name}>"


def gpu_series(context: Context, field: str, *matchers: str) -> str:
    """A series of DCGM with a label `node`, of the GPUs that match."""
    return context.by_node(f"DCGM_FI_{field}{{{','.join(matchers)}}}" if matchers else f"DCGM_FI_{field}")


GPUS, STATE, FAULTS = (sources.GPUS,), (sources.STATE,), (sources.GPU_FAULTS,)
POOLED = (sources.GPUS, sources.STATE)
PRICED = (*POOLED, sources.PRICES)
"""Needs that many panels share."""
