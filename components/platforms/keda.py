"""KEDA: scales workloads by a metric, such as the queue of a model server, to zero and back."""

from collections.abc import Iterator
from typing import Any

import pulumi

from .. import arguments, versions
from ..charts import installed, placement
from ..charts.installed import ControllersArgs, Installation
from ..checks import Problem
from ..monitoring.targets import READERS

NAMESPACE = "keda"
"""Namespace of the controllers."""
PODS = {"app": "keda-operator"}
"""Labels of the operator's pods, as the chart writes them."""
METRICS_PORT = "metrics"
"""Name of the port with the operator's metrics."""
SERVICE_ACCOUNT = "keda-operator"
"""Service account of the operator, which reads the metrics: it gets permissions in a cloud that has them."""


class KedaArgs(ControllersArgs):
    """Where the controllers run and come from."""


def problems(args: KedaArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from installed.problems(args, versions.KEDA)


def installation() -> Installation:
    """How the chart is installed."""
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": None, "memory": "1000Mi"}}
    values: dict[str, Any] = {
        "resources": {part: resources for part in ("operator", "metricServer", "webhooks")},
        "prometheus": {"operator": {"enabled": True}, "metricServer": {"enabled": True}},
    }
    return Installation(versions.KEDA, NAMESPACE, values, priority=placement.CRITICAL, labels=READERS)


class Keda(pulumi.ComponentResource):
    """KEDA's operator, metrics server and webhooks, and their custom resource definitions.

    It serves external.metrics.k8s.io, which a cluster can have once: remove another adapter for it first. While the
    metrics server does not run, no namespace of the cluster can be deleted; a destroy removes that part of the API
    first. The Prometheus of `Monitoring` needs no permission in a cloud. Google's managed one needs the role
    `roles/monitoring.viewer` of the service account `keda-operator` (`WorkloadIdentity`), and a TriggerAuthentication
    with the pod identity `gcp`; metrics of other services need other roles. Its own metrics are on port 8080.

    Works on any cluster, with `helm` on the machine that runs Pulumi, which renders the chart. It needs the provider
    `kubernetes` of the cluster: let it depend on a pool without GPUs. In the cluster it is in the namespace `keda`, so
    a cluster has one. Let ScaledObjects depend on it: their finalizer is removed while it runs.
    """

    namespace: pulumi.Output[str]
    """Namespace of the controllers, known once they run."""
    version: pulumi.Output[str]
    """Version of KEDA, known once it runs."""

    def __init__(self, name: str, args: KedaArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"Keda {name}", KedaArgs, args, problems)
        super().__init__("gpuyard:index:Keda", name, None, opts)
        made = installed.install(name, self, installation(), args)
        self.namespace = installed.after(made, NAMESPACE)
        self.version = installed.after(made, versions.KEDA.version)
        self.register_outputs({"namespace": self.namespace, "version": self.version})
