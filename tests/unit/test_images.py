"""Images: how one registry replaces all others, and that the library's table lists the images of the charts."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.charts import images
from components.charts.images import ImagesArgs
from components.versions import CHARTS as PINNED
from components.versions import KUBE_PROMETHEUS_STACK, KUEUE, NVIDIA_DEVICE_PLUGIN, RELEASED
from pages.images import __main__ as command
from pages.images import listing
from pages.images.listing import RELEASE, Listing
from recording.recording import Recording
from recording.stacks import record, settings
from tests.config.sources import CLOSED, DIGEST, ECR

CHARTS = os.environ.get("GPUYARD_CHARTS", "")
"""A folder of the pinned charts; docs/air-gapped.md says how to make one."""
needs_charts = pytest.mark.skipif(not CHARTS, reason="GPUYARD_CHARTS names no folder of the charts")

EVERYTHING: ImagesArgs = {"registry": ECR}


@pytest.fixture(autouse=True)
def sandbox_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPUYARD_SANDBOX", str(tmp_path))


@pytest.mark.parametrize(
    ("reference", "given", "pulled"),
    [
        ("quay.io/prometheus/prometheus:v3", EVERYTHING, f"{ECR}/quay.io/prometheus/prometheus:v3"),
        ("nginx:1", EVERYTHING, f"{ECR}/docker.io/library/nginx:1"),
        ("team/train@sha256:0", EVERYTHING, f"{ECR}/docker.io/team/train@sha256:0"),
        ("localhost:5000/x", {"registry": "r.example.com/all"}, "r.example.com/all/localhost:5000/x"),
        ("quay.io/a/b:1", {"registry": ECR, "prefixes": {"quay.io": "quay"}}, f"{ECR}/quay/a/b:1"),
        ("nvcr.io/nvidia/x:1", {"registry": ECR, "prefixes": {"nvcr.io": ""}}, f"{ECR}/nvidia/x:1"),
        ("quay.io/a/b:1", {"registry": ECR, "prefixes": {"nvcr.io": ""}}, f"{ECR}/quay.io/a/b:1"),
        (f"{ECR}/quay.io/a:1", EVERYTHING, f"{ECR}/quay.io/a:1"),
        ("quay.io/a/b:1", {}, "quay.io/a/b:1"),
    ],
)
def test_an_images_path_in_the_registry_includes_its_upstream(reference: str, given: ImagesArgs, pulled: str) -> None:
    """field case A10: the prefix of a pull-through cache is the upstream's name, or the one in `prefixes`."""
    assert images.mirrored(reference, given) == pulled
    host, path = images.split(reference)
    if given and not reference.startswith(ECR):
        assert images.original(pulled, given) == f"{host}/{path}"


@pytest.mark.parametrize("chart", PINNED, ids=lambda chart: chart.name)
def test_the_registry_applies_to_every_image_of_every_chart(chart: Any) -> None:
    """field case A10; and other values of the library do not change."""
    given = {"image": {"tag": "v9"}, "prometheus": {"prometheusSpec": {"retention": "15d"}}}
    found = images.values(chart, {**EVERYTHING, "prefixes": {"quay.io": "quay"}}, given)
    pulled = images.of_values(chart.name, found)
    assert len(pulled) == len(chart.images) and all(image.startswith(f"{ECR}/") for image in pulled), pulled
    assert not any(f"{ECR}/quay.io" in image for image in pulled)
    assert found["image"]["tag"] == "v9" and found["prometheus"]["prometheusSpec"]["retention"] == "15d"
    assert images.values(chart, {}, given) == given


def test_digests_pin_images() -> None:
    """security case M10: each chart has a different value for it."""
    names = [image.reference for chart in (KUBE_PROMETHEUS_STACK, NVIDIA_DEVICE_PLUGIN) for image in chart.images]
    digests: ImagesArgs = {"digests": dict.fromkeys(names, DIGEST)}
    for chart in (KUBE_PROMETHEUS_STACK, NVIDIA_DEVICE_PLUGIN):
        pulled = images.of_values(chart.name, images.values(chart, digests, {}))
        assert pulled == {f"{image.reference}@{DIGEST}" for image in chart.images}
    assert images.values(KUBE_PROMETHEUS_STACK, digests, {})["prometheusOperator"]["image"] == {"sha": "0" * 64}


def closed(**changes: Any) -> Recording:
    """The stack `prod` without internet access."""
    config = settings("prod")
    shut = {key: CLOSED["gpuyard:network"][key] for key in ("nat", "interfaceEndpoints")}
    return record({**config, "gpuyard:network": {**config["gpuyard:network"], **shut}, **changes}, "prod")


