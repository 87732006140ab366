"""Capacity types of a pool on EKS: their order, reservations, capacity blocks, spot."""

from __future__ import annotations

from tests.component.eks_pools import RESERVATION, efa_pool, node_pool, rungs
from tests.component.stage import GUIDE_GPU, pool


def test_a_new_capacity_type_renames_no_existing_group() -> None:
    """seed row S12: existing groups keep their names when a capacity type is added."""
    before = rungs(node_pool(pool(GUIDE_GPU, capacity=["spot"])))
    after = rungs(node_pool(pool(GUIDE_GPU, capacity=["spot", "on_demand"])))
    assert set(before) == {"gpu-workers-spot"} and set(after) == {"gpu-workers-spot", "gpu-workers"}
    assert before["gpu-workers-spot"].inputs == after["gpu-workers-spot"].inputs


def test_only_the_reserved_group_uses_the_reservation() -> None:
    spec = pool(
        GUIDE_GPU, zones=["us-east-1a"], capacity=["reserved", "spot", "on_demand"], reservation={"id": RESERVATION}
    )
    made = node_pool(spec)
    assert {name: found.inputs["capacityType"] for name, found in rungs(made).items()} == {
        "gpu-workers-reserved": "ON_DEMAND",
        "gpu-workers-spot": "SPOT",
        "gpu-workers": "ON_DEMAND",
    }
    targets = {found.name: found.inputs.get("capacityReservationSpecification") for found in made.all("LaunchTemplate")}
    assert targets == {
        "gpu-workers-template": None,
        "gpu-workers-reserved-template": {"capacityReservationTarget": {"capacityReservationId": RESERVATION}},
    }
    used = {name: found.inputs["launchTemplate"]["id"] for name, found in rungs(made).items()}
    assert used["gpu-workers-spot"] == used["gpu-workers"] != used["gpu-workers-reserved"]


def test_a_reservation_group_is_referenced_by_arn_and_can_span_zones() -> None:
    arn = "arn:aws:resource-groups:us-east-1:123456789012:group/gpus"
    made = node_pool(pool(GUIDE_GPU, capacity=["reserved"], reservation={"group_arn": arn}))
    target = made.one("LaunchTemplate").inputs["capacityReservationSpecification"]["capacityReservationTarget"]
    assert target == {"capacityReservationResourceGroupArn": arn}


def test_a_capacity_block_sets_market_reservation_and_type_in_the_template() -> None:
    """EKS refuses the group if one of the three is missing, or if the group has instance types."""
    block = {"id": RESERVATION, "capacity_block": True}
    made = node_pool(efa_pool("p5.48xlarge", capacity=["reserved"], reservation=block))
    template, group = made.one("LaunchTemplate").inputs, made.one("NodeGroup").inputs
    assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}
    assert template["instanceType"] == "p5.48xlarge"
    assert template["capacityReservationSpecification"]["capacityReservationTarget"] == {
        "capacityReservationId": RESERVATION
    }
    assert group["capacityType"] == "CAPACITY_BLOCK" and group.get("instanceTypes") is None
    assert group["subnetIds"] == ["subnet-1"]


def test_spot_uses_all_machine_types_of_the_pool() -> None:
    """seed row S12"""
    types = ["g6.2xlarge", "g5.2xlarge"]
    assert node_pool(pool(GUIDE_GPU, machine_types=types, capacity=["spot"])).one("NodeGroup").inputs[
        "instanceTypes"
    ] == (types)
