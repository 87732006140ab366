"""Cluster keys and the values that are derived from them."""

from __future__ import annotations

import pytest

from sandbox.cluster import key
from sandbox.errors import SandboxError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("eks-us-east-1-dev", ("eks", "us-east-1", "dev")),
        ("eks-us-gov-west-1-a-b-2", ("eks", "us-gov-west-1", "a-b-2")),
        ("eks-ap-southeast-2-gpuyard-3-x", ("eks", "ap-southeast-2", "gpuyard-3-x")),
        ("gke-my-proj-1-us-central1-dev", ("gke", "my-proj-1", "us-central1", "dev")),
        ("gke-my-proj-europe-west4-b-dev-2", ("gke", "my-proj", "europe-west4-b", "dev-2")),
    ],
)
def test_keys_are_parsed_into_their_parts(text: str, parts: tuple[str, ...]) -> None:
    assert key.parts(text) == parts
    assert {"eks": key.eks, "gke": key.gke}[parts[0]](*parts[1:]) == text


@pytest.mark.parametrize("text", ["dev", "eks-dev", "aks-westeurope-dev", "gke-proj-dev", ""])
def test_an_invalid_key_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(SandboxError, match="eks-<region>-<name>"):
        key.parts(text)


def test_the_issuer_has_the_form_of_its_cloud() -> None:
    """seed row S01."""
    number = "0123456789abcdef" * 2
    assert key.issuer("eks-us-east-1-dev", number) == f"https://oidc.eks.us-east-1.amazonaws.com/id/{number.upper()}"
    assert key.issuer("eks-cn-north-1-dev", number).startswith("https://oidc.eks.cn-north-1.amazonaws.com.cn/id/")
    gke = "https://container.googleapis.com/v1/projects/proj-1/locations/us-central1/clusters/dev"
    assert key.issuer("gke-proj-1-us-central1-dev", number) == gke
