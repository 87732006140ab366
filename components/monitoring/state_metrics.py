"""A complete kube-state-metrics for Google's managed Prometheus, whose own selection lacks nodes, requests, restarts
and reasons."""

from collections.abc import Iterator
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from typing_extensions import NotRequired

from .. import arguments, versions
from ..charts import installed
from ..charts.installed import ControllersArgs, Installation
from ..checks import Problem
from .prometheus import API_VERSIONS, MANAGED_PROMETHEUS
from .targets import NODE_LABELS

NAMESPACE = "kube-state-metrics"
"""Its namespace. Google drops series of namespaces gke-managed-*."""
SERIES = (
    "kube_daemonset_status_desired_number_scheduled",
    "kube_daemonset_status_number_ready",
    "kube_node_labels",
    "kube_node_spec_taint",
    "kube_node_spec_unschedulable",
    "kube_node_status_allocatable",
    "kube_node_status_condition",
    "kube_pod_container_resource_requests",
    "kube_pod_container_status_last_terminated_reason",
    "kube_pod_container_status_restarts_total",
    "kube_pod_container_status_terminated_reason",
    "kube_pod_container_status_waiting_reason",
    "kube_pod_info",
    "kube_pod_status_phase",
    "kube_pod_status_unschedulable",
    "kube_resourcequota",
)
"""What alerts, recorded series and dashboards use. Google bills each sample, so it delivers no others."""
_COLLECTORS = ["daemonsets", "nodes", "pods", "resourcequotas"]
_MINE = {"gpuyard.dev/metrics": "state"}
_INTERVAL_RANGE = (15, 300)


class StateMetricsArgs(ControllersArgs):
    """How often it is scraped, and where the chart comes from."""

    interval_seconds: NotRequired[int]
    """Seconds between two scrapes, 15 to 300. Google bills each sample. Default: `60`."""


def problems(args: StateMetricsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from installed.problems(args, versions.KUBE_STATE_METRICS)
    (low, high), seconds = _INTERVAL_RANGE, args["interval_seconds"]
    if not low <= seconds <= high:
        fix = f"write {low if seconds < low else high}"
        yield Problem("interval_seconds", seconds, "out of range", f"{low} to {high}", fix)


def values() -> dict[str, Any]:
    """The chart's values: it reads four kinds of objects, and may read no others."""
    return {
        "collectors": _COLLECTORS,
        "metricAllowlist": [f"^{name}$" for name in SERIES],
        "metricLabelsAllowlist": [f"nodes=[{','.join(NODE_LABELS)}]"],
        "customLabels": _MINE,
        "prometheusScrape": False,
        "resources": {"requests": {"cpu": "50m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
    }


class StateMetrics(pulumi.ComponentResource):
    """kube-state-metrics and its scrape by Google's managed Prometheus. With it, set `state_metrics` of `Alerts` and of
    the dashboards: they have alerts about containers out of memory, pending pods, spot and reservations, and series by
    pool, then.

    The labels of its series are those on EKS. Not for EKS, where `Monitoring` includes one. It needs the provider
    `kubernetes` of the cluster, managed Prometheus, and `helm` on the machine that runs Pulumi, which renders the
    chart: let it depend on a pool without GPUs. In the cluster it is in the namespace `kube-state-metrics`, so a
    cluster has one.
    """

    namespace: pulumi.Output[str]
    """Its namespace, known once it runs."""

    def __init__(self, name: str, args: StateMetricsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"StateMetrics {name}", StateMetricsArgs, args, problems)
        super().__init__("gpuyard:index:StateMetrics", name, None, opts)
        installation = Installation(versions.KUBE_STATE_METRICS, NAMESPACE, values())
        made = installed.install(name, self, installation, args)
        self.resource = kubernetes.apiextensions.CustomResource(
            f"{name}-scrape",
            api_version=API_VERSIONS[MANAGED_PROMETHEUS],
            kind="ClusterPodMonitoring",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=NAMESPACE),
            spec={
                "selector": {"matchLabels": _MINE},
                "endpoints": [{"port": "http", "interval": f"{args['interval_seconds']}s"}],
                # With target labels, namespace, pod and node of a series would be those of the exporter.
                "targetLabels": {"metadata": []},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=made),
        )
        """The object that describes the scrape."""
        self.namespace = installed.after(made, NAMESPACE)
        self.register_outputs({"namespace": self.namespace})
