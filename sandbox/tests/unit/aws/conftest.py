"""A real AWS server without control planes, and the objects that most tests need: a VPC, subnets, a role, a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import process
from sandbox.aws import server, session
from sandbox.aws.fleet import Fleet
from sandbox.aws.provider import AwsProvider
from sandbox.cluster.cloud import Group
from sandbox.plugins.provider import ProviderError

REGION = "us-east-1"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "eks.amazonaws.com"}}],
    }
)
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sandbox folder for the module."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("sandbox")
        patch.setenv("GPUYARD_SANDBOX", str(folder))
        patch.delenv("GPUYARD_SANDBOX_AWS_ENDPOINT", raising=False)
        yield folder
        process.stop(server.NAME)


@pytest.fixture(scope="module")
def aws(home: Path) -> Any:
    """`aws(service)` is a client of the module's server."""
    server.start(control_plane=False)
    return lambda service: session.client(service, REGION)


class World:
    """The provider with a list of its objects, which are deleted in reverse order."""

    def __init__(self) -> None:
        self.provider = AwsProvider()
        self.provider.configure({"region": REGION, "defaultTags": {"tags": {"owner": "tests"}}})
        self.made: dict[str, tuple[str, str, str, dict[str, Any], dict[str, Any]]] = {}

    def make(self, token: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """Checks, previews and creates; returns the outputs with the id."""
        urn = f"urn:pulumi:test::test::{token}::{name}"
        checked, failures = self.provider.check(token, urn, {}, inputs, name.encode())
        assert failures == []
        self.provider.create(token, urn, checked, True, 0)
        id, outputs = self.provider.create(token, urn, checked, False, 60)
        self.made[name] = (token, urn, id, checked, outputs)
        return {**outputs, "id": id}

    def refuses(self, token: str, inputs: dict[str, Any]) -> str:
        """The errors for these inputs: the failures of the check, or the cloud's error."""
        urn = f"urn:pulumi:test::test::{token}::wrong"
        checked, failures = self.provider.check(token, urn, {}, inputs, b"wrong")
        if failures:
            return "; ".join(f"{each.property}: {each.reason}" for each in failures)
        with pytest.raises(ProviderError) as error:
            self.provider.create(token, urn, checked, False, 20)
        return str(error.value)

    def change(self, name: str, changes: dict[str, Any]) -> tuple[list[str], list[str], dict[str, Any]]:
        """Diffs and, without a replacement, updates; returns changes, replaces and the outputs."""
        token, urn, id, inputs, outputs = self.made[name]
        news, failures = self.provider.check(token, urn, inputs, {**inputs, **changes}, b"x")
        assert failures == []
        diff = self.provider.diff(token, urn, id, inputs, outputs, news)
        if not diff.replaces:
            outputs = self.provider.update(token, urn, id, inputs, outputs, news, False, 60)
            self.made[name] = (token, urn, id, news, outputs)
        return diff.changes, diff.replaces, outputs

    def settled(self, name: str, others: set[str] | None = None) -> None:
        """A refresh finds the written values, and a second diff of the program is empty. `others`: outputs that other
        resources have changed since."""
        token, urn, id, inputs, outputs = self.made[name]
        found = self.provider.read(token, urn, id, inputs, outputs)
        assert found is not None
        assert found[1] == inputs
        assert {k: v for k, v in found[2].items() if k not in (others or ())} == {
            k: v for k, v in outputs.items() if k not in (others or ())
        }
        assert self.provider.diff(token, urn, id, inputs, outputs, inputs).changes == []

    def delete(self, name: str) -> None:
        token, urn, id, inputs, outputs = self.made[name]
        self.provider.delete(token, urn, id, inputs, outputs, 60)
        del self.made[name]

    def delete_all(self) -> None:
        for name in reversed(list(self.made)):
            self.delete(name)


@pytest.fixture(scope="module")
def world(aws: Any) -> Iterator[World]:
    """A provider with a VPC, two subnets, a role and a launch template."""
    made = World()
    vpc = made.make("aws:ec2/vpc:Vpc", "vpc", {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True})
    for index, zone in enumerate("ab"):
        subnet = {"vpcId": vpc["id"], "cidrBlock": f"10.0.{index}.0/24", "availabilityZone": f"{REGION}{zone}"}
        made.make("aws:ec2/subnet:Subnet", f"subnet-{zone}", subnet)
    made.make("aws:iam/role:Role", "role", {"assumeRolePolicy": TRUST})
    disk = {"deviceName": "/dev/xvda", "ebs": {"volumeSize": 200, "volumeType": "gp3", "encrypted": "true"}}
    made.make("aws:ec2/launchTemplate:LaunchTemplate", "template", {"blockDeviceMappings": [disk]})
    yield made
    made.delete_all()


@pytest.fixture(scope="module")
def cluster(world: World) -> dict[str, Any]:
    """An EKS cluster."""
    return world.make("aws:eks/cluster:Cluster", "ml", cluster_inputs(world))


def subnets(world: World) -> list[str]:
    return [world.made[name][2] for name in ("subnet-a", "subnet-b")]


def role_arn(world: World) -> str:
    return world.made["role"][4]["arn"]


def cluster_inputs(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "name": "ml",
        "roleArn": role_arn(world),
        "version": "1.34",
        "vpcConfig": {"subnetIds": subnets(world)},
        "accessConfig": {"authenticationMode": "API"},
        **changes,
    }


def nodegroup_inputs(world: World, **changes: Any) -> dict[str, Any]:
    """The guide's GPU node group."""
    return {
        "clusterName": "ml",
        "nodeGroupNamePrefix": "gpu-workers-",
        "nodeRoleArn": role_arn(world),
        "subnetIds": subnets(world),
        "launchTemplate": {"id": world.made["template"][2], "version": "1"},
        "instanceTypes": ["g6.2xlarge"],
        "amiType": "AL2023_x86_64_NVIDIA",
        "capacityType": "SPOT",
        "scalingConfig": {"minSize": 0, "maxSize": 10, "desiredSize": 0},
        "labels": {"workload": "gpu-training", "gpuyard.dev/pool": "gpu-workers"},
        "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}],
        **changes,
    }


@pytest.fixture
def fleet(world: World, cluster: dict[str, Any]) -> Fleet:
    return Fleet(REGION, "ml")


@pytest.fixture
def pool(world: World, cluster: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    name = request.node.name.replace("[", "-").replace("]", "")[-30:]
    yield world.make("aws:eks/nodeGroup:NodeGroup", name, nodegroup_inputs(world, **getattr(request, "param", {})))
    world.delete(name)


@pytest.fixture
def group_of(world: World, fleet: Fleet) -> Iterator[Any]:
    """`group_of(template=…, **changes)`: the guide's GPU node group on a launch template of these inputs."""
    made: list[str] = []

    def make(template: dict[str, Any], **changes: Any) -> Group:
        number = len(made) // 2
        launch = world.make("aws:ec2/launchTemplate:LaunchTemplate", f"launch-{number}", template)
        inputs = nodegroup_inputs(world, launchTemplate={"id": launch["id"], "version": "1"}, **changes)
        group = world.make("aws:eks/nodeGroup:NodeGroup", f"group-{number}", inputs)
        made.extend([f"launch-{number}", f"group-{number}"])
        name = group["resources"][0]["autoscalingGroups"][0]["name"]
        return next(found for found in fleet.groups() if found.id == name)

    yield make
    for name in reversed(made):
        world.delete(name)
