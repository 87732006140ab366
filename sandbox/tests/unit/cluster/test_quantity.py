"""Kubernetes quantities."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from sandbox.cluster.quantity import parse, parse_all

SUFFIXES = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e3", "E2"]


@given(st.decimals(0, 10**6, places=3), st.sampled_from(SUFFIXES))
def test_it_parses_what_the_official_client_parses(number, suffix: str) -> None:
    """The official client's own parser is the reference."""
    text = f"{number:f}{suffix}"
    if suffix in ("e3", "E2"):  # the official parser lacks exponents
        assert parse(text) == Fraction(number) * 10 ** int(suffix[1:])
    else:
        assert parse(text) == Fraction(parse_quantity(text))


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1gi", "1KB", "ten", "--1"])
def test_it_refuses_what_kubernetes_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        parse(text)


def test_a_resource_list() -> None:
    """seed row S08: the guide's requests."""
    assert parse_all({"memory": "16Gi", "cpu": 4}) == {"memory": 16 * 2**30, "cpu": 4}
    assert parse_all(None) == {}
