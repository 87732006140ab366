"""Pod ranges: the default one, what the pools need at their maximum, and additional ones."""

from __future__ import annotations

from typing import Any

import pytest

from components.gcp import addresses
from recording.stacks import record
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, pool
from tests.config.test_errors import changed, parse, reported_problems

NET, POOLS = "gpuyard:network", "gpuyard:nodePools"
FURTHER = {f"{NET}/furtherPodsCidrs": {"pods-2": "100.64.0.0/16"}}


def needs(per_node: int = 110, **pools: Any) -> dict[str, list[tuple[int, int]]]:
    return addresses.needs(addresses.valid_pools(pools, GCP_ZONES), per_node)


def test_the_range_of_pods_does_not_follow_the_pools() -> None:
    """field case G9: a changed maximum changed the range of an existing cluster, which Google refuses."""
    for most in (10, 900):
        made = record(changed("dev-gke", {f"{POOLS}/cpu-workers/max": most}), "dev-gke")
        ranges = {
            found["rangeName"]: found["ipCidrRange"] for found in made.one("Subnetwork").inputs["secondaryIpRanges"]
        }
        assert ranges["pods"] == "10.64.0.0/14"


def test_pools_too_large_for_the_pod_range_are_reported_with_fixes() -> None:
    """field case G9: dev-gke with 1000 and 100 nodes; before and after the network is created."""
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
def test_the_proposed_fixes_are_valid(changes: dict[str, Any]) -> None:
    """field cases G9 and G10: a separate range, or fewer pods on each node."""
    most = {f"{POOLS}/cpu-workers/max": 1000, f"{POOLS}/gpu-workers/max": 100}
    if "podsPerNode" in str(changes):
        most[f"{POOLS}/cpu-workers/podsPerNode"] = 64
    parse("dev-gke", changed("dev-gke", {**most, **changes}))


def test_each_pod_range_is_checked_against_its_pools() -> None:
    """field case G10: blocks follow from the pods per node of the pool."""
    gpu = pool(GKE_GPU, pods_range="pods-2", pods_per_node=32)
    assert needs(cpu=GKE_CPU, gpu=gpu) == {"": [(21, 110)], "pods-2": [(10, 32)]}
    assert not addresses.too_few_blocks("10.0.0.0/24", [(2, 32), (1, 64)])
    assert addresses.too_few_blocks("10.0.0.0/24", [(3, 32), (1, 64)]).endswith("take 320 addresses; it has 256")
    changes = {f"{NET}/furtherPodsCidrs": {"pods-2": "100.64.0.0/24"}, f"{POOLS}/gpu-workers/podsRange": "pods-2"}
    with pytest.raises(Exception, match=r"network\.furtherPodsCidrs\.pods-2 = '100\.64\.0\.0/24'.*10 nodes"):
        parse("dev-gke", changed("dev-gke", changes))


def test_an_additional_pod_range_reaches_subnetwork_cluster_and_pool() -> None:
    """field case G10."""
    made = record(changed("dev-gke", {**FURTHER, f"{POOLS}/gpu-workers/podsRange": "pods-2"}), "dev-gke")
    ranges = [found["rangeName"] for found in made.one("Subnetwork").inputs["secondaryIpRanges"]]
    assert ranges == ["pods", "services", "pods-2"], "the existing ones keep their positions"
    cluster = made.one("gcp:container/cluster:Cluster").inputs["ipAllocationPolicy"]
    assert cluster["additionalPodRangesConfig"] == {"podRangeNames": ["pods-2"]}
    named = {each.name: each.inputs["networkConfig"].get("podRange") for each in made.all("NodePool")}
    assert named == {"cpu-workers": None, "gpu-workers-spot": "pods-2"}


def test_by_default_the_cluster_has_no_additional_pod_range() -> None:
    cluster = record(changed("dev-gke", {}), "dev-gke").one("gcp:container/cluster:Cluster").inputs
    assert "additionalPodRangesConfig" not in cluster["ipAllocationPolicy"]


@pytest.mark.parametrize(
    ("pods", "block"),
    [(8, 16), (9, 32), (16, 32), (32, 64), (64, 128), (65, 256), (110, 256), (128, 256), (256, 512)],
)
def test_the_address_block_of_a_node_is_twice_its_pods_rounded_up(pods: int, block: int) -> None:
    """GKE, "About flexible Pod CIDR": 8 pods need a /28, 110 pods a /24, 256 pods a /23."""
    assert addresses.block(pods) == block


