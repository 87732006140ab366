"""The Google Cloud resources of the stacks against Google's discovery documents, without a project."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp.provider import GcpProvider
from tests.recording import Resource
from tests.stacks import GKE, recorded


@pytest.fixture(scope="module")
def provider() -> GcpProvider:
    made = GcpProvider()
    made.configure({"project": "my-project", "region": "us-central1"})
    return made


def gcp_resources(stack: str) -> list[Resource]:
    return sorted((found for found in recorded(stack).resources.values() if found.package == "gcp"), key=str)


def refusals(provider: GcpProvider, resource: Resource, inputs: dict[str, Any] | None = None) -> list[str]:
    """What the sandbox's provider has against these inputs."""
    _, failures = provider.check(resource.type, resource.urn, {}, inputs or resource.inputs, b"seed")
    return [f"{resource} {failure.property}: {failure.reason}" for failure in failures]


@pytest.mark.parametrize("stack", GKE)
def test_every_request_is_one_that_googles_api_would_take(provider: GcpProvider, stack: str) -> None:
    """seed row S01"""
    resources = gcp_resources(stack)
    assert resources
    assert [reason for found in resources for reason in refusals(provider, found)] == []


@pytest.mark.parametrize(
    ("type", "path", "value", "words"),
    [
        ("NodePool", "nodeConfig/taints", [{"key": "a", "value": "b", "effect": "NoSchedule"}], "NoSchedule"),
        ("NodePool", "nodeConfig/machineType", "g2-standard-9", "g2-standard-9"),
        ("NodePool", "autoscaling/locationPolicy", "SOMEWHERE", "SOMEWHERE"),
        ("NodePool", "autoscaling/totalMinNodes", 1, "totalMinNodes"),
        ("gcp:container/cluster:Cluster", "releaseChannel/channel", "FAST", "FAST"),
        ("gcp:container/cluster:Cluster", "datapathProvider", "SLOW_DATAPATH", "SLOW_DATAPATH"),
        ("Subnetwork", "purpose", "LEISURE", "LEISURE"),
    ],
)
def test_a_wrong_input_is_refused_before_any_call(
    provider: GcpProvider, type: str, path: str, value: Any, words: str
) -> None:
    """Of what the checks let pass, nothing is proven: so each of them refuses something."""
    resource = recorded("dev-gke").all(type)[0]
    first, _, second = path.partition("/")
    inputs = {**resource.inputs, first: {**resource.inputs.get(first, {}), second: value} if second else value}
    reasons = refusals(provider, resource, inputs)
    assert reasons and words in " ".join(reasons), reasons


@pytest.mark.parametrize("stack", GKE)
def test_no_one_but_service_accounts_of_this_project_gets_a_role(stack: str) -> None:
    for found in recorded(stack).all("gcp:projects/iAMMember:IAMMember"):
        assert found.inputs["member"].startswith("serviceAccount:"), found
        assert found.inputs["role"] not in ("roles/owner", "roles/editor"), found
