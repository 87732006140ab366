"""Google's kind of alert rules as the sandbox simulates it: it refuses what Google's refuses."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from components.monitoring.prometheus import MANAGED_PROMETHEUS
from sandbox.cluster import monitoring_kinds
from sandbox.cluster.api import Api
from sandbox.cluster.control_plane import ControlPlane
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.plugins.provider import ProviderError
from tests.cluster.test_monitoring_kinds import apply, objects


@pytest.fixture(scope="module")
def provider(plane: ControlPlane, api: Api) -> KubernetesProvider:
    """On a cluster with Google's kinds, as on a new GKE cluster."""
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": plane.kubeconfig.read_text()})
    monitoring_kinds.install(api, monitoring_kinds.googles())
    return provider


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"record": "a:b:c"}, "Must set exactly one of Record or Alert"),
        ({"alert": None, "record": "a:b:c"}, "Annotations are only allowed for alerting rules"),
        ({"for": "soon"}, "must be of type duration"),
        ({"expr": 1}, "expected string"),
        ({"keep_firing_for": "5m"}, r"keep_firing_for: field not declared in schema"),
    ],
)
def test_googles_kind_refuses_invalid_rules(
    change: dict[str, Any], message: str, provider: KubernetesProvider, namespace: str
) -> None:
    rules = objects(MANAGED_PROMETHEUS, namespace)[0]
    inputs = copy.deepcopy(rules.inputs)
    (changed,) = (rule for rule in inputs["spec"]["groups"][0]["rules"] if rule.get("alert") == "GpuUtilizationLow")
    changed.update(change)
    inputs["spec"]["groups"][0]["rules"] = [{k: v for k, v in changed.items() if v is not None}]
    with pytest.raises(ProviderError, match=message):
        apply(provider, rules, inputs)
