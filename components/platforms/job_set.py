"""JobSet: several Jobs that start, restart and end as one. Kubeflow Trainer builds on it."""

from collections.abc import Iterator

import pulumi

from .. import arguments, versions
from ..charts import installed
from ..charts.installed import ControllersArgs, Installation
from ..checks import Problem

NAMESPACE = "jobset-system"
"""Namespace of the controller."""


class JobSetArgs(ControllersArgs):
    """Where the controller runs and comes from."""


def problems(args: JobSetArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from installed.problems(args, versions.JOB_SET)


def installation() -> Installation:
    """How the chart is installed."""
    # With many JobSets, its cache of pods is what needs memory.
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": None, "memory": "1Gi"}}
    return Installation(versions.JOB_SET, NAMESPACE, {"controller": {"resources": resources}})


class JobSet(pulumi.ComponentResource):
    """JobSet's controller and its custom resource definition.

    Multi-node training uses it: the pods find each other by name, and a failed one restarts all of them. With Kueue,
    add jobset.x-k8s.io/jobset to its `integrations`: it then admits all Jobs of a set or none.

    Works on any cluster, with `helm` on the machine that runs Pulumi, which renders the chart. It needs the provider
    `kubernetes` of the cluster: let it depend on a pool without GPUs. In the cluster it is in the namespace
    `jobset-system`, so a cluster has one.
    """

    namespace: pulumi.Output[str]
    """Namespace of the controller, known once it runs."""
    version: pulumi.Output[str]
    """Version of JobSet, known once it runs."""

    def __init__(self, name: str, args: JobSetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"JobSet {name}", JobSetArgs, args, problems)
        super().__init__("gpuyard:index:JobSet", name, None, opts)
        made = installed.install(name, self, installation(), args)
        self.namespace = installed.after(made, NAMESPACE)
        self.version = installed.after(made, versions.JOB_SET.version)
        self.register_outputs({"namespace": self.namespace, "version": self.version})
