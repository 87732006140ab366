"""The series that the exporters give, with the labels that rules and dashboards may select or group by.

Sources, by origin of the series:
- DCGM: labels of dcgm-exporter 4.5.3-4.8.2 (internal/pkg/rendermetrics); fields on EKS are those of `dcgm_counters`, on
  GKE the 21 of the managed exporter, as read from a running cluster (a public record of 2026).
- kube-state-metrics v2.20: docs/metrics of its repository. On GKE with a ClusterPodMonitoring without metadata.
- Cluster Autoscaler 1.33 to 1.35: cluster-autoscaler/metrics/metrics.go.
- Kueue v0.19.2: pkg/metrics/metrics.go.
- kubelet: pkg/kubelet/metrics/collectors/volume_stats.go.
- vLLM: docs.vllm.ai, "Production Metrics" (stable).
"""

from __future__ import annotations

import re

from components.aws import dcgm_counters
from components.monitoring.rules import sources

DCGM_LABELS = {"gpu", "UUID", "modelName", "namespace", "pod", "container"}
_ON_GKE = (
    "DEV_FB_FREE DEV_FB_TOTAL DEV_FB_USED DEV_GPU_TEMP DEV_MEMORY_TEMP DEV_GPU_UTIL DEV_MEM_COPY_UTIL DEV_POWER_USAGE"
    " DEV_SM_CLOCK DEV_TOTAL_ENERGY_CONSUMPTION PROF_DRAM_ACTIVE PROF_GR_ENGINE_ACTIVE PROF_NVLINK_RX_BYTES"
    " PROF_NVLINK_TX_BYTES PROF_PCIE_RX_BYTES PROF_PCIE_TX_BYTES PROF_PIPE_FP16_ACTIVE PROF_PIPE_FP32_ACTIVE"
    " PROF_PIPE_FP64_ACTIVE PROF_PIPE_TENSOR_ACTIVE PROF_SM_ACTIVE"
)
GKE_FIELDS = {f"DCGM_FI_{name}" for name in _ON_GKE.split()}
EKS_FIELDS = {name for name, (kind, _) in dcgm_counters.COUNTERS.items() if kind != "label"}

_POD = {"namespace", "pod"}
_CONTAINER = {*_POD, "container"}
_QUEUE = {"cluster_queue", "replica_role"}
_FLAVOR = {*_QUEUE, "cohort", "flavor", "resource"}
_LOCAL = {"name", "namespace", "replica_role"}
_VOLUME = {"namespace", "persistentvolumeclaim", "node"}
_SERVER = {"model_name", "engine", "namespace", "pod", "job"}

