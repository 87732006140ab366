"""GPUDirect's networks and compact placement."""

from __future__ import annotations

import pytest

from components.gcp.pool_spec import resolve
from tests.component.gke_pools import ZONE, config, interconnected, made, rungs
from tests.component.stage import GKE_GPU, pool


@pytest.mark.parametrize(
    ("machine_type", "interfaces"),
    [("a3-highgpu-8g", 4), ("a3-megagpu-8g", 8), ("a3-ultragpu-8g", 8), ("a4-highgpu-8g", 8)],
)
def test_gke_creates_the_networks_for_gpudirect(machine_type: str, interfaces: int) -> None:
    """seed row S06: there is no VPC per interface in the program; pods get interfaces by DRA."""
    spec = interconnected(machine_type, capacity=["spot"], max=4)
    found = made(spec)
    assert found["networkConfig"] == {"enablePrivateNodes": True, "acceleratorNetworkProfile": "auto"}
    assert found["nodeConfig"]["labels"]["gpuyard.dev/interconnect"] == "gpudirect"
    assert found["placementPolicy"] == {"type": "COMPACT"}
    assert resolve("p", spec).pool.interconnects == interfaces  # type: ignore[arg-type]


PROFILE, DRANET = "gke.networks.io/accelerator-network-profile", "cloud.google.com/gke-networking-dra-driver"


@pytest.mark.parametrize(
    ("machine_type", "dranet"),
    [("a3-highgpu-8g", False), ("a3-megagpu-8g", False), ("a3-ultragpu-8g", True), ("a4-highgpu-8g", True)],
)
def test_a_pool_with_interconnect_has_the_label_that_gke_adds(machine_type: str, dranet: bool) -> None:
    """field cases G1 and G2: GKE adds the profile's label to the pool's config. Its DRANET driver supports only series
    with RDMA, and excludes the multi-networking that the other series use."""
    labels = config(interconnected(machine_type, capacity=["spot"], max=4))["labels"]
    assert labels[PROFILE] == "auto"
    assert (DRANET in labels) is dranet


def test_a_pool_without_interconnect_has_only_the_clusters_network() -> None:
    found = made(pool(GKE_GPU, machine_types=["a3-highgpu-8g"]))
    assert found["networkConfig"] == {"enablePrivateNodes": True} and found.get("placementPolicy") is None
    assert not {PROFILE, DRANET} & found["nodeConfig"]["labels"].keys()


def test_reserved_and_flex_start_pools_have_no_compact_placement_by_default() -> None:
    """A reservation has its placement already; flex-start supports one only with a workload policy."""
    ladder = ["reserved", "flex", "spot"]
    found = rungs(interconnected("a4-highgpu-8g", capacity=ladder, max=4))
    placed = {name: each.inputs.get("placementPolicy") for name, each in found.items()}
    assert placed == {
        "gpu-workers-reserved": None,
        "gpu-workers-flex": None,
        "gpu-workers-spot": {"type": "COMPACT"},
    }
    named = rungs(interconnected("a4-highgpu-8g", capacity=ladder, max=4, placement_policy="close"))
    assert len(named) == 3
    for each in named.values():
        assert each.inputs["placementPolicy"] == {"type": "COMPACT", "policyName": "close"}


def test_compact_placement_applies_to_all_capacity_types_except_reserved() -> None:
    spec = pool(GKE_GPU, zones=[ZONE], placement=True, capacity=["reserved", "spot", "on_demand"])
    placed = {name: each.inputs.get("placementPolicy") for name, each in rungs(spec).items()}
    compact = {"type": "COMPACT"}
    assert placed == {"gpu-workers-reserved": None, "gpu-workers-spot": compact, "gpu-workers": compact}
