"""The groups of a pool on EKS: their names, zones and sizes, labels that hold for each of their nodes, updates."""

from __future__ import annotations

import pulumi
import pytest

from components import checks, hardware
from components.aws import system_keys
from components.aws.node_pool import update_minutes
from components.aws.pool_spec import EksNodePoolSpec
from components.pools import NodePoolSpec, resolve
from recording.recording import Resource
from recording.stacks import record, settings
from tests.component.eks_pools import RESERVATION, efa_pool, node_pool, rungs
from tests.component.stage import AWS_ZONES, GUIDE_GPU, pool


@pytest.mark.parametrize(
    ("types", "label"),
    [
        (["g7e.2xlarge"], "nvidia-rtx-pro-server-6000"),
        (["g6.2xlarge"], "nvidia-l4"),
        (["g6.2xlarge", "g5.2xlarge"], "nvidia-gpu"),
    ],
)
def test_the_accelerator_label_is_valid_and_correct_for_every_node(types: list[str], label: str) -> None:
    """field cases A1 and A6"""
    made = node_pool(pool(GUIDE_GPU, machine_types=types))
    assert made.one("NodeGroup").inputs["labels"]["k8s.amazonaws.com/accelerator"] == label


@pytest.mark.parametrize("cloud", [hardware.AWS, hardware.GCP])
def test_labels_from_any_machine_type_are_valid(cloud: str) -> None:
    """field case A1: with the same check as for labels in the file."""
    for name in hardware.names(cloud):
        made = resolve(cloud, "made", {"machine_types": [name], "min": 0, "max": 1})
        for rung in made.rungs:
            found = [problem for key, value in rung.labels.items() for problem in checks.label("labels", key, value)]
            found += [] if cloud == hardware.GCP else system_keys.problems(rung.labels, ())
            assert found == [], name


# -- zones ------------------------------------------------------------------------------------------------------------


def in_zones(spec: NodePoolSpec | EksNodePoolSpec, *letters: str) -> dict[str, Resource]:
    """Name → node group of a pool `gpu` in a network of these zones."""
    made = node_pool(spec, "gpu", subnet_ids={f"us-east-1{letter}": f"subnet-{letter}" for letter in letters})
    return {found.name: found for found in made.all("NodeGroup")}


def sizes(made: dict[str, Resource]) -> dict[str, tuple[int, int]]:
    return {
        name: (found.inputs["scalingConfig"]["minSize"], found.inputs["scalingConfig"]["maxSize"])
        for name, found in made.items()
    }


def test_a_pool_name_can_be_any_name_except_that_of_another_pools_group() -> None:
    """reliability case R15: all resources of a stack have different logical names, whatever the names of its pools."""
    config = settings("dev")
    names = ("cluster", "network", "coredns", "storage", "default-pool", "x", "x-template", "x-efa", "x-label")
    odd = {"machineTypes": ["g6.2xlarge"], "min": 0, "max": 2, "capacity": ["spot", "on_demand"]}
    config["gpuyard:nodePools"].update(dict.fromkeys(names, odd))
    made = record(config, "dev")
    assert {found.name for found in made.all("EksNodePool")} >= {*names}
    config["gpuyard:nodePools"]["x-us-east-1a"] = odd
    with pytest.raises(pulumi.RunError, match="a group of the pool x has the name x-us-east-1a"):
        record(config, "dev")


def test_long_names_are_unique_after_truncation() -> None:
    """reliability case R15: a truncated name gets a hash."""
    long = "a-pool-with-a-name-of-32-letter"
    prefixes = {
        group.inputs["nodeGroupNamePrefix"]
        for last in "ab"
        for group in node_pool(pool(GUIDE_GPU, capacity=["spot"]), f"{long}{last}").all("NodeGroup")
    }
    assert len(prefixes) == 2 and all(len(prefix) <= 37 for prefix in prefixes)


def test_every_zone_has_a_group_for_each_capacity_type() -> None:
    """field case A4: for a group over several zones, the autoscaler knows only the first, and EC2 rebalances the
    group."""
    made = in_zones(pool(GUIDE_GPU, capacity=["spot", "on_demand"]), "a", "b")
    assert {name: found.inputs["subnetIds"] for name, found in made.items()} == {
        "gpu-spot-us-east-1a": ["subnet-a"],
        "gpu-spot-us-east-1b": ["subnet-b"],
        "gpu-us-east-1a": ["subnet-a"],
        "gpu-us-east-1b": ["subnet-b"],
    }
    assert {found.inputs["tags"]["gpuyard.dev/zone"] for found in made.values()} == {"us-east-1a", "us-east-1b"}


