"""The Kubernetes Cluster Autoscaler on EKS: pending pods make nodes, idle nodes go, down to zero."""

from typing import Any, TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import naming, versions
from ..aws.identity import PodIdentity
from ..hardware import AWS
from ..pools import NodePoolSpec, resolve_all
from .release import release

_NAMESPACE = "kube-system"
_SERVICE_ACCOUNT = "cluster-autoscaler"


class ClusterAutoscalerArgs(TypedDict):
    """`cluster`: the cluster's name as an output, `cluster_name` the same as plain text. `kubernetes_version`: minor;
    the autoscaler's image follows it. `node_pools`: every pool. `scale_down_after_minutes`: how long a node is idle
    before it goes (default 10). `chart_mirror`: see `release.source`."""

    cluster: pulumi.Input[str]
    cluster_name: str
    kubernetes_version: str
    region: str
    node_pools: dict[str, NodePoolSpec]
    scale_down_after_minutes: NotRequired[int]
    chart_mirror: NotRequired[str]
    tags: NotRequired[dict[str, str]]


def policy(cluster_name: str) -> dict[str, Any]:
    """What the autoscaler may do: read groups and types, resize this cluster's groups and no others.

    Source: cluster-autoscaler/cloudprovider/aws/README.md, "Full Cluster Autoscaler Features Policy".
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Look",
                "Effect": "Allow",
                "Action": [
                    "autoscaling:DescribeAutoScalingGroups",
                    "autoscaling:DescribeAutoScalingInstances",
                    "autoscaling:DescribeLaunchConfigurations",
                    "autoscaling:DescribeScalingActivities",
                    "ec2:DescribeImages",
                    "ec2:DescribeInstanceTypes",
                    "ec2:DescribeLaunchTemplateVersions",
                    "ec2:GetInstanceTypesFromInstanceRequirements",
                ],
                "Resource": "*",
            },
            {
                "Sid": "LookAtNodeGroups",
                "Effect": "Allow",
                "Action": ["eks:DescribeNodegroup"],
                "Resource": f"arn:aws:eks:*:*:nodegroup/{cluster_name}/*/*",
            },
            {
                "Sid": "ResizeThisClustersGroups",
                "Effect": "Allow",
                "Action": ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"],
                "Resource": "arn:aws:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/*",
                "Condition": {
                    "StringEquals": {f"autoscaling:ResourceTag/k8s.io/cluster-autoscaler/{cluster_name}": "owned"}
                },
            },
        ],
    }


def expander_priorities(node_pools: dict[str, NodePoolSpec]) -> dict[str, list[str]]:
    """Priority → patterns of group names, from the pools' capacity ladders: the first rung has the highest. A group is
    called eks-RUNG-SUFFIX-ID, where the suffix is 18 digits of time and 8 more (the provider's unique names)."""
    priorities: dict[str, list[str]] = {}
    for pool in resolve_all(AWS, node_pools).values():
        for index, rung in enumerate(reversed(pool.rungs)):
            prefix = naming.fit(rung.name, naming.NODE_GROUP_PREFIX_LIMIT - 1)
            priorities.setdefault(str(10 * (index + 1)), []).append(rf"^eks-{prefix}-\d{{18}}.*")
    return priorities


class ClusterAutoscaler(pulumi.ComponentResource):
    """The Cluster Autoscaler with a role of its own. Not for GKE, which has one built in.

    Takes the providers `aws` and `kubernetes`. Destroy it before the pools: it would fight their removal.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: ClusterAutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:ClusterAutoscaler", name, None, opts)
        identity = PodIdentity(
            name,
            {
                "cluster_name": args["cluster_name"],
                "cluster": args["cluster"],
                "namespace": _NAMESPACE,
                "service_account": _SERVICE_ACCOUNT,
                "policy": policy(args["cluster_name"]),
                "tags": args.get("tags", {}),
            },
            pulumi.ResourceOptions(parent=self),
        )
        ladder = any(len(spec.get("capacity", [])) > 1 for spec in args["node_pools"].values())
        values: dict[str, Any] = {
            "cloudProvider": "aws",
            "awsRegion": args["region"],
            "autoDiscovery": {"clusterName": args["cluster_name"]},
            "image": {"tag": versions.CLUSTER_AUTOSCALER_IMAGE[args["kubernetes_version"]]},
            "rbac": {"serviceAccount": {"name": _SERVICE_ACCOUNT}},
            "extraArgs": {
                "expander": "priority,least-waste" if ladder else "least-waste",
                "scale-down-unneeded-time": f"{int(args.get('scale_down_after_minutes', 10))}m",
                # Nodes with nothing but system pods of ours may go: the pods run elsewhere as well.
                "skip-nodes-with-system-pods": False,
                "skip-nodes-with-local-storage": False,
            },
            "priorityClassName": "system-cluster-critical",
            "resources": {"requests": {"cpu": "100m", "memory": "600Mi"}, "limits": {"memory": "600Mi"}},
        }
        if ladder:
            values["expanderPriorities"] = expander_priorities(args["node_pools"])
        installed = release(
            versions.CLUSTER_AUTOSCALER,
            values,
            namespace=_NAMESPACE,
            parent=self,
            mirror=args.get("chart_mirror", ""),
            # Its first call to AWS would fail, and the chart's pod would restart until the role is there.
            depends_on=[identity],
        )
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