def test_the_capacity_of_ranges_is_exact() -> None:
    """Of 32 addresses, Google reserves four and the control plane one; 4,096 are 16 blocks of 256."""
    assert not addresses.too_few_addresses("10.0.0.0/27", 27) and addresses.too_few_addresses("10.0.0.0/27", 28)
    assert not addresses.too_few_blocks("10.64.0.0/20", [(16, 110)])
    assert addresses.too_few_blocks("10.64.0.0/20", [(17, 110)])


def test_each_capacity_type_is_counted_at_its_maximum_with_upgrade_nodes() -> None:
    def nodes(**changes: Any) -> int:
        return addresses.nodes(addresses.valid_pools({"p": pool(GKE_CPU, **changes)}, GCP_ZONES))

    assert nodes() == 20 + 1
    assert nodes(capacity=["spot", "on_demand"]) == 2 * (20 + 1)
    assert nodes(per_zone=True, zones=GCP_ZONES) == 2 * 20 + 1
    assert nodes(upgrade={"strategy": "blue_green"}) == 40
    assert nodes(upgrade={"max_surge": 4}) == 24
    assert nodes(max=0) == 0, "an invalid pool is reported by its own check"
    assert addresses.nodes(addresses.valid_pools({"gpu": GKE_GPU}, GCP_ZONES)) == 10, "no spare GPU is bought"


@pytest.mark.parametrize(
    ("taken", "range"),
    [
        ([], "10.64.0.0/14"),
        (["10.64.0.0/20"], "10.128.0.0/13"),
        (["10.0.0.0/8"], "100.64.0.0/14"),
        (["no network", "10.0.0.0/20"], "10.64.0.0/14"),
    ],
)
def test_the_default_pod_range_does_not_overlap(taken: list[str], range: str) -> None:
    assert addresses.free_pods("10.64.0.0/14", taken) == range


def test_the_stack_chooses_a_pod_range_that_does_not_overlap_configured_ones() -> None:
    for path, value in (("cidr", "10.64.0.0/20"), ("servicesCidr", "10.66.0.0/20")):
        made = record(changed("dev-gke", {f"gpuyard:network/{path}": value}), "dev-gke")
        ranges = made.one("Subnetwork").inputs["secondaryIpRanges"]
        assert {found["rangeName"]: found["ipCidrRange"] for found in ranges}["pods"] == "10.128.0.0/13"


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        (
            {"cidr": "10.0.0.0/27"},
            "cidr",
            ["have 31 nodes, and it holds 27", "`cidr: 10.0.0.0/26` (it grows in place)"],
        ),
        ({"podsCidr": "10.64.0.0/20"}, "podsCidr", ["it holds 16", "write `podsCidr: 10.64.0.0/19` before"]),
        ({"podsCidr": "10.64.0.0/20"}, "podsCidr", ["or `podsPerNode: 64` before the cluster is created"]),
        # The network around it holds the services.
        ({"podsCidr": "10.68.16.0/20"}, "podsCidr", ["write `podsCidr: 100.64.0.0/19`"]),
    ],
)
def test_ranges_that_are_too_small_are_refused_with_a_sufficient_size(
    changes: dict[str, str], path: str, words: list[str]
) -> None:
    """The stack's 20 CPU nodes, one more while they are upgraded, and 10 GPU nodes."""
    (found,) = reported_problems("dev-gke", {f"gpuyard:network/{key}": value for key, value in changes.items()})
    assert found.path == f"gpuyard:network.{path}"
    for word in words:
        assert word in f"{found.wrong} {found.fix}", found


@pytest.mark.parametrize(("cidr", "fewer"), [("10.64.0.0/20", 64), ("10.64.0.0/21", 32), ("10.64.0.0/22", 16)])
def test_every_alternative_in_the_fix_is_valid(cidr: str, fewer: int) -> None:
    small = {"gpuyard:network/podsCidr": cidr}
    (found,) = reported_problems("dev-gke", small)
    assert f"`podsPerNode: {fewer}`" in found.fix
    parse("dev-gke", changed("dev-gke", {**small, "gpuyard:cluster/podsPerNode": fewer}))
    larger = found.fix.split("write `podsCidr: ")[1].split("`")[0]
    parse("dev-gke", changed("dev-gke", {"gpuyard:network/podsCidr": larger}))


def test_fewer_pods_are_not_proposed_if_they_do_not_help() -> None:
    assert "podsPerNode" not in reported_problems("dev-gke", {"gpuyard:network/podsCidr": "10.64.0.0/24"})[0].fix
