"""Every wrong value of a stack's file meets one error: where it stands, what it is, what is allowed, how to mend it."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import dataclass
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stack import environment
from stack.cloud_keys import CloudKeys
from tests.config import eks_nodes, gke, gke_pools, network, sources
from tests.config.network import DELETE, NET
from tests.stacks import ALL, record, recorded, settings

PROBLEM = re.compile(
    r"^  (?P<path>\S.*?) = (?P<value>.*?): (?P<wrong>.*)\n    allowed: (?P<allowed>.*)\n    fix: (?P<fix>.*)$", re.M
)


@dataclass(frozen=True)
class Told:
    """One problem as the person reads it."""

    path: str
    value: str
    wrong: str
    allowed: str
    fix: str


def changed(stack: str, changes: dict[str, Any]) -> dict[str, Any]:
    """The stack's config with values set (or deleted) at dotted paths; lists by index."""
    config = copy.deepcopy(settings(stack))
    for path, value in changes.items():
        *parents, last = path.split("/")
        place: Any = config
        for part in parents:
            place = place[int(part) if isinstance(place, list) else part]
        if value is DELETE:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return config


def parse(stack: str, config: dict[str, Any]) -> environment.Environment:
    """What `environment.load` does with this config, less the engine."""
    own = {key.split(":")[1]: _typed(value) for key, value in config.items() if key.startswith("gpuyard:")}
    return environment.parse(
        {key: value for key, value in own.items() if key in environment._declared()},
        present=set(own),
        stack=stack,
        keys=CloudKeys({key: _typed(value) for key, value in config.items() if not key.startswith("gpuyard:")}),
    )


