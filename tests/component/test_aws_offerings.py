"""Machine types that a pool's zones do not offer are reported before anything is created."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.aws import creator, offerings
from components.hardware import AWS
from components.pools import machines
from recording.stacks import record, settings
from tests.component.stage import GUIDE_CPU, GUIDE_GPU, pool

ZONES = ["us-east-1a", "us-east-1b"]


def reported(pools: dict[str, Any], offered: dict[str, set[str]]) -> list[tuple[str, str, str, str]]:
    """(path, wrong, allowed, fix) of every problem; a type that is not in `offered` is not available in any zone."""
    wanted = {name for each in pools.values() for m in machines(AWS, each) for name in offerings._candidates(m)}
    known = {name: frozenset(offered.get(name, ())) for name in wanted}
    return [(p.path, p.wrong, p.allowed, p.fix) for p in offerings.problems(pools, ZONES, known)]


def test_types_that_every_zone_offers_are_accepted() -> None:
    pools = {"cpu": GUIDE_CPU, "gpu": GUIDE_GPU}
    assert reported(pools, {"m5.2xlarge": set(ZONES), "g6.2xlarge": set(ZONES)}) == []


def test_a_type_that_the_region_lacks_is_reported_with_the_nearest_one() -> None:
    ((path, wrong, allowed, fix),) = reported({"gpu": GUIDE_GPU}, {"g6e.2xlarge": set(ZONES), "g6.4xlarge": set(ZONES)})
    assert (path, wrong) == ("gpu.machine_types[0]", "not offered in this region (us-east-1)")
    assert "g6.4xlarge" in allowed and "g6e.2xlarge" in allowed and fix.startswith("write g6")


def test_a_type_of_other_zones_is_reported_with_these_zones() -> None:
    ((path, wrong, _, fix),) = reported({"gpu": GUIDE_GPU}, {"g6.2xlarge": {"us-east-1c"}})
    assert (path, wrong) == ("gpu.machine_types[0]", "not offered in us-east-1a, us-east-1b")
    assert "us-east-1c" in fix


def test_the_fix_leaves_out_a_zone_without_the_type() -> None:
    ((path, wrong, _, fix),) = reported({"gpu": GUIDE_GPU}, {"g6.2xlarge": {"us-east-1b"}})
    assert (path, wrong, fix) == ("gpu.zones", "us-east-1a does not offer g6.2xlarge", "write `zones: [us-east-1b]`")


def test_with_several_machine_types_each_zone_needs_one() -> None:
    mixed = pool(GUIDE_GPU, machine_types=["g6.2xlarge", "g5.2xlarge"])
    assert reported({"gpu": mixed}, {"g6.2xlarge": {"us-east-1a"}, "g5.2xlarge": {"us-east-1b"}}) == []


def test_an_accepted_withdrawn_type_is_not_looked_up() -> None:
    """seed row S03: the guide's p3.2xlarge already gives a warning."""
    assert reported({"gpu": pool(GUIDE_GPU, machine_types=["p3.2xlarge"], accept_withdrawn=True)}, {}) == []


def test_the_stack_asks_once_for_all_pools_and_stops_before_anything_is_made() -> None:
    config = settings("dev")
    asked = [found for found in record(config, "dev", preview=True).invokes if "Offerings" in found.token]
    (filters,) = [found.args["filters"] for found in asked]
    assert {"m5.2xlarge", "g6.2xlarge"} <= set(filters[0]["values"])
    config["gpuyard:nodePools"]["gpu-workers"]["zones"] = ["us-east-1e"]
    config["gpuyard:network"]["zones"] = ["us-east-1a", "us-east-1e"]
    there = {"names": ["us-east-1a", "us-east-1e"], "zoneIds": ["use1-az1", "use1-az6"], "id": "us-east-1"}
    with pytest.raises(pulumi.RunError, match=r"gpu-workers\.machineTypes.*not offered in us-east-1e"):
        record(config, "dev", preview=True, outputs={"aws:index/getAvailabilityZones:getAvailabilityZones": there})


IDS = {"us-east-1a": "use1-az1", "us-east-1b": "use1-az2", "us-east-1c": "use1-az4", "us-east-1e": "use1-az3"}


def test_a_zone_without_control_planes_cannot_be_among_the_first_two() -> None:
    """field case A13: EKS refuses it after network and key are created; nodes can be there."""
    assert list(offerings.zone_problems(["us-east-1a", "us-east-1b", "us-east-1e"], IDS)) == []
    (found,) = offerings.zone_problems(["us-east-1a", "us-east-1e", "us-east-1c"], IDS)
    assert found.path == "zones[1]" and "use1-az3" in found.wrong
    assert found.fix == "write us-east-1c in its place, and us-east-1e at the end"
    (found,) = offerings.zone_problems(["us-east-1e", "us-east-1a"], IDS)
    assert (found.path, found.fix) == ("zones[0]", "write us-east-1b in its place")


