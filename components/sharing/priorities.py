"""Who gives way to whom: priorities of pods, and those of jobs in queues."""

from dataclasses import dataclass
from typing import TypedDict

import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes import _utilities
from typing_extensions import NotRequired

from .. import arguments


@dataclass(frozen=True)
class Priority:
    """A class of pods and, unless `queues` is False, of jobs in queues."""

    name: str
    value: int
    preempts: bool
    """Whether the scheduler evicts pods of lower priorities for such a pod."""
    description: str
    queues: bool = True


SERVING = Priority(
    "gpuyard-serving", 100_000, True, "Model servers: evict batch work and headroom, are never evicted for it."
)
TRAINING = Priority(
    "gpuyard-training", 1_000, False, "Long training: stays when shorter work comes. Only queues preempt for it."
)
BATCH = Priority("gpuyard-batch", 0, True, "Short work, and pods without a class: gives way to all others.")
HEADROOM = Priority("gpuyard-headroom", -10, False, "Placeholders that keep nodes ready: give way to everyone.", False)
# The Cluster Autoscaler ignores pending pods below -10 (FAQ, "How does Cluster Autoscaler work with Pod Priority").

PRIORITIES = (SERVING, TRAINING, BATCH, HEADROOM)
"""All classes, from highest to lowest."""


_API_VERSION = "kueue.x-k8s.io/v1beta2"


class _WorkloadPriorityClass(pulumi.CustomResource):
    """A priority of jobs in queues. The SDK's CustomResource writes only `spec`, which this kind does not have."""

    def __init__(self, name: str, priority: Priority, opts: pulumi.ResourceOptions) -> None:
        super().__init__(
            f"kubernetes:{_API_VERSION}:WorkloadPriorityClass",
            name,
            {
                "apiVersion": _API_VERSION,
                "kind": "WorkloadPriorityClass",
                "metadata": {"name": priority.name},
                "value": priority.value,
                "description": priority.description,
            },
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(version=_utilities.get_version())),
        )


class PrioritiesArgs(TypedDict):
    """Which classes a cluster gets."""

    queues: NotRequired[bool]
    """Whether the cluster has Kueue, whose jobs get the same classes by the label `kueue.x-k8s.io/priority-class`.
    Default: `true`."""
    default: NotRequired[bool]
    """Whether pods without a class are gpuyard-batch. A cluster has one default class: set it to `false` where another
    one is. Default: `true`."""


class Priorities(pulumi.ComponentResource):
    """Priority classes for serving, long training, short batch work and headroom, for pods and for jobs in queues.

    The scheduler evicts batch and training pods for a pending serving pod, and never the other way. It evicts nothing
    for training pods, and only headroom for batch pods: queues decide that, among jobs of one team by these priorities
    (`gpuyard-training` before `gpuyard-batch`). An evicted pod of a job is created again, and waits.

    Works on any cluster; it needs the provider `kubernetes`. With `queues`, let it depend on `Kueue`. Classes have
    fixed names, so a cluster has one. Priorities cannot change; a changed class is created again. A team's queue takes
    back what another borrowed whatever its priority: run model servers without a queue, or within the team's guarantee.
    """

    class_names: pulumi.Output[list[str]]
    """Names of the priority classes, from highest to lowest."""

    def __init__(self, name: str, args: PrioritiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"Priorities {name}", PrioritiesArgs, args)
        super().__init__("gpuyard:index:Priorities", name, None, opts)
        child = pulumi.ResourceOptions(parent=self, delete_before_replace=True)
        # The API changes neither the value nor the policy of a class, and the name is fixed. The provider does not know
        # that it has to replace one (pulumi-kubernetes, provider/pkg/provider/diff.go).
        fixed = pulumi.ResourceOptions.merge(
            child, pulumi.ResourceOptions(replace_on_changes=["value", "preemptionPolicy"])
        )
        made = [
            k8s.scheduling.v1.PriorityClass(
                f"{name}-{each.name}",
                metadata=k8s.meta.v1.ObjectMetaArgs(name=each.name),
                value=each.value,
                global_default=True if each is BATCH and args["default"] else None,
                preemption_policy="PreemptLowerPriority" if each.preempts else "Never",
                description=each.description,
                opts=fixed,
            )
            for each in PRIORITIES
        ]
        for each in PRIORITIES if args["queues"] else ():
            if each.queues:
                _WorkloadPriorityClass(f"{name}-{each.name}-jobs", each, child)
        self.class_names = pulumi.Output.all(*[each.metadata.name for each in made])
        self.register_outputs({"classNames": self.class_names})
