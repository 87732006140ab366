"""Reliability case R7: the provider is killed during a request, so that the answer of AWS is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import conflicts, orphans
from sandbox.aws import inventory, lost
from sandbox.aws.api import Api
from sandbox.aws.provider import AwsProvider
from sandbox.aws.rows import rows
from sandbox.plugins import journal
from sandbox.stacks import Stack
from sandbox.tests.unit.aws.conftest import POLICY, REGION, TRUST, World, subnets

STACK = Stack("lost")


class Killed(BaseException):
    """Simulates SIGKILL: no code of the provider runs afterwards."""


@pytest.fixture
def provider(world: World, home: Path) -> Iterator[AwsProvider]:
    (home / "run").mkdir(exist_ok=True)
    made = AwsProvider()
    made.configure({"region": REGION, "defaultTags": {"tags": {"gpuyard-stack": "lost"}}})
    yield made
    journal.clear()


def lose(provider: AwsProvider, monkeypatch: pytest.MonkeyPatch, token: str, name: str, inputs: dict[str, Any]) -> None:
    """AWS creates the object; the provider ends before it reads the answer."""
    urn = f"urn:pulumi:{STACK.name}::gpuyard::{token}::{name}"
    checked, failures = provider.check(token, urn, {}, {"tags": {"Name": name}, **inputs}, b"seed")
    assert failures == []
    call = Api.call

    def killed(self: Api, service: str, operation: str, params: dict[str, Any]) -> Any:
        answer = call(self, service, operation, params)
        if operation.startswith(("Create", "Allocate")):
            raise Killed
        return answer

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Api, "call", killed)
        provider.create(token, urn, checked, False, 60)


LOST: dict[str, dict[str, Any]] = {
    "aws:ec2/vpc:Vpc": {"cidrBlock": "10.9.0.0/16"},
    "aws:ec2/subnet:Subnet": {"vpcId": "{vpc}", "cidrBlock": "10.0.9.0/24", "availabilityZone": f"{REGION}a"},
    "aws:ec2/eip:Eip": {"domain": "vpc"},
    "aws:ec2/natGateway:NatGateway": {"connectivityType": "private", "subnetId": "{subnet}"},
    "aws:ec2/routeTable:RouteTable": {"vpcId": "{vpc}"},
    "aws:ec2/securityGroup:SecurityGroup": {"vpcId": "{vpc}"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"instanceType": "m5.large"},
    "aws:iam/role:Role": {"assumeRolePolicy": TRUST},
    "aws:iam/policy:Policy": {"policy": POLICY},
    "aws:kms/key:Key": {"description": "a key"},
    "aws:efs/fileSystem:FileSystem": {},
}


@pytest.mark.parametrize("token", LOST)
def test_objects_of_a_killed_provider_are_found_and_deleted(
    world: World, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    before = inventory.leftovers()
    known = {"{vpc}": world.made["vpc"][2], "{subnet}": subnets(world)[0]}
    inputs = {key: known.get(value, value) for key, value in LOST[token].items()}
    lose(provider, monkeypatch, token, "thing", inputs)
    assert set(inventory.leftovers()) > set(before)
    reported: list[str] = []
    orphans.announce(STACK, reported.append)
    name = token.rpartition(":")[2]
    assert [name in line for line in reported] == ([True] if token in conflicts.LEAKS else []), reported
    orphans.remove(STACK, reported.append)
    assert reported[-1].startswith(f"removing objects that an earlier run created without an answer: {name} ")
    assert inventory.leftovers() == before
    orphans.announce(STACK, reported.append)
    assert reported[-1].startswith("removing"), "what is gone is not named again"


def test_every_type_with_an_id_from_aws_is_found_or_deleted_with_its_owner() -> None:
    with_another = {"VpcIpv4CidrBlockAssociation", "RouteTableAssociation", "MountTarget", "DefaultSecurityGroup"}
    with_another |= {"SecurityGroupRule", "SecurityGroupIngressRule", "SecurityGroupEgressRule", "Route"}
    with_another |= {"PodIdentityAssociation", "DataRepositoryAssociation"}
    for token, row in rows().items():
        chosen = {name for name in re.findall(r"\{(\w+)\}", row.id) if name[0].isupper()}
        if chosen and token.rpartition(":")[2] not in with_another:
            assert token in lost.FOUND, token


def test_dependents_of_lost_objects_are_deleted_in_the_right_order(
    world: World, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inventory.leftovers()
    lose(provider, monkeypatch, "aws:ec2/eip:Eip", "address", {"domain": "vpc"})
    (address,) = set(inventory.leftovers()) - set(before)
    nat = {"subnetId": subnets(world)[0], "allocationId": address.split()[-1]}
    lose(provider, monkeypatch, "aws:ec2/natGateway:NatGateway", "nat", nat)
    orphans.remove(STACK, lambda _: None)
    assert inventory.leftovers() == before


def test_an_object_with_other_tags_is_kept(
    world: World, provider: AwsProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.make("aws:ec2/eip:Eip", "mine", {"domain": "vpc", "tags": {"Name": "thing"}})
    lose(provider, monkeypatch, "aws:ec2/eip:Eip", "thing", {"domain": "vpc"})
    orphans.remove(STACK, lambda _: None)
    assert [each for each in inventory.leftovers() if each.startswith("elastic ip")] == [
        f"elastic ip {world.made['mine'][2]}"
    ]
    world.delete("mine")
