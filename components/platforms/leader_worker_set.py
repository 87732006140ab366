"""LeaderWorkerSet: groups of pods that serve one model together, one leader and its workers."""

from collections.abc import Iterator

import pulumi

from .. import arguments, versions
from ..charts import installed
from ..charts.installed import ControllersArgs, Installation
from ..checks import Problem

NAMESPACE = "lws-system"
"""Namespace of the controller. The conversion webhook in its definitions names this one."""


class LeaderWorkerSetArgs(ControllersArgs):
    """Where the controller runs and comes from."""


def problems(args: LeaderWorkerSetArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from installed.problems(args, versions.LEADER_WORKER_SET)


def installation() -> Installation:
    """How the chart is installed."""
    resources = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
    return Installation(versions.LEADER_WORKER_SET, NAMESPACE, {"resources": resources})


class LeaderWorkerSet(pulumi.ComponentResource):
    """LeaderWorkerSet's controller and its custom resource definitions.

    For models that need the GPUs of more than one node: a group of pods is created, scaled, and replaced as one. With
    Kueue, add leaderworkerset.x-k8s.io/leaderworkerset to its `integrations`. Version 0.10 has a kind DisaggregatedSet
    as well; its webhook is off.

    Works on any cluster, with `helm` on the machine that runs Pulumi, which renders the chart. It needs the provider
    `kubernetes` of the cluster: let it depend on a pool without GPUs. In the cluster it is in the namespace
    `lws-system`, so a cluster has one.
    """

    namespace: pulumi.Output[str]
    """Namespace of the controller, known once it runs."""
    version: pulumi.Output[str]
    """Version of LeaderWorkerSet, known once it runs."""

    def __init__(self, name: str, args: LeaderWorkerSetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"LeaderWorkerSet {name}", LeaderWorkerSetArgs, args, problems)
        super().__init__("gpuyard:index:LeaderWorkerSet", name, None, opts)
        made = installed.install(name, self, installation(), args)
        self.namespace = installed.after(made, NAMESPACE)
        self.version = installed.after(made, versions.LEADER_WORKER_SET.version)
        self.register_outputs({"namespace": self.namespace, "version": self.version})
