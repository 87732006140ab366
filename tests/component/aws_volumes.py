"""Storage on AWS under the recorder."""

from __future__ import annotations

import json
from typing import Any

from components.aws.buckets import S3Buckets
from components.aws.lustre import FsxLustre
from components.aws.storage import AwsStorage
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import AWS_ZONES, aws_options

CLUSTER = {"cluster": "train", "kubernetes_version": "1.35"}
PLACE = {
    "network_id": "vpc-1",
    "subnet_ids": dict(zip(AWS_ZONES, ["subnet-1", "subnet-2"])),
    "security_group_id": "sg-nodes",
}
DATASETS = {"bucket": "acme-datasets", "prefix": "train/images"}
CHECKPOINTS = {"bucket": "acme-runs", "prefix": "checkpoints/", "writable": True}


def storage(**args: Any) -> Recording:
    """A recorded AwsStorage called `storage`."""
    return run(lambda: AwsStorage("storage", {**CLUSTER, **PLACE, **args}, aws_options()))  # type: ignore[typeddict-item]


def lustre(**args: Any) -> Recording:
    """A recorded FsxLustre called `lustre` in the second zone."""
    wanted = {**CLUSTER, **PLACE, "zone": "us-east-1b", **args}
    return run(lambda: FsxLustre("lustre", wanted, aws_options()))  # type: ignore[arg-type]


def buckets(**volumes: Any) -> Recording:
    """Recorded S3Buckets called `buckets`, with these buckets."""
    return buckets_of(buckets=volumes or {"datasets": DATASETS, "runs": CHECKPOINTS})


def buckets_of(**args: Any) -> Recording:
    """Recorded S3Buckets called `buckets`."""
    wanted = {**CLUSTER, "region": "us-east-1", "buckets": {"datasets": DATASETS}, **args}
    return run(lambda: S3Buckets("buckets", wanted, aws_options()))  # type: ignore[arg-type]


def named(made: Recording, kind: str, name: str) -> dict[str, Any]:
    """The inputs of the Kubernetes object of that kind whose name in the cluster is `name`."""
    return next(found.inputs for found in made.all(kind) if found.inputs["metadata"]["name"] == name)


def statements(policy: str) -> dict[str, dict[str, Any]]:
    """A policy's statements by their ids."""
    return {found["Sid"]: found for found in json.loads(policy)["Statement"]}
