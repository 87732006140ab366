"""The alert rules of both clouds, written once: what they say, and the few words that the clouds' series differ in.

A rule uses only series that the cloud in question delivers. On GKE these are the 21 fields of the managed DCGM
exporter, of which none counts XIDs, ECC errors or remapped rows, and Google's selection of kube-state-metrics;
`Rule.only` and `Rule.why` say what falls away there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..aws import dcgm_exporter
from .prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR

# Long enough to smooth over a step of training, a checkpoint or a burst of requests.
_AVERAGED = "10m"
# As good as always busy: kernels run, whatever they do.
_BUSY_PERCENT = 90


@dataclass(frozen=True)
class Limits:
    """When the rules speak up: percent and minutes. `RANGES` has the bounds."""

    gpu_utilization_percent: int = 50
    gpu_utilization_minutes: int = 30
    memory_bandwidth_percent: int = 5
    memory_bandwidth_minutes: int = 30
    metrics_missing_minutes: int = 15
    oom_minutes: int = 10


# Below five minutes two missed scrapes are an alert, above a day nobody connects it with its cause.
RANGES = {field.name: (5, 1440) if field.name.endswith("minutes") else (1, 100) for field in fields(Limits)}


@dataclass(frozen=True)
class Words:
    """Where the clouds' series differ.

    exporter_namespace: a GPU that nobody holds bears no pod, or the exporter's own.
    gpu_nodes: PromQL for the nodes with GPUs, by label `node`.
    node: label of a DCGM series with the node's name, and the regular expression that takes it out.
    """

    exporter_namespace: str
    gpu_nodes: str
    node: tuple[str, str]


WORDS: Mapping[str, Words] = {
    PROMETHEUS_OPERATOR: Words(
        # Labels of the exporter are honoured; where it has none, those of its own pod remain.
        dcgm_exporter.NAMESPACE,
        'kube_node_status_allocatable{resource=~"nvidia_com_(gpu|mig).*"} > 0',
        # The chart names the node in NODE_NAME.
        ("Hostname", "(.+)"),
    ),
    MANAGED_PROMETHEUS: Words(
        "gke-managed-system",
        # Google's kube-state-metrics has no nodes, and nothing of namespaces gke-managed-*. Of a DaemonSet's pod the
        # instance is NODE:PORT (prometheus-engine, pod_config.go).
        'label_replace(up{job="gke-managed-dcgm-exporter"}, "node", "$1", "instance", "(.+):metrics")',
        ("instance", "(.+):metrics"),
    ),
}


@dataclass(frozen=True)
class Rule:
    """One rule: an alert, or with `record` a series.

    gpu_metrics: it needs DCGM's series. only, why: the one system that can evaluate it, and the reason.
    """

    expr: str
    alert: str = ""
    record: str = ""
    minutes: int = 0
    severity: str = ""
    summary: str = ""
    description: str = ""
    gpu_metrics: bool = True
    only: str = ""
    why: str = ""

    def rendered(self) -> dict[str, Any]:
        """The rule as Prometheus, the operator and Google's CRD write it alike: those of the operator's fields that
        Google's lacks (`keep_firing_for`, a group's `limit`) are used on neither cloud."""
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
    """The rule groups for a system of `SYSTEMS`; `namespaces`: where GPUs are watched, everywhere when empty."""
    made = {
        "gpuyard-gpus": [rule for rule in gpu_rules(WORDS[system], limits, namespaces) if gpu_metrics],
        "gpuyard-containers": [rule for rule in container_rules(limits) if rule.only in ("", system)],
    }
    return [
        {"name": name, "interval": "1m", "rules": [rule.rendered() for rule in rules]}
        for name, rules in made.items()
        if rules
    ]


def gpu_rules(words: Words, limits: Limits, namespaces: Sequence[str] = ()) -> Iterator[Rule]:
    """What DCGM's series tell. A GPU is somebody's when its series name a pod other than the exporter's."""
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
            "loading, batch size and number of workers first; then whether the pod still does anything."
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
            f"{limits.memory_bandwidth_percent} % of it, for {limits.memory_bandwidth_minutes} minutes: mostly a "
            "collective operation (NCCL) that waits for a peer that is gone. Do all ranks still complete steps?"
        ),
    )
    label, name = words.node
    measured = f'label_replace(DCGM_FI_DEV_GPU_TEMP, "node", "$1", "{label}", "{name}")'
    yield Rule(
        f"max by (node) ({words.gpu_nodes}) unless on (node) max by (node) ({measured})",
        alert="GpuMetricsMissing",
        minutes=limits.metrics_missing_minutes,
        severity="warning",
        summary="Node {{ $labels.node }} has GPUs and delivers no GPU metrics",
        description=(
            f"For {limits.metrics_missing_minutes} minutes; no other GPU alert can fire for this node. Look at the "
            f"exporter's pod on it, in namespace {words.exporter_namespace}: does it run, does it see the driver?"
        ),
    )


def container_rules(limits: Limits) -> Iterator[Rule]:
    """What kube-state-metrics tells of containers."""
    window = f"{limits.oom_minutes}m"
    container = "namespace, pod, container"
    restarted = f"increase(kube_pod_container_status_restarts_total[{window}]) > 0"
    last = 'kube_pod_container_status_last_terminated_reason{reason="OOMKilled"} == 1'
    # A pod that is not restarted, as of most training jobs, keeps this until it is deleted: only news is told.
    ended = 'kube_pod_container_status_terminated_reason{reason="OOMKilled"}'
    yield Rule(
        f"max by ({container}) ({restarted} and on ({container}) {last})"
        f" or max by ({container}) ({ended} == 1 unless on ({container}) {ended} offset {window} == 1)",
        alert="ContainerOomKilled",
        severity="warning",
        summary="Container {{ $labels.container }} of {{ $labels.namespace }}/{{ $labels.pod }} ran out of memory",
        description=(
            f"The kernel killed it within the last {limits.oom_minutes} minutes, because it reached its memory limit. "
            "Raise the limit, or lower what it holds: data loader workers, prefetching, shared memory of /dev/shm."
        ),
        gpu_metrics=False,
        only=PROMETHEUS_OPERATOR,
        why=(
            "of pods, Google's kube-state-metrics has phase, readiness, reasons to wait and unschedulable: neither "
            "restarts nor the reason of a termination"
        ),
    )
