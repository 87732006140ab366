"""Whether a pool's zones have its machine types is known before anything is made."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws import offerings
from tests.component.stage import GUIDE_CPU, GUIDE_GPU, pool
from tests.stacks import record, settings

ZONES = ["us-east-1a", "us-east-1b"]


def told(pools: dict[str, Any], offered: dict[str, set[str]]) -> list[tuple[str, str, str, str]]:
    """(path, wrong, allowed, fix) of every problem; a type that `offered` does not name is offered nowhere."""
    wanted = {name for each in pools.values() for m in offerings._machines(each) for name in offerings._candidates(m)}
    known = {name: frozenset(offered.get(name, ())) for name in wanted}
    return [(p.path, p.wrong, p.allowed, p.fix) for p in offerings.problems(pools, ZONES, known)]


def test_types_that_every_zone_offers_are_no_problem() -> None:
    pools = {"cpu": GUIDE_CPU, "gpu": GUIDE_GPU}
    assert told(pools, {"m5.2xlarge": set(ZONES), "g6.2xlarge": set(ZONES)}) == []


def test_a_type_that_the_region_does_not_offer_meets_the_nearest_that_it_has() -> None:
    ((path, wrong, allowed, fix),) = told({"gpu": GUIDE_GPU}, {"g6e.2xlarge": set(ZONES), "g6.4xlarge": set(ZONES)})
    assert (path, wrong) == ("gpu.machine_types[0]", "not offered in this region (us-east-1)")
    assert "g6.4xlarge" in allowed and "g6e.2xlarge" in allowed and fix.startswith("write g6")


def test_a_type_of_other_zones_names_them() -> None:
    ((path, wrong, _, fix),) = told({"gpu": GUIDE_GPU}, {"g6.2xlarge": {"us-east-1c"}})
    assert (path, wrong) == ("gpu.machine_types[0]", "not offered in us-east-1a, us-east-1b")
    assert "us-east-1c" in fix


def test_a_zone_without_the_type_is_left_out_by_the_fix() -> None:
    ((path, wrong, _, fix),) = told({"gpu": GUIDE_GPU}, {"g6.2xlarge": {"us-east-1b"}})
    assert (path, wrong, fix) == ("gpu.zones", "us-east-1a does not offer g6.2xlarge", "write zones: [us-east-1b]")


def test_of_several_types_each_zone_needs_one() -> None:
    mixed = pool(GUIDE_GPU, machine_types=["g6.2xlarge", "g5.2xlarge"])
    assert told({"gpu": mixed}, {"g6.2xlarge": {"us-east-1a"}, "g5.2xlarge": {"us-east-1b"}}) == []


def test_a_withdrawn_type_that_was_accepted_is_not_asked_for() -> None:
    """seed row S03: the guide's p3.2xlarge is a warning already."""
    assert told({"gpu": pool(GUIDE_GPU, machine_types=["p3.2xlarge"], accept_withdrawn=True)}, {}) == []


def test_the_stack_asks_once_for_all_pools_and_stops_before_anything_is_made() -> None:
    config = settings("dev")
    asked = [found for found in record(config, "dev", preview=True).invokes if "Offerings" in found.token]
    (filters,) = [found.args["filters"] for found in asked]
    assert {"m5.2xlarge", "g6.2xlarge"} <= set(filters[0]["values"])
    config["gpuyard:nodePools"]["gpu-workers"]["zones"] = ["us-east-1e"]
    config["gpuyard:network"]["zones"] = ["us-east-1a", "us-east-1e"]
    with pytest.raises(pulumi.RunError, match=r"gpu-workers\.machineTypes.*not offered in us-east-1e"):
        record(config, "dev", preview=True)
