"""The order of a pool's rungs on GKE: a ComputeClass, which does what the priority expander does on EKS."""

from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from .. import arguments, component_names

API_VERSION = "cloud.google.com/v1"
# Its name is the value of a label and of a taint as well.
_NAME_LIMIT = 63


class GkeComputeClassArgs(TypedDict):
    """The node pools that a ComputeClass puts in order."""

    node_pool_names: pulumi.Input[list[str]]
    """Physical names of the node pools, best first. Each of them needs the label and the taint
    `cloud.google.com/compute-class` with the name of the class."""


class GkeComputeClass(pulumi.ComponentResource):
    """The order in which GKE's autoscaler tries node pools. The name of the resource is the name of the class.

    Takes the provider `kubernetes`. Without a class, the autoscaler uses the pool that it estimates to be the cheapest,
    and its estimate has no separate price for flex-start. The class creates no pools (no auto-creation), moves no
    running pod (no active migration), and adds no other node when no pool has room. It orders new nodes only: a free
    node of a lower rung is filled first. GKE's autoscaler installs the CustomResourceDefinition some minutes after the
    cluster is ready; an earlier `up` fails with an error that says so, and the next one continues.

    Pods select the pools by `nodeSelector: {cloud.google.com/compute-class: NAME}`, to which GKE adds the toleration,
    or by any other label of the pools together with a toleration of that key.
    """

    class_name: pulumi.Output[str]
    """Name of the ComputeClass, known once it exists."""

    def __init__(self, name: str, args: GkeComputeClassArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"GkeComputeClass {name}", GkeComputeClassArgs, args,
            lambda _: component_names.kubernetes_problems(name, "ComputeClass", _NAME_LIMIT),
        )  # fmt: skip
        super().__init__("gpuyard:index:GkeComputeClass", name, None, opts)
        order = pulumi.Output.from_input(args["node_pool_names"])
        self.resource = kubernetes.apiextensions.CustomResource(
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
        """The ComputeClass."""
        self.class_name = self.resource.id.apply(lambda _: name)
        self.register_outputs({"className": self.class_name})
