"""Helpers for tests of add-ons: pools, the only Helm release of a recording, the development stack with other pools."""

from __future__ import annotations

from typing import Any

from components.aws.node_pool import EksNodePool
from components.pools import NodePoolSpec
from recording.recording import Recording
from recording.stacks import record, settings
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, aws_options

POOLS: dict[str, NodePoolSpec] = {"cpu-workers": GUIDE_CPU, "gpu-workers": GUIDE_GPU}
RELEASE = "kubernetes:helm.sh/v3:Release"


def eks_pool(name: str, spec: NodePoolSpec) -> EksNodePool:
    """A pool of the cluster `train`."""
    args: Any = {
        "pool": spec,
        "cluster": "train",
        "subnet_ids": dict(zip(AWS_ZONES, ["subnet-a", "subnet-b"])),
        "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
    }
    return EksNodePool(name, args, aws_options())


def release(recording: Recording) -> dict[str, Any]:
    """Inputs of the only Helm release."""
    return recording.one(RELEASE).inputs


def stack_of(**pools: dict[str, Any]) -> Recording:
    """The development stack with its CPU pool and these pools, written as in its file."""
    config = settings("dev")
    pools = {"cpu-workers": config["gpuyard:nodePools"]["cpu-workers"], **pools}
    return record({**config, "gpuyard:nodePools": pools}, "dev")
