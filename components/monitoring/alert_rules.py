"""The alert rules of both clouds, written once, with the few details in which the clouds' series differ.

A rule uses only series that the cloud in question has. On GKE these are the 21 fields of the managed DCGM exporter,
none of which counts XIDs, ECC errors or remapped rows, and Google's selection of kube-state-metrics. `Rule.only` and
`Rule.why` say which rules cannot work there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR
from .targets import DCGM_NAMESPACE, GKE_DCGM_NAMESPACE

# Long enough to average a training step, a checkpoint or a burst of requests.
_AVERAGED = "10m"
# Practically always busy: kernels run, useful or not.
_BUSY_PERCENT = 90


@dataclass(frozen=True)
class Limits:
    """Thresholds of the rules in percent, and times in minutes. `RANGES` has the bounds."""

    gpu_utilization_percent: int
    """Lower bound of a pod's GPU utilization."""
    gpu_utilization_minutes: int
    """How long the utilization is below it before the alert fires."""
    memory_bandwidth_percent: int
    """Lower bound of the memory bandwidth of a pod whose GPUs are busy."""
    memory_bandwidth_minutes: int
    """How long the bandwidth is below it before the alert fires."""
    metrics_missing_minutes: int
    """How long a node with GPUs has no GPU metrics before the alert fires."""
    oom_minutes: int
    """How long an OOM kill is reported."""


# Below five minutes two missed scrapes raise an alert. After more than a day its cause is hard to find.
RANGES = {field.name: (5, 1440) if field.name.endswith("minutes") else (1, 100) for field in fields(Limits)}


@dataclass(frozen=True)
class Words:
    """The details in which the series of a Prometheus system differ from those of the other."""

    exporter_namespace: str
    """Namespace of the DCGM exporter. Series of a GPU that no pod holds have no pod, or the exporter's."""
    gpu_nodes: str
    """PromQL for the nodes with GPUs, by label `node`."""
    node: tuple[str, str]
    """Label of a DCGM series that contains the node's name, and the regular expression that extracts it."""


WORDS: Mapping[str, Words] = {
    PROMETHEUS_OPERATOR: Words(
        # The exporter's labels are kept; a series without them has those of the exporter's pod.
        DCGM_NAMESPACE,
        'kube_node_status_allocatable{resource=~"nvidia_com_(gpu|mig).*"} > 0',
        # The chart passes the node's name as NODE_NAME.
        ("Hostname", "(.+)"),
    ),
    MANAGED_PROMETHEUS: Words(
        GKE_DCGM_NAMESPACE,
        # Google's kube-state-metrics has no nodes, and nothing of namespaces gke-managed-*. The instance of a
        # DaemonSet's pod is NODE:PORT (prometheus-engine, pod_config.go).
        'label_replace(up{job="gke-managed-dcgm-exporter"}, "node", "$1", "instance", "(.+):metrics")',
        ("instance", "(.+):metrics"),
    ),
}


@dataclass(frozen=True)
class Rule:
    """One rule: an alert, or with `record` a series."""

    expr: str
    """PromQL."""
    alert: str = ""
    """Name of the alert."""
    record: str = ""
    """Name of the series that is recorded."""
    minutes: int = 0
    """How long `expr` holds before the alert fires."""
    severity: str = ""
    """Label `severity` of the alert."""
    summary: str = ""
    """One line for the reader of the alert, with Prometheus' templates."""
    description: str = ""
    """What the alert means, and where to look first."""
    gpu_metrics: bool = True
    """Whether it needs DCGM's series."""
    only: str = ""
    """The one system that can evaluate it; empty for both."""
    why: str = ""
    """Why the other system cannot."""

    def rendered(self) -> dict[str, Any]:
        """The rule in the form that Prometheus, the operator and Google's CRD share. Fields that the operator has and
        Google lacks (`keep_firing_for`, a group's `limit`) are used on neither cloud."""
        if self.record:
            return {"record": self.record, "expr": self.expr}
        return {
            "alert": self.alert,
            "expr": self.expr,
            **({"for": f"{self.minutes}m"} if self.minutes else {}),
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "description": self.description},
        }


def groups(system: str, limits: Limits, namespaces: Sequence[str], gpu_metrics: bool) -> list[dict[str, Any]]:
    """The rule groups for a Prometheus system.

    Args:
        system: one of `SYSTEMS`.
        limits: the thresholds.
        namespaces: where GPUs are watched; everywhere if empty.
        gpu_metrics: whether a DCGM exporter runs.
    """
    found = {
        "gpuyard-gpus": [rule for rule in gpu_rules(WORDS[system], limits, namespaces) if gpu_metrics],
        "gpuyard-containers": [rule for rule in container_rules(limits) if rule.only in ("", system)],
    }
    return [
        {"name": name, "interval": "1m", "rules": [rule.rendered() for rule in rules]}
        for name, rules in found.items()
        if rules
    ]


