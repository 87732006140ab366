"""Inputs of a Helm release as the real provider keeps them (compared with it by tests/engine/test_real_provider.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.plugins.kubernetes import RELEASE, KubernetesProvider

URN = f"urn:pulumi:test::gpuyard::{RELEASE}::notes"


@pytest.fixture
def chart(tmp_path: Path) -> str:
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: notes, version: 1.2.3}")
    return str(tmp_path)


def checked(**inputs: Any) -> dict[str, Any]:
    found, failures = KubernetesProvider().check(RELEASE, URN, {}, {"name": "notes", **inputs}, b"seed")
    assert not failures, failures
    return found


def test_omitted_inputs_are_in_the_state(chart: str) -> None:
    found = checked(chart=chart, compat="true")
    assert found["skipAwait"] is False and found["description"] == "" and found["timeout"] == 300
    assert "compat" not in found
    old = {"name": "notes", "chart": chart, "namespace": "default", "version": "1.2.3", "timeout": 300}
    assert KubernetesProvider().diff(RELEASE, URN, "notes", old, {}, found).changes == []
