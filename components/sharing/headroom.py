"""Nodes that are ready before they are needed: placeholder pods that give way to every other pod."""

from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import arguments, checks, versions
from ..charts import images
from ..charts.images import ImagesArgs
from ..charts.release import namespace
from ..checks import Problem
from ..clouds import CLOUDS
from ..pools import POOL_LABEL
from ..taints import tolerations
from . import queue_pool
from .priorities import HEADROOM
from .queue_pool import GPU_RESOURCE, QueuePool

NAMESPACE = "gpuyard-headroom"
"""Namespace of the placeholders."""

_LABEL = "gpuyard.dev/headroom"
_UNPRIVILEGED_ID = 65534
# A placeholder takes this part of the CPUs of a node without GPUs, or with shared ones; add-ons have the rest.
_CPU_SHARE = 0.75


class HeadroomArgs(TypedDict):
    """How many nodes of which pools are kept ready."""

    cloud: str
    """Cloud of the cluster: aws or gcp."""
    node_pools: dict[str, dict[str, Any]]
    """Every pool of the cluster, by name: the fields of `EksNodePoolSpec` or `GkeNodePoolSpec`."""
    nodes: dict[str, int]
    """Pool → number of its nodes that are ready and free, 1 up to the pool's `max`. They are paid for."""
    images: NotRequired[ImagesArgs]
    """Where the image of the placeholders comes from. Default: its own registry."""


def problems(args: HeadroomArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, found without asking the cloud."""
    wrong = list(checks.one_of("cloud", args["cloud"], CLOUDS))
    wrong += [] if wrong else queue_pool.spec_problems(args["cloud"], args["node_pools"])
    yield from wrong
    yield from (problem.under("images") for problem in images.problems(args.get("images", {})))
    if not wrong:
        yield from node_problems(queue_pool.of_cloud(args["cloud"], args["node_pools"]), args["nodes"])


def node_problems(pools: dict[str, QueuePool], nodes: dict[str, int]) -> Iterator[Problem]:
    """What is wrong with the numbers of nodes. `pools`: every pool of the cluster."""
    for name, count in nodes.items():
        most = pools[name].pool.max if name in pools else 0
        if name not in pools:
            yield Problem(
                f"nodes.{name}", count, "there is no such pool", ", ".join(pools) or "none: there is no pool",
                "correct the name of the pool, or remove it",
            )  # fmt: skip
        elif pools[name].queued:
            yield Problem(
                f"nodes.{name}", count, "its nodes are added for a ProvisioningRequest only", "other pools", "remove it"
            )
        elif not 1 <= count <= most:
            yield Problem(
                f"nodes.{name}", count, f"the pool has at most {most} nodes", f"1 to {most}",
                "remove it" if count < 1 else f"write {most}",
            )  # fmt: skip


class Headroom(pulumi.ComponentResource):
    """Placeholder pods that keep nodes ready, for starts in seconds instead of minutes.

    A placeholder takes a whole node (its GPUs, or most of its CPUs; of shared GPUs both one and most CPUs) and has the
    lowest priority. A pod that the
    scheduler lets preempt it, such as a model server, takes its place at once; the placeholder waits, and the
    autoscaler adds a node for it. Jobs of queues with `gpuyard-training` preempt nothing, so headroom is not for them.

    Works on any cluster; it needs the provider `kubernetes` and an autoscaler. Let it depend on `Priorities` and on the
    pools. It does not keep nodes beyond the pool's `max`, and the nodes are paid for.
    """

    namespace: pulumi.Output[str]
    """Namespace of the placeholders."""

    def __init__(self, name: str, args: HeadroomArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"Headroom {name}", HeadroomArgs, args, problems)
        super().__init__("gpuyard:index:Headroom", name, None, opts)
        made = namespace(f"{name}-namespace", NAMESPACE, self, "restricted")
        pools = queue_pool.of_cloud(args["cloud"], args["node_pools"])
        for pool, count in args["nodes"].items():
            labels = {_LABEL: pool}
            k8s.apps.v1.Deployment(
                f"{name}-{pool}",
                metadata=k8s.meta.v1.ObjectMetaArgs(
                    name=pool,
                    namespace=NAMESPACE,
                    # A pool that is full has no node for them, and that is no reason to fail.
                    annotations={"pulumi.com/skipAwait": "true"},
                ),
                spec=k8s.apps.v1.DeploymentSpecArgs(
                    replicas=count,
                    selector=k8s.meta.v1.LabelSelectorArgs(match_labels=labels),
                    template=k8s.core.v1.PodTemplateSpecArgs(
                        metadata=k8s.meta.v1.ObjectMetaArgs(labels=labels),
                        spec=_pod(pools[pool], labels, args.get("images", {})),
                    ),
                ),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[made]),
            )
        self.namespace = made.metadata.name
        self.register_outputs({"namespace": self.namespace})


def _pod(pool: QueuePool, labels: dict[str, str], images_from: ImagesArgs) -> k8s.core.v1.PodSpecArgs:
    """A placeholder of the size of a node."""
    resources, gpus = {"cpu": "10m", "memory": "16Mi"}, pool.pool.gpus_per_pod
    if gpus:
        resources[GPU_RESOURCE] = str(gpus)
    if gpus < pool.gpus or not gpus:
        resources["cpu"] = f"{int(pool.millicores * _CPU_SHARE)}m"
    apart = k8s.core.v1.PodAffinityTermArgs(
        topology_key="kubernetes.io/hostname", label_selector=k8s.meta.v1.LabelSelectorArgs(match_labels=labels)
    )
    return k8s.core.v1.PodSpecArgs(
        priority_class_name=HEADROOM.name,
        node_selector={POOL_LABEL: pool.pool.name},
        tolerations=[k8s.core.v1.TolerationArgs(**each) for each in tolerations(pool.pool.taints)],
        affinity=k8s.core.v1.AffinityArgs(
            pod_anti_affinity=k8s.core.v1.PodAntiAffinityArgs(
                required_during_scheduling_ignored_during_execution=[apart]
            )
        ),
        automount_service_account_token=False,
        enable_service_links=False,
        # It has nothing to finish.
        termination_grace_period_seconds=0,
        security_context=k8s.core.v1.PodSecurityContextArgs(
            run_as_non_root=True,
            run_as_user=_UNPRIVILEGED_ID,
            seccomp_profile=k8s.core.v1.SeccompProfileArgs(type="RuntimeDefault"),
        ),
        containers=[
            k8s.core.v1.ContainerArgs(
                name="pause",
                image=images.mirrored(versions.PAUSE_IMAGE, images_from),
                resources=k8s.core.v1.ResourceRequirementsArgs(requests=resources, limits=resources),
                security_context=k8s.core.v1.SecurityContextArgs(
                    allow_privilege_escalation=False,
                    read_only_root_filesystem=True,
                    capabilities=k8s.core.v1.CapabilitiesArgs(drop=["ALL"]),
                ),
            )
        ],
    )
