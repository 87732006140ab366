"""The Kubernetes Cluster Autoscaler on EKS: adds nodes for pending pods and removes idle ones, down to zero."""

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import arguments, checks, naming, versions
from ..charts import release as releases
from ..charts.images import ImagesArgs
from ..charts.source import ChartsArgs
from ..checks import Problem
from ..hardware import AWS
from ..monitoring.targets import AUTOSCALER_NAMESPACE
from ..pools import CAPACITY_LABEL, POOL_LABEL, resolve_all
from . import regions, served_pools, tags
from .identity import PodIdentity, name_problems
from .pool_spec import EksNodePoolSpec
from .roles import Permissions, arn_problems

SERVICE_ACCOUNT = "cluster-autoscaler"
"""Service account of the autoscaler."""

_IDLE_RANGE = (1, 1440)
_UNPRIVILEGED_ID = 65534
# Taints that keep pods away until a node's CSI driver has registered; the driver removes them. A pool may have them in
# `taints` (each driver's installation guide). The autoscaler must not take them for permanent ones.
_STARTUP_TAINTS = [f"{driver}.csi.aws.com/agent-not-ready" for driver in ("ebs", "efs", "fsx", "s3")]


class ScaleDown(TypedDict):
    """When the autoscaler removes nodes."""

    scale_down_after_minutes: NotRequired[int]
    """Minutes for which a node must be idle before the autoscaler removes it, 1 to 1440. Default: `10`."""


class ClusterAutoscalerArgs(ScaleDown):
    """The cluster whose node groups the autoscaler resizes, and how it does that."""

    cluster: pulumi.Input[str]
    """Name of the EKS cluster."""
    kubernetes_version: str
    """Kubernetes minor of the cluster, such as 1.35. The autoscaler's image follows it, since the autoscaler simulates
    the scheduler of the same version."""
    region: str
    """AWS region of the cluster, such as us-east-1."""
    node_pools: dict[str, EksNodePoolSpec]
    """Every pool of the cluster, by name. The order of their capacity ladders becomes the autoscaler's priorities."""
    charts: NotRequired[ChartsArgs]
    """Where the chart comes from. Default: its own repository."""
    images: NotRequired[ImagesArgs]
    """Where the image comes from. Default: its own registry."""
    role_arn: NotRequired[pulumi.Input[str]]
    """ARN of an existing IAM role for the autoscaler. It trusts EKS Pod Identity and has the permissions of this
    component's own role. Default: a new role."""
    tags: NotRequired[dict[str, str]]
    """Tags of the role and its association. Default: none."""


def policy(cluster_name: str) -> dict[str, Any]:
    """The permissions of the autoscaler: read groups and types, and resize the groups of this cluster.

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

    Not changed: `new-pod-scale-up-delay` (every pending pod counts), `skip-nodes-with-custom-controller-pods` (pods of
    a training operator are not moved), `scale-down-unready-time` (a node whose GPU never appears is removed after 20
    minutes).
    """
    return {
        # The rungs of a ladder in their order; among the pools that fit, the one with the least unused capacity.
        "expander": "priority,least-waste" if ladder else "least-waste",
        # If EC2 refuses a launch (no capacity, or a capacity block that has not begun), the group's activities show it,
        # and the next rung is tried within minutes. This flag is for machines that start and never join; the largest
        # ones with GPUs need ten minutes.
        "max-node-provision-time": "15m",
        "scale-down-unneeded-time": f"{scale_down_after_minutes}m",
        # Idle nodes stay for ten minutes after a scale-up: only those of the same group, not the GPU nodes of every
        # pool.
        "scale-down-delay-type-local": True,
        # A node on which a GPU is in use stays: a training run that is moved to a fuller node loses its results since
        # the last checkpoint. For nodes without GPUs the autoscaler's default, one half, applies.
        "scale-down-gpu-utilization-threshold": 0,
        # DaemonSets run on every node, so they do not show that this one is needed.
        "ignore-daemonsets-utilization": True,
        # Nodes that have only system pods may be removed: those pods can run elsewhere.
        "skip-nodes-with-system-pods": False,
        # Nearly every ML pod has an emptyDir (/dev/shm): it would keep its node permanently.
        "skip-nodes-with-local-storage": False,
        # The zones of a rung grow evenly. Groups are similar by these labels and nothing else. By its own rules the
        # autoscaler would take a group with nodes and an empty one for different (a real node's memory and the type's
        # differ, and EKS adds labels), and two rungs for similar (processors/nodegroupset).
        "balance-similar-node-groups": True,
        # Health and back-off of each group, for the alerts.
        "emit-per-nodegroup-metrics": True,
        # The chart removes what follows "_", so a flag can be given several times.
        **{f"balancing-label_{index}": label for index, label in enumerate((POOL_LABEL, CAPACITY_LABEL))},
        **{f"startup-taint_{index}": taint for index, taint in enumerate(_STARTUP_TAINTS)},
    }