KNOWN: dict[str, dict[str, set[str]]] = {
    sources.GPUS: {name: {*DCGM_LABELS, "instance", "Hostname"} for name in GKE_FIELDS & EKS_FIELDS}
    # The target of GKE's managed exporter: its existence shows a node with GPUs.
    | {"up": {"job", "instance"}},
    sources.GPU_FAULTS: {name: {*DCGM_LABELS, "Hostname", "xid"} for name in EKS_FIELDS - GKE_FIELDS},
    sources.STATE: {
        "kube_node_labels": {
            "node", "label_gpuyard_dev_pool", "label_gpuyard_dev_capacity", "label_node_kubernetes_io_instance_type",
        },
        "kube_node_spec_taint": {"node", "key", "value", "effect"},
        "kube_node_spec_unschedulable": {"node"},
        "kube_node_status_allocatable": {"node", "resource", "unit"},
        "kube_node_status_condition": {"node", "condition", "status"},
        "kube_daemonset_status_desired_number_scheduled": {"namespace", "daemonset"},
        "kube_daemonset_status_number_ready": {"namespace", "daemonset"},
        "kube_pod_info": {*_POD, "node", "created_by_kind", "created_by_name"},
        "kube_pod_status_phase": {*_POD, "phase"},
        "kube_pod_status_unschedulable": _POD,
        "kube_pod_container_resource_requests": {*_CONTAINER, "node", "resource", "unit"},
        "kube_pod_container_status_restarts_total": _CONTAINER,
        "kube_pod_container_status_waiting_reason": {*_CONTAINER, "reason"},
        "kube_pod_container_status_last_terminated_reason": {*_CONTAINER, "reason"},
        "kube_pod_container_status_terminated_reason": {*_CONTAINER, "reason"},
        "kube_resourcequota": {"namespace", "resourcequota", "resource", "type"},
    },
    sources.AUTOSCALER: {
        "cluster_autoscaler_failed_scale_ups_total": {"reason"},
        "cluster_autoscaler_unschedulable_pods_count": {"type"},
        "cluster_autoscaler_nodes_count": {"state"},
        "cluster_autoscaler_node_group_backoff_status": {"node_group", "reason"},
        "cluster_autoscaler_node_group_healthiness": {"node_group"},
        "cluster_autoscaler_node_group_target_count": {"node_group"},
        "cluster_autoscaler_node_group_max_count": {"node_group"},
    },
    sources.QUEUES: {
        "kueue_pending_workloads": {*_QUEUE, "status"},
        "kueue_admitted_active_workloads": _QUEUE,
        "kueue_admitted_workloads_total": {*_QUEUE, "priority_class"},
        "kueue_evicted_workloads_total": {*_QUEUE, "reason", "underlying_cause", "priority_class"},
        "kueue_quota_reserved_wait_time_seconds_bucket": {*_QUEUE, "priority_class", "le"},
        "kueue_admission_checks_wait_time_seconds_bucket": {*_QUEUE, "priority_class", "le"},
        "kueue_admitted_until_ready_wait_time_seconds_bucket": {*_QUEUE, "priority_class", "le"},
        "kueue_cluster_queue_status": {*_QUEUE, "status"},
        "kueue_cluster_queue_nominal_quota": _FLAVOR,
        "kueue_cluster_queue_resource_usage": _FLAVOR,
        "kueue_cluster_queue_resource_reservation": _FLAVOR,
        "kueue_cluster_queue_resource_pending": {*_QUEUE, "resource"},
        "kueue_local_queue_pending_workloads": {*_LOCAL, "status"},
    },
    sources.VOLUMES: {
        "kubelet_volume_stats_used_bytes": _VOLUME,
        "kubelet_volume_stats_capacity_bytes": _VOLUME,
    },
    sources.SERVERS: {
        "vllm:num_requests_running": _SERVER,
        "vllm:num_requests_waiting": _SERVER,
        "vllm:kv_cache_usage_perc": _SERVER,
        "vllm:generation_tokens_total": _SERVER,
        "vllm:prompt_tokens_total": _SERVER,
        "vllm:request_success_total": {*_SERVER, "finished_reason"},
        "vllm:time_to_first_token_seconds_bucket": {*_SERVER, "le"},
        "vllm:inter_token_latency_seconds_bucket": {*_SERVER, "le"},
        "vllm:e2e_request_latency_seconds_bucket": {*_SERVER, "le"},
    },
}  # fmt: skip

_WORD = re.compile(r"(?<![\w:$\"])[a-zA-Z_][\w:]*(?!\s*\(|[\w:\"])")
_GROUPED = re.compile(r"\b(?:by|on|ignoring|group_left|group_right|without)\s*\(([^)]*)\)")
_SELECTOR = re.compile(r"([a-zA-Z_][\w:]*)\{([^}]*)\}")
_KEYWORDS = {"and", "or", "unless", "bool", "offset", "by", "on", "group_left", "group_right", "ignoring", "inf", "Inf"}


def series(expr: str) -> set[str]:
    """Names of the series in PromQL."""
    found = re.sub(r'"[^"]*"', '""', _GROUPED.sub(" ", expr))
    found = re.sub(r"\[[^\]]*\]|\{[^}]*\}|offset \w+", " ", found)
    return {name for name in _WORD.findall(found) if name not in _KEYWORDS}


def selected(expr: str) -> dict[str, set[str]]:
    """Series → the labels by which PromQL selects it."""
    found: dict[str, set[str]] = {}
    for name, labels in _SELECTOR.findall(expr):
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels))
    return found
