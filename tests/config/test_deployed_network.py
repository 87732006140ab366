"""An environment in an existing network cannot move to another network (reliability case R1)."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from recording.recording import Recording
from recording.stacks import record
from tests.component import existing_gcp_network as gke
from tests.component import test_aws_network as eks
from tests.config.network import DELETE
from tests.config.test_errors import PROBLEM, Reported, changed
from tests.deployed import changed as run

NET = "gpuyard:network"
FURTHER = {"rangeName": "more", "ipCidrRange": "10.72.0.0/14"}
OURS = {"dev": "10.0.0.0/16", "dev-gke": "10.0.0.0/20"}
OWNERS: dict[str, dict[str, Any]] = {
    "dev": {"vpcId": eks.OWNED["vpc_id"], "privateSubnetIds": eks.PRIVATE},
    "dev-gke": {"network": "shared", "subnetwork": "gpus", "hostProject": "host-project"},
}
OTHER_VPC = "vpc-0fedcba9876543210"
OTHER_SUBNET = "subnet-0cccccccc"


def answers(stack: str) -> dict[str, Any]:
    """What the clouds return for the existing networks."""
    if stack == "dev":
        return eks.outputs(subnets={OTHER_SUBNET: {"availabilityZone": "us-east-1b"}})
    ranges = [
        {"rangeName": "pods", "ipCidrRange": "10.64.0.0/14"},
        {"rangeName": "services", "ipCidrRange": "10.68.0.0/20"},
        FURTHER,
    ]
    return gke.network_lookups(secondaryIpRanges=ranges)


def with_existing_network(stack: str, **existing: Any) -> dict[str, Any]:
    """The stack in an existing network, with some settings changed."""
    wanted = {key: value for key, value in {**OWNERS[stack], **existing}.items() if value is not DELETE}
    return changed(stack, {f"{NET}/cidr": DELETE, f"{NET}/existing": wanted})


@pytest.fixture(scope="module")
def deployed() -> dict[str, Recording]:
    """Both environments, in existing networks."""
    found = {stack: record(with_existing_network(stack), stack, outputs=answers(stack)) for stack in OWNERS}
    found["dev"].one("aws:eks/cluster:Cluster").outputs["vpcConfig"]["vpcId"] = eks.OWNED["vpc_id"]
    return found


def reported_problems(
    deployed: dict[str, Recording], stack: str, config: dict[str, Any], **more: Any
) -> dict[str, Reported]:
    with pytest.raises(pulumi.RunError) as caught:
        run(deployed[stack], config, stack, outputs=answers(stack), **more)
    assert "nothing was changed" in str(caught.value)
    found = [Reported(**found.groupdict()) for found in PROBLEM.finditer(str(caught.value))]
    return {each.path.removeprefix(f"{NET}."): each for each in found}


# (stack, changed field → text in its error)
MOVES: list[tuple[str, dict[str, Any], str]] = [
    ("dev", {"vpcId": OTHER_VPC}, eks.OWNED["vpc_id"]),
    ("dev-gke", {"network": "other"}, "write shared"),
    ("dev-gke", {"subnetwork": "other"}, "write gpus"),
    ("dev-gke", {"hostProject": "another-project"}, "write host-project"),
    ("dev-gke", {"hostProject": DELETE}, "write host-project"),
    ("dev-gke", {"podsRange": "other"}, "write pods"),
    ("dev-gke", {"servicesRange": "other"}, "write services"),
]


@pytest.mark.parametrize("finished", [True, False], ids=["up", "failed-up"])
@pytest.mark.parametrize("stack, change, words", MOVES, ids=[f"{s}-{next(iter(c))}" for s, c, _ in MOVES])
def test_an_environment_cannot_move_to_another_existing_network(
    deployed: dict[str, Recording], stack: str, change: dict[str, Any], words: str, finished: bool
) -> None:
    found = reported_problems(deployed, stack, with_existing_network(stack, **change), finished=finished)
    assert list(found) == [f"existing.{next(iter(change))}"]
    (message,) = found.values()
    assert "cannot move to another" in message.wrong and words in message.fix and "new environment" in message.fix


@pytest.mark.parametrize("stack, path", [("dev", "existing.vpcId"), ("dev-gke", "existing.network")])
def test_an_environment_cannot_move_from_an_existing_to_a_new_network(
    deployed: dict[str, Recording], stack: str, path: str
) -> None:
    found = reported_problems(deployed, stack, changed(stack, {f"{NET}/cidr": OURS[stack]}))
    assert list(found) == [path] and "cannot move to another" in found[path].wrong


@pytest.mark.parametrize("stack", OWNERS)
def test_the_same_network_is_not_a_change(deployed: dict[str, Recording], stack: str, warned: list[str]) -> None:
    run(deployed[stack], with_existing_network(stack), stack, outputs=answers(stack))
    assert warned == []


def test_changed_subnets_create_new_nodes_first(deployed: dict[str, Recording], warned: list[str]) -> None:
    subnets = {**eks.PRIVATE, "us-east-1b": OTHER_SUBNET}
    sizes = {f"cpu-workers-us-east-1{letter}": 1 for letter in "ab"}
    run(
        deployed["dev"],
        with_existing_network("dev", privateSubnetIds=subnets),
        "dev",
        outputs=answers("dev"),
        sizes=sizes,
    )
    (message,) = (
        each for each in warned if each.startswith("nodePools.cpu-workers: network.existing.privateSubnetIds")
    )
    assert "new nodes are added, then the old ones are deleted (2 nodes at the moment)" in message


def test_a_zone_of_the_control_plane_cannot_be_removed_from_an_existing_network(deployed: dict[str, Recording]) -> None:
    """Reliability case R2."""
    config = with_existing_network("dev", privateSubnetIds={**eks.PRIVATE, "us-east-1c": OTHER_SUBNET})
    config[NET]["zones"] = ["us-east-1a", "us-east-1c"]
    del config[NET]["existing"]["privateSubnetIds"]["us-east-1b"]
    found = reported_problems(deployed, "dev", config, sizes={"cpu-workers-us-east-1b": 1})
    assert list(found) == ["zones"]
    message = found["zones"]
    assert "the control plane has its interfaces in us-east-1b" in message.wrong


def test_additional_pod_ranges_are_added_in_place(deployed: dict[str, Recording], warned: list[str]) -> None:
    config = with_existing_network("dev-gke", furtherPodsRanges=["more"])
    run(deployed["dev-gke"], config, "dev-gke", outputs=answers("dev-gke"))
    assert warned == []
