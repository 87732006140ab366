"""The Kubernetes Cluster Autoscaler on EKS: pending pods make nodes, idle nodes go, down to zero."""

from typing import Any, TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import naming, versions
from ..charts.images import ImagesArgs
from ..charts.release import release
from ..hardware import AWS
from ..pools import CAPACITY_LABEL, POOL_LABEL, NodePoolSpec, resolve_all
from .identity import PodIdentity

NAMESPACE = "kube-system"
POD_LABELS = {"app.kubernetes.io/instance": "cluster-autoscaler", "app.kubernetes.io/name": "aws-cluster-autoscaler"}
"""Labels of its pod and its Service, by which Prometheus finds its metrics (the chart: cloud provider and name)."""
METRICS_PORT = "http"

_SERVICE_ACCOUNT = "cluster-autoscaler"
_NOBODY = 65534
# Taints that keep pods away until a node's CSI driver has registered; the driver removes them. A pool may have them in
# `taints` (each driver's installation guide). The autoscaler must not take them for lasting.
_STARTUP_TAINTS = [f"{driver}.csi.aws.com/agent-not-ready" for driver in ("ebs", "efs", "fsx", "s3")]


class ClusterAutoscalerArgs(TypedDict):
    """`cluster`: the cluster's name as an output, `cluster_name` the same as plain text. `kubernetes_version`: minor;
    the autoscaler's image follows it. `node_pools`: every pool. `scale_down_after_minutes`: how long a node is idle
    before it goes (default 10). `chart_mirror`, `chart_digests`: see `release.source`. `images`: see
    `images.ImagesArgs`. `role_arn`: a role that is there already, instead of a new one."""

    cluster: pulumi.Input[str]
    cluster_name: str
    kubernetes_version: str
    region: str
    node_pools: dict[str, NodePoolSpec]
    scale_down_after_minutes: NotRequired[int]
    chart_mirror: NotRequired[str]
    chart_digests: NotRequired[dict[str, str]]
    images: NotRequired[ImagesArgs]
    role_arn: NotRequired[pulumi.Input[str]]
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


def _flags(scale_down_after_minutes: int, ladder: bool) -> dict[str, Any]:
    """The autoscaler's command line. Source: cluster-autoscaler/FAQ.md, "What are the parameters to CA?"; all of them
    are in its releases 1.33 to 1.35.

    Left as they are: `new-pod-scale-up-delay` (every pod that waits is meant), `skip-nodes-with-custom-controller-pods`
    (a training operator's pods are not moved), `scale-down-unready-time` (a node whose GPU never shows goes after 20
    minutes).
    """
    return {
        # Rungs of a ladder in their order; among pools that fit, the one that the pod fills best.
        "expander": "priority,least-waste" if ladder else "least-waste",
        # A launch that EC2 refuses (no capacity, a capacity block before its time) shows in the group's activities, and
        # the next rung has its turn within minutes. This is for machines that start and never join; the largest ones
        # with GPUs take ten minutes.
        "max-node-provision-time": "15m",
        "scale-down-unneeded-time": f"{scale_down_after_minutes}m",
        # For ten minutes after a scale-up idle nodes stay: those of its own group, and not the GPU nodes of every pool.
        "scale-down-delay-type-local": True,
        # A node on which a GPU is in use stays: to move a training run to a fuller node costs what it has computed
        # since its last checkpoint. Without GPUs the usual half holds.
        "scale-down-gpu-utilization-threshold": 0,
        # What runs on every node says nothing of whether this one is needed.
        "ignore-daemonsets-utilization": True,
        # Nodes with nothing but system pods of ours may go: the pods run elsewhere as well.
        "skip-nodes-with-system-pods": False,
        # Nearly every ML pod has an emptyDir (/dev/shm): it would keep its node for good.
        "skip-nodes-with-local-storage": False,
        # The zones of a rung grow evenly. Groups are similar by these labels and nothing else: by its own rules the
        # autoscaler finds a group with nodes unlike an empty one (memory of a real node against the type's, labels that
        # EKS adds), and two rungs alike that are not (processors/nodegroupset).
        "balance-similar-node-groups": True,
        # The chart drops what follows "_", so that a flag can be given several times.
        **{f"balancing-label_{index}": label for index, label in enumerate((POOL_LABEL, CAPACITY_LABEL))},
        **{f"startup-taint_{index}": taint for index, taint in enumerate(_STARTUP_TAINTS)},
    }


def expander_priorities(node_pools: dict[str, NodePoolSpec]) -> dict[str, list[str]]:
    """Priority → patterns of Auto Scaling groups' names, from the pools' capacity ladders: the first rung has the
    highest, the last one of every pool 10. Every group is in it, for the autoscaler uses no other (expander/priority).

    EKS calls the group of a node group `eks-NODEGROUP-UUID`; the node group is called after our prefix, 18 digits of
    time and 8 of a counter (terraform-plugin-sdk, helper/id). The digits tell a pool `gpu` from a pool `gpu-large`.
    """
    priorities: dict[str, list[str]] = {}
    for pool in resolve_all(AWS, node_pools).values():
        for index, rung in enumerate(reversed(pool.rungs)):
            prefix = naming.fit(rung.name, naming.NODE_GROUP_PREFIX_LIMIT - 1)
            priorities.setdefault(str(10 * (index + 1)), []).append(rf"^eks-{prefix}-\d{{18}}")
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
                "cluster": args["cluster"],
                "namespace": NAMESPACE,
                "service_account": _SERVICE_ACCOUNT,
                "policy": policy(args["cluster_name"]),
                "role_arn": args.get("role_arn", ""),
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
            "extraArgs": _flags(int(args.get("scale_down_after_minutes", 10)), ladder),
            "priorityClassName": "system-cluster-critical",
            # The level `restricted` of the Pod Security Standards. The group lets it read its Pod Identity token.
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _NOBODY,
                "runAsGroup": _NOBODY,
                "fsGroup": _NOBODY,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containerSecurityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"requests": {"cpu": "100m", "memory": "600Mi"}, "limits": {"memory": "600Mi"}},
        }
        if ladder:
            values["expanderPriorities"] = expander_priorities(args["node_pools"])
        installed = release(
            versions.CLUSTER_AUTOSCALER,
            values,
            namespace=NAMESPACE,
            parent=self,
            mirror=args.get("chart_mirror", ""),
            digests=args.get("chart_digests"),
            images_from=args.get("images"),
            # Its first call to AWS would fail, and the chart's pod would restart until the role is there.
            depends_on=[identity],
        )
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
