"""Every chart that the library renders, on a real control plane: the scheduler places its pods, and refuses them where
they cannot run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components import versions
from components.charts import installed, placement, rendered
from components.charts.rendered import Object
from components.platforms import keda
from components.sharing import kueue
from components.versions import Chart
from sandbox.cluster.api import Api
from sandbox.cluster.cloud import Machine, Taint
from sandbox.tests.cluster import fake_fleet
from sandbox.tests.cluster.conftest import Make, Pods, ready
from tests.real_charts import RealCharts, program
from tests.real_installations import INSTALLATIONS, of_releases

SYSTEM = Taint("dedicated", "system", "NoSchedule")


@pytest.fixture
def nodes(api: Api, cloud: Make) -> Any:
    """`nodes(*taints)`: two nodes, one with these taints and one with a GPU, which is tainted as on EKS and GKE."""

    def make(*taints: Taint) -> None:
        shapes = [
            fake_fleet.shape("m5.4xlarge", 32, "128Gi", {"gpuyard.dev/pool": "cpu-workers"}, taints),
            fake_fleet.gpu_group().template,
        ]
        cloud(
            [
                Machine(f"i-{name}", name, name, name, f"aws:///{name}", shape, 0, "device-plugin", False)
                for name, shape in zip(["cpu", "gpu"], shapes)
            ]
        )
        ready(api, 2)

    return make


def pods_of(charts: RealCharts, pools: Any) -> dict[str, Object]:
    """The pods of every chart that can be had, by name of chart and object."""
    found = {}
    for name, installation in INSTALLATIONS.items():
        if charts.has(installation.chart):
            for each in installed.objects(installation, {"charts": charts.source, "pools": pools}):
                if pod := placement.pod_of(each):
                    unbound = {key: value for key, value in pod["spec"].items() if key not in _BOUND}
                    found[f"{name}-{each['metadata']['name']}"[:60].rstrip("-")] = unbound
    return found


_BOUND = ("serviceAccount", "serviceAccountName", "volumes")
"""What pods refer to. The scheduler looks at volumes of claims only, and none of the charts has one."""


def pods_of_releases(charts: RealCharts) -> dict[str, Object]:
    """The same for Helm releases, hook jobs included. DaemonSets, which run on the nodes that they serve, are tested
    elsewhere (tests/component/test_addons.py, test_example_pools.py)."""
    found = {}
    for name, objects in of_releases(charts).items():
        for each in objects:
            if each["kind"] != "DaemonSet" and (pod := placement.pod_of(each)):
                unbound = {key: value for key, value in pod["spec"].items() if key not in _BOUND}
                found[f"{name}-{each['metadata']['name']}"[:60].rstrip("-")] = unbound
    return found


def create(pods: Pods, wanted: dict[str, Object]) -> None:
    """Creates the pods in a namespace that enforces the level `restricted`, as the charts' namespaces do."""
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    pods.api.patch(f"/api/v1/namespaces/{pods.namespace}", labels)
    for name, spec in wanted.items():
        containers = [{**each, "volumeMounts": []} for each in spec["containers"]]
        pods.make(name, {**spec, "containers": containers})


def test_every_pod_of_every_chart_is_placed_next_to_tainted_gpu_pools(
    charts: RealCharts, nodes: Any, pods: Pods
) -> None:
    """seed row S23, aicr#2445: controllers without tolerations, and hook jobs that hang."""
    nodes()
    wanted = {**pods_of(charts, {}), **pods_of_releases(charts)}
    assert len(wanted) >= 4, charts.missing
    create(pods, wanted)
    for name in wanted:
        assert pods.running(name)["spec"]["nodeName"] == "cpu", name


def test_every_pod_is_refused_where_all_pools_are_tainted_and_placed_once_the_pools_are_known(
    charts: RealCharts, nodes: Any, pods: Pods
) -> None:
    nodes(SYSTEM)
    unknown = pods_of(charts, {})
    create(pods, unknown)
    for name in unknown:
        assert "untolerated taint" in pods.unschedulable(name), name
    taint = {"key": SYSTEM.key, "value": SYSTEM.value, "effect": SYSTEM.effect}
    known = pods_of(charts, {"system": {"gpus": 0, "taints": [taint]}, "gpu": {"gpus": 1}})
    create(pods, {f"known-{name}"[:63].rstrip("-"): spec for name, spec in known.items()})
    for name in known:
        assert pods.running(f"known-{name}"[:63].rstrip("-"))["spec"]["nodeName"] == "cpu", name


def test_every_object_of_every_chart_is_rendered_the_same_each_time(charts: RealCharts, tmp_path: Path) -> None:
    """Otherwise each preview would show changes: charts that make certificates do so."""
    args: Any = {"charts": charts.source, "pools": {}}
    have = [each for each in INSTALLATIONS.values() if charts.has(each.chart)]
    first = [installed.objects(each, args) for each in have]
    with program(tmp_path), pytest.MonkeyPatch.context() as patched:
        patched.setattr(rendered, "_memory", {})
        assert [installed.objects(each, args) for each in have] == first


@pytest.mark.parametrize(
    ("chart", "labels", "port"),
    [(versions.KUEUE, kueue.PODS, kueue.METRICS_PORT), (versions.KEDA, keda.PODS, keda.METRICS_PORT)],
)
def test_prometheus_finds_the_metrics_of_a_controller(
    charts: RealCharts, chart: Chart, labels: dict[str, str], port: str
) -> None:
    """The stack's monitors select its pods by labels of the chart, and the port by its name there."""
    charts.need(chart)
    pods = filter(None, map(placement.pod_of, installed.objects(INSTALLATIONS[chart.name], {"charts": charts.source})))
    (found,) = (pod for pod in pods if labels.items() <= pod["metadata"]["labels"].items())
    assert port in [each.get("name") for container in found["spec"]["containers"] for each in container["ports"]]


@pytest.mark.parametrize("name", INSTALLATIONS)
def test_images_of_a_chart_are_those_that_the_library_pins(charts: RealCharts, name: str) -> None:
    """They are what `make images` lists and what a registry of yours must have."""
    installation = INSTALLATIONS[name]
    charts.need(installation.chart)
    pinned = {image.reference for image in installation.chart.images}
    for each in installed.objects(installation, {"charts": charts.source}):
        for container in placement.containers(each):
            assert container["image"] in pinned
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert container["resources"]["limits"]["memory"]
