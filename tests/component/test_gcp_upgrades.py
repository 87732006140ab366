"""Upgrades of the nodes of a pool on GKE."""

from __future__ import annotations

from typing import Any

import pytest

from tests.component.gke_pools import POOL, made, node_pool, rungs
from tests.component.stage import GKE_CPU, GKE_GPU, pool


def test_upgrades_add_a_cpu_node_first_and_remove_a_gpu_node_first() -> None:
    """A spare GPU is rarely available, and a reservation has none."""
    fewer = {"strategy": "SURGE", "maxSurge": 0, "maxUnavailable": 1}
    assert made(GKE_CPU)["upgradeSettings"] == {"strategy": "SURGE", "maxSurge": 1, "maxUnavailable": 0}
    assert made(GKE_GPU)["upgradeSettings"] == fewer
    for ladder in (["reserved"], ["reserved", "on_demand"]):
        found = rungs(pool(GKE_CPU, capacity=ladder))
        assert [each.inputs["upgradeSettings"] for each in found.values()] == [fewer] * len(ladder)
    wider = made(pool(GKE_GPU, upgrade={"max_surge": 2}))["upgradeSettings"]
    assert wider == {"strategy": "SURGE", "maxSurge": 2, "maxUnavailable": 1}


def test_blue_green_settings_reach_the_pool() -> None:
    upgrade = {"strategy": "blue_green", "batch_percentage": 25, "batch_soak_seconds": 60, "soak_seconds": 7200}
    assert made(pool(GKE_CPU, upgrade=upgrade))["upgradeSettings"] == {
        "strategy": "BLUE_GREEN",
        "blueGreenSettings": {
            "standardRolloutPolicy": {"batchPercentage": 0.25, "batchSoakDuration": "60s"},
            "nodePoolSoakDuration": "7200s",
        },
    }


def test_the_soak_time_is_an_hour_by_default() -> None:
    assert made(pool(GKE_CPU, upgrade={"strategy": "blue_green"}))["upgradeSettings"]["blueGreenSettings"] == {
        "standardRolloutPolicy": {"batchPercentage": 0.1, "batchSoakDuration": "0s"},
        "nodePoolSoakDuration": "3600s",
    }


@pytest.mark.parametrize(
    ("changes", "hours"),
    [
        ({"max": 10}, 10),
        ({"max": 16, "upgrade": {"max_surge": 0, "max_unavailable": 1}}, 16),
        ({"max": 1000, "upgrade": {"max_surge": 20, "max_unavailable": 0}}, 50),
        ({"upgrade": {"strategy": "blue_green", "soak_seconds": 604800}}, 168 + 10),
        ({"upgrade": {"strategy": "blue_green", "batch_percentage": 5, "batch_soak_seconds": 3600}}, 2 * 20 + 1),
    ],
)
def test_the_timeouts_follow_from_the_number_of_nodes(changes: dict[str, Any], hours: int) -> None:
    """field case G3: the provider's default is two hours; GKE waits up to an hour for a node's pods, and a soak can
    take a week."""
    given = node_pool(pool(GKE_GPU, **changes)).one(POOL).options["customTimeouts"]
    assert given.create == given.delete == "120m"
    minutes = int(given.update.removesuffix("m"))
    assert hours * 60 + 120 <= minutes <= 2 * (hours * 60 + 120), "at least as long as GKE takes, but still limited"


def test_a_reserved_pool_is_deleted_before_it_is_recreated() -> None:
    """field case G6: its replacement needs the machines that the old pool uses; other pools are replaced without a
    gap."""
    found = rungs(pool(GKE_GPU, capacity=["reserved", "spot", "on_demand"]))
    first = {name: bool(each.options.get("deleteBeforeReplace")) for name, each in found.items()}
    assert first == {"gpu-workers-reserved": True, "gpu-workers-spot": False, "gpu-workers": False}


def test_auto_repair_is_on_by_default() -> None:
    assert made(GKE_GPU)["management"] == {"autoRepair": True, "autoUpgrade": True}
    assert made(pool(GKE_GPU, node_repair=False))["management"] == {"autoRepair": False, "autoUpgrade": True}
