"""A complete kube-state-metrics on GKE: only the series that are used, with the labels that they have on EKS."""

from __future__ import annotations

import re

import pulumi
import pytest

from components import versions
from components.charts import rendered
from components.monitoring.rules import sources
from components.monitoring.state_metrics import SERIES, StateMetrics, values
from recording import charts
from recording.recorder import run
from recording.recording import Recording
from tests.alerts.known_series import KNOWN
from tests.component.stage import gcp_options

SCRAPE = "kubernetes:monitoring.googleapis.com/v1:ClusterPodMonitoring"


def made(**args: int) -> Recording:
    return run(lambda: StateMetrics("state", {**args}, gcp_options()))  # type: ignore[typeddict-item]


def test_it_delivers_exactly_the_series_that_rules_and_dashboards_use() -> None:
    """seed row S21: Google bills each sample, and a series that is missing would never fire."""
    assert set(SERIES) == set(KNOWN[sources.STATE])
    assert all(re.fullmatch(pattern, name) for pattern, name in zip(values()["metricAllowlist"], SERIES))
    for name in SERIES:
        kind = {"kube_pod": "pods", "kube_node": "nodes", "kube_daemonset": "daemonsets"}
        found = [collector for prefix, collector in kind.items() if name.startswith(prefix)] or ["resourcequotas"]
        assert found[0] in values()["collectors"], name


def test_the_scrape_adds_no_labels_to_its_series() -> None:
    """With `pod` as a target label, the pod of a series would be exported_pod, and no rule would match."""
    recording = made()
    scrape = recording.one(SCRAPE, "state-scrape")
    assert scrape.inputs["spec"] == {
        "selector": {"matchLabels": {"gpuyard.dev/metrics": "state"}},
        "endpoints": [{"port": "http", "interval": "60s"}],
        "targetLabels": {"metadata": []},
    }
    assert values()["customLabels"] == {"gpuyard.dev/metrics": "state"}
    namespace = recording.one("kubernetes:core/v1:Namespace", "state-namespace")
    assert namespace.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert recording.must_outlive(namespace, scrape)


def test_nodes_have_the_labels_by_which_series_are_joined() -> None:
    (allowed,) = values()["metricLabelsAllowlist"]
    assert allowed == "nodes=[gpuyard.dev/pool,gpuyard.dev/capacity,node.kubernetes.io/instance-type]"


def test_the_pinned_chart_is_rendered_with_these_values() -> None:
    asked: list[rendered.Request] = []

    def renderer(request: rendered.Request) -> list[rendered.Object]:
        asked.append(request)
        return charts.objects(request)

    with rendered.using(renderer):
        run(lambda: StateMetrics("state", {}, gcp_options()))
    (request,) = asked
    assert request.chart == versions.KUBE_STATE_METRICS and request.values == values()


@pytest.mark.parametrize("seconds", [14, 301])
def test_an_interval_out_of_range_is_refused(seconds: int) -> None:
    with pytest.raises(pulumi.RunError, match="interval_seconds"):
        made(interval_seconds=seconds)
