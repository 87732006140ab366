"""Capacity types of a pool on GKE, and their order."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.gcp.compute_class import GkeComputeClass
from components.gcp.node_pool import GkeNodePool
from components.gcp.pool_spec import resolve
from components.taints import tolerations
from recording.recorder import run
from tests.component.gke_pools import POOL, ZONE, config, interconnected, made, rungs
from tests.component.stage import GCP_ZONES, GKE_GPU, gcp_options, pool

LADDER = ["reserved", "flex", "spot", "on_demand"]


def test_each_capacity_type_has_a_pool_and_the_last_one_has_the_minimum() -> None:
    """seed row S12: the same names as on EKS."""
    found = rungs(pool(GKE_GPU, capacity=LADDER, min=1))
    sizes = {name: each.inputs["autoscaling"]["totalMinNodeCount"] for name, each in found.items()}
    assert sizes == {"gpu-workers-reserved": 0, "gpu-workers-flex": 0, "gpu-workers-spot": 0, "gpu-workers": 1}
    assert {each.inputs["autoscaling"]["totalMaxNodeCount"] for each in found.values()} == {10}
    assert {name: each.inputs["nodeConfig"]["spot"] for name, each in found.items()} == {
        "gpu-workers-reserved": False,
        "gpu-workers-flex": False,
        "gpu-workers-spot": True,
        "gpu-workers": False,
    }


def test_a_new_capacity_type_keeps_names_and_capacity_of_existing_pools() -> None:
    """Only label and taint of the class are added, which GKE changes in place."""
    before = rungs(pool(GKE_GPU, capacity=["on_demand"]))["gpu-workers"].inputs
    after = rungs(pool(GKE_GPU, capacity=["reserved", "on_demand"]))["gpu-workers"].inputs
    changed = {key for key in before["nodeConfig"] if before["nodeConfig"][key] != after["nodeConfig"][key]}
    assert changed == {"labels", "taints"}
    assert {key: value for key, value in before.items() if key != "nodeConfig"} == {
        key: value for key, value in after.items() if key != "nodeConfig"
    }


def test_flex_start_pools_have_no_repair_surge_or_reservation() -> None:
    """The API refuses each of them, and sets the strategy SHORT_LIVED automatically."""
    found = made(pool(GKE_GPU, capacity=["flex"], max_run_seconds=86400))
    assert found["nodeConfig"]["flexStart"] is True and found["nodeConfig"]["maxRunDuration"] == "86400s"
    assert found["nodeConfig"]["reservationAffinity"] == {"consumeReservationType": "NO_RESERVATION"}
    assert found["management"] == {"autoRepair": False, "autoUpgrade": True}
    assert found.get("upgradeSettings") is None and found.get("queuedProvisioning") is None
    assert found["initialNodeCount"] == 0 and found["autoscaling"]["locationPolicy"] == "ANY"


def test_queued_provisioning_has_a_label_for_pods_to_select() -> None:
    """GKE taints the nodes automatically, but does not label them."""
    found = made(pool(GKE_GPU, capacity=["flex"], queued=True))
    assert found["queuedProvisioning"] == {"enabled": True} and found["nodeConfig"]["flexStart"] is True
    assert found["nodeConfig"]["labels"]["cloud.google.com/gke-queued"] == "true"
    assert [taint["key"] for taint in found["nodeConfig"]["taints"]] == ["nvidia.com/gpu"]


@pytest.mark.parametrize(
    ("reservation", "affinity"),
    [
        (None, {"consumeReservationType": "ANY_RESERVATION_THEN_FAIL"}),
        ({"name": "h100"}, ["h100"]),
        ({"name": "h100", "project": "owner-1"}, ["projects/owner-1/reservations/h100"]),
        (
            {"name": "h100", "project": "owner-1", "block": "b-1"},
            ["projects/owner-1/reservations/h100/reservationBlocks/b-1"],
        ),
        ({"name": "h100", "block": "b-1"}, ["h100/reservationBlocks/b-1"]),
    ],
)
def test_only_the_reserved_pool_uses_the_reservation_without_fallback(
    reservation: dict[str, str] | None, affinity: Any
) -> None:
    changes = {"reservation": reservation, "zones": [ZONE]} if reservation else {}
    found = rungs(pool(GKE_GPU, capacity=["reserved", "spot", "on_demand"], **changes))
    if isinstance(affinity, list):
        affinity = {
            "consumeReservationType": "SPECIFIC_RESERVATION",
            "key": "compute.googleapis.com/reservation-name",
            "values": affinity,
        }
    assert {name: each.inputs["nodeConfig"].get("reservationAffinity") for name, each in found.items()} == {
        "gpu-workers-reserved": affinity,
        "gpu-workers-spot": None,
        "gpu-workers": None,
    }


def test_the_grace_period_of_spot_nodes_is_an_option() -> None:
    found = rungs(pool(GKE_GPU, capacity=["spot", "on_demand"], spot_grace_seconds=120))
    assert found["gpu-workers-spot"].inputs["nodeConfig"]["kubeletConfig"]["shutdownGracePeriodSeconds"] == 120
    assert "shutdownGracePeriodSeconds" not in found["gpu-workers"].inputs["nodeConfig"]["kubeletConfig"]


def test_spot_h100_pools_set_no_maintenance_interval() -> None:
    """xpk#434, cluster-toolkit#4058: spot pools of A3 Mega with a maintenance interval end in the status ERROR."""
    spec: Any = interconnected("a3-megagpu-8g", capacity=["spot"])
    assert config(spec)["spot"] is True and not {"hostMaintenancePolicy", "preemptible"} & config(spec).keys()