def test_a_zone_that_the_account_does_not_have_is_refused() -> None:
    """field case A13: not every account has all zones of a region."""
    (found,) = offerings.zone_problems(["us-east-1a", "us-east-1f"], IDS)
    assert (found.path, found.wrong) == ("zones[1]", "this account does not have the zone")


@pytest.mark.parametrize("zone_id", offerings.NO_CONTROL_PLANE)
def test_the_stack_asks_for_the_ids_of_its_zones(zone_id: str) -> None:
    """field case A13: the letters differ between accounts, the ids do not."""
    says = {"id": "us-east-1", "names": ["us-east-1a", "us-east-1b"], "zoneIds": ["use1-az1", zone_id]}
    with pytest.raises(pulumi.RunError, match=f"gpuyard:network.zones.1. = 'us-east-1b': {zone_id}"):
        record(settings("dev"), "dev", outputs={"aws:index/getAvailabilityZones:getAvailabilityZones": says})


CALLER = "aws:index/getCallerIdentity:getCallerIdentity"
SESSION = "arn:aws:sts::111122223333:assumed-role/ml-platform/ann@example.com"


@pytest.mark.parametrize(
    ("caller", "principal", "is_same"),
    [
        (SESSION, "arn:aws:iam::111122223333:role/ml-platform", True),
        (SESSION, "arn:aws:iam::111122223333:role/teams/ml/ml-platform", True),
        (SESSION, "arn:aws:iam::444455556666:role/ml-platform", False),
        (SESSION, "arn:aws:iam::111122223333:user/ml-platform", False),
        ("arn:aws:iam::111122223333:user/ann", "arn:aws:iam::111122223333:user/ann", True),
        ("arn:aws:iam::111122223333:user/ann", "arn:aws:iam::111122223333:role/ann", False),
    ],
)
def test_a_session_is_matched_with_its_role(caller: str, principal: str, is_same: bool) -> None:
    """field case A12: STS does not show a role's path."""
    assert creator.same(caller, principal) is is_same


OURS = "sg-0123456789abcdef0"


@pytest.mark.parametrize("tagged", [[], [OURS]])
def test_a_group_with_the_clusters_tag_is_refused_at_preview(tagged: list[str]) -> None:
    """terraform-aws-eks#1441: with two tagged groups on a node Kubernetes makes no load balancer."""
    config = settings("dev")
    config["gpuyard:nodePools"]["gpu-workers"]["securityGroupIds"] = ["sg-0123456789abcdef1", OURS]
    says = {"aws:ec2/getSecurityGroups:getSecurityGroups": {"id": "us-east-1", "ids": tagged}}
    if not tagged:
        (asked,) = [
            each for each in record(config, "dev", preview=True, outputs=says).invokes if "Groups" in each.token
        ]
        assert asked.args["filters"][1] == {"name": "tag-key", "values": ["kubernetes.io/cluster/gpuyard-dev"]}
        return
    with pytest.raises(
        pulumi.RunError, match=r"gpu-workers\.securityGroupIds\[1\].*no load balancer(.|\n)*delete-tags"
    ):
        record(config, "dev", preview=True, outputs=says)


def access(caller: str, clusters: list[str]) -> str:
    """The error of a preview of prod with this caller, or ''. `clusters`: existing clusters."""
    says = {
        CALLER: {"id": "1", "accountId": "111122223333", "arn": caller, "userId": "x"},
        "aws:eks/getClusters:getClusters": {"id": "us-east-1", "names": clusters},
    }
    try:
        record(settings("prod"), "prod", preview=True, outputs=says)
    except pulumi.RunError as error:
        return str(error)
    return ""


def test_an_access_entry_for_the_creator_of_the_cluster_is_refused_at_preview() -> None:
    """field case A12: EKS makes the creator an administrator and refuses a second entry after ten minutes of the
    `up`."""
    message = access(SESSION, [])
    assert "gpuyard:cluster.access.platform.principalArn" in message and "remove it" in message
    assert access("arn:aws:sts::111122223333:assumed-role/deployer/x", []) == ""


def test_access_entries_of_an_existing_cluster_are_not_compared_with_the_caller() -> None:
    """field case A12: the entries of an existing cluster do not depend on the role that runs the next `up`."""
    assert access(SESSION, ["gpuyard-prod"]) == ""