@pytest.mark.slow
def test_the_list_has_every_image_of_a_stack_and_marks_other_registries(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """field case A10: plain and as JSON, with the upstream that the registry is filled from."""
    made = closed(**{"gpuyard:images": {"registry": ECR}})
    found = listing.listing("prod", made, EVERYTHING)
    every = {image.name for chart in (*RELEASED, KUEUE) for image in chart.images}
    assert {one["upstream"].rpartition(":")[0] for one in found.as_json()["images"]} == every
    assert found.elsewhere() == [] and {"vpc-cni", "coredns"} <= set(found.addons)
    assert all(why for why in found.charts.values()) or CHARTS, "no chart repository is reached by this test"
    assert json.loads(json.dumps(found.as_json()))["registry"] == ECR
    found.add("docker.io/library/busybox:1", "a pod of the user")
    assert found.elsewhere() == ["docker.io/library/busybox:1"]
    assert Listing("dev", {}, {"a:1": set()}).elsewhere() == []

    assert command.main(["--stack", "dev-gke"]) == 0 and capsys.readouterr().out == ""
    assert command.main(["--stack", "no-such-stack"]) == 2
    assert "Pulumi.no-such-stack.yaml is missing" in capsys.readouterr().err


def test_images_are_found_wherever_an_object_names_them() -> None:
    """field case A10: init containers, kinds whose operator starts pods, arguments of operators."""
    pod = {"initContainers": [{"image": "a:1"}], "containers": [{"image": "b:1", "args": ["--x-reloader=c:1", "-v"]}]}
    objects = [
        {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": pod}}}}},
        {"kind": "Prometheus", "spec": {"image": "d:1", "thanos": {"image": "e:1"}}},
        {"kind": "Deployment", "spec": {"args": ["--thanos-default-base-image=f:1"]}},
        {"kind": "CustomResourceDefinition", "spec": {"image": "none"}},
    ]
    assert sorted(listing.named(objects)) == ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1"]


@pytest.fixture(scope="module")
def rendered() -> Iterator[Any]:
    """By registry: the real charts' objects with the values of `prod`, by release."""

    @functools.cache
    def render(registry: str) -> dict[str, list[dict[str, Any]]]:
        sources = {"gpuyard:images": {"registry": registry} if registry else {}, "gpuyard:charts": {"mirror": CHARTS}}
        made = record({**settings("prod"), **sources}, "prod")
        found = {}
        for release in made.all(RELEASE):
            path = listing.chart.locate(release.inputs).path
            found[release.inputs["name"]] = list(listing.render(path, release.inputs, "1.35"))
        return found

    yield render


@needs_charts
def test_the_table_is_what_the_real_charts_pull(rendered: Any) -> None:
    """field cases A10 and C5: rendered by helm for the cluster's own Kubernetes version."""
    from components import versions

    tag = {versions.CLUSTER_AUTOSCALER: versions.CLUSTER_AUTOSCALER_IMAGE[versions.EKS_VERSION]}
    for name, objects in rendered("").items():
        table = {table.name: table for table in PINNED}[name]
        assert set(listing.named(objects)) == set(images.references([table], tag)), name


@needs_charts
def test_the_real_charts_use_only_images_of_the_registry(rendered: Any) -> None:
    """field case A10"""
    for name, objects in rendered(ECR).items():
        assert [image for image in listing.named(objects) if not image.startswith(f"{ECR}/")] == [], name


@needs_charts
def test_the_real_charts_pods_comply_with_their_namespaces(rendered: Any) -> None:
    """security cases M14 and M15: rights, network policies, Pod Security."""
    found = rendered("")
    monitoring = found["kube-prometheus-stack"]

    def of(kind: str) -> list[dict[str, Any]]:
        return [obj for obj in monitoring if obj["kind"] == kind]

    policies = {obj["metadata"]["name"].removeprefix("kube-prometheus-stack-") for obj in of("NetworkPolicy")}
    assert {"prometheus", "alertmanager", "operator", "kube-state-metrics"} <= policies
    (state,) = [obj for obj in of("ClusterRole") if obj["metadata"]["name"].endswith("kube-state-metrics")]
    assert not {"secrets", "configmaps"} & {each for rule in state["rules"] for each in rule["resources"]}
    monitors = [
        endpoint
        for kind in ("ServiceMonitor", "PodMonitor")
        for obj in of(kind)
        for endpoint in obj["spec"]["endpoints"]
    ]
    assert monitors and not [each for each in monitors if "bearerTokenFile" in each or "caFile" in str(each)]
    homes = {obj["metadata"]["namespace"] for obj in of("DaemonSet")}
    assert homes == {"node-exporter"}
    (autoscaler,) = [obj for obj in found["cluster-autoscaler"] if obj["kind"] == "Deployment"]
    pod = autoscaler["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
