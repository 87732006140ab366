"""GPU-hours and costs are recorded by team and pool, with the labels of both clouds."""

from __future__ import annotations

from typing import Any

import pytest

from components.monitoring.prometheus import SYSTEMS
from tests.alerts.promtool import records
from tests.alerts.series import gpu, pool_node

pytestmark = pytest.mark.alerts

POOL = 'capacity="on_demand",machine="big",pool="train"'
SPOT = 'capacity="spot",machine="big",pool="cheap"'
# 8 dollars for a node with four GPUs. Spot has no price, so it has no cost.
PRICES = [{"machine": "big", "capacity": "on_demand", "gpus": 4, "dollars_per_hour": 8.0}]


def fleet(system: str) -> list[dict[str, str]]:
    """Node a: two GPUs of team-a at 75 %, one of team-b at 0 %, one free. Node b, spot: one of team-a at 50 %."""
    held = [("a", "0", "train-0", "team-a", 75), ("a", "1", "train-0", "team-a", 75), ("a", "2", "idle", "team-b", 0)]
    held += [("a", "3", "", "", 0), ("b", "0", "train-1", "team-a", 50)]
    found = [pool_node(system, "1x120", "a"), pool_node(system, "1x120", "b", "cheap", "spot")]
    for node, number, pod, namespace, busy in held:
        for field, value in (("GPU_UTIL", busy), ("GPU_TEMP", 40)):
            found.append(gpu(system, field, f"{value}x120", pod, namespace, number, node))
    return found


EXPECTED: dict[str, dict[str, float]] = {
    "namespace_node:gpus_held:count": {
        'namespace="team-a",node="a"': 2, 'namespace="team-b",node="a"': 1, 'namespace="team-a",node="b"': 1,
    },
    "namespace_pool:gpus_used:sum": {
        f'{POOL},namespace="team-a"': 1.5, f'{POOL},namespace="team-b"': 0, f'{SPOT},namespace="team-a"': 0.5,
    },
    "pool:gpus_present:count": {POOL: 4, SPOT: 1},
    "pool:gpus_free:count": {POOL: 1, SPOT: 0},
    "namespace_pool:gpu_hours_held:sum1h": {
        f'{POOL},namespace="team-a"': 2, f'{POOL},namespace="team-b"': 1, f'{SPOT},namespace="team-a"': 1,
    },
    "namespace_pool:gpu_hours_idle:sum1h": {
        f'{POOL},namespace="team-a"': 0.5, f'{POOL},namespace="team-b"': 1, f'{SPOT},namespace="team-a"': 0.5,
    },
    "pool:gpu_hours_free:sum1h": {POOL: 1, SPOT: 0},
    "machine:gpu_price:dollars_per_hour": {'capacity="on_demand",machine="big"': 2},
    "namespace_pool:gpu_cost_held:dollars1h": {f'{POOL},namespace="team-a"': 4, f'{POOL},namespace="team-b"': 2},
    "namespace_pool:gpu_cost_idle:dollars1h": {f'{POOL},namespace="team-a"': 1, f'{POOL},namespace="team-b"': 2},
    "pool:gpu_cost_free:dollars1h": {POOL: 2},
    "namespace_pod:gpu_utilization_percent:avg10m": {
        'namespace="team-a",pod="train-0"': 75, 'namespace="team-b",pod="idle"': 0,
        'namespace="team-a",pod="train-1"': 50,
    },
}  # fmt: skip


@pytest.mark.parametrize("system", SYSTEMS)
def test_hours_and_costs_are_recorded_by_team_and_pool(system: str) -> None:
    """seed row S20: utilization is a series of each pod as well; free GPUs are in none."""
    args: dict[str, Any] = {"prices": PRICES}
    records(system, fleet(system), 90, EXPECTED, args)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_test_of_records_can_fail(system: str) -> None:
    wrong = {"pool:gpus_free:count": {POOL: 2, SPOT: 0}}
    with pytest.raises(AssertionError, match="pool:gpus_free:count"):
        records(system, fleet(system), 90, wrong, {"prices": PRICES})
