"""Dashboards as objects: one for each, none when off, and two clusters in one program."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.gcp.dashboards import GkeDashboards
from components.monitoring.dashboards import catalog
from components.monitoring.grafana_dashboards import GrafanaDashboards
from recording.recorder import run
from recording.stacks import record, settings
from tests.component.stage import aws_options, gcp_options

CONFIG_MAP, CLOUD = "kubernetes:core/v1:ConfigMap", "gcp:monitoring/dashboard:Dashboard"


def test_grafana_reads_one_config_map_for_each_dashboard() -> None:
    made = run(lambda: GrafanaDashboards("dashboards", {"system": "prometheus_operator"}, aws_options()))
    found = {each.name: each for each in made.all(CONFIG_MAP)}
    assert set(found) == {f"dashboards-{name}" for name in catalog.NAMES}
    for each in found.values():
        assert each.inputs["metadata"]["labels"] == {"grafana_dashboard": "1"}
        assert each.inputs["metadata"]["namespace"] == "monitoring"
        ((file, text),) = each.inputs["data"].items()
        assert json.loads(text)["uid"] == file.removesuffix(".json") and len(text) < 1_000_000


def test_labels_and_namespace_of_the_config_maps_can_be_set() -> None:
    args: Any = {"system": "prometheus_operator", "namespace": "grafana", "labels": {"dashboards": "yes"}}
    made = run(lambda: GrafanaDashboards("mine", args, aws_options()))
    metadata = made.one(CONFIG_MAP, "mine-fleet").inputs["metadata"]
    assert metadata == {"name": "mine-fleet", "namespace": "grafana", "labels": {"dashboards": "yes"}}


def test_two_clusters_have_dashboards_in_one_program() -> None:
    def program() -> None:
        for name in ("one", "two"):
            GkeDashboards(f"{name}-dashboards", {"cluster": name}, gcp_options(name))

    made = run(program)
    titles = [json.loads(each.inputs["dashboardJson"])["displayName"] for each in made.all(CLOUD)]
    assert len(set(titles)) == len(titles) == 2 * len(catalog.NAMES)


def test_costs_are_shown_only_if_there_are_prices() -> None:
    def text(**args: Any) -> str:
        given: Any = {"system": "prometheus_operator", **args}
        return str(run(lambda: GrafanaDashboards("d", given, aws_options())).one(CONFIG_MAP, "d-team").inputs["data"])

    assert "gpu_cost" not in text() and "gpu_cost" in text(costs=True)


@pytest.mark.parametrize(
    ("component", "options", "args", "path"),
    [
        (GrafanaDashboards, aws_options, {"system": "thanos"}, "system"),
        (GrafanaDashboards, aws_options, {"system": "prometheus_operator", "namespace": "A b"}, "namespace"),
        (GrafanaDashboards, aws_options, {"system": "prometheus_operator", "labels": {"a b": "c"}}, r"labels\.a b"),
        (GkeDashboards, gcp_options, {"cluster": ""}, "cluster"),
    ],
)
def test_invalid_dashboards_are_refused(component: Any, options: Any, args: Any, path: str) -> None:
    with pytest.raises(pulumi.RunError, match=path):
        run(lambda: component("d", args, options()))


@pytest.mark.parametrize(("stack", "kind"), [("dev", CONFIG_MAP), ("dev-gke", CLOUD)])
def test_a_stack_has_dashboards_only_if_it_asks(stack: str, kind: str) -> None:
    config = settings(stack)
    made = record({**config, "gpuyard:addons": {**config.get("gpuyard:addons", {}), "dashboards": True}}, stack)
    assert len(made.all(kind)) == len(catalog.NAMES)
    assert not record(config, stack).all(kind)
