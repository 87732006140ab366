"""How long the provider waits for an object; the rules of each kind are tested on a real API server."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest

from sandbox.plugins import readiness

CLAIM: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "a"},
    "spec": {},
    "status": {"phase": "Pending"},
}


class SlowObjects:
    """A claim that is bound after some requests."""

    def __init__(self, requests: int) -> None:
        self.left = requests

    def get(self, *where: Any) -> dict[str, Any]:
        self.left -= 1
        return {**copy.deepcopy(CLAIM), "status": {"phase": "Bound" if self.left <= 0 else "Pending"}}

    def list(self, *where: Any, **query: Any) -> list[dict[str, Any]]:
        return []


def waited(objects: Any, building: Any) -> dict[str, Any]:
    return readiness.wait_ready(objects, CLAIM, 0.05, threading.Event(), building)


def test_the_time_of_a_build_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start of a controller builds its program, which may take longer than the provider waits."""
    monkeypatch.setattr(readiness, "POLL", 0.02)
    monkeypatch.setitem(readiness.RULES, ("v1", "PersistentVolumeClaim"), lambda _, claim: pending(claim))
    assert waited(SlowObjects(20), lambda: ["kueue 0.18.4 is being built"])["status"]["phase"] == "Bound"
    with pytest.raises(readiness.Failed, match="timed out"):
        waited(SlowObjects(20), list)


def pending(claim: dict[str, Any]) -> str:
    return "" if claim["status"]["phase"] == "Bound" else "it is not bound"
