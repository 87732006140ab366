"""A file that changes while nodes run: changes that would delete nodes are refused, or give a clear warning."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pytest

from recording.recording import Recording
from recording.stacks import record
from tests.config.test_deployed import reported_problems
from tests.config.test_errors import changed
from tests.deployed import changed as run

NET, POOLS, VERSION = "gpuyard:network", "gpuyard:nodePools", "gpuyard:cluster/version"
A, B, C = (f"us-east-1{letter}" for letter in "abc")
ZONES = {"dev": [A, B, C], "dev-gke": ["us-central1-a", "us-central1-b", "us-central1-c"]}
STACKS = list(ZONES)


def existing(stack: str, changes: dict[str, Any]) -> Recording:
    """The stack in three zones, and with changes."""
    return record(changed(stack, {f"{NET}/zones": ZONES[stack], **changes}), stack)


@functools.cache
def plain(stack: str) -> Recording:
    """The stack in three zones; recorded once, so tests must not modify it."""
    return existing(stack, {})


def change(stack: str, before: Recording, changes: dict[str, Any], **more: Any) -> Recording:
    return run(before, changed(stack, {f"{NET}/zones": ZONES[stack], **changes}), stack, **more)


@pytest.mark.parametrize("stack", STACKS)
def test_a_zone_can_be_removed_only_after_the_pools_have_left_it(stack: str, warned: list[str]) -> None:
    """Reliability case R2: first refused with the required steps, then these steps, then accepted without a warning."""
    *kept, gone = ZONES[stack]
    fewer = {f"{NET}/zones": kept}
    leave = {f"{POOLS}/{pool}/zones": kept for pool in ("cpu-workers", "gpu-workers")}
    nodes = {f"{pool}-{zone}": 1 for pool in ("cpu-workers", "gpu-workers-spot") for zone in ZONES[stack]}
    before = plain(stack)
    (problem,) = reported_problems(stack, fewer, before=before, sizes=nodes)
    assert problem.path == "gpuyard:network.zones"
    assert f"{gone} is no longer in the file, but it has nodes of" in problem.wrong
    assert f"keep {gone} here and give" in problem.fix and "then remove it" in problem.fix
    warned.clear()
    without = change(stack, before, leave, sizes=nodes)
    left = [each for each in warned if f"{gone} is removed, with 1 node there and everything on them" in each]
    assert {each.split(".")[1] for each in left} == {"cpu-workers", "gpu-workers"}
    if stack == "dev":
        assert not [each.name for each in without.all("NodeGroup") if gone in each.name]
        assert [each.name for each in without.all("aws:ec2/subnet:Subnet") if gone in each.name], (
            "subnets are removed later"
        )
    warned.clear()
    change(stack, without, {**leave, **fewer}, sizes={name: 1 for name in nodes if gone not in name})
    assert not [each for each in warned if gone in each]


@pytest.mark.parametrize(
    "has, nodes, max, words",
    [
        (4, {A: 2, B: 2}, 3, f"cpu-workers-{B} has 2 nodes at the moment, and its share is 1"),
        # A pool with fewer nodes than zones has no group in the last zones.
        (1, {A: 0, B: 1}, 1, f"cpu-workers-{B} has 1 node at the moment, and its share is 0"),
    ],
)
def test_on_eks_a_maximum_below_the_current_size_is_refused(
    has: int, nodes: dict[str, int], max: int, words: str
) -> None:
    """Reliability case R4: nodes in use are never deleted silently."""
    before = existing("dev", {f"{NET}/zones": [A, B]})
    pool = {f"{NET}/zones": [A, B], f"{POOLS}/cpu-workers/min": 1, f"{POOLS}/cpu-workers/max": max}
    (problem,) = reported_problems(
        "dev", pool, before=before, sizes={f"cpu-workers-{zone}": count for zone, count in nodes.items()}
    )
    assert (
        problem.path == "gpuyard:nodePools.cpu-workers.max"
        and words in problem.wrong
        and "kubectl drain" in problem.fix
    )
    change("dev", before, {**pool, f"{POOLS}/cpu-workers/max": 4}, sizes={f"cpu-workers-{zone}": 1 for zone in nodes})


def test_on_gke_nodes_above_the_maximum_are_kept_with_a_warning(warned: list[str]) -> None:
    """Reliability case R4."""
    before, zones = plain("dev-gke"), ZONES["dev-gke"]
    change("dev-gke", before, {f"{POOLS}/gpu-workers/max": 2}, sizes={f"gpu-workers-spot-{zone}": 1 for zone in zones})
    assert "nodePools: gpu-workers-spot has 3 nodes; those above its max of 2 are kept until they are idle" in warned


def test_on_eks_the_size_is_raised_to_a_raised_minimum(warned: list[str]) -> None:
    """Reliability case R4: EKS refuses a minimum above the size; the autoscaler keeps control of all other sizes."""
    sizes = {f"cpu-workers-{zone}": count for zone, count in zip(ZONES["dev"], (1, 3, 1))}
    made = change("dev", plain("dev"), {f"{POOLS}/cpu-workers/min": 6}, sizes=sizes)
    found = {each.name: each for each in made.all("NodeGroup") if each.name in sizes}
    sent = {name for name, each in found.items() if "scalingConfig.desiredSize" not in each.options["ignoreChanges"]}
    assert sent == {f"cpu-workers-{A}", f"cpu-workers-{C}"}
    assert {each.inputs["scalingConfig"]["desiredSize"] for each in found.values()} == {2}
    assert {each.split(": the group ")[1] for each in warned if "grows" in each} == {
        f"{name} immediately grows from 1 to its new min of 2 nodes" for name in sent
    }


@pytest.mark.parametrize("stack", STACKS)
def test_a_renamed_pool_is_reported_as_a_deletion_in_capitals(stack: str, warned: list[str]) -> None:
    """Reliability case R6: and with `was` nothing is deleted."""
    pools = changed(stack, {})[POOLS]
    renamed = {**pools, "trainers": pools["gpu-workers"]}
    del renamed["gpu-workers"]
    before = plain(stack)
    sizes = {f"gpu-workers-spot-{ZONES[stack][0]}": 3}
    made = change(stack, before, {POOLS: renamed}, sizes=sizes)
    (problem,) = (each for each in warned if "DELETED" in each)
    assert (
        problem.startswith("nodePools.gpu-workers: A GPU POOL IS DELETED")
        and "3 nodes at the moment and everything that runs on them are deleted" in problem
    )
    assert "write `was: gpu-workers`" in problem
    warned.clear()
    renamed["trainers"] = {**renamed["trainers"], "was": "gpu-workers"}
    made = change(stack, before, {POOLS: renamed}, sizes=sizes)
    assert not [each for each in warned if "delete" in each.lower()]
    pool = "EksNodePool" if stack == "dev" else "GkeNodePool"
    assert "gpu-workers" in str(made.one(f"gpuyard:index:{pool}", "trainers").options["aliases"])


@pytest.mark.parametrize("stack", STACKS)
def test_a_removed_capacity_type_is_deleted_with_a_warning(stack: str, warned: list[str]) -> None:
    ladder, zone = f"{POOLS}/gpu-workers/capacity", ZONES[stack][0]
    before = existing(stack, {ladder: ["spot", "on_demand"]})
    change(stack, before, {ladder: ["on_demand"]}, sizes={f"gpu-workers-spot-{zone}": 2})
    group = f"gpu-workers-spot-{zone}" if stack == "dev" else "gpu-workers-spot"
    assert [each for each in warned if "gone" in each or "deleted" in each] == [
        f"nodePools.gpu-workers: {group} is deleted, with 2 nodes at the moment and everything on them"
    ]


@pytest.mark.parametrize(
    "stack, cloud, has, next, later",
    [("dev", "EKS", "1.33", "1.34", "1.35"), ("dev-gke", "GKE", "1.34", "1.35", "1.36")],
)
def test_versions_cannot_skip_a_minor(stack: str, cloud: str, has: str, next: str, later: str) -> None:
    """Reliability case R3; the test of a downgrade is in test_deployed.py."""
    before = existing(stack, {VERSION: has})
    for cluster in before.all("Cluster"):
        cluster.outputs.update(version=has, masterVersion=f"{has}.5-gke.1")
    (problem,) = reported_problems(stack, {VERSION: later, f"{NET}/zones": ZONES[stack]}, before=before)
    assert (
        problem.path == "gpuyard:cluster.version"
        and f"runs {has}, and {cloud} cannot skip a minor version" in problem.wrong
    )
    assert problem.allowed == f"{has} or {next}" and problem.fix.startswith(f"write {next}, run `pulumi up`")
    change(stack, before, {VERSION: next})


def test_gke_nodes_can_be_two_minors_behind_and_channel_upgrades_are_not_downgrades() -> None:
    """Reliability case R3: the rules of GKE."""
    before = existing("dev-gke", {VERSION: "1.34"})
    (cluster,) = before.all("gcp:container/cluster:Cluster")
    cluster.outputs.update(masterVersion="1.35.1-gke.1")
    change("dev-gke", before, {VERSION: "1.34"})
    for pool in before.all("gcp:container/nodePool:NodePool"):
        pool.outputs["version"] = "1.33.9-gke.1"
    found = reported_problems("dev-gke", {VERSION: "1.36", f"{NET}/zones": ZONES["dev-gke"]}, before=before)
    assert {each.wrong for each in found} == {
        f"nodes of {group} run 1.33 and may be at most two minors behind"
        for group in ("cpu-workers", "gpu-workers-spot")
    }
    assert "--node-pool POOL" in found[0].fix


def test_a_former_group_of_all_zones_is_reported_as_split_and_not_deleted(warned: list[str]) -> None:
    """Field case A4: a former group of all zones is replaced, because AWS cannot remove a zone from it; a group of one
    zone is kept."""
    one = {f"{POOLS}/big": {"machineTypes": ["m5.4xlarge"], "min": 0, "max": 2, "zones": [B]}}
    before = existing("dev", one)
    resources, spread = {}, before.all("aws:ec2/subnet:Subnet")
    private = [each.id for each in spread if each.name.startswith("network-private-")]
    for urn, each in before.resources.items():
        if each.type == "aws:eks/nodeGroup:NodeGroup":
            rung, zone = each.name.rsplit("-us-east-1", 1)
            if rung != "big" and zone != "a":
                continue
            subnets = each.outputs["subnetIds"] if rung == "big" else private
            each = dataclasses.replace(each, name=rung, outputs={**each.outputs, "subnetIds": subnets})
            urn = f"{urn.rpartition('::')[0]}::{rung}"
        resources[urn] = each
    was = Recording(resources, exports=before.exports)
    sizes = {"cpu-workers": 5, "gpu-workers-spot": 0, "big": 1}
    change("dev", was, {**one, f"{POOLS}/cpu-workers/max": 10}, sizes=sizes)
    assert [each for each in warned if "is deleted" in each.lower()] == []
    first, second = (each for each in warned if "becomes one group" in each)
    assert first.startswith(f"nodePools.cpu-workers: cpu-workers becomes one group in each of {A}, {B}, {C}")
    assert "(5 nodes at the moment)" in first and second.startswith("nodePools.gpu-workers")
    more = {**one, f"{NET}/zones": ZONES["dev"], f"{POOLS}/cpu-workers/max": 10}
    (problem,) = reported_problems("dev", more, before=was, sizes={"big": 3})
    assert f"big-{B} has 3 nodes at the moment, and its share is 2" in problem.wrong
