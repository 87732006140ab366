"""The effects of changes (`CHANGES` of the node pools, stack/*/changes.py) compared with the resources that a change
changes, and with what the clouds change in place."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from components import arguments
from components.aws import node_pool as aws_node_pool
from components.changes import Effect, Rule
from components.gcp import node_pool as gcp_node_pool
from recording.recording import Recording, Resource
from recording.stacks import record, settings
from sandbox.aws.provider import AwsProvider
from sandbox.gcp import node_pools
from sandbox.gcp.provider import GcpProvider
from stack import changes, on

POOLS, LABEL = "gpuyard:nodePools", "gpuyard.dev/pool"
ZONES = {"aws": ["us-east-1a", "us-east-1b"], "gcp": ["us-central1-a", "us-central1-b"]}
STACKS = {"aws": "dev", "gcp": "dev-gke"}
GROUPS = {"aws": "aws:eks/nodeGroup:NodeGroup", "gcp": "gcp:container/nodePool:NodePool"}
ENDS = "2027-01-31T11:30:00Z"
CR = "cr-0123456789abcdef"
ARN = "arn:aws:resource-groups:us-east-1:123456789012:group/"

DISK = "projects/my-project/global/images/models"

Spec = dict[str, Any]

SHARED_ROCKET: Spec = {
    "machineTypes": ["g6.2xlarge"],
    "image": "bottlerocket",
    "sharing": {"strategy": "time_sharing", "clients": 4},
}

# Field of a pool → (what the pool has, what it gets).
FIELDS: dict[str, dict[str, tuple[Spec, Spec]]] = {
    "aws": {
        "machineTypes": ({}, {"machineTypes": ["m6i.2xlarge"]}),
        "min": ({}, {"min": 1}),
        "max": ({}, {"max": 5}),
        "labels": ({}, {"labels": {"team": "a"}}),
        "taints": ({}, {"taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}]}),
        "capacity": ({}, {"capacity": ["spot", "on_demand"]}),
        "zones": ({"zones": ZONES["aws"][:1]}, {"zones": ZONES["aws"][1:]}),
        "diskGib": ({}, {"diskGib": 200}),
        "scratch": ({"machineTypes": ["m5d.2xlarge"]}, {"scratch": False}),
        "interconnect": ({"machineTypes": ["p5.48xlarge"], "zones": ZONES["aws"][:1]}, {"interconnect": True}),
        "placement": ({"machineTypes": ["c5n.18xlarge"], "zones": ZONES["aws"][:1]}, {"placement": True}),
        "accelerator.type": ({"machineTypes": ["g6.2xlarge"]}, {"accelerator": {"type": "L4"}}),
        "accelerator.count": ({"machineTypes": ["g6.2xlarge"]}, {"accelerator": {"type": "L4", "count": 1}}),
        "acceptWithdrawn": ({}, {"acceptWithdrawn": True}),
        "partition": (
            {"machineTypes": ["p4d.24xlarge"], "image": "bottlerocket", "partition": "1g.5gb"},
            {"partition": "2g.10gb"},
        ),
        "sharing.strategy": (SHARED_ROCKET, {"sharing": {"strategy": "mps", "clients": 4}}),
        "sharing.clients": (SHARED_ROCKET, {"sharing": {"strategy": "time_sharing", "clients": 8}}),
        "fastImagePull": ({"machineTypes": ["g6.2xlarge"]}, {"fastImagePull": False}),
        "repair.maxUnhealthyPercentage": ({}, {"repair": {"maxUnhealthyPercentage": 40}}),
        "repair.maxParallelPercentage": ({}, {"repair": {"maxParallelPercentage": 50}}),
        "repair.xids": ({"machineTypes": ["g6.2xlarge"]}, {"repair": {"xids": {"79": "reboot"}}}),
        "repair.xidWaitMinutes": (
            {"machineTypes": ["g6.2xlarge"], "repair": {"xids": {"79": "reboot"}}},
            {"repair": {"xids": {"79": "reboot"}, "xidWaitMinutes": 5}},
        ),
        "image": ({}, {"image": "bottlerocket"}),
        "release": ({"release": "1.35.1-20260101"}, {"release": "1.35.2-20260201"}),
        "driverBranch": ({"machineTypes": ["g6.2xlarge"], "release": "1.35.1-20260101"}, {"driverBranch": 580}),
        "reservation.id": (
            {"capacity": ["reserved"], "reservation": {"id": CR}, "zones": ZONES["aws"][:1]},
            {"reservation": {"id": CR.replace("0", "9")}},
        ),
        "reservation.groupArn": (
            {"capacity": ["reserved"], "reservation": {"groupArn": f"{ARN}one"}},
            {"reservation": {"groupArn": f"{ARN}two"}},
        ),
        "reservation.capacityBlock": (
            {
                "machineTypes": ["p5.48xlarge"],
                "capacity": ["reserved"],
                "reservation": {"id": CR},
                "zones": ZONES["aws"][:1],
            },
            {"reservation": {"id": CR, "capacityBlock": True}},
        ),
        "reservation.nodes": (
            {"capacity": ["reserved"], "reservation": {"id": CR}, "zones": ZONES["aws"][:1]},
            {"reservation": {"id": CR, "nodes": 4}},
        ),
        "reservation.ends": (
            {"capacity": ["reserved"], "reservation": {"id": CR}, "zones": ZONES["aws"][:1]},
            {"reservation": {"id": CR, "ends": ENDS}},
        ),
        "ami": ({"ami": "ami-0123456789abcdef0"}, {"ami": "ami-0123456789abcdef1"}),
        "nodeSettings": ({}, {"nodeSettings": {"kubelet": {"config": {"cpuManagerPolicy": "static"}}}}),
        "securityGroupIds": ({}, {"securityGroupIds": ["sg-0123456789abcdef0"]}),
        "perZone": ({"zones": ZONES["aws"]}, {"perZone": True}),
        "updatePercentage": ({}, {"updatePercentage": 10}),
        "nodeRepair": ({}, {"nodeRepair": False}),
    },
    "gcp": {
        "machineTypes": ({}, {"machineTypes": ["n2-standard-16"]}),
        "min": ({}, {"min": 1}),
        "max": ({}, {"max": 5}),
        "perZone": ({"zones": ZONES["gcp"]}, {"perZone": True}),
        "labels": ({}, {"labels": {"team": "a"}}),
        "taints": ({}, {"taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}]}),
        "capacity": ({}, {"capacity": ["spot", "on_demand"]}),
        "zones": ({"zones": ZONES["gcp"][:1]}, {"zones": ZONES["gcp"]}),
        "diskGib": ({}, {"diskGib": 200}),
        "scratch": ({"scratch": True}, {"scratch": False}),
        "interconnect": (
            {"machineTypes": ["a3-ultragpu-8g"], "capacity": ["reserved"], "zones": ZONES["gcp"][:1]},
            {"interconnect": True},
        ),
        "placement": ({"zones": ZONES["gcp"][:1], "machineTypes": ["c2-standard-8"]}, {"placement": True}),
        "accelerator.type": (
            {"machineTypes": ["n1-standard-8"], "accelerator": {"type": "nvidia-tesla-t4", "count": 1}},
            {"accelerator": {"type": "nvidia-tesla-v100", "count": 1}},
        ),
        "accelerator.count": (
            {"machineTypes": ["n1-standard-8"], "accelerator": {"type": "nvidia-tesla-t4", "count": 1}},
            {"accelerator": {"type": "nvidia-tesla-t4", "count": 2}},
        ),
        "acceptWithdrawn": ({}, {"acceptWithdrawn": True}),
        "diskType": ({}, {"diskType": "pd-ssd"}),
        "localSsds": ({"scratch": True, "localSsds": 1}, {"localSsds": 2}),
        "driver": ({"machineTypes": ["g2-standard-8"]}, {"driver": "latest"}),
        "partition": (
            {"machineTypes": ["a2-highgpu-1g"], "partition": "1g.5gb"},
            {"partition": "2g.10gb"},
        ),
        "sharing.strategy": (
            {"machineTypes": ["g2-standard-8"], "sharing": {"strategy": "time_sharing", "clients": 4}},
            {"sharing": {"strategy": "mps", "clients": 4}},
        ),
        "sharing.clients": (
            {"machineTypes": ["g2-standard-8"], "sharing": {"strategy": "time_sharing", "clients": 4}},
            {"sharing": {"strategy": "time_sharing", "clients": 8}},
        ),
        "reservation.name": (
            {"capacity": ["reserved"], "reservation": {"name": "one"}, "zones": ZONES["gcp"][:1]},
            {"reservation": {"name": "two"}},
        ),
        "reservation.project": (
            {"capacity": ["reserved"], "reservation": {"name": "one"}, "zones": ZONES["gcp"][:1]},
            {"reservation": {"name": "one", "project": "other-project"}},
        ),
        "reservation.block": (
            {
                "machineTypes": ["a3-ultragpu-8g"],
                "capacity": ["reserved"],
                "reservation": {"name": "one"},
                "zones": ZONES["gcp"][:1],
            },
            {"reservation": {"name": "one", "block": "b1"}},
        ),
        "reservation.subBlock": (
            {
                "machineTypes": ["a3-ultragpu-8g"],
                "capacity": ["reserved"],
                "reservation": {"name": "one", "block": "b1"},
                "zones": ZONES["gcp"][:1],
            },
            {"reservation": {"name": "one", "block": "b1", "subBlock": "s1"}},
        ),
        "reservation.nodes": (
            {"capacity": ["reserved"], "reservation": {"name": "one"}, "zones": ZONES["gcp"][:1]},
            {"reservation": {"name": "one", "nodes": 4}},
        ),
        "reservation.ends": (
            {"capacity": ["reserved"], "reservation": {"name": "one"}, "zones": ZONES["gcp"][:1]},
            {"reservation": {"name": "one", "ends": ENDS}},
        ),
        "podsPerNode": ({}, {"podsPerNode": 64}),
        "podsRange": ({}, {"podsRange": "more"}),
        "sysctls": ({}, {"sysctls": {"net.core.somaxconn": "4096"}}),
        "hugePages.twoMib": ({}, {"hugePages": {"twoMib": 1024}}),
        "hugePages.oneGib": ({"machineTypes": ["c3-standard-88"]}, {"hugePages": {"oneGib": 2}}),
        "cpuManager": ({}, {"cpuManager": "static"}),
        "secondaryBootDisk.image": (
            {"secondaryBootDisk": {"image": DISK}},
            {"secondaryBootDisk": {"image": f"{DISK}2"}},
        ),
        "secondaryBootDisk.mode": (
            {"secondaryBootDisk": {"image": DISK}},
            {"secondaryBootDisk": {"image": DISK, "mode": "data"}},
        ),
        "queued": ({"machineTypes": ["g2-standard-8"], "capacity": ["flex"]}, {"queued": True}),
        "maxRunSeconds": (
            {"machineTypes": ["g2-standard-8"], "capacity": ["flex"], "maxRunSeconds": 3600},
            {"maxRunSeconds": 7200},
        ),
        "placementPolicy": (
            {"zones": ZONES["gcp"][:1], "machineTypes": ["c2-standard-8"], "placement": True, "placementPolicy": "one"},
            {"placementPolicy": "two"},
        ),
        "spotGraceSeconds": ({"capacity": ["spot"], "spotGraceSeconds": 30}, {"spotGraceSeconds": 120}),
        "upgrade.strategy": ({}, {"upgrade": {"strategy": "blue_green"}}),
        "upgrade.maxSurge": ({}, {"upgrade": {"maxSurge": 2}}),
        "upgrade.maxUnavailable": ({}, {"upgrade": {"maxUnavailable": 1}}),
        "upgrade.batchPercentage": (
            {"upgrade": {"strategy": "blue_green"}},
            {"upgrade": {"strategy": "blue_green", "batchPercentage": 20}},
        ),
        "upgrade.batchSoakSeconds": (
            {"upgrade": {"strategy": "blue_green"}},
            {"upgrade": {"strategy": "blue_green", "batchSoakSeconds": 60}},
        ),
        "upgrade.soakSeconds": (
            {"upgrade": {"strategy": "blue_green"}},
            {"upgrade": {"strategy": "blue_green", "soakSeconds": 60}},
        ),
        "nodeRepair": ({}, {"nodeRepair": False}),
        "imageStreaming": ({}, {"imageStreaming": False}),
    },
}
CHANGES = {"aws": aws_node_pool.CHANGES, "gcp": gcp_node_pool.CHANGES}
MACHINES = {"aws": "m5.2xlarge", "gcp": "n2-standard-8"}


def name(field: str) -> str:
    return f"f-{field.lower().replace('.', '-')}"


@pytest.fixture(scope="module", params=["aws", "gcp"])
def cloud(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def both(cloud: str) -> tuple[Recording, Recording]:
    """One environment with a pool for each field, before and after that field of each pool has changed."""
    config = settings(STACKS[cloud])
    config[POOLS] = {"home": {"machineTypes": [MACHINES[cloud]], "min": 1, "max": 1}}
    config["gpuyard:network"] |= {"cidr": "10.0.0.0/16"}
    if cloud == "gcp":
        config["gpuyard:network"] |= {"podsCidr": "10.128.0.0/10", "furtherPodsCidrs": {"more": "100.64.0.0/16"}}
    plain = {"machineTypes": [MACHINES[cloud]], "min": 0, "max": 2}
    for field, (has, _) in FIELDS[cloud].items():
        config[POOLS][name(field)] = plain | has
    after = copy.deepcopy(config)
    for field, (_, gets) in FIELDS[cloud].items():
        after[POOLS][name(field)] |= gets
    return tuple(record(each, STACKS[cloud]) for each in (config, after))  # type: ignore[return-value]


def groups(made: Recording, cloud: str, pool: str) -> dict[str, Resource]:
    def label(found: Resource) -> str:
        return (found.inputs.get("labels") or found.inputs.get("nodeConfig", {}).get("labels") or {}).get(LABEL, "")

    return {found.name: found for found in made.all(GROUPS[cloud]) if label(found) == pool}


def effect(cloud: str, both: tuple[Recording, Recording], pool: str) -> Effect:
    """The effect of the pool's change on engine and cloud."""
    before, after = (groups(made, cloud, pool) for made in both)
    assert before and after
    found = Effect.IN_PLACE
    for key in before:
        if key not in after:
            return Effect.NEW_POOL
        old, new = before[key], after[key]
        provider = AwsProvider() if cloud == "aws" else GcpProvider()
        ignored = tuple(old.options.get("ignoreChanges", ()))
        diff = provider.diff(old.type, old.urn, "id", old.inputs, old.outputs, new.inputs)
        paths = [path for path in diff.changes if not path.startswith(ignored)] if ignored else diff.changes
        if [path for path in diff.replaces if path in paths]:
            return Effect.NEW_POOL
        if cloud == "aws":
            rolled = any(path.startswith(("version", "releaseVersion", "launchTemplate")) for path in paths)
            rolled = rolled or template(both[0], pool) != template(both[1], pool)
        else:
            was, gets = old.inputs["nodeConfig"], new.inputs["nodeConfig"]
            rolled = any(was.get(field) != gets.get(field) for field in node_pools.REBUILD)
        found = Effect.ROLLS if rolled else found
    return found


