"""Each resource type: created, unchanged after a refresh, changed in place if AWS can, deleted without leftovers."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.aws import inventory
from sandbox.aws.rows import rows
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.aws.conftest import World, nodegroup_inputs
from sandbox.tests.unit.aws.row_cases import CASES

pytestmark = pytest.mark.slow

# name: (token, inputs as a function of the outputs of earlier objects, a change that AWS makes in place)
Made = dict[str, dict[str, Any]]


NETWORK = ("interface-endpoint", "pods-network", "subnet-tag")

# Inputs that AWS does not return: they control the provider, not the object.
FORGOTTEN = {
    *("__defaults", "resolveConflictsOnCreate", "updateDefaultVersion", "nodeGroupNamePrefix"),
    *("securityGroupIds", "skipFinalBackup", "finalBackupTags"),
}

# Outputs that later resources change, as in a real account.
OTHERS = {
    "role": {"managedPolicyArns", "inlinePolicies"},
    "eip": {"privateIp", "networkInterface", "associationId"},
    "table": {"routes"},
    "other": {"ingress", "egress"},
    "files": {"numberOfMountTargets"},
}


@pytest.fixture(scope="module")
def made(world: World, cluster: dict[str, Any]) -> Made:
    """All of CASES, each created with those before it."""
    found: Made = {name: {**each[4], "id": each[2]} for name, each in world.made.items()}
    for name, (token, inputs, _) in CASES.items():
        given = nodegroup_inputs(world) if name == "pool" else inputs(found)
        found[name] = world.make(token, name, given)
    return found


def test_every_row_has_a_test_case() -> None:
    world_makes = {
        "aws:ec2/vpc:Vpc",
        "aws:ec2/subnet:Subnet",
        "aws:iam/role:Role",
        "aws:eks/cluster:Cluster",
    }
    assert {token for token, _, _ in CASES.values()} | world_makes == set(rows())


@pytest.mark.parametrize("name", ["vpc", "subnet-a", "role", "ml", *CASES])
def test_a_refresh_after_create_shows_no_change(world: World, made: Made, name: str) -> None:
    world.settled(name, OTHERS.get(name))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2]])
def test_a_change_that_aws_supports_is_made_in_place(world: World, made: Made, name: str) -> None:
    changes, replaces, outputs = world.change(name, CASES[name][2])
    assert changes and replaces == []
    for key, value in CASES[name][2].items():
        assert outputs[key] == value
    world.settled(name)


def test_a_launch_template_gets_a_new_version_that_becomes_the_default(world: World, made: Made) -> None:
    before = world.made["launch"][4]
    world.change("launch", {"instanceType": "g6.2xlarge"})
    after = world.made["launch"][4]
    assert after["latestVersion"] == after["defaultVersion"] == before["latestVersion"] + 1


def test_a_cluster_is_upgraded_one_minor_version_at_a_time(world: World, made: Made) -> None:
    changes, _, outputs = world.change("ml", {"version": "1.35", "enabledClusterLogTypes": ["api"]})
    assert changes == ["enabledClusterLogTypes", "version"]
    assert (outputs["version"], outputs["enabledClusterLogTypes"]) == ("1.35", ["api"])
    with pytest.raises(Exception, match="Unsupported Kubernetes minor version update"):
        world.change("ml", {"version": "1.31"})


def test_an_interface_endpoint_changes_its_subnets_in_place(world: World, made: Made, aws: Any) -> None:
    here, there = world.made["subnet-a"][2], world.made["subnet-b"][2]

    def places() -> dict[str, list[str]]:
        ids = world.made["interface-endpoint"][4]["networkInterfaceIds"]
        found = aws("ec2").describe_network_interfaces(NetworkInterfaceIds=ids)["NetworkInterfaces"]
        return {each["SubnetId"]: [group["GroupId"] for group in each["Groups"]] for each in found}

    group = world.made["group"][2]
    assert places() == {here: [group]}
    _, replaces, _ = world.change("interface-endpoint", {"subnetIds": [here, there]})
    assert replaces == [] and places() == {here: [group], there: [group]}
    world.change("interface-endpoint", {"subnetIds": [there]})
    assert places() == {there: [group]}
    world.settled("interface-endpoint")


def test_a_cidr_block_is_removed_only_without_subnets(world: World, made: Made) -> None:
    with pytest.raises(ProviderError, match=r"InvalidCidrBlock\.InUse"):
        world.delete("pods-network")


def test_removing_a_tag_keeps_the_other_tags_of_the_resource(world: World, made: Made, aws: Any) -> None:
    subnet, key = world.made["subnet-b"][2], {"resourceId": world.made["subnet-b"][2], "key": "mine", "value": "1"}
    world.make("aws:ec2/tag:Tag", "other-tag", key)
    aws("ec2").create_tags(Resources=[subnet], Tags=[{"Key": "theirs", "Value": "x"}])
    world.delete("other-tag")
    left = aws("ec2").describe_subnets(SubnetIds=[subnet])["Subnets"][0]["Tags"]
    assert {each["Key"] for each in left} == {"theirs", "owner", "kubernetes.io/role/elb"}


def test_drift_is_found_by_a_refresh_and_corrected(world: World, made: Made, aws: Any) -> None:
    token, urn, id, inputs, outputs = world.made["log"]
    aws("logs").put_retention_policy(logGroupName=id, retentionInDays=1)
    found = world.provider.read(token, urn, id, inputs, outputs)
    assert found and found[1]["retentionInDays"] == 1
    diff = world.provider.diff(token, urn, id, found[1], found[2], inputs)
    assert diff.changes == ["retentionInDays"]


def test_a_refresh_notices_a_deleted_object(world: World, made: Made, aws: Any) -> None:
    token, urn, id, inputs, outputs = world.made["placement"]
    aws("ec2").delete_placement_group(GroupName=id)
    assert world.provider.read(token, urn, id, inputs, outputs) is None
    world.delete("placement")  # a second delete is not an error


def test_a_lustre_file_system_grows_in_place_and_is_replaced_to_shrink(world: World, made: Made) -> None:
    _, replaces, outputs = world.change("lustre", {"storageCapacity": 7200})
    assert (replaces, outputs["storageCapacity"]) == ([], 7200)
    assert outputs["metadataConfiguration"] == {"mode": "AUTOMATIC", "iops": 6000}
    assert world.change("lustre", {"storageCapacity": 2400})[1] == ["storageCapacity"]


@pytest.mark.parametrize(
    ("token", "changes", "words"),
    [
        ("lustre", {"storageCapacity": 3600}, "not a valid storage capacity"),
        ("lustre", {"perUnitStorageThroughput": 200}, "must be one of 125, 250, 500, 1000"),
        ("lustre", {"securityGroupIds": ["default"]}, "do not permit Lustre LNET network traffic on port 988"),
        ("link", {"fileSystemPath": "/train"}, "overlaps /"),
        ("files-policy", {"policy": "{"}, "invalid JSON"),
    ],
)
def test_invalid_requests_to_efs_and_fsx_are_refused(
    world: World, made: Made, token: str, changes: dict[str, Any], words: str
) -> None:
    inputs = {key: value for key, value in world.made[token][3].items() if key != "__defaults"}
    if "securityGroupIds" in changes:
        changes = {"securityGroupIds": [world.made[name][2] for name in changes["securityGroupIds"]]}
    assert words in world.refuses(world.made[token][0], {**inputs, **changes})


def test_a_file_system_with_backups_is_not_linked_to_a_bucket(world: World, made: Made) -> None:
    """FSx: a file system that is linked to a bucket cannot get backups."""
    with pytest.raises(ProviderError, match="automatic backups are not supported"):
        world.change("lustre", {"automaticBackupRetentionDays": 7})


@pytest.mark.parametrize(
    "name", ["vpc", "launch", "role", "key", "ml", "pool", "addon", "files", "lustre", "link", *NETWORK]
)
def test_an_import_by_id_gives_inputs_without_differences(world: World, made: Made, name: str) -> None:
    token, urn, id, inputs, _ = world.made[name]
    found = world.provider.read(token, urn, id, {}, {})
    assert found is not None
    _, imported, outputs = found
    assert world.provider.diff(token, urn, id, imported, outputs, imported).changes == []
    given_keys = {key for key, value in inputs.items() if value not in ([], {}, "", None)}
    assert given_keys - set(imported) <= FORGOTTEN


def test_destroy_leaves_no_objects(world: World, made: Made) -> None:
    """Last in this file: the deletes in reverse order find no dependency and leave nothing in the account."""
    world.delete_all()
    assert inventory.leftovers() == []
    assert inventory.inventory() == {}
