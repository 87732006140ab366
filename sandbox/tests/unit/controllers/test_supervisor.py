"""For which of a Deployment's pods its one process runs."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.controllers.programs import TEMPLATE
from sandbox.controllers.supervisor import in_order


def pod(uid: str, created: str = "2026-01-01T00:00:00Z", revision: str = "a") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "creationTimestamp": created, "labels": {TEMPLATE: revision}}}


LATER = "2026-01-01T00:01:00Z"


@pytest.mark.parametrize(
    ("pods", "running", "first"),
    [
        ([pod("one"), pod("two")], "two", "two"),
        ([pod("two"), pod("one")], "two", "two"),
        ([pod("one"), pod("two", LATER)], "one", "one"),
        ([pod("one"), pod("two", LATER)], "", "two"),
        ([pod("one"), pod("two", LATER)], "gone", "two"),
        ([pod("old"), pod("new", LATER, "b")], "old", "new"),
        ([pod("new", LATER, "b"), pod("old")], "old", "new"),
    ],
)
def test_a_process_stays_with_its_pod_until_a_rollout_replaces_it(
    pods: list[dict[str, Any]], running: str, first: str
) -> None:
    """Two replicas have the same age, and the order in which they are listed changes."""
    found = in_order(pods, running)
    assert found[0]["metadata"]["uid"] == first and len(found) == len(pods)
