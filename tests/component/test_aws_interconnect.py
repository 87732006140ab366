"""EFA: interfaces, security group, placement, huge pages."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from tests.component.eks_pools import RESERVATION, TEMPLATE_TAG, autoscaler_tags, efa_pool, node_pool
from tests.component.stage import GUIDE_GPU, pool

EFA = [
    ("p4d.24xlarge", 4),
    ("p5.48xlarge", 32),
    ("p5en.48xlarge", 16),
    ("p6-b200.48xlarge", 8),
    ("p6-b300.48xlarge", 16),
    ("g6e.48xlarge", 4),
    ("g6e.24xlarge", 2),
    ("p5.4xlarge", 1),
]


@pytest.mark.parametrize(("machine_type", "count"), EFA)
def test_every_network_card_with_efa_gets_an_efa_interface(machine_type: str, count: int) -> None:
    """seed row S06: as many as the type has; the first network card of p6-b300 does not support EFA."""
    made = node_pool(efa_pool(machine_type))
    interfaces = made.one("LaunchTemplate").inputs["networkInterfaces"]
    kinds = [found["interfaceType"] for found in interfaces]
    assert len([kind for kind in kinds if kind.startswith("efa")]) == count
    plain = machine_type.startswith("p6-b300")
    assert kinds == ["interface" if plain else "efa", *["efa-only"] * (count if plain else count - 1)]
    assert [found["networkCardIndex"] for found in interfaces] == list(range(len(interfaces)))
    assert [found["deviceIndex"] for found in interfaces] == [0, *[1] * (len(interfaces) - 1)]
    assert autoscaler_tags(made)[f"{TEMPLATE_TAG}/resources/vpc.amazonaws.com/efa"] == str(count)


def test_efa_traffic_is_allowed_within_one_group_and_every_interface_has_the_clusters_group() -> None:
    """seed row S06: naming groups in a template suppresses the cluster's own."""
    made = node_pool(efa_pool("p5.48xlarge"))
    group = made.one("SecurityGroup")
    for interface in made.one("LaunchTemplate").inputs["networkInterfaces"]:
        assert interface["securityGroups"] == ["sg-cluster", group.id]
    rules = made.all("SecurityGroupIngressRule") + made.all("SecurityGroupEgressRule")
    assert len(rules) == 2
    for rule in rules:
        assert rule.inputs["securityGroupId"] == rule.inputs["referencedSecurityGroupId"] == group.id
        assert rule.inputs["ipProtocol"] == "-1"


def test_a_pool_without_interconnect_has_the_default_interface() -> None:
    made = node_pool(pool(GUIDE_GPU, machine_types=["p5.48xlarge"]))
    assert made.one("LaunchTemplate").inputs.get("networkInterfaces") is None
    assert not made.all("SecurityGroup") and not made.all("PlacementGroup")


def test_nodes_with_interconnect_have_a_placement_group_unless_capacity_is_reserved() -> None:
    """A placement group in addition to a reservation causes InsufficientInstanceCapacity (eksctl#7949)."""
    made = node_pool(efa_pool("p5.48xlarge", capacity=["reserved", "on_demand"], reservation={"id": RESERVATION}))
    group = made.one("PlacementGroup")
    assert group.inputs["strategy"] == "cluster"
    placements = {found.name: found.inputs.get("placement") for found in made.all("LaunchTemplate")}
    assert placements == {"gpu-workers-reserved-template": None, "gpu-workers-template": {"groupName": group.id}}
    alone = node_pool(efa_pool("p5.48xlarge", capacity=["reserved"], reservation={"id": RESERVATION}))
    assert not alone.all("PlacementGroup")


@pytest.mark.parametrize(
    ("machine_type", "changes", "promised"),
    [
        ("p5.48xlarge", {}, "10256Mi"),
        ("p5.48xlarge", {"image": "bottlerocket"}, "42240Mi"),
        ("c6in.32xlarge", {"image": "bottlerocket"}, "28160Mi"),
        ("c6in.32xlarge", {}, None),  # AL2023 without GPUs has no EFA software
        # A program in another language says whole numbers as floats.
        (
            "x9.64xlarge",
            {"image": "bottlerocket", "machine": {"vcpu": 64.0, "memory_mib": 262144.0, "efa": 1.0}},
            "14080Mi",
        ),
    ],
)
def test_the_huge_pages_of_efa_are_among_the_autoscalers_tags(
    machine_type: str, changes: dict[str, Any], promised: str | None
) -> None:
    """field case A5: the NCCL test of AWS requests 5120Mi of them, and stayed pending."""
    tags = autoscaler_tags(node_pool(efa_pool(machine_type, **changes)))
    assert tags.get(f"{TEMPLATE_TAG}/resources/hugepages-2Mi") == promised


def test_interconnect_without_the_network_is_refused() -> None:
    """A mistake of a library user, reported before EC2 refuses it."""
    with pytest.raises(pulumi.RunError, match=r"network_id = None.*\n.*\n.*\n.*security_group_id = None"):
        node_pool(efa_pool("p5.48xlarge"), network_id=None, security_group_id=None)
