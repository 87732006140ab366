"""Prometheus in the cluster, by kube-prometheus-stack: where GPU metrics are kept and alerts are evaluated."""

from typing import Any, TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import versions
from ..charts.images import ImagesArgs
from ..charts.release import namespace, release
from ..storage_classes import BLOCK
from . import cluster_scrapes

NAMESPACE = "monitoring"
NODES_NAMESPACE = "node-exporter"
READERS = {"gpuyard.dev/reads-metrics": "true"}
"""Label of a namespace whose pods may query Prometheus: Grafana, an adapter, KEDA."""

_PROMETHEUS_PODS = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}}
_ANYTHING: dict[str, Any] = {}


class MonitoringArgs(TypedDict):
    """`retention_days`: how long samples are kept (default 15). `volume_gib`: disk for them (default 50), of the class
    `block`: it goes with the cluster, and metrics that are to last longer are sent elsewhere. `autoscaler`: scrape the
    Cluster Autoscaler too (default false). `chart_mirror`, `chart_digests`: see `release.source`. `images`: see
    `images.ImagesArgs`."""

    retention_days: NotRequired[int]
    volume_gib: NotRequired[int]
    autoscaler: NotRequired[bool]
    chart_mirror: NotRequired[str]
    chart_digests: NotRequired[dict[str, str]]
    images: NotRequired[ImagesArgs]


class Monitoring(pulumi.ComponentResource):
    """The Prometheus operator, Prometheus, node and state exporters.

    Does not: bring Grafana's dashboards, nor alert rules for GPUs (`Alerts`). On GKE use managed Prometheus. Takes the
    provider `kubernetes`.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release; the operator's kinds exist once it is known."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:Monitoring", name, None, opts)
        home = namespace(NAMESPACE, self, "restricted")
        # It reads the node's /proc and network; alone in its namespace, so that nothing else is allowed to.
        nodes_home = namespace(NODES_NAMESPACE, self, "privileged")
        nobody_can_scrape = {"enabled": False}
        installed = release(
            versions.KUBE_PROMETHEUS_STACK,
            {
                "grafana": {"enabled": False},
                # EKS runs these where no Prometheus of ours reaches them.
                "kubeControllerManager": nobody_can_scrape,
                "kubeScheduler": nobody_can_scrape,
                "kubeEtcd": nobody_can_scrape,
                "kubeProxy": nobody_can_scrape,
                # Their rules stay; see cluster_scrapes.py.
                "kubelet": {"serviceMonitor": {"enabled": False}},
                "kubeApiServer": {"serviceMonitor": {"enabled": False}},
                "coreDns": {"serviceMonitor": {"bearerTokenFile": ""}},  # it asks for none
                "prometheus-node-exporter": {"namespaceOverride": NODES_NAMESPACE},
                "kube-state-metrics": {
                    # No rule asks for their series, and without them its role does not read what is in them.
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
                    # A ServiceMonitor of the autoscaler's own release would have to wait for this one, which may wait
                    # for a node that only the autoscaler brings.
                    "additionalServiceMonitors": [_autoscaler()] if args.get("autoscaler", False) else [],
                    "prometheusSpec": {
                        # Take every monitor and rule of the cluster, not only those of this release.
                        "serviceMonitorSelectorNilUsesHelmValues": False,
                        "podMonitorSelectorNilUsesHelmValues": False,
                        "ruleSelectorNilUsesHelmValues": False,
                        "arbitraryFSAccessThroughSMs": {"deny": True},
                        "additionalScrapeConfigs": cluster_scrapes.jobs(),
                        "retention": f"{int(args.get('retention_days', 15))}d",
                        "storageSpec": {
                            "volumeClaimTemplate": {
                                "spec": {
                                    "storageClassName": BLOCK.name,
                                    "accessModes": ["ReadWriteOnce"],
                                    "resources": {"requests": {"storage": f"{int(args.get('volume_gib', 50))}Gi"}},
                                }
                            }
                        },
                    },
                },
            },
            namespace=home.metadata.name,
            parent=self,
            mirror=args.get("chart_mirror", ""),
            digests=args.get("chart_digests"),
            images_from=args.get("images"),
            depends_on=[nodes_home],
        )
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})


def _autoscaler() -> dict[str, Any]:
    """The ServiceMonitor of the Cluster Autoscaler, in the chart's form."""
    # Late: only this part needs AWS's SDK, and Prometheus runs on either cloud.
    from ..aws import cluster_autoscaler

    return {
        "name": "cluster-autoscaler",
        "selector": {"matchLabels": cluster_autoscaler.POD_LABELS},
        "namespaceSelector": {"matchNames": [cluster_autoscaler.NAMESPACE]},
        "endpoints": [{"port": cluster_autoscaler.METRICS_PORT, "interval": "30s"}],
    }
