"""`make status` for a pool with several groups."""

from __future__ import annotations

from dataclasses import replace

from sandbox import status
from sandbox.tests.cluster.fake_fleet import FakeFleet, gpu_group

ZONE = "topology.kubernetes.io/zone"


def test_the_labels_of_a_pool_are_common_to_all_its_nodes() -> None:
    shape = gpu_group().template
    in_a, in_b = (replace(shape, labels={**shape.labels, ZONE: f"us-east-1{zone}"}) for zone in "ab")
    by_zone = FakeFleet(gpu_group(id="a", template=in_a), gpu_group(id="b", template=in_b))
    in_both = FakeFleet(gpu_group(template=in_a, elsewhere=(in_b,)))
    for fleet in (by_zone, in_both):
        (pool,) = status.node_pools(fleet)
        assert pool["labels"] == shape.labels
    (pool,) = status.node_pools(FakeFleet(gpu_group(template=in_a)))
    assert pool["labels"][ZONE] == "us-east-1a"
