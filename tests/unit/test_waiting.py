"""How long an admitted job waits for its nodes, and what a partial gang costs."""

from __future__ import annotations

from typing import Any

import pytest

from components.sharing import waiting
from components.sharing.queue_pool import of_cloud
from tests.component.stage import GUIDE_CPU, GUIDE_GPU, pool

EIGHT: Any = {"machine_types": ["p5.48xlarge"], "min": 0, "max": 8, "zones": ["us-east-1a"]}


@pytest.mark.parametrize(
    ("spec", "minutes"),
    [(GUIDE_CPU, 8), (GUIDE_GPU, 10), (EIGHT, 15), (pool(GUIDE_GPU, capacity=["spot", "on_demand"]), 15)],
)
def test_the_time_to_start_follows_from_the_slowest_pool(spec: Any, minutes: int) -> None:
    pools = of_cloud("aws", {"other": GUIDE_CPU, "pool": spec})
    assert waiting.pods_ready_minutes(pools.values()) == minutes


def test_a_stopped_job_waits_until_its_idle_nodes_are_removed() -> None:
    assert waiting.first_retry_seconds(10) == 660
    assert waiting.first_retry_seconds(600) == 3600


def test_the_bill_of_a_partial_gang_is_bounded() -> None:
    """The figure of docs/queues.md: 7 of 8 nodes."""
    assert waiting.failed_gang_node_minutes(7, 15, 10) == 175
