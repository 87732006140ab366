"""Prometheus in the cluster, by kube-prometheus-stack: it keeps metrics and evaluates alert rules."""

from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import arguments, versions
from ..charts import release as releases
from ..charts.images import ImagesArgs
from ..charts.source import ChartsArgs
from ..checks import Problem
from . import cluster_scrapes, grafana
from .targets import (
    AUTOSCALER_LABELS,
    AUTOSCALER_NAMESPACE,
    AUTOSCALER_PORT,
    NAMESPACE,
    NODE_LABELS,
    NODES_NAMESPACE,
    READERS,
)

_RETENTION_RANGE = (1, 3650)
_VOLUME_RANGE = (1, 16384)
_PROMETHEUS_PODS = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}
_ANYTHING: dict[str, Any] = {}

_AUTOSCALER = {
    "name": "cluster-autoscaler",
    "selector": {"matchLabels": AUTOSCALER_LABELS},
    "namespaceSelector": {"matchNames": [AUTOSCALER_NAMESPACE]},
    "endpoints": [{"port": AUTOSCALER_PORT, "interval": "30s"}],
}


class MonitoringArgs(TypedDict):
    """Retention and storage of metrics, and the source of the chart and its images."""

    retention_days: NotRequired[int]
    """Days for which samples are kept, 1 to 3650. Default: `15`."""
    volume_gib: NotRequired[int]
    """Disk for the samples in GiB, 1 to 16384. It is deleted with the cluster: send metrics that must last longer
    elsewhere. Default: `50`."""
    storage_class: NotRequired[str]
    """Storage class of that disk. `AwsStorage` creates the default one. Default: `block`."""
    autoscaler: NotRequired[bool]
    """Whether to scrape the Cluster Autoscaler of `ClusterAutoscaler`. Default: `false`."""
    grafana: NotRequired[bool]
    """Whether to install Grafana as well, with this Prometheus as its source. `GrafanaDashboards` has dashboards for
    it. Default: `false`."""
    grafana_secret: NotRequired[str]
    """Name of an existing Secret in the namespace `monitoring` with Grafana's admin-user and admin-password. Default: a
    random password, in the Secret kube-prometheus-stack-grafana."""
    charts: NotRequired[ChartsArgs]
    """Where the chart comes from. Default: its own repository."""
    images: NotRequired[ImagesArgs]
    """Where the images come from. Default: their own registries."""


def problems(args: MonitoringArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from _range_problems("retention_days", args["retention_days"], _RETENTION_RANGE)
    yield from _range_problems("volume_gib", args["volume_gib"], _VOLUME_RANGE)
    if args.get("grafana_secret") and not args["grafana"]:
        yield Problem(
            "grafana_secret", args.get("grafana_secret"), "without `grafana` there is no Grafana",
            "`grafana_secret` with `grafana`", "add `grafana`, or remove `grafana_secret`",
        )  # fmt: skip
    yield from releases.problems(versions.KUBE_PROMETHEUS_STACK, args.get("charts", {}), args.get("images", {}))


def _range_problems(path: str, value: int, allowed: tuple[int, int]) -> Iterator[Problem]:
    low, high = allowed
    if not low <= value <= high:
        fix = f"write {low if value < low else high}"
        yield Problem(path, value, "out of range", f"{low} to {high}", fix)


class Monitoring(pulumi.ComponentResource):
    """The Prometheus operator, Prometheus, Alertmanager, node and state exporters.

    Includes Grafana by choice, and no alert rules for GPUs (see `Alerts`). Works on any EKS cluster. It needs the
    provider `kubernetes` of the cluster and a storage class with a driver: let it depend on the storage and on a node
    pool. In the cluster it is the release `kube-prometheus-stack` in the namespace `monitoring`, so a cluster has one.
    On GKE use managed Prometheus.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release; the operator's kinds exist once it is known."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"Monitoring {name}", MonitoringArgs, args, problems)
        super().__init__("gpuyard:index:Monitoring", name, None, opts)
        home = releases.namespace(f"{name}-namespace", NAMESPACE, self, "restricted")
        # The node exporter reads the node's /proc and network. It has a separate namespace, so that only it may.
        nodes_home = releases.namespace(f"{name}-node-exporter-namespace", NODES_NAMESPACE, self, "privileged")
        not_reachable = {"enabled": False}
        installed = releases.release(
            f"{name}-release",
            versions.KUBE_PROMETHEUS_STACK,
            {
                "grafana": grafana.values(args["grafana"], args.get("grafana_secret")),
                # EKS runs these outside the cluster, where Prometheus cannot reach them.
                "kubeControllerManager": not_reachable,
                "kubeScheduler": not_reachable,
                "kubeEtcd": not_reachable,
                "kubeProxy": not_reachable,
                # Their rules stay; see cluster_scrapes.py.
                "kubelet": {"serviceMonitor": {"enabled": False}},
                "kubeApiServer": {"serviceMonitor": {"enabled": False}},
                "coreDns": {"serviceMonitor": {"bearerTokenFile": ""}},  # it needs none
                "prometheus-node-exporter": {"namespaceOverride": NODES_NAMESPACE},
                "kube-state-metrics": {
                    "metricLabelsAllowlist": [f"nodes=[{','.join(NODE_LABELS)}]"],
                    # No rule uses their series, and without them its role cannot read their contents.
                    "collectorsExclude": ["secrets", "configmaps"],
                    "networkPolicy": {
                        "enabled": True,
                        "ingress": [{"from": [_PROMETHEUS_PODS], "ports": [{"port": "http", "protocol": "TCP"}]}],
                        "egress": [_ANYTHING],
                    },
                },
                "prometheusOperator": {"networkPolicy": {"enabled": True}},
                "alertmanager": {"networkPolicy": {"enabled": True}},
                "prometheus": {
                    "networkPolicy": {
                        "enabled": True,
                        "ingress": [
                            {"from": [{"podSelector": _ANYTHING}]},
                            {
                                "from": [{"namespaceSelector": {"matchLabels": READERS}}],
                                "ports": [{"port": 9090, "protocol": "TCP"}],
                            },
                        ],
                        "egress": [_ANYTHING],
                    },
                    # A ServiceMonitor in the autoscaler's release would have to wait for this release, which may wait
                    # for a node that only the autoscaler adds.
                    "additionalServiceMonitors": [_AUTOSCALER] if args["autoscaler"] else [],
                    "prometheusSpec": {
                        # Take every monitor and rule in the cluster, not only those of this release.
                        "serviceMonitorSelectorNilUsesHelmValues": False,
                        "podMonitorSelectorNilUsesHelmValues": False,
                        "ruleSelectorNilUsesHelmValues": False,
                        "arbitraryFSAccessThroughSMs": {"deny": True},
                        "additionalScrapeConfigs": cluster_scrapes.jobs(),
                        "retention": f"{args['retention_days']}d",
                        "storageSpec": {
                            "volumeClaimTemplate": {
                                "spec": {
                                    "storageClassName": args["storage_class"],
                                    "accessModes": ["ReadWriteOnce"],
                                    "resources": {"requests": {"storage": f"{args['volume_gib']}Gi"}},
                                }
                            }
                        },
                    },
                },
            },
            namespace=home.metadata.name,
            parent=self,
            charts=args.get("charts", {}),
            images_from=args.get("images", {}),
            depends_on=[nodes_home],
        )
        self.resource = installed
        """The Helm release."""
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
