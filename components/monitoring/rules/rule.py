"""One rule, and what the rules of a cluster are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..limits import Limits
from ..prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR
from ..targets import DCGM_NAMESPACE, GKE_DCGM_NAMESPACE

CRITICAL, WARNING, INFO = "critical", "warning", "info"
"""Severities: act now; act today; know it."""
SEVERITIES = (CRITICAL, WARNING, INFO)

NODE_INFO = "node:gpuyard_pool:info"
"""Recorded series: 1 for each node of a pool, with its `pool`, `capacity` and `machine`."""


@dataclass(frozen=True)
class Rule:
    """One rule: an alert, or with `record` a series."""

    expr: str
    """PromQL."""
    needs: tuple[str, ...]
    """The sources of its series (`sources`)."""
    alert: str = ""
    """Name of the alert."""
    record: str = ""
    """Name of the series that is recorded."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Further labels of the series or alert."""
    minutes: int = 0
    """How long `expr` holds before the alert fires."""
    severity: str = ""
    """Label `severity` of the alert."""
    summary: str = ""
    """One line for the reader of the alert, with Prometheus' templates."""
    description: str = ""
    """What the alert means, and where to look first."""
    dashboard: str = ""
    """Name of the dashboard that shows it."""

    def rendered(self, links: "Links") -> dict[str, Any]:
        """The rule in the form that Prometheus, the operator and Google's CRD share. Fields that the operator has and
        Google lacks (`keep_firing_for`, a group's `limit`) are used on neither cloud."""
        if self.record:
            return {"record": self.record, "expr": self.expr, **({"labels": {**self.labels}} if self.labels else {})}
        return {
            "alert": self.alert,
            "expr": self.expr,
            **({"for": f"{self.minutes}m"} if self.minutes else {}),
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{links.runbooks.rstrip('/')}/{self.alert}.md",
                "dashboard": links.dashboard(self.dashboard),
            },
        }


@dataclass(frozen=True)
class Links:
    """Where the annotations of an alert lead."""

    runbooks: str
    """Address of the folder with the runbooks."""
    grafana: str
    """Address of Grafana; empty for the dashboards' names alone."""

    def dashboard(self, name: str) -> str:
        """The address of a dashboard, or its name."""
        uid = f"gpuyard-{name}"
        return f"{self.grafana.rstrip('/')}/d/{uid}" if self.grafana else uid


@dataclass(frozen=True)
class Words:
    """The details in which the series of a Prometheus system differ from those of the other."""

    exporter_namespace: str
    """Namespace of the DCGM exporter. Series of a GPU that no pod holds have no pod, or the exporter's."""
    gpu_nodes: str
    """PromQL for the nodes with GPUs, by label `node`."""
    node: tuple[str, str]
    """Label of a DCGM series that contains the node's name, and the regular expression that extracts it."""
    daemons: str
    """Regular expression for the DaemonSets without which a node's GPUs cannot be used or measured."""


WORDS: Mapping[str, Words] = {
    PROMETHEUS_OPERATOR: Words(
        # The exporter's labels are kept; a series without them has those of the exporter's pod.
        DCGM_NAMESPACE,
        'kube_node_status_allocatable{resource=~"nvidia_com_(gpu|mig).*"} > 0',
        # The chart passes the node's name as NODE_NAME. Releases after 4.8.2 call the label `hostname`.
        ("Hostname", "(.+)"),
        "dcgm-exporter.*|nvidia-device-plugin.*|aws-efa-k8s-device-plugin.*",
    ),
    MANAGED_PROMETHEUS: Words(
        GKE_DCGM_NAMESPACE,
        # Google's kube-state-metrics has no nodes, and nothing of namespaces gke-managed-*. The instance of a
        # DaemonSet's pod is NODE:PORT (prometheus-engine, pod_config.go).
        'label_replace(up{job="gke-managed-dcgm-exporter"}, "node", "$1", "instance", "(.+):metrics")',
        ("instance", "(.+):metrics"),
        "dcgm-exporter.*|nvidia-gpu-device-plugin.*",
    ),
}


@dataclass(frozen=True)
class Reserved:
    """One reservation, as the arguments describe it."""

    pool: str
    nodes: int | None
    """Nodes that it holds; None if it is not known."""
    ends: int | None
    """When it ends, in seconds since 1970; None if it is not known or has no end."""


@dataclass(frozen=True)
class Price:
    """Price of one GPU of a node, with the node's other parts."""

    machine: str
    capacity: str
    dollars_per_gpu_hour: float


@dataclass(frozen=True)
class Context:
    """What the rules of one cluster are made from."""

    words: Words
    limits: Limits
    namespaces: Sequence[str] = ()
    """Where pods are expected to use their GPUs; everywhere if empty."""
    reservations: Sequence[Reserved] = ()
    prices: Sequence[Price] = ()

    @property
    def held(self) -> str:
        """Selector of the GPUs that pods hold: the GPU's series name a pod other than the exporter's."""
        return f'{{pod!="",namespace!="{self.words.exporter_namespace}"}}'

    @property
    def watched(self) -> str:
        """Selector of those in the watched namespaces."""
        return f'{{pod!="",namespace=~"{"|".join(self.namespaces)}"}}' if self.namespaces else self.held

    def by_node(self, expr: str) -> str:
        """DCGM's series with a label `node`."""
        label, name = self.words.node
        return f'label_replace({expr}, "node", "$1", "{label}", "{name}")'

    def by_gpu(self, expr: str) -> str:
        """DCGM's series by node and GPU."""
        return f"max by (node, gpu) ({self.by_node(expr)})"
