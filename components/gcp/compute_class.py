"""The order of a pool's rungs on GKE: a ComputeClass, as the priorities of the Cluster Autoscaler's expander on EKS."""

from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

API_VERSION = "cloud.google.com/v1"


class GkeComputeClassArgs(TypedDict):
    """`node_pool_names`: physical names of the node pools, best first, of which each bears the label and the taint
    `cloud.google.com/compute-class` with the name of the class."""

    node_pool_names: pulumi.Input[list[str]]


class GkeComputeClass(pulumi.ComponentResource):
    """Tells GKE's autoscaler in which order it tries node pools; the name of the resource is that of the class.

    Takes the provider `kubernetes`. Without it the autoscaler would take the cheapest pool, as it thinks, and
    flex-start has no price of its own. Does not make pools by itself (no auto-creation), moves no pod that runs (no
    active migration) and starts nothing else when no pool has room. It orders new nodes: a free one of a lower rung is
    filled first. The kind comes with GKE's autoscaler some minutes after the cluster; an `up` that comes too early says
    so, and the next one goes on.

    Pods reach the pools by `nodeSelector: {cloud.google.com/compute-class: NAME}`, to which GKE adds the toleration, or
    by any other label of theirs and a toleration of that key (`pools.resolve` has the taint, `taints.tolerations` the
    toleration).
    """

    class_name: pulumi.Output[str]
    """Name of the ComputeClass, known when it is there."""

    def __init__(self, name: str, args: GkeComputeClassArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GkeComputeClass", name, None, opts)
        order = pulumi.Output.from_input(args["node_pool_names"])
        made = kubernetes.apiextensions.CustomResource(
            f"{name}-class",
            api_version=API_VERSION,
            kind="ComputeClass",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=name),
            spec={
                "priorities": order.apply(lambda names: [{"nodepools": [each]} for each in names]),
                "nodePoolAutoCreation": {"enabled": False},
                "activeMigration": {"optimizeRulePriority": False},
                "whenUnsatisfiable": "DoNotScaleUp",
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.class_name = made.id.apply(lambda _: name)
        self.register_outputs({"className": self.class_name})
