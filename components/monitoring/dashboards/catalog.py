"""Every dashboard."""

from collections.abc import Callable

from ..rules.rule import Context
from . import fleet, job, node, queue, serving, team
from .panel import Dashboard

_DASHBOARDS: tuple[Callable[[Context], Dashboard], ...] = (
    fleet.dashboard, team.dashboard, queue.dashboard, job.dashboard, node.dashboard, serving.dashboard,
)  # fmt: skip
NAMES = ("fleet", "team", "queue", "job", "node", "serving")
"""Their names, as alerts use them."""


def dashboards(context: Context, sources: frozenset[str]) -> list[Dashboard]:
    """The dashboards with the panels that a system with these sources can draw; without those that are empty."""
    found = [make(context).for_sources(sources) for make in _DASHBOARDS]
    return [each for each in found if each.rows]
