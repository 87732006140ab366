"""The nodes of a recorded stack on EKS: the ones that the Cluster Autoscaler expects, and the ones that join.

The autoscaler's expectation depends only on the tags that the program sets on the Auto Scaling group and on the machine
type: the node group's own labels and taints are not known to it once the group has had a node (see
sandbox/aws/node_shape.py, whose code builds both nodes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.aws import gpu_sharing
from recording.recording import Recording, Resource
from recording.stacks import settings
from sandbox.aws import machine_types, node_shape
from sandbox.aws.rows import launch
from sandbox.cluster import gpus
from sandbox.cluster.cloud import Machine, NodeShape
from sandbox.paths import ROOT

REGION = "us-east-1"
GPU, EFA = "nvidia.com/gpu", "vpc.amazonaws.com/efa"
_TEMPLATE = "k8s.io/cluster-autoscaler/node-template/"


def stacks() -> list[str]:
    """Every example environment on EKS in the repository."""
    names = sorted(path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in ROOT.glob("Pulumi.*.yaml"))
    return [name for name in names if settings(name).get("gpuyard:cloud", "aws") == "aws"]


@dataclass(frozen=True)
class Rung:
    """One group of a pool: a rung in a zone.

    `machine_types`: the autoscaler uses the first for all. `tags`: of the Auto Scaling group. `nodegroup`: the answer
    of DescribeNodegroup. `data`: of the launch template.
    """

    name: str
    pool: str
    capacity: str
    zone: str
    machine_types: tuple[str, ...]
    tags: dict[str, str]
    nodegroup: dict[str, Any]
    data: dict[str, Any]

    @property
    def bottlerocket(self) -> bool:
        return self.nodegroup["amiType"].startswith("BOTTLEROCKET")

    @property
    def gpus(self) -> int:
        return int(self.expected().resources.get(GPU, "0"))

    def shown_gpus(self, machine_type: str, configs: Mapping[str, str]) -> int:
        """GPUs that the node shows once a device plugin runs on it. `configs`: the plugin's, by name."""
        count = node_shape.gpu_resources(_facts(machine_type), self.nodegroup, self.data)
        name = self.nodegroup["labels"].get(gpus.CONFIG_LABEL)
        if self.bottlerocket or name is None:
            return count
        shared = gpus.configured(configs[name], gpu_sharing.MPS_LABEL in self.nodegroup["labels"])
        return count * shared.replicas if shared else 0

    @property
    def efa(self) -> int:
        """Number of EFA interfaces in the launch template."""
        return node_shape.interfaces(self.data)

    def expected(self, without: str = "") -> NodeShape:
        """The autoscaler's node. `without`: the end of a tag's key to omit, such as `label/workload`."""
        tags = {key: value for key, value in self.tags.items() if key != _TEMPLATE + without}
        assert not without or len(tags) < len(self.tags), f"{self.name} has no tag {without}"
        return node_shape.template(_facts(self.machine_types[0]), REGION, self.zone, tags, {})

    def joined(self, machine_type: str = "") -> NodeShape:
        """The node that joins, before any device plugin runs on it."""
        facts = _facts(machine_type or self.machine_types[0])
        pods = node_shape.kubelet_pods(facts, self.nodegroup, self.data, prefixes=True)
        return node_shape.joined(facts, REGION, self.zone, self.node_name, self.nodegroup, self.data, pods)

    @property
    def node_name(self) -> str:
        return f"{self.name}.ec2.internal"

    def machine(self, expected: bool) -> Machine:
        """A machine whose node is the expected one, or the one that joins."""
        return Machine(
            id=f"i-{self.name}",
            group=self.name,
            pool=self.pool,
            node_name=self.node_name,
            provider_id=f"aws:///{self.zone}/i-{self.name}",
            node=self.expected() if expected else self.joined(),
            # The expected node already has its devices, without a plugin.
            gpus=0 if expected else self.gpus,
            gpu_ready_by="image" if self.bottlerocket else "device-plugin",
            spot=self.capacity == "spot",
            efa=0 if expected else self.efa,
            device_lists=node_shape.device_lists(self.nodegroup, self.data),
            pins_cpus=node_shape.pins_cpus(self.data),
        )


def groups(made: Recording) -> list[Rung]:
    """Every group of every pool of a recorded stack or component."""
    return [_rung(made, group) for group in made.all("aws:eks/nodeGroup:NodeGroup")]


def rungs(made: Recording) -> list[Rung]:
    """Every rung of every pool, in one zone: its groups in other zones differ only by the zone."""
    found: dict[tuple[str, str], Rung] = {}
    for group in sorted(groups(made), key=lambda group: group.zone):
        first = found.setdefault((group.pool, group.capacity), group)
        assert (group.tags, group.nodegroup["labels"]) == (first.tags, first.nodegroup["labels"])
    return list(found.values())


def _rung(made: Recording, group: Resource) -> Rung:
    asg = group.outputs["resources"][0]["autoscalingGroups"][0]["name"]
    tags = [tag.inputs for tag in made.all("aws:autoscaling/tag:Tag")]
    (template,) = (lt for lt in made.all("LaunchTemplate") if lt.id == group.inputs["launchTemplate"]["id"])
    data = launch.data(template.inputs)
    shown = ("labels", "taints", "amiType", "capacityType", "releaseVersion")
    return Rung(
        name=group.name,
        pool=group.inputs["tags"]["gpuyard.dev/pool"],
        capacity=group.inputs["labels"]["gpuyard.dev/capacity"],
        zone=group.inputs["tags"]["gpuyard.dev/zone"],
        machine_types=tuple(group.inputs.get("instanceTypes") or [data["InstanceType"]]),
        tags={tag["tag"]["key"]: tag["tag"]["value"] for tag in tags if tag["autoscalingGroupName"] == asg},
        nodegroup={"nodegroupName": group.name, **{key: group.inputs.get(key, "") for key in shown}},
        data=data,
    )


def _facts(machine_type: str) -> dict[str, Any]:
    facts = machine_types.find(machine_type)
    assert facts is not None, machine_type
    return facts
