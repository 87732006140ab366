"""The rules of both clouds, written once in `rules/`, and assembled here for one Prometheus system.

A rule names the sources of its series. `rules.sources.MISSING` says which source a system lacks, and why: such a rule
is omitted there.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .rules import capacity, gpu_health, gpu_use, pods, queues, serving, usage
from .rules.rule import Context, Links, Rule
from .rules.sources import MISSING

GROUPS: Mapping[str, Callable[[Context], Iterator[Rule]]] = {
    "gpuyard-nodes": capacity.rules,
    "gpuyard-gpu-use": gpu_use.rules,
    "gpuyard-usage": usage.rules,
    "gpuyard-gpu-health": gpu_health.rules,
    "gpuyard-pods": pods.rules,
    "gpuyard-queues": queues.rules,
    "gpuyard-serving": serving.rules,
}
"""Name of a group → its rules, in the order of their evaluation."""


def every(context: Context) -> list[Rule]:
    """All rules, whatever a system has."""
    return [rule for rules in GROUPS.values() for rule in rules(context)]


def groups(context: Context, sources: frozenset[str], links: Links) -> list[dict[str, Any]]:
    """The groups that a system with these sources can evaluate."""
    found = {
        name: [rule for rule in rules(context) if sources.issuperset(rule.needs)] for name, rules in GROUPS.items()
    }
    return [
        {"name": name, "interval": "1m", "rules": [rule.rendered(links) for rule in rules]}
        for name, rules in found.items()
        if rules
    ]


def why_not(system: str, rule: Rule) -> str:
    """Why a system cannot evaluate a rule; empty if it can."""
    return "; ".join(MISSING[system][need] for need in rule.needs if need in MISSING[system])