def expander_priorities(node_pools: Mapping[str, EksNodePoolSpec]) -> dict[str, list[str]]:
    """Priority → patterns of Auto Scaling groups' names, from the pools' capacity ladders. The first rung has the
    highest priority, the last one of every pool 10. It has every group: the autoscaler ignores those without a priority
    (expander/priority).

    EKS names the Auto Scaling group of a node group `eks-NODEGROUP-UUID`. The node group's name is the prefix, 18
    digits of time and 8 of a counter (terraform-plugin-sdk, helper/id). The digits distinguish a pool `gpu` from a pool
    `gpu-large`.
    """
    priorities: dict[str, list[str]] = {}
    for pool in resolve_all(AWS, node_pools).values():
        for index, rung in enumerate(reversed(pool.rungs)):
            prefix = naming.fit(rung.name, naming.NODE_GROUP_PREFIX_LIMIT - 1)
            priorities.setdefault(str(10 * (index + 1)), []).append(rf"^eks-{prefix}-\d{{18}}")
    return priorities


def idle_problems(args: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with `scale_down_after_minutes`."""
    (low, high), minutes = _IDLE_RANGE, args["scale_down_after_minutes"]
    if not low <= minutes <= high:
        yield Problem(
            "scale_down_after_minutes", minutes, "out of range", f"{low} to {high} minutes",
            f"write {low if minutes < low else high}",
        )  # fmt: skip


def problems(args: ClusterAutoscalerArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, found without asking AWS."""
    yield from checks.one_of("kubernetes_version", args["kubernetes_version"], versions.CLUSTER_AUTOSCALER_IMAGE)
    yield from served_pools.problems(args["node_pools"])
    yield from idle_problems(args)
    yield from arn_problems("role_arn", args.get("role_arn"))
    yield from tags.problems({key: value for key, value in args.get("tags", {}).items() if key != tags.STACK})
    yield from releases.problems(versions.CLUSTER_AUTOSCALER, args.get("charts", {}), args.get("images", {}))


def _permissions(args: ClusterAutoscalerArgs) -> Permissions:
    if "role_arn" in args:
        return {"role_arn": args["role_arn"]}
    return {"policy": pulumi.Output.from_input(args["cluster"]).apply(policy)}


class ClusterAutoscaler(pulumi.ComponentResource):
    """The Cluster Autoscaler, with an IAM role by EKS Pod Identity.

    Works on any EKS cluster that has the add-on eks-pod-identity-agent. It needs the providers `aws` and `kubernetes`
    of the cluster, its name, region and Kubernetes minor, and the pools by spec. It resizes the Auto Scaling groups
    with the tags `k8s.io/cluster-autoscaler/enabled` and `k8s.io/cluster-autoscaler/CLUSTER: owned`, which groups of
    `EksNodePool` have. If a pool has several rungs, it resizes groups of `EksNodePool` only.

    In the cluster it is the release `cluster-autoscaler` in `kube-system`, so a cluster has one. Let it depend on the
    pools, so that it is deleted before them; otherwise it would undo their removal. Not for GKE, which has its own.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: ClusterAutoscalerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"ClusterAutoscaler {name}", ClusterAutoscalerArgs, args, problems,
            lambda given: regions.format_problems("region", given["region"]),
            lambda given: name_problems(name, _permissions(given)),
        )  # fmt: skip
        super().__init__("gpuyard:index:ClusterAutoscaler", name, None, opts)
        identity = PodIdentity(
            name,
            {
                "cluster": args["cluster"],
                "namespace": AUTOSCALER_NAMESPACE,
                "service_account": SERVICE_ACCOUNT,
                "tags": args.get("tags", {}),
                **_permissions(args),
            },
            pulumi.ResourceOptions(parent=self),
        )
        ladder = any(len(spec["capacity"]) > 1 for spec in args["node_pools"].values())
        values: dict[str, Any] = {
            "cloudProvider": "aws",
            "awsRegion": args["region"],
            "autoDiscovery": {"clusterName": args["cluster"]},
            "image": {"tag": versions.CLUSTER_AUTOSCALER_IMAGE[args["kubernetes_version"]]},
            "rbac": {"serviceAccount": {"name": SERVICE_ACCOUNT}},
            "extraArgs": _flags(args["scale_down_after_minutes"], ladder),
            "priorityClassName": "system-cluster-critical",
            # The level `restricted` of the Pod Security Standards. With the group it can read its Pod Identity token.
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _UNPRIVILEGED_ID,
                "runAsGroup": _UNPRIVILEGED_ID,
                "fsGroup": _UNPRIVILEGED_ID,
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
        installed = releases.release(
            f"{name}-release",
            versions.CLUSTER_AUTOSCALER,
            values,
            namespace=AUTOSCALER_NAMESPACE,
            parent=self,
            charts=args.get("charts", {}),
            images_from=args.get("images", {}),
            # Without the role its first call to AWS fails, and its pod restarts until the role exists.
            depends_on=[identity],
        )
        self.resource = installed
        """The Helm release."""
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
