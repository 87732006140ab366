"""Ranges of pods: which one an environment has, what its pools at their maximum need of it, and further ones."""

from __future__ import annotations

from typing import Any

import pytest

from components.gcp import addresses
from recording.stacks import record
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, pool
from tests.config.test_errors import changed, parse

NET, POOLS = "gpuyard:network", "gpuyard:nodePools"
FURTHER = {f"{NET}/furtherPodsCidrs": {"pods-2": "100.64.0.0/16"}}


def needs(per_node: int = 110, **pools: Any) -> dict[str, list[tuple[int, int]]]:
    return addresses.needs(addresses.sound(pools, GCP_ZONES), per_node)


def test_the_range_of_pods_does_not_follow_the_pools() -> None:
    """field case G9: another max moved it on a living cluster, which Google refuses."""
    for most in (10, 900):
        made = record(changed("dev-gke", {f"{POOLS}/cpu-workers/max": most}), "dev-gke")
        ranges = {
            found["rangeName"]: found["ipCidrRange"] for found in made.one("Subnetwork").inputs["secondaryIpRanges"]
        }
        assert ranges["pods"] == "10.64.0.0/14"


def test_pools_that_outgrow_the_range_meet_the_ways_out() -> None:
    """field case G9: dev-gke with 1000 and 100 nodes, as in the case; before and after the network is made."""
    changes = {f"{POOLS}/cpu-workers/max": 1000, f"{POOLS}/gpu-workers/max": 100}
    with pytest.raises(Exception, match=r"network\.podsCidr = '10\.64\.0\.0/14'.*1,101 nodes") as refused:
        parse("dev-gke", changed("dev-gke", changes))
    text = str(refused.value)
    assert "`podsCidr: 100.64.0.0/13` before" in text
    assert "`podsPerNode: 64` before" in text and "a new pool whose `podsRange` is a further range" in text


@pytest.mark.parametrize(
    "changes",
    [
        {**FURTHER, f"{POOLS}/gpu-workers/podsRange": "pods-2"},
        {f"{POOLS}/gpu-workers/podsPerNode": 32},
    ],
)
def test_the_ways_out_are_ways_out(changes: dict[str, Any]) -> None:
    """field cases G9 and G10: a range of its own, or fewer pods on each node."""
    most = {f"{POOLS}/cpu-workers/max": 1000, f"{POOLS}/gpu-workers/max": 100}
    if "podsPerNode" in str(changes):
        most[f"{POOLS}/cpu-workers/podsPerNode"] = 64
    parse("dev-gke", changed("dev-gke", {**most, **changes}))


def test_each_range_is_counted_with_the_pools_that_are_in_it() -> None:
    """field case G10: blocks follow from the pods of the pool's own nodes."""
    gpu = pool(GKE_GPU, pods_range="pods-2", pods_per_node=32)
    assert needs(cpu=GKE_CPU, gpu=gpu) == {"": [(21, 110)], "pods-2": [(10, 32)]}
    assert not addresses.too_few_blocks("10.0.0.0/24", [(2, 32), (1, 64)])
    assert addresses.too_few_blocks("10.0.0.0/24", [(3, 32), (1, 64)]).endswith("take 320 addresses; it has 256")
    changes = {f"{NET}/furtherPodsCidrs": {"pods-2": "100.64.0.0/24"}, f"{POOLS}/gpu-workers/podsRange": "pods-2"}
    with pytest.raises(Exception, match=r"network\.furtherPodsCidrs\.pods-2 = '100\.64\.0\.0/24'.*10 nodes"):
        parse("dev-gke", changed("dev-gke", changes))


def test_a_further_range_reaches_subnetwork_cluster_and_pool() -> None:
    """field case G10."""
    made = record(changed("dev-gke", {**FURTHER, f"{POOLS}/gpu-workers/podsRange": "pods-2"}), "dev-gke")
    ranges = [found["rangeName"] for found in made.one("Subnetwork").inputs["secondaryIpRanges"]]
    assert ranges == ["pods", "services", "pods-2"], "those that are there keep their places"
    cluster = made.one("gcp:container/cluster:Cluster").inputs["ipAllocationPolicy"]
    assert cluster["additionalPodRangesConfig"] == {"podRangeNames": ["pods-2"]}
    named = {each.name: each.inputs["networkConfig"].get("podRange") for each in made.all("NodePool")}
    assert named == {"cpu-workers": None, "gpu-workers-spot": "pods-2"}


def test_without_one_the_cluster_has_none() -> None:
    cluster = record(changed("dev-gke", {}), "dev-gke").one("gcp:container/cluster:Cluster").inputs
    assert "additionalPodRangesConfig" not in cluster["ipAllocationPolicy"]