def test_pools_of_several_capacity_types_have_label_and_taint_of_their_class() -> None:
    """Without both, GKE's autoscaler calls the pool misconfigured and never scales it up."""
    for found in rungs(pool(GKE_GPU, capacity=LADDER)).values():
        nodes = found.inputs["nodeConfig"]
        assert nodes["labels"]["cloud.google.com/compute-class"] == "gpu-workers"
        assert {"key": "cloud.google.com/compute-class", "value": "gpu-workers", "effect": "NO_SCHEDULE"} in nodes[
            "taints"
        ]
        assert {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"} in nodes["taints"]


def test_a_pool_of_one_capacity_type_has_no_compute_class() -> None:
    nodes = config(pool(GKE_GPU, capacity=["spot"]))
    assert "cloud.google.com/compute-class" not in nodes["labels"]
    assert [taint["key"] for taint in nodes["taints"]] == ["nvidia.com/gpu"]


def test_workload_tolerations_cover_the_compute_class() -> None:
    resolved = resolve("gpu-workers", pool(GKE_GPU, capacity=LADDER))  # type: ignore[arg-type]
    assert tolerations(resolved.pool.taints) == [
        {"key": "cloud.google.com/compute-class", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]


def test_the_compute_class_lists_the_node_pools_in_order_and_creates_none() -> None:
    """The names are those in the cloud, first capacity type first."""

    def program() -> None:
        options = gcp_options()
        args: Any = {
            "pool": pool(GKE_GPU, capacity=LADDER),
            "zones": GCP_ZONES,
            "location": "us-central1",
            "cluster": "train",
            "node_service_account": "nodes@gpuyard-project.iam.gserviceaccount.com",
        }
        pools = GkeNodePool("gpu-workers", args, options)
        order = GkeComputeClass("gpu-workers", {"node_pool_names": pools.node_pool_names}, options)
        pulumi.export("class", order.class_name)

    recording = run(program)
    found = recording.one("kubernetes:cloud.google.com/v1:ComputeClass")
    names = {each.name: each.outputs["name"] for each in recording.all(POOL)}
    rungs = ("gpu-workers-reserved", "gpu-workers-flex", "gpu-workers-spot", "gpu-workers")
    assert found.inputs["spec"] == {
        "priorities": [{"nodepools": [names[rung]]} for rung in rungs],
        "nodePoolAutoCreation": {"enabled": False},
        "activeMigration": {"optimizeRulePriority": False},
        "whenUnsatisfiable": "DoNotScaleUp",
    }
    assert found.inputs["metadata"]["name"] == recording.exports["class"] == "gpu-workers"
    for each in recording.all(POOL):
        assert recording.must_outlive(each, found), each