def template(made: Recording, pool: str) -> list[Any]:
    return [each.inputs for each in made.all("LaunchTemplate") if each.parent.endswith(f"::{pool}")]


@pytest.mark.slow
def test_a_change_of_a_pool_has_the_effect_in_the_table(cloud: str, both: tuple[Recording, Recording]) -> None:
    """Reliability case R1: every field of a pool, on both clouds."""
    rules: dict[str, Rule] = on.changes(cloud).RULES
    declared = {field: rules[f"nodePools.*.{field}"].effect for field in FIELDS[cloud]}
    done = {field: effect(cloud, both, name(field)) for field in FIELDS[cloud]}
    assert {f: e.value for f, e in done.items()} == {f: e.value for f, e in declared.items()}


def test_every_field_of_a_pool_has_a_test(cloud: str) -> None:
    """Reliability case R1. A section is tested by one of its fields; facts of a machine type and a former name change
    nothing that exists, and have separate tests."""
    rules = on.changes(cloud).RULES
    wanted = {path.removeprefix("nodePools.*.") for path in rules if path.startswith("nodePools.*.")}
    sections = {field for field in wanted if any(other.startswith(f"{field}.") for other in wanted)}
    elsewhere = {field for field in wanted if field == "was" or field.startswith("machine.")}
    assert wanted - sections - elsewhere == set(FIELDS[cloud])


