"""Every rule: promtool accepts it, its series exist, it is tested, and a page says what to do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.monitoring import alert_rules, alerts, limits
from components.monitoring.prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR, SYSTEMS
from components.monitoring.rules import sources
from components.monitoring.rules.rule import SEVERITIES, Rule
from sandbox.paths import ROOT
from tests.alerts import (
    known_series,
    test_capacity,
    test_gpu_health,
    test_gpu_use,
    test_pods,
    test_queues_and_serving,
)
from tests.alerts.promtool import promtool, rendered

pytestmark = pytest.mark.alerts

RUNBOOKS = ROOT / "docs" / "runbooks"
FACTS: Any = {
    "reservations": [{"pool": "train", "nodes": 4, "ends": "2027-01-31T11:30:00Z"}],
    "prices": [{"machine": "big", "capacity": "on_demand", "gpus": 4, "dollars_per_hour": 8.0}],
}
MODULES = (test_capacity, test_gpu_health, test_gpu_use, test_pods, test_queues_and_serving)
CASES = [case for module in MODULES for case in module.CASES]
both = pytest.mark.parametrize("system", SYSTEMS)


def every(system: str) -> list[Rule]:
    """All rules as a system would get them if it had all series."""
    args: Any = {"system": system, "namespace": "monitoring", **FACTS}
    return alert_rules.every(alerts.context(args))


def names(system: str, **args: Any) -> set[str]:
    groups = rendered(system, **{**FACTS, **args})
    return {rule.get("alert") or rule["record"] for group in groups for rule in group["rules"]}


ALERTS = [rule.alert for rule in every(PROMETHEUS_OPERATOR) if rule.alert]


@both
def test_promtool_accepts_the_rules(system: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rendered(system, **FACTS)}))
    done = promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@both
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_in_one_case_and_is_silent_in_another(system: str, name: str) -> None:
    """On each system that has it; a system that has not says why."""
    (rule,) = (rule for rule in every(system) if rule.alert == name)
    mine = [case for case in CASES if (case.alert, case.system) == (name, system)]
    if name not in names(system):
        assert not mine and len(alert_rules.why_not(system, rule)) > 40
        return
    assert any(firing for case in mine for firing in case.at.values())
    assert any(not firing for case in mine for firing in case.at.values())


@both
def test_a_rule_uses_only_series_of_the_sources_that_it_names(system: str) -> None:
    """With labels that they have: a misspelled name never fires, and nothing reports it."""
    records = {rule.record: rule for rule in every(system) if rule.record}
    for rule in every(system):
        have = {name: labels for need in rule.needs for name, labels in known_series.KNOWN.get(need, {}).items()}
        used = known_series.series(rule.expr)
        for record in used & set(records):
            assert set(records[record].needs) <= set(rule.needs), f"{rule.alert}: {record}"
        # The managed exporter's targets show GPU nodes; on EKS the nodes do, without which nothing is scraped.
        spare = {"kube_node_status_allocatable"} if rule.alert == "GpuMetricsMissing" else set()
        assert used - set(records) - spare <= set(have), rule.alert or rule.record
        for name, labels in known_series.selected(rule.expr).items():
            allowed = {"capacity", "pool"} if name in records else known_series.KNOWN[sources.STATE].get(name, set())
            assert labels <= allowed | have.get(name, set()), f"{rule.alert or rule.record}: {name}"


def test_what_a_system_lacks_follows_from_its_sources() -> None:
    """GKE gets the rest with a complete kube-state-metrics; without a DCGM exporter those about GPUs are omitted."""
    eks, gke = names(PROMETHEUS_OPERATOR), names(MANAGED_PROMETHEUS)
    assert gke < eks
    faults = {rule.alert for rule in every(MANAGED_PROMETHEUS) if sources.GPU_FAULTS in rule.needs}
    assert eks - gke == faults | {"ScaleUpFailed", "NodeGroupBackedOff", "NodeGroupUnhealthy"}
    assert {"ContainerOomKilled", "GpuPodPending"} <= gke - names(MANAGED_PROMETHEUS, state_metrics=False)
    bare = names(PROMETHEUS_OPERATOR, gpu_metrics=False)
    assert not {name for name in bare if "gpu_" in name or name.startswith("GpuXid")} and "ContainerOomKilled" in bare
    assert not {name for name in names(PROMETHEUS_OPERATOR, reservations=[]) if "Reservation" in name} - {
        "ReservationIdle"
    }


def test_every_alert_has_a_severity_and_leads_somewhere() -> None:
    for group in rendered(PROMETHEUS_OPERATOR, runbooks="https://ops.example/runbooks/", grafana="https://g.example/"):
        for rule in group["rules"]:
            if "alert" in rule:
                notes = rule["annotations"]
                assert rule["labels"]["severity"] in SEVERITIES and notes["summary"] and notes["description"]
                assert notes["runbook_url"] == f"https://ops.example/runbooks/{rule['alert']}.md"
                assert re.fullmatch(r"https://g\.example/d/gpuyard-[a-z]+", notes["dashboard"])


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    pages = {path.stem: path.read_text() for path in RUNBOOKS.glob("*.md") if path.stem != "README"}
    assert set(pages) == set(ALERTS)
    for name, page in pages.items():
        heads = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
        assert heads == [name, "What it means", "First looks", "What to do", "When it is harmless"], name
        looks = re.findall(r"^\d\. ", page.partition("## First looks")[2].partition("## What to do")[0], re.MULTILINE)
        assert len(looks) == 3, f"{name}: three first looks"
        assert "`" in page.partition("## First looks")[2], f"{name}: commands"


@pytest.mark.parametrize(("group", "name"), limits.RANGES, ids=".".join)
def test_every_threshold_reaches_a_rule_and_its_text(group: str, name: str) -> None:
    """What is evaluated, and what a person reads of it."""
    found = [rule for each in rendered(PROMETHEUS_OPERATOR, **FACTS, **{group: {name: 77}}) for rule in each["rules"]]
    assert any("77" in f"{each['expr']} {each.get('for')}" for each in found)
    assert any("77" in each.get("annotations", {}).get("description", "") for each in found)
