"""A pool on EKS under the recorder, and its resources."""

from __future__ import annotations

from typing import Any

from components.aws.node_pool import EksNodePool
from components.aws.pool_spec import EksNodePoolSpec
from components.pools import NodePoolSpec
from recording.recorder import run
from recording.recording import Recording, Resource
from tests.component.stage import AWS_ZONES, GUIDE_GPU, aws_options, pool

RESERVATION = "cr-0123456789abcdef0"
TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template"


def node_pool(spec: NodePoolSpec | EksNodePoolSpec, name: str = "gpu-workers", **args: Any) -> Recording:
    """A recorded EksNodePool."""
    defaults = {
        "pool": spec,
        "cluster": "train",
        "subnet_ids": {AWS_ZONES[0]: "subnet-1"},
        "kubernetes_version": "1.35",
        "node_role_arn": "arn:aws:iam::123456789012:role/nodes",
        "network_id": "vpc-1",
        "security_group_id": "sg-cluster",
    }
    return run(lambda: EksNodePool(name, {**defaults, **args}, aws_options()))  # type: ignore[typeddict-item]


def autoscaler_tags(recording: Recording) -> dict[str, str]:
    """The tags that the pool puts on its Auto Scaling group."""
    return {
        found.inputs["tag"]["key"]: found.inputs["tag"]["value"] for found in recording.all("aws:autoscaling/tag:Tag")
    }


def efa_pool(machine_type: str, **changes: Any) -> NodePoolSpec:
    """A pool whose machines are interconnected, in one zone."""
    return pool(GUIDE_GPU, machine_types=[machine_type], interconnect=True, zones=["us-east-1a"], **changes)


def rungs(made: Recording) -> dict[str, Resource]:
    """Node group by name, without the zone."""
    return {found.name.removesuffix("-us-east-1a"): found for found in made.all("NodeGroup")}