def test_every_field_of_a_pool_has_an_effect_on_each_cloud_that_accepts_it(cloud: str) -> None:
    """Reliability case R1: the node pool of a cloud has a row for each field of its pools."""
    (inside, _) = arguments.part(on.shape(cloud).fields["node_pools"].hint)
    assert inside
    names = CHANGES[cloud].keys()
    lacking = ", ".join(sorted(inside.fields.keys() - names))
    assert not lacking, f"write a row for {lacking} into CHANGES of components/{cloud}/node_pool.py"
    unknown = [name for name in names if to_camel_path(name) not in on.changes(cloud).RULES]
    assert not unknown, "not fields of a pool"


def test_exactly_the_fields_of_the_file_have_a_rule(cloud: str) -> None:
    """Reliability case R1: including future fields."""
    known, of_cloud = fields(cloud), on.changes(cloud)
    assert [path for path in known if path not in of_cloud.RULES] == [], "fields without a rule"
    every = [path for each in CHANGES for path in fields(each)]
    for rules, paths in ((of_cloud.OWN, known), (changes.COMMON, every)):
        unknown = [key for key in rules if not any(path == key or path.startswith(f"{key}.") for path in paths)]
        assert unknown == [], "rules without a field"


def to_camel_path(name: str) -> str:
    return f"nodePools.*.{'.'.join(map(to_camel, name.split('.')))}"


def fields(cloud: str) -> list[str]:
    """Every path of the file, by its declaration: without maps of further fields."""
    keys = {"aws": ["aws:region"], "gcp": ["gcp:region", "gcp:project"]}[cloud]
    return ["gpuyard:cloud", *keys, *(path for path in changes.fields(on.shape(cloud)) if path != "cloud")]