def _typed(value: Any) -> Any:
    """Text is read as JSON where it is JSON: `pulumi config set` writes nothing but text."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def refused(stack: str, changes: dict[str, Any]) -> str:
    """The text of the refusal."""
    with pytest.raises(pulumi.RunError) as caught:
        parse(stack, changed(stack, changes))
    return str(caught.value)


def told(stack: str, changes: dict[str, Any]) -> list[Told]:
    """Every problem in the refusal of these changes."""
    return [Told(**found.groupdict()) for found in PROBLEM.finditer(refused(stack, changes))]


GPU = "gpuyard:nodePools/gpu-workers"
GPUS = "gpuyard:nodePools.gpu-workers"
RESERVATION = "cr-0123456789abcdef0"
BLOCK = {"id": RESERVATION, "capacityBlock": True}
CPU = "gpuyard:nodePools/cpu-workers"
LUSTRE = {"zone": "us-east-1a"}

# (stack, what is changed, the path in the error, words that the error must hold)
MISTAKES: list[tuple[str, dict[str, Any], str, list[str]]] = [
    # keys
    ("dev", {"gpuyard:nodePool": {}}, "gpuyard:nodePool", ["unknown key", "write nodePools"]),
    ("dev", {"gpuyard:flavour": "x"}, "gpuyard:flavour", ["unknown key", "remove it"]),
    ("dev", {f"{GPU}/machineType": "g6.2xlarge"}, "gpuyard:nodePools.gpu-workers.machineType", ["write machineTypes"]),
    ("dev", {f"{NET}/zone": []}, "gpuyard:network.zone", ["unknown key", "write zones"]),
    ("dev", {"gpuyard:addons": {"dcgmexporter": True}}, "gpuyard:addons.dcgmexporter", ["write dcgmExporter"]),
    ("dev", {f"{GPU}/min": DELETE}, "gpuyard:nodePools.gpu-workers.min", ["missing", "a whole number"]),
    ("dev", {"gpuyard:nodePools": DELETE}, "gpuyard:nodePools", ["missing"]),
    ("dev", {"aws:region": DELETE}, "aws:region", ["missing", "pulumi config set aws:region"]),
    ("dev-gke", {"gcp:project": DELETE}, "gcp:project", ["missing", "pulumi config set gcp:project"]),
    # types
    ("dev", {f"{GPU}/max": "ten"}, "gpuyard:nodePools.gpu-workers.max", ["a whole number"]),
    ("dev", {f"{GPU}/min": 0.5}, "gpuyard:nodePools.gpu-workers.min", ["a whole number"]),
    ("dev", {f"{GPU}/machineTypes": "g6.2xlarge"}, "gpuyard:nodePools.gpu-workers.machineTypes", ["a list"]),
    ("dev", {"gpuyard:deletionProtection": "maybe"}, "gpuyard:deletionProtection", ["true or false"]),
    ("dev", {f"{GPU}/labels/workload": True}, "gpuyard:nodePools.gpu-workers.labels.workload", ["string"]),
    ("dev", {"gpuyard:cloud": "azure"}, "gpuyard:cloud", ["aws, gcp"]),
    ("dev", {"gpuyard:cloud": ["aws"]}, "gpuyard:cloud", ["aws, gcp"]),
    ("dev", {"gpuyard:cloud": {"aws": True}}, "gpuyard:cloud", ["aws, gcp"]),
    ("dev", {"gpuyard:cloud": None}, "gpuyard:cloud", ["aws, gcp"]),
    ("dev", {"gpuyard:nodePools": {}}, "gpuyard:nodePools", ["at least 1"]),
    *network.MISTAKES,
    # cluster
    ("dev", {"gpuyard:cluster/version": "1.12"}, "gpuyard:cluster.version", ["1.35"]),
    ("dev", {"gpuyard:cluster/name": "my cluster"}, "gpuyard:cluster.name", ["letters, digits"]),
    ("dev", {"gpuyard:cluster/name": "größe"}, "gpuyard:cluster.name", ["letters, digits"]),
    ("dev", {"gpuyard:cluster/name": "-abc"}, "gpuyard:cluster.name", ["'-' not first"]),
    ("dev", {"gpuyard:cluster/name": "abc\n"}, "gpuyard:cluster.name", ["letters, digits"]),
    ("dev", {"gpuyard:cluster/name": "٣"}, "gpuyard:cluster.name", ["letters, digits"]),
    ("dev", {"gpuyard:cluster/publicAccessCidrs": ["everyone"]}, "gpuyard:cluster.publicAccessCidrs[0]", ["IPv4"]),
    ("dev", {"gpuyard:cluster/logTypes": ["apis"]}, "gpuyard:cluster.logTypes[0]", ["api, audit"]),
    (
        "dev",
        {"gpuyard:cluster/access": {"ops": {"principalArn": "me", "level": "admin"}}},
        "gpuyard:cluster.access.ops.principalArn",
        ["no ARN of an IAM role or user", "arn:aws:iam::"],
    ),
    (
        "dev",
        {"gpuyard:cluster/access": {"ops": {"principalArn": "arn:aws:iam::123456789012:role/o", "level": "root"}}},
        "gpuyard:cluster.access.ops.level",
        ["admin, edit, view"],
    ),
    (
        "dev",
        {
            "gpuyard:cluster/access": {
                "me": {"principalArn": "arn:aws:sts::123456789012:assumed-role/ops/me", "level": "admin"}
            }
        },
        "gpuyard:cluster.access.me.principalArn",
        ["a session of a role", "aws iam get-role --role-name ops", "arn:aws:iam::123456789012:role/ops"],
    ),
    (
        "dev",
        {"gpuyard:cluster/access": {"all": {"principalArn": "arn:aws:iam::123456789012:root", "level": "view"}}},
        "gpuyard:cluster.access.all.principalArn",
        ["root user", "name a role"],
    ),
    (
        "dev",
        {
            "gpuyard:cluster/access": {
                "ops": {"principalArn": "arn:aws:iam::123456789012:role/o", "level": "admin"},
                "people": {"principalArn": "arn:aws:iam::123456789012:role/o", "level": "view"},
            }
        },
        "gpuyard:cluster.access.people.principalArn",
        ["the same as that of access.ops", "keep ops or people"],
    ),
    (
        "dev",
        {
            "gpuyard:cluster/access": {
                "team": {
                    "principalArn": "arn:aws:iam::123456789012:role/o",
                    "level": "edit",
                    "namespaces": ["team-a", "Team B"],
                }
            }
        },
        "gpuyard:cluster.access.team.namespaces[1]",
        ["no name of a Kubernetes namespace"],
    ),
    (
        "dev",
        {"gpuyard:cluster/publicAccessCidrs": ["10.0.0.0/8"]},
        "gpuyard:cluster.publicAccessCidrs[0]",
        ["no public"],
    ),
    ("dev", {"gpuyard:cluster/support": "Standard"}, "gpuyard:cluster.support", ["write standard"]),
    ("dev", {"gpuyard:cluster/logDays": 45}, "gpuyard:cluster.logDays", ["CloudWatch", "write 60"]),
    ("dev", {"gpuyard:cluster/logDays": 0}, "gpuyard:cluster.logDays", ["for ever", "write 90"]),
    (
        "dev",
        {"gpuyard:cluster/addonVersions": {"vpc-cnii": "v1.22.4-eksbuild.3"}},
        "gpuyard:cluster.addonVersions.vpc-cnii",
        ["no add-on that is installed here", "write vpc-cni"],
    ),
    (
        "dev",
        {"gpuyard:cluster/addonVersions": {"aws-mountpoint-s3-csi-driver": "v2.4.1-eksbuild.1"}},
        "gpuyard:cluster.addonVersions.aws-mountpoint-s3-csi-driver",
        ["takes no node away", "v2.5.0-eksbuild.1 or later"],  # mountpoint-s3-csi-driver#675
    ),
    (
        "dev",
        {"gpuyard:cluster/addonVersions": {"aws-efs-csi-driver": "4.4.1"}},
        "gpuyard:cluster.addonVersions.aws-efs-csi-driver",
        ["a Helm chart's version is another one", "--addon-name aws-efs-csi-driver --kubernetes-version 1.35"],
    ),
    ("dev", {"gpuyard:cluster/releaseChannel": "RAPID"}, "gpuyard:cluster.releaseChannel", ["environments on gcp"]),
    ("dev-gke", {"gpuyard:cluster/releaseChannel": "FAST"}, "gpuyard:cluster.releaseChannel", ["RAPID, REGULAR"]),
    # pools
    ("dev", {f"{CPU}/min": 21}, "gpuyard:nodePools.cpu-workers.min", ["greater than max = 20", "raise max to 21"]),
    ("dev", {f"{GPU}/max": 0}, "gpuyard:nodePools.gpu-workers.max", ["1 to 1000"]),
    ("dev", {f"{GPU}/min": -1}, "gpuyard:nodePools.gpu-workers.min", ["scale to zero"]),
    (
        "dev",
        {f"{GPU}/machineTypes/0": "g6.2xlrage"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["unknown machine type", "g6.2xlarge"],
    ),
    (
        "dev",
        {f"{GPU}/machineTypes/0": "p3.2xlarge"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["withdrawn", "g6.2xlarge", "acceptWithdrawn"],
    ),
    (
        "dev",
        {f"{GPU}/machineTypes/0": "g2-standard-8"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["unknown machine type"],
    ),
    (
        "dev-gke",
        {f"{GPU}/machineTypes/0": "g2-standard-9"},
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["g2-standard-"],
    ),
    (
        "dev",
        {
            f"{GPU}/machineTypes/0": "m5.2xlarge",
            f"{GPU}/taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}],
        },
        "gpuyard:nodePools.gpu-workers.machineTypes[0]",
        ["without a GPU type"],
    ),
    (
        "dev",
        {f"{GPU}/accelerator": {"type": "A100"}},
        "gpuyard:nodePools.gpu-workers.accelerator.type",
        ["another GPU", "write L4"],
    ),
    (
        "dev",
        {f"{GPU}/taints": [{"key": "team", "value": "a", "effect": "NO_SCHEDULE"}]},
        "gpuyard:nodePools.gpu-workers.taints[0].effect",
        ["NoSchedule, PreferNoSchedule, NoExecute", "write NoSchedule"],
    ),
    ("dev", {f"{GPU}/zones": ["us-east-1c"]}, "gpuyard:nodePools.gpu-workers.zones[0]", ["network.zones"]),
    ("dev", {f"{GPU}/capacity": ["spott"]}, "gpuyard:nodePools.gpu-workers.capacity[0]", ["spot, on_demand"]),
    ("dev", {f"{GPU}/capacity": ["spot", "spot"]}, "gpuyard:nodePools.gpu-workers.capacity", ["each rung once"]),
    ("dev", {f"{GPU}/diskGib": 8}, "gpuyard:nodePools.gpu-workers.diskGib", ["30 to 16384 GiB"]),
    ("dev", {f"{GPU}/labels": {"work load": "x"}}, "gpuyard:nodePools.gpu-workers.labels.work load", ["label key"]),
    (
        "dev",
        {"gpuyard:nodePools/GPU_pool": {"machineTypes": ["g6.xlarge"], "min": 0, "max": 1}},
        "gpuyard:nodePools.GPU_pool",
        ["lower-case"],
    ),
    ("dev", {CPU: DELETE}, "gpuyard:nodePools", ["no pool without GPUs", "cpu-workers"]),
    (
        "dev-gke",
        {f"{GPU}/machineTypes": ["g2-standard-8", "g2-standard-16"]},
        "gpuyard:nodePools.gpu-workers.machineTypes",
        ["one machine type"],
    ),
    *eks_nodes.MISTAKES,
    # node pools on EKS
    ("dev", {f"{GPU}/image": "ubuntu"}, f"{GPUS}.image", ["al2023, bottlerocket"]),
    ("dev", {f"{GPU}/release": "latest"}, f"{GPUS}.release", ["1.35.6-20260714"]),
    ("dev", {f"{GPU}/release": "1.35.6-20261399"}, f"{GPUS}.release", ["1.35.6-20260714"]),
    ("dev", {f"{GPU}/release": "1.34.9-20260714"}, f"{GPUS}.release", ["1.35.PATCH-DATE"]),
    (
        "dev",
        {f"{GPU}/machineTypes": ["g7.2xlarge"]},
        f"{GPUS}.machineTypes[0]",
        ["driver branch 580", "595 or later"],
    ),
    (
        "guide",
        {f"{GPU}/release": "1.35.8-20260930", f"{GPU}/driverBranch": 595},
        f"{GPUS}.driverBranch",
        ["V100", "450 to 580"],
    ),
    ("dev", {f"{GPU}/machineTypes": ["g6f.2xlarge"]}, f"{GPUS}.machineTypes[0]", ["fraction of a GPU"]),
    ("dev", {f"{GPU}/machineTypes": ["trn1.2xlarge"]}, f"{GPUS}.machineTypes[0]", ["Trainium"]),
    ("dev", {f"{GPU}/machineTypes": ["hpc7a.12xlarge"]}, f"{GPUS}.machineTypes[0]", ["not offered as spot"]),
    ("dev", {f"{GPU}/scratch": True, f"{GPU}/machineTypes": ["m5.2xlarge"]}, f"{GPUS}.scratch", ["no local NVMe"]),
    (
        "dev",
        {f"{GPU}/interconnect": True, f"{GPU}/zones": ["us-east-1a"]},
        f"{GPUS}.machineTypes[0]",
        ["has no EFA", "g6.8xlarge"],
    ),
    (
        "dev",
        {f"{GPU}/interconnect": True, f"{GPU}/machineTypes": ["p5.48xlarge"]},
        f"{GPUS}.zones",
        ["within one zone", "zones: [us-east-1a]"],
    ),
    ("dev", {f"{GPU}/placement": True}, f"{GPUS}.zones", ["`placement` works within one zone"]),
    (
        "dev",
        {
            f"{GPU}/interconnect": True,
            f"{GPU}/zones": ["us-east-1a"],
            f"{GPU}/machineTypes": ["p5.48xlarge", "p5en.48xlarge"],
        },
        f"{GPUS}.machineTypes",
        ["as many interfaces"],
    ),
    ("dev", {f"{GPU}/capacity": ["reserved"]}, f"{GPUS}.reservation", ["draws on nothing", "cr-"]),
    (
        "dev",
        {f"{GPU}/reservation": BLOCK, f"{GPU}/machineTypes": ["p5.48xlarge"], f"{GPU}/zones": ["us-east-1a"]},
        f"{GPUS}.capacity",
        ["a capacity block", "never as spot", "[reserved, spot]"],
    ),
    ("dev", {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": {}}, f"{GPUS}.reservation", ["one thing"]),
    (
        "dev",
        {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": {"id": "res-1"}, f"{GPU}/zones": ["us-east-1a"]},
        f"{GPUS}.reservation.id",
        ["cr-"],
    ),
    (
        "dev",
        {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": {"groupArn": "gpus"}},
        f"{GPUS}.reservation.groupArn",
        ["arn:aws:resource-groups"],
    ),
    (
        "dev",
        {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": BLOCK, f"{GPU}/machineTypes": ["p5.48xlarge"]},
        f"{GPUS}.zones",
        ["a capacity block lies in one zone, the pool in 2"],
    ),
    (
        "dev",
        {f"{GPU}/capacity": ["reserved"], f"{GPU}/reservation": BLOCK, f"{GPU}/zones": ["us-east-1a"]},
        f"{GPUS}.machineTypes[0]",
        ["not sold in capacity blocks"],
    ),
    (
        "dev",
        {
            f"{GPU}/capacity": ["reserved"],
            f"{GPU}/reservation": {"id": RESERVATION},
            f"{GPU}/zones": ["us-east-1a"],
            f"{GPU}/machineTypes": ["g6.2xlarge", "g5.2xlarge"],
        },
        f"{GPUS}.machineTypes",
        ["of one machine type"],
    ),
    (
        "dev",
        {
            f"{GPU}/capacity": ["reserved"],
            f"{GPU}/reservation": {"id": RESERVATION},
            f"{GPU}/zones": ["us-east-1a"],
            f"{GPU}/placement": True,
        },
        f"{GPUS}.placement",
        ["InsufficientInstanceCapacity"],
    ),
    (
        "dev",
        {f"{GPU}/taints": [{"key": "a", "effect": "NoSchedule"}, {"key": "a", "effect": "NoExecute"}]},
        f"{GPUS}.taints[1]",
        ["unique by key", "keep a:NoSchedule"],
    ),
    *(
        ("dev", {f"{GPU}/labels": {key: value}}, f"{GPUS}.labels.{key}", words)
        for key, value, words in (
            ("node-role.kubernetes.io/gpu", "true", ["never joins"]),
            ("kubernetes.io/team", "a", ["EKS refuses"]),
            ("topology.kubernetes.io/zone", "us-east-1a", ["EKS refuses"]),
            ("example.k8s.io/team", "a", ["EKS refuses"]),
            ("eks.amazonaws.com/x", "a", ["EKS's own"]),
            ("node.kubernetes.io/instance-type", "big", ["rename the key"]),
            ("team", "", ["no empty value", "1 to 63"]),
            (f"{'x' * 40}.example.org/{'y' * 24}", "a", ["77 characters", "up to 63"]),
        )
    ),
    *(
        ("dev", {f"{GPU}/taints": taints}, path, words)
        for taints, path, words in (
            (
                [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}],
                f"{GPUS}.taints[0].key",
                ["takes it off again"],
            ),
            (
                [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}],
                f"{GPUS}.taints[0].key",
                ["takes it off again"],
            ),
            ([{"key": "a", "effect": "NoSchedule"}] * 2, f"{GPUS}.taints[1]", ["same key twice"]),
            ([{"key": f"{'x' * 40}.org/{'y' * 24}", "effect": "NoSchedule"}], f"{GPUS}.taints[0].key", ["up to 63"]),
            ([{"key": f"k{n}", "effect": "NoSchedule"} for n in range(51)], f"{GPUS}.taints", ["up to 50"]),
        )
    ),
    ("dev", {f"{GPU}/labels": {f"k{n}": "v" for n in range(40)}}, f"{GPUS}.labels", ["tag on the Auto Scaling group"]),
    *(
        ("dev", {f"{GPU}/machineTypes": types, f"{GPU}/capacity": ["spot"]}, f"{GPUS}.machineTypes", words)
        for types, words in (
            (["g6.16xlarge", "g6.xlarge"], ["another is smaller", "write g6.xlarge first"]),
            (["m5.24xlarge", "m5.large"], ["write m5.large first"]),
            (["c5.4xlarge", "r5.2xlarge"], ["make a pool for each size"]),
            (["p5.4xlarge", "g4dn.xlarge"], ["write g4dn.xlarge first"]),
        )
    ),
    ("dev", {f"{GPU}/machineTypes": ["g6.2xlarge"] * 2}, f"{GPUS}.machineTypes[1]", ["named twice"]),
    ("dev", {f"{CPU}/min": 0}, "gpuyard:nodePools", ["DNS and the autoscaler", "write min: 1 in cpu-workers"]),
    (
        "dev",
        {f"{CPU}/taints": [{"key": "team", "value": "a", "effect": "NoSchedule"}]},
        "gpuyard:nodePools",
        ["without taints", "min 2, tainted", "add a pool"],
    ),
    ("dev", {f"{GPU}/updatePercentage": 0}, f"{GPUS}.updatePercentage", ["1 to 100"]),
    (
        "dev",
        {"gpuyard:nodePools/train-spot": {"machineTypes": ["g6.xlarge"], "min": 0, "max": 1}},
        "gpuyard:nodePools.train-spot",
        ["ends like"],
    ),
    *gke_pools.MISTAKES,
    # the rest
    *sources.MISTAKES,
    *gke.MISTAKES,
    ("dev", {"gpuyard:storage": {"filestoreTier": "zonal"}}, "gpuyard:storage.filestoreTier", ["environments on gcp"]),
    ("dev", {"gpuyard:storage": {"backups": "daily"}}, "gpuyard:storage.backups", ["true or false"]),
    ("dev", {"gpuyard:storage": {"lustre": {}}}, "gpuyard:storage.lustre.zone", ["missing"]),
    ("dev", {"gpuyard:storage": {"lustre": LUSTRE | {"size": 1200}}}, "gpuyard:storage.lustre.size", ["write sizeGib"]),
    (
        "dev",
        {"gpuyard:storage": {"lustre": {"zone": "us-east-1z"}}},
        "gpuyard:storage.lustre.zone",
        ["not a zone of the network", "us-east-1a"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"lustre": LUSTRE | {"sizeGib": 5000}}},
        "gpuyard:storage.lustre.sizeGib",
        ["multiples of 2400 GiB", "write 7200"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"lustre": LUSTRE | {"throughput": 200}}},
        "gpuyard:storage.lustre.throughput",
        ["125, 250, 500, 1000"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"lustre": LUSTRE | {"s3": "arn:aws:s3:::acme"}}},
        "gpuyard:storage.lustre.s3",
        ["no address of a bucket", "s3://BUCKET"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"buckets": {"data": {"bucket": "Acme_Data"}}}},
        "gpuyard:storage.buckets.data.bucket",
        ["no name of a bucket", "3 to 63 lower-case"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"buckets": {"data": {"bucket": "acme", "prefix": "/train/*"}}}},
        "gpuyard:storage.buckets.data.prefix",
        ["train/images/", "wildcards"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"buckets": {"Data": {"bucket": "acme"}}}},
        "gpuyard:storage.buckets.Data",
        ["rename the volume"],
    ),
    (
        "dev",
        {"gpuyard:storage": {"buckets": {"data": {"bucket": "acme", "write": True}}}},
        "gpuyard:storage.buckets.data.write",
        ["unknown key", "write writable"],
    ),
    ("dev", {"gpuyard:addons": {"scaleDownAfterMinutes": 0}}, "gpuyard:addons.scaleDownAfterMinutes", ["1"]),
]


@pytest.mark.parametrize(
    ("stack", "changes", "path", "words"),
    MISTAKES,
    ids=[f"{stack}-{path}-{index}" for index, (stack, _, path, _) in enumerate(MISTAKES)],
)
def test_a_mistake_meets_one_error_with_path_value_allowed_and_fix(
    stack: str, changes: dict[str, Any], path: str, words: list[str]
) -> None:
    text = refused(stack, changes)
    problems = told(stack, changes)
    assert [found.path for found in problems] == [path], text
    for word in words:
        assert word in text, f"{word!r} is not in:\n{text}"
    assert problems[0].allowed and problems[0].fix
    assert f"Pulumi.{stack}.yaml" in text
    assert "Traceback" not in text and "pydantic" not in text and "errors.pydantic.dev" not in text


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"aws:region": "us-east1"}, "aws:region"),
        ({f"{CPU}/accelerator": {"type": "L4"}}, "gpuyard:nodePools.cpu-workers.machineTypes[0]"),
    ],
)
def test_of_a_mistake_with_consequences_the_cause_is_told_first(changes: dict[str, Any], cause: str) -> None:
    assert told("dev", changes)[0].path == cause


def test_the_program_itself_stops_at_the_error_and_has_made_nothing() -> None:
    """The way through the engine: objects as JSON text, keys that the program does not know."""
    with pytest.raises(pulumi.RunError) as caught:
        record(changed("dev", {f"{CPU}/min": 30, "gpuyard:flavour": "x"}), "dev")
    assert {found["path"] for found in PROBLEM.finditer(str(caught.value))} == {
        "gpuyard:nodePools.cpu-workers.min",
        "gpuyard:flavour",
    }


def test_all_mistakes_are_told_at_once() -> None:
    paths = {found.path for found in told("dev", {f"{CPU}/min": 30, f"{NET}/nat": "x", f"{GPU}/diskGib": 1})}
    assert paths == {
        "gpuyard:nodePools.cpu-workers.min",
        "gpuyard:network.nat",
        "gpuyard:nodePools.gpu-workers.diskGib",
    }


@pytest.mark.parametrize("stack", ALL)
def test_the_stacks_of_this_repository_have_no_mistake(stack: str) -> None:
    """seed row S24"""
    recorded(stack)


@pytest.mark.parametrize("stack", ALL)
def test_numbers_and_switches_given_on_the_command_line_are_taken_as_such(stack: str) -> None:
    """`pulumi config set gpuyard:deletionProtection true` writes text."""
    made = record({**settings(stack), "gpuyard:deletionProtection": "true"}, stack)
    assert any(found.options.get("protect") for found in made.resources.values())


_plain = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=6) | st.floats(allow_nan=False)
_value = st.recursive(
    _plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
)
_places = st.sampled_from(
    [
        (), ("network",), ("network", "cidr"), ("network", "zones"), ("cluster",), ("cluster", "access"),
        ("nodePools",), ("nodePools", "gpu-workers"), ("nodePools", "gpu-workers", "taints"),
        ("nodePools", "gpu-workers", "labels"), ("nodePools", "gpu-workers", "machineTypes"),
        ("nodePools", "gpu-workers", "accelerator"), ("addons",), ("charts",), ("tags",), ("storage",),
    ]
)  # fmt: skip


@pytest.mark.slow
@hypothesis_settings(max_examples=300, deadline=None)
@given(place=_places, key=st.sampled_from(["min", "max", "zones", "nodePools", "type", "effect", "x"]), value=_value)
def test_whatever_stands_in_the_file_the_answer_is_a_config_or_one_clear_error(
    place: Any, key: str, value: Any
) -> None:
    """No input of any shape gets through to a traceback."""
    raw = {
        name.split(":")[1]: copy.deepcopy(found)
        for name, found in settings("dev").items()
        if name.startswith("gpuyard:")
    }
    target: Any = raw
    for part in place:
        target = target.setdefault(part, {}) if isinstance(target, dict) else target
    if isinstance(target, dict):
        target[key] = value
    elif isinstance(target, list):
        target.append(value)
    else:
        raw["network"]["cidr"] = value
    try:
        parse("dev", {"aws:region": "us-east-1", **{f"gpuyard:{name}": found for name, found in raw.items()}})
    except pulumi.RunError as error:
        assert PROBLEM.search(str(error)), str(error)
