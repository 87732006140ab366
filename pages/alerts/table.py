"""The table of alerts: what each one means, and which cloud has it."""

from __future__ import annotations

import re
from collections.abc import Callable

from components import arguments
from components.clouds import AWS, CLOUDS, GCP
from components.monitoring import alert_rules, alerts
from components.monitoring.prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR
from components.monitoring.rules import sources
from components.monitoring.rules.rule import Rule

from ..picture.pages import DOCS, Parts
from ..picture.tables import table

SYSTEMS = {AWS: PROMETHEUS_OPERATOR, GCP: MANAGED_PROMETHEUS}
YES, STATE, NO = "✓", "✓ with `state_metrics`", "–"


def parts() -> Parts:
    """Name of a place in the page → table."""
    head = ["alert", "severity", "what it means", *(CLOUDS[cloud].kubernetes for cloud in SYSTEMS)]
    rows = [
        [
            f"[`{rule.alert}`](runbooks/{rule.alert}.md)",
            rule.severity,
            meaning(rule),
            *map(_has(rule), SYSTEMS.values()),
        ]
        for rule in _rules()
        if rule.alert
    ]
    missing = sources.MISSING[MANAGED_PROMETHEUS]
    return Parts({}, {"alerts": table(head, rows), "alerts-missing": table(["GKE lacks", "why"], missing.items())})


def _rules() -> list[Rule]:
    args = arguments.cleaned(alerts.AlertsArgs, {"system": PROMETHEUS_OPERATOR})
    return alert_rules.every(alerts.context(args))


def _has(rule: Rule) -> Callable[[str], str]:
    def cell(system: str) -> str:
        missing = {need for need in rule.needs if need in sources.MISSING[system]}
        return NO if missing - {sources.STATE} else STATE if missing else YES

    return cell


def meaning(rule: Rule) -> str:
    """The first sentence of the runbook."""
    page = (DOCS / "runbooks" / f"{rule.alert}.md").read_text()
    text = " ".join(page.partition("## What it means")[2].partition("## First looks")[0].split())
    return re.split(r"(?<=[.:]) (?=[A-Z])", text, maxsplit=1)[0].rstrip(":")
