"""The real Prometheus reads the metrics of the real Kueue, with what `PodScrape` creates and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from components.monitoring.pod_scrape import PodScrape
from components.monitoring.prometheus import SYSTEMS
from components.sharing import kueue as controllers
from recording.recorder import run
from sandbox.cluster import monitoring_kinds
from sandbox.cluster.api import Object
from sandbox.controllers.prometheus import Prometheus
from sandbox.tests.cluster.kueue import Cluster
from sandbox.tests.cluster.loop import wait
from sandbox.tests.cluster.test_prometheus import metrics
from tests.component.stage import aws_options

__all__ = ["metrics"]


def scrape(system: str, name: str) -> list[Object]:
    """The objects of a scrape of Kueue, as the stack describes it, in the order of their creation."""
    args: Any = {
        "system": system,
        "namespace": controllers.NAMESPACE,
        "match_labels": controllers.PODS,
        "port": controllers.METRICS_PORT,
        "series": "kueue_.*",
        "protected": True,
    }
    made = run(lambda: PodScrape(name, args, aws_options()))
    return [each.inputs for each in made.resources.values() if each.package == "kubernetes"]


@pytest.mark.parametrize("system", SYSTEMS)
def test_prometheus_reads_kueues_metrics_with_the_token_of_the_scrape(
    system: str, kueue: Cluster, metrics: Prometheus
) -> None:
    """seed row S22: Kueue refuses accounts that may not read metrics, and Google's collector reads only Secrets that it
    may read."""
    monitoring_kinds.install(kueue.api, [*monitoring_kinds.operators(), *monitoring_kinds.googles()])
    name = system.replace("_", "-")
    objects = scrape(system, name)
    bindings = [each for each in objects if each["kind"].endswith("Binding")]
    kueue.apply(*(each for each in objects if each not in bindings))
    wait(lambda: metrics.value(f'up{{job="{name}"}}') == 0, "a refused scrape")
    kueue.apply(*bindings)
    (found,) = wait(lambda: metrics.query(f'kueue_build_info{{job="{name}"}}'), "Kueue's series")
    assert (found["metric"]["namespace"], found["metric"]["container"]) == (controllers.NAMESPACE, "manager")
    assert not metrics.query(f'go_goroutines{{job="{name}"}}'), "series of the runtime are dropped"
