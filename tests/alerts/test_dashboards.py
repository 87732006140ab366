"""Dashboards: every query is PromQL on series that exist, and both forms are what Grafana and Google accept."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import googleapiclient
import pytest
import yaml

from components import arguments
from components.monitoring import alerts
from components.monitoring.dashboards import catalog, cloud_monitoring, grafana
from components.monitoring.dashboards.panel import KINDS, NUMBER, UNITS, Dashboard, placed
from components.monitoring.prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR, SYSTEMS
from components.monitoring.rules import sources
from tests.alerts import known_series
from tests.alerts.promtool import promtool
from tests.alerts.test_catalog import every

pytestmark = pytest.mark.alerts

ALL = frozenset({sources.GPUS, sources.GPU_FAULTS, sources.STATE, sources.AUTOSCALER, sources.QUEUES, sources.VOLUMES})
ALL |= {sources.SERVERS, sources.PRICES}
both = pytest.mark.parametrize("system", SYSTEMS)


def dashboards(system: str, found: frozenset[str] = ALL) -> list[Dashboard]:
    context = alerts.context(arguments.cleaned(alerts.AlertsArgs, {"system": system}))
    return catalog.dashboards(context, found - set(sources.MISSING[system]) | {sources.STATE})


def queries(system: str) -> dict[str, tuple[str, set[str], Dashboard, str]]:
    """Place of a query → the query, what its panel needs, the dashboard, the legend."""
    return {
        f"{each.name}/{panel.title}/{index}": (query.expr, set(panel.needs), each, query.legend)
        for each in dashboards(system)
        for row in each.rows
        for panel in row.panels
        for index, query in enumerate(panel.queries)
    }


@both
def test_promtool_accepts_every_query(system: str, tmp_path: Path) -> None:
    """seed row S18: as a rule file made of them, with each form of a variable."""
    for reference in ("$NAME", "${NAME.value}", "NAME-1"):
        rules = [
            {"record": f"q{number}", "expr": placed(expr, each.variables, reference)}
            for number, (expr, _, each, _) in enumerate(queries(system).values())
        ]
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
        done = promtool(tmp_path, "check", "rules", "rules.yaml")
        assert done.returncode == 0, done.stdout + done.stderr


@both
def test_a_query_uses_only_series_and_labels_that_exist(system: str) -> None:
    """A panel without data looks like a quiet system."""
    records = {rule.record: rule for rule in every(system) if rule.record}
    of_records = {"namespace", "pod", "node", "pool", "capacity", "machine"}
    for place, (expr, needs, _, _) in queries(system).items():
        have = {name: labels for need in needs for name, labels in known_series.KNOWN.get(need, {}).items()}
        used = known_series.series(expr)
        assert used, place
        for record in used & set(records):
            assert set(records[record].needs) <= needs, f"{place}: {record}"
        assert used - set(records) <= set(have), place
        for name, labels in known_series.selected(expr).items():
            assert labels <= (of_records if name in records else have.get(name, set())), f"{place}: {name}"


@both
def test_a_legend_names_labels_that_its_query_keeps(system: str) -> None:
    for place, (expr, _, _, legend) in queries(system).items():
        labels = set(re.findall(r"{{(\w+)}}", legend))
        kept = {each.strip() for found in re.findall(r"\bby \(([^)]*)\)", expr) for each in found.split(",")}
        kept |= {"pod"} if expr.startswith("namespace_pod:") else set()
        assert labels <= kept, place


@both
def test_every_alert_leads_to_a_dashboard_that_exists(system: str) -> None:
    names = [each.name for each in dashboards(system)]
    assert tuple(names) == catalog.NAMES
    assert {rule.dashboard for rule in every(system) if rule.alert} <= set(names)
    for each in dashboards(system):
        assert each.text and all(
            panel.unit in UNITS and panel.kind in KINDS for row in each.rows for panel in row.panels
        )


def test_the_queue_dashboard_shows_each_step_in_one_row() -> None:
    """Quota, admission, autoscaler, node, image; on GKE without the autoscaler, which has no metrics there."""
    steps = {each.name: each for each in dashboards(PROMETHEUS_OPERATOR)}["queue"].rows[0]
    assert [panel.title[0] for panel in steps.panels] == ["1", "2", "3", "4", "5"]
    google = {each.name: each for each in dashboards(MANAGED_PROMETHEUS)}["queue"].rows[0]
    assert [panel.title[0] for panel in google.panels] == ["1", "2", "5"]


def test_panels_without_series_are_left_out() -> None:
    context = alerts.context(arguments.cleaned(alerts.AlertsArgs, {"system": PROMETHEUS_OPERATOR}))
    found = {each.name: each for each in catalog.dashboards(context, frozenset({sources.GPUS}))}
    assert set(found) == {"fleet", "team", "job", "node"}
    assert [row.title for row in found["team"].rows] == ["Now"]


@both
def test_grafanas_form(system: str) -> None:
    """One id for each panel, no overlap, a data source that the user chooses, and only variables that are declared."""
    for each in dashboards(system):
        made = grafana.model(each)
        assert made["uid"] == f"gpuyard-{each.name}" and len({panel["id"] for panel in made["panels"]}) == len(
            made["panels"]
        )
        fields = {(x, y) for panel in made["panels"] for x, y in _fields(panel["gridPos"])}
        assert len(fields) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in made["panels"])
        names = {variable["name"] for variable in made["templating"]["list"]}
        assert names == {"datasource", *(variable.name for variable in each.variables)}
        assert "<" not in json.dumps(made).replace("<=", "") and json.dumps(made).isascii() is not None
        for panel in made["panels"]:
            assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
            if panel["type"] != "row":
                assert panel["datasource"]["uid"] == "${datasource}" and panel["targets"]


def _fields(place: dict[str, int]) -> list[tuple[int, int]]:
    return [(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])]


def test_googles_form() -> None:
    """Against the API's own description, and without members that the API omits (a difference on every `up`)."""
    path = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents" / "monitoring.v1.json"
    schemas = json.loads(path.read_text())["schemas"]
    for each in dashboards(MANAGED_PROMETHEUS):
        made = cloud_monitoring.model(each, "dev")
        _check(schemas, "Dashboard", made, each.name)
        assert [one.get("labelKey") for one in made["dashboardFilters"]] == ["cluster", *[None] * len(each.variables)]
        tiles = made["mosaicLayout"]["tiles"]
        assert all(tile.get("xPos", 0) + tile["width"] <= 48 and 0 not in tile.values() for tile in tiles)
        text = json.dumps(made)
        assert "{{" not in text.replace("}}", "") and "Hostname" not in text


def _check(schemas: dict[str, Any], name: str, value: dict[str, Any], where: str) -> None:
    """Members that the API does not have, and values of enums that it does not know."""
    known = schemas[name]["properties"]
    assert set(value) <= set(known), f"{where}: {set(value) - set(known)}"
    for key, each in value.items():
        declared = known[key]
        for one in each if declared.get("type") == "array" else [each]:
            item = declared["items"] if declared.get("type") == "array" else declared
            if "$ref" in item and isinstance(one, dict):
                _check(schemas, item["$ref"], one, f"{where}.{key}")
            if "enum" in item:
                assert one in item["enum"], f"{where}.{key}: {one}"


def test_a_number_has_one_query() -> None:
    """A scorecard of Google's has one."""
    for each in dashboards(PROMETHEUS_OPERATOR):
        for panel in (panel for row in each.rows for panel in row.panels if panel.kind == NUMBER):
            assert len(panel.queries) == 1, panel.title
