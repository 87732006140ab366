"""Alert rules and pod scraping on a real API server: the kinds of both clouds accept the objects of the components."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.monitoring.alerts import Alerts
from components.monitoring.pod_scrape import PodScrape
from components.monitoring.prometheus import API_VERSIONS, SYSTEMS
from recording.recorder import run
from recording.recording import Resource
from sandbox.cluster import monitoring_kinds
from sandbox.cluster.api import Api
from sandbox.cluster.control_plane import ControlPlane
from sandbox.plugins.kubernetes import RELEASE, KubernetesProvider
from tests.component.stage import aws_options

both = pytest.mark.parametrize("system", SYSTEMS)


@pytest.fixture(scope="module")
def provider(plane: ControlPlane, api: Api) -> KubernetesProvider:
    """On a cluster with Google's kinds, as on a new GKE cluster, and the operator's, from the release's stand-in."""
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": plane.kubeconfig.read_text()})
    monitoring_kinds.install(api, monitoring_kinds.googles())
    monitoring_kinds.install(api, monitoring_kinds.googles())
    where = {"chart": "kube-prometheus-stack", "repositoryOpts": {"repo": "http://127.0.0.1:9/charts"}, "name": "kps"}
    urn = f"urn:pulumi:test::gpuyard::{RELEASE}::kps"
    inputs, failures = provider.check(RELEASE, urn, {}, {**where, "namespace": "default"}, b"")
    assert not failures, failures
    provider.create(RELEASE, urn, inputs, False, 0)
    return provider


def objects(system: str, namespace: str) -> list[Resource]:
    """The objects that the components create, those with rules first."""

    def program() -> None:
        options = aws_options()
        Alerts("alerts", {"system": system, "namespace": namespace}, options)
        pods: Any = {"namespace": namespace, "match_labels": {"app": "llm"}, "port": "metrics"}
        PodScrape("llm", {"system": system, **pods}, pulumi.ResourceOptions.merge(options, None))
        PodScrape("queues", {"system": system, **pods, "protected": True, "series": "kueue_.*"}, options)

    return [found for found in run(program).resources.values() if found.package == "kubernetes"]


def apply(provider: KubernetesProvider, found: Resource, inputs: dict[str, Any]) -> tuple[str, dict, dict]:
    checked, failures = provider.check(found.type, found.urn, {}, inputs, b"")
    assert not failures, failures
    id, outputs = provider.create(found.type, found.urn, checked, False, 30)
    return id, checked, outputs


@both
def test_the_api_server_accepts_rules_and_scrapes_unchanged(
    system: str, provider: KubernetesProvider, namespace: str
) -> None:
    """seed rows S19, S20 and S21: pulumi-kubernetes applies on the server, which refuses fields that a kind lacks."""
    made = objects(system, namespace)
    kinds = [found.inputs["apiVersion"] for found in made]
    assert kinds.count(API_VERSIONS[system]) == 3
    existing = []
    for found in made:
        id, checked, outputs = apply(provider, found, found.inputs)
        existing.append((found, id, checked, outputs))
        if "spec" in found.inputs:
            assert outputs["spec"] == found.inputs["spec"]
            read = provider.read(found.type, found.urn, id, checked, outputs)
            assert read is not None and read[1]["spec"] == found.inputs["spec"]
    for found, id, checked, outputs in reversed(existing):
        provider.delete(found.type, found.urn, id, checked, outputs, 30)
