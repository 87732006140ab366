"""The machines of a cluster, changed by the autoscaler and by Google."""

from __future__ import annotations

import pytest

from sandbox.gcp import groups
from sandbox.tests.unit.gcp.stage import POOL, cpu_pool, fleet, gpu_pool


def test_the_autoscaler_stays_between_the_limits(cloud, cluster):
    id, _ = cloud.create(POOL, cpu_pool(cluster))
    for size in (1, 21):
        with pytest.raises(Exception, match="is not between 2 and 20"):
            fleet(cloud).set_desired(id, size)
    fleet(cloud).set_desired(id, 7)
    assert fleet(cloud).groups()[0].details["sizes"] == {"us-central1-a": 3, "us-central1-b": 2, "us-central1-c": 2}
    fleet(cloud).set_desired(id, 2)
    assert sorted(fleet(cloud).groups()[0].details["sizes"].values()) == [0, 1, 1]


def test_any_fills_one_zone_before_the_next(cloud, cluster):
    scaling = {"minNodeCount": 0, "maxNodeCount": 3, "locationPolicy": "ANY"}
    id, _ = cloud.create(POOL, cpu_pool(cluster, autoscaling=scaling))
    fleet(cloud).set_desired(id, 4)
    assert fleet(cloud).groups()[0].details["sizes"] == {"us-central1-a": 3, "us-central1-b": 1, "us-central1-c": 0}


def test_scale_down_removes_the_named_machine(cloud, cluster):
    id, _ = cloud.create(POOL, cpu_pool(cluster))
    fleet(cloud).set_desired(id, 5)
    victim = fleet(cloud).machines()[1]
    fleet(cloud).remove(victim.id)
    left = fleet(cloud).machines()
    assert len(left) == 4 and victim.id not in [machine.id for machine in left]
    assert fleet(cloud).groups()[0].desired == 4


def test_a_reclaimed_machine_is_replaced_later(cloud, cluster, monkeypatch):
    _id, _ = cloud.create(POOL, gpu_pool(cluster, {"spot": True}, initialNodeCount=1))
    victim = fleet(cloud).machines()[0]
    fleet(cloud).reclaim(victim.id)
    assert fleet(cloud).machines() == [] and fleet(cloud).groups()[0].desired == 1
    now = groups.time.time()
    monkeypatch.setattr(groups.time, "time", lambda: now + groups.REPAIR_SECONDS)
    (again,) = fleet(cloud).machines()
    assert again.id != victim.id and again.node_name != victim.node_name