def gpu_rules(words: Words, limits: Limits, namespaces: Sequence[str] = ()) -> Iterator[Rule]:
    """Rules on DCGM's series. A pod holds a GPU if the GPU's series name a pod other than the exporter's."""
    where = f'namespace=~"{"|".join(namespaces)}"' if namespaces else f'namespace!="{words.exporter_namespace}"'
    held = f'{{pod!="",{where}}}'
    compute = f"avg by (namespace, pod) (avg_over_time(DCGM_FI_DEV_GPU_UTIL{held}[{_AVERAGED}]))"
    memory = f"avg by (namespace, pod) (avg_over_time(DCGM_FI_DEV_MEM_COPY_UTIL{held}[{_AVERAGED}]))"
    yield Rule(compute, record="namespace_pod:gpu_utilization_percent:avg10m")
    yield Rule(memory, record="namespace_pod:gpu_memory_bandwidth_percent:avg10m")
    yield Rule(
        f"{compute} < {limits.gpu_utilization_percent}",
        alert="GpuUtilizationLow",
        minutes=limits.gpu_utilization_minutes,
        severity="warning",
        summary="Pod {{ $labels.namespace }}/{{ $labels.pod }} keeps its GPUs only {{ $value | humanize }} % busy",
        description=(
            f"Less than {limits.gpu_utilization_percent} % for {limits.gpu_utilization_minutes} minutes. Look at data "
            "loading, batch size and number of workers first; then check whether the pod still does any work."
        ),
    )
    yield Rule(
        f"{memory} < {limits.memory_bandwidth_percent} and on (namespace, pod) {compute} >= {_BUSY_PERCENT}",
        alert="GpuBusyWithoutMemoryTraffic",
        minutes=limits.memory_bandwidth_minutes,
        severity="warning",
        summary="GPUs of pod {{ $labels.namespace }}/{{ $labels.pod }} look busy but move no data",
        description=(
            f"Kernels run {_BUSY_PERCENT} % of the time or more, and memory is used less than "
            f"{limits.memory_bandwidth_percent} % of it, for {limits.memory_bandwidth_minutes} minutes: usually a "
            "collective operation (NCCL) that waits for a peer that has stopped. Do all ranks still complete steps?"
        ),
    )
    label, name = words.node
    measured = f'label_replace(DCGM_FI_DEV_GPU_TEMP, "node", "$1", "{label}", "{name}")'
    yield Rule(
        f"max by (node) ({words.gpu_nodes}) unless on (node) max by (node) ({measured})",
        alert="GpuMetricsMissing",
        minutes=limits.metrics_missing_minutes,
        severity="warning",
        summary="Node {{ $labels.node }} has GPUs but no GPU metrics",
        description=(
            f"For {limits.metrics_missing_minutes} minutes; no other GPU alert can fire for this node. Look at the "
            f"exporter's pod on it, in namespace {words.exporter_namespace}: does it run, and does it see the driver?"
        ),
    )


def container_rules(limits: Limits) -> Iterator[Rule]:
    """Rules on kube-state-metrics' series of containers."""
    window = f"{limits.oom_minutes}m"
    container = "namespace, pod, container"
    restarted = f"increase(kube_pod_container_status_restarts_total[{window}]) > 0"
    last = 'kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1'
    # A pod that is not restarted, such as that of a training job, keeps this until it is deleted: report it once.
    ended = 'kube_pod_container_status_terminated_reason{reason="OOMKilled"}'
    yield Rule(
        f"max by ({container}) ({restarted} and on ({container}) {last})"
        f" or max by ({container}) ({ended} == 1 unless on ({container}) {ended} offset {window} == 1)",
        alert="ContainerOomKilled",
        severity="warning",
        summary="Container {{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} ran out of memory",
        description=(
            f"The kernel killed it within the last {limits.oom_minutes} minutes, because it reached its memory limit. "
            "Raise the limit, or reduce what it holds: data loader workers, prefetching, shared memory of /dev/shm."
        ),
        gpu_metrics=False,
        only=PROMETHEUS_OPERATOR,
        why=(
            "Google's kube-state-metrics has a pod's phase, readiness, reasons to wait and unschedulable, but neither "
            "restarts nor the reason of a termination"
        ),
    )