def test_min_and_max_are_split_over_the_zones_of_the_pool() -> None:
    """field case A4: the first zones get the remainder; the sum equals the file's value."""
    ladder = {"capacity": ["spot", "on_demand"]}
    assert sizes(in_zones(pool(GUIDE_GPU, min=4, max=10, **ladder), "a", "b", "c")) == {
        **{f"gpu-spot-us-east-1{letter}": (0, most) for letter, most in (("a", 4), ("b", 3), ("c", 3))},
        **{f"gpu-us-east-1{letter}": size for letter, size in (("a", (2, 4)), ("b", (1, 3)), ("c", (1, 3)))},
    }
    each = pool(GUIDE_GPU, min=1, max=5, per_zone=True, zones=["us-east-1c", "us-east-1a"])
    assert sizes(in_zones(each, "a", "b", "c")) == {"gpu-us-east-1c": (1, 5), "gpu-us-east-1a": (1, 5)}


def test_a_pool_with_fewer_nodes_than_zones_uses_the_first_zones() -> None:
    """field case A4: EKS refuses a group with max 0, and one node more would exceed `max`."""
    assert sizes(in_zones(pool(GUIDE_GPU, max=1), "a", "b")) == {"gpu-us-east-1a": (0, 1)}
    assert sizes(in_zones(pool(GUIDE_GPU, max=1, zones=["us-east-1b"]), "a", "b")) == {"gpu-us-east-1b": (0, 1)}


def test_adding_or_reordering_zones_changes_no_existing_group() -> None:
    """field case A4: names follow from capacity type and zone; only the shares of min and max change."""
    before, after = in_zones(GUIDE_GPU, "a", "b"), in_zones(GUIDE_GPU, "c", "b", "a")
    for name, found in before.items():
        assert {**after[name].inputs, "scalingConfig": 0} == {**found.inputs, "scalingConfig": 0}


def test_the_first_zones_group_is_an_alias_of_the_former_group_of_all_zones() -> None:
    """field case A4: a pool of one zone keeps its group; of several zones the preview shows the old one replaced."""
    made = node_pool(GUIDE_GPU, subnet_ids=dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"])))
    found = made.all("NodeGroup") + made.all("aws:autoscaling/tag:Tag")
    former = {each.name: each.options.get("aliases") for each in found}
    for name, aliases in former.items():
        old = name.replace("-us-east-1a", "")
        assert (old in str(aliases)) == (old != name), (name, aliases)


# -- updates ----------------------------------------------------------------------------------------------------------


def test_updates_replace_a_third_of_the_nodes_and_node_repair_is_on_by_default() -> None:
    group = node_pool(GUIDE_GPU).one("NodeGroup").inputs
    assert group["updateConfig"] == {"maxUnavailablePercentage": 33, "updateStrategy": "DEFAULT"}
    assert group["nodeRepairConfig"] == {"enabled": True}
    group = node_pool(pool(GUIDE_GPU, update_percentage=10, node_repair=False)).one("NodeGroup").inputs
    assert group["updateConfig"] == {"maxUnavailablePercentage": 10, "updateStrategy": "DEFAULT"}
    assert group["nodeRepairConfig"] == {"enabled": False}


def test_updates_of_a_reserved_group_remove_old_nodes_first() -> None:
    """field case A9: there, old nodes are removed first."""
    arn = "arn:aws:resource-groups:us-east-1:123456789012:group/gpus"
    for reservation in ({"id": RESERVATION}, {"id": RESERVATION, "capacity_block": True}, {"group_arn": arn}):
        ladder = efa_pool("p5.48xlarge", capacity=["reserved", "on_demand"], reservation=reservation)
        strategies = {
            name: found.inputs["updateConfig"]["updateStrategy"] for name, found in rungs(node_pool(ladder)).items()
        }
        assert strategies == {"gpu-workers-reserved": "MINIMAL", "gpu-workers": "DEFAULT"}


@pytest.mark.parametrize(
    ("nodes", "percentage", "minutes"),
    [(1, 33, 60), (3, 33, 120), (16, 33, 150), (16, 5, 510), (16, 100, 60), (450, 33, 180), (1000, 100, 330)],
)
def test_the_update_timeout_follows_from_the_number_of_nodes(nodes: int, percentage: int, minutes: int) -> None:
    """field case G3: the provider's default is an hour, and an update of sixteen nodes one at a time takes eight."""
    assert update_minutes(nodes, percentage) == minutes


def test_the_update_timeout_is_set_on_the_group() -> None:
    """field case G3"""
    made = node_pool(
        pool(GUIDE_GPU, max=20, update_percentage=5), subnet_ids=dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"]))
    )
    for group in made.all("NodeGroup"):
        assert group.options["customTimeouts"].update == f"{update_minutes(10, 5)}m"
