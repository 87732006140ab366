"""The sandbox's caller: identity, account guard, the creator's access entry, and closed endpoints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import caller
from sandbox.aws import reach
from sandbox.aws.provider import AwsProvider
from sandbox.errors import SandboxError
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.aws.conftest import REGION, TRUST, World, cluster_inputs

pytestmark = pytest.mark.slow

KEY = f"eks-{REGION}-ml"
ACCOUNT = "123456789012"
CALLER = "aws:index/getCallerIdentity:getCallerIdentity"
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


@pytest.fixture
def here(home: Path) -> Iterator[Any]:
    """`here(arn=…, address=…)` sets the caller's identity and address."""
    path = home / "caller.json"
    yield lambda **message: path.write_text(json.dumps(message))
    path.unlink(missing_ok=True)


def identity(**config: Any) -> str:
    """ARN that a provider with this config acts as."""
    provider = AwsProvider()
    provider.configure({"region": REGION, **config})
    return provider.invoke(CALLER, {})["arn"]


def test_the_caller_belongs_to_the_account_that_the_file_allows(home: Path) -> None:
    """security case H3: a stack with an account guard is created unchanged."""
    assert identity() == f"arn:aws:iam::{ACCOUNT}:user/sandbox"
    assert identity(allowedAccountIds=["111122223333"]) == "arn:aws:iam::111122223333:user/sandbox"


def test_credentials_of_another_account_are_refused_by_the_guard(here: Any) -> None:
    """security case H3."""
    here(arn="arn:aws:sts::444455556666:assumed-role/ops/ann")
    with pytest.raises(ProviderError, match="AWS account ID not allowed: 444455556666"):
        identity(allowedAccountIds=["111122223333"])
    assert identity() == "arn:aws:sts::444455556666:assumed-role/ops/ann"


def test_a_provider_with_a_role_acts_as_that_role(here: Any) -> None:
    """security case H3."""
    here(arn="arn:aws:iam::444455556666:user/ann")
    role = "arn:aws:iam::111122223333:role/teams/deployer"
    found = identity(assumeRoles=[{"roleArn": role}], allowedAccountIds=["111122223333"])
    assert found == "arn:aws:sts::111122223333:assumed-role/deployer/pulumi"


@pytest.mark.parametrize("text", ["[]", '{"who": "me"}', '{"arn": 5}', '{"address": "home"}', "{"])
def test_an_invalid_caller_file_is_an_error(here: Any, home: Path, text: str) -> None:
    (home / "caller.json").write_text(text)
    with pytest.raises(SandboxError, match=r"caller\.json is not valid"):
        caller.load()
    (home / "caller.json").unlink()


def test_a_folder_instead_of_the_caller_file_is_an_error(here: Any, home: Path) -> None:
    """reliability case R11."""
    (home / "caller.json").unlink(missing_ok=True)
    (home / "caller.json").mkdir()
    with pytest.raises(SandboxError, match=r"caller\.json is not valid"):
        caller.load()
    (home / "caller.json").rmdir()


def test_the_creator_of_a_cluster_has_exactly_one_access_entry(here: Any, world: World, aws: Any) -> None:
    """field case A12: ResourceInUseException, minutes into the first `up`."""
    made = world.make("aws:iam/role:Role", "deployer", {"name": "deployer", "assumeRolePolicy": TRUST})
    here(arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/ann")
    world.make("aws:eks/cluster:Cluster", "mine", cluster_inputs(world, name="mine"))
    assert aws("eks").list_access_entries(clusterName="mine")["accessEntries"] == [made["arn"]]
    entry = {"clusterName": "mine", "principalArn": made["arn"]}
    message = world.refuses("aws:eks/accessEntry:AccessEntry", entry)
    assert message.startswith("ResourceInUseException") and "already in use" in message
    world.delete("mine")


@pytest.mark.parametrize("address", ["198.51.100.7", "10.0.1.20", "192.168.7.7", ""])
def test_a_private_endpoint_without_a_rule_refuses_every_caller(
    here: Any, world: World, cluster: dict[str, Any], address: str
) -> None:
    """field case A3: EKS admits only nodes to the control plane's group. `""`: addresses that the file allows."""
    only = {"subnetIds": world.made["ml"][3]["vpcConfig"]["subnetIds"], "endpointPublicAccess": False}
    world.change("ml", {"vpcConfig": {**only, "endpointPrivateAccess": True}})
    here(address=address)
    assert "i/o timeout" in reach.blocked(KEY)


@pytest.mark.parametrize(("network", "inside"), [("10.0.0.0/16", "10.0.1.20"), ("100.64.0.0/16", "100.64.0.9")])
def test_a_rule_admits_the_addresses_that_it_names(
    here: Any, world: World, cluster: dict[str, Any], network: str, inside: str
) -> None:
    """field case A3: 443 from the VPC or from what is connected to it, and nothing from elsewhere."""
    only = {"subnetIds": world.made["ml"][3]["vpcConfig"]["subnetIds"], "endpointPublicAccess": False}
    world.change("ml", {"vpcConfig": {**only, "endpointPrivateAccess": True}})
    group = cluster["vpcConfig"]["clusterSecurityGroupId"]
    rule = {"securityGroupId": group, "cidrIpv4": network, "ipProtocol": "tcp", "fromPort": 443, "toPort": 443}
    world.make(RULE, "way-in", rule)
    here(address=inside)
    assert reach.blocked(KEY) == ""
    for outside in ("192.168.7.7", "198.51.100.7"):
        here(address=outside)
        assert "i/o timeout" in reach.blocked(KEY), outside
    world.delete("way-in")


def test_a_public_endpoint_accepts_its_allowed_networks(here: Any, world: World, cluster: dict[str, Any]) -> None:
    """field case A3, from the internet."""
    config = {"subnetIds": world.made["ml"][3]["vpcConfig"]["subnetIds"], "endpointPublicAccess": True}
    world.change("ml", {"vpcConfig": {**config, "publicAccessCidrs": ["8.8.8.0/24"]}})
    here(address="8.8.8.8")
    assert reach.blocked(KEY) == ""
    here(address="8.8.4.4")
    assert "i/o timeout" in reach.blocked(KEY)
    here()
    assert reach.blocked(KEY) == "", "without a word, one is where the file lets people come from"


@pytest.mark.parametrize("zone", ["us-east-1e"])
def test_a_zone_without_control_planes_is_refused(world: World, zone: str) -> None:
    """field case A13: AWS reports it only after VPC, NAT and key have been created."""
    subnet = {"vpcId": world.made["vpc"][2], "cidrBlock": "10.0.9.0/24", "availabilityZone": zone}
    made = world.make("aws:ec2/subnet:Subnet", "subnet-e", subnet)
    given = {"subnetIds": [world.made["subnet-a"][2], made["id"]]}
    message = world.refuses("aws:eks/cluster:Cluster", cluster_inputs(world, name="there", vpcConfig=given))
    assert message.startswith("UnsupportedAvailabilityZoneException") and zone in message
    world.delete("subnet-e")
