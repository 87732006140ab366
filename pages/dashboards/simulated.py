"""A day of a small fleet, as series: what its exporters would have said. Nothing here is random.

Two nodes with eight GPUs train for team-a; two nodes with one GPU serve a model; a spot node with one GPU, which team-b
holds and hardly uses, is lost in the evening. In the day one more node has
a GPU that no pod holds. At 14:00 the training waits for an hour for a rank that has stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

END = 1_793_534_400
"""Noon of a Sunday in 2026, UTC. Charts end here."""
START = END - 27 * 3600
STEP = 120
"""Seconds between two samples."""

Value = Callable[[int], float | None]
"""Seconds since 1970 → the value; None while the series does not exist."""


@dataclass(frozen=True)
class Series:
    """One series."""

    name: str
    labels: dict[str, str]
    value: Value


def samples() -> Iterator[str]:
    """All samples in OpenMetrics' text form."""
    for each in series():
        labels = ",".join(f'{key}="{value}"' for key, value in each.labels.items())
        for moment in range(START, END + 1, STEP):
            value = each.value(moment)
            if value is not None:
                yield f"{each.name}{{{labels}}} {value:g} {moment}\n"
    yield "# EOF\n"


def series() -> Iterator[Series]:
    """All series."""
    for node in NODES:
        yield from _node(node)
        for number in range(node.gpus):
            yield from _gpu(node, number)
    yield from _queues()
    yield from _autoscaler()
    yield from _pods()
    yield from _servers()


@dataclass(frozen=True)
class Node:
    """A node of the fleet."""

    name: str
    pool: str
    capacity: str
    machine: str
    gpus: int
    namespace: str
    pod: str
    there: Value
    """1 while it exists."""


def _always(_: int) -> float:
    return 1


def _hour(moment: int) -> float:
    """Hour of the day, 0 to 24."""
    return moment % 86400 / 3600


def _day(moment: int) -> float:
    """0 at night, 1 in the afternoon."""
    return 0.5 - 0.5 * math.cos((_hour(moment) - 3) / 12 * math.pi)


def _wave(moment: int, seed: int) -> float:
    """-1 to 1, without a period that is seen."""
    return math.sin(moment / 1700 + seed) * 0.6 + math.sin(moment / 613 + 2 * seed) * 0.4


def _until_evening(moment: int) -> float | None:
    return 1 if moment < END - 16 * 3600 else None


NODES = (
    Node("train-a", "train", "on_demand", "p5.48xlarge", 8, "team-a", "train-0", _always),
    Node("train-b", "train", "on_demand", "p5.48xlarge", 8, "team-a", "train-1", _always),
    Node("serve-a", "serve", "on_demand", "g6.2xlarge", 1, "serving", "llm-0", _always),
    Node("serve-b", "serve", "on_demand", "g6.2xlarge", 1, "serving", "llm-1", lambda t: 1 if _day(t) > 0.3 else None),
    Node("spare-a", "serve", "on_demand", "g6.2xlarge", 1, "dcgm-exporter", "", lambda t: 1 if _day(t) > 0.6 else None),
    Node("spot-a", "cheap", "spot", "g6.2xlarge", 1, "team-b", "notebook-0", _until_evening),
)


def _stuck(moment: int) -> bool:
    return 14 <= _hour(moment) < 15


def _saves(moment: int) -> bool:
    """A checkpoint every two hours, for six minutes."""
    return 1800 <= moment % 7200 < 2160


def _busy(node: Node, moment: int, seed: int) -> float:
    """GPU utilization in percent."""
    if node.pool == "train":
        return 100 if _stuck(moment) else 18 if _saves(moment) else 93 + 4 * _wave(moment, seed)
    if not node.pod:
        return 0
    if node.pool == "serve":
        return max(3, 75 * _day(moment) + 8 * _wave(moment, seed))
    return max(0, 6 * _wave(moment, seed))


def _gpu(node: Node, number: int) -> Iterator[Series]:
    seed, large = number + len(node.name), node.pool == "train"
    labels = {
        "gpu": str(number), "UUID": f"GPU-{node.name}-{number}", "Hostname": node.name, "namespace": node.namespace,
        "pod": node.pod, "container": "main", "modelName": "NVIDIA H100" if large else "NVIDIA L4",
    }  # fmt: skip
    memory, watts, clock = (81_559, 700, 1980) if large else (23_034, 72, 2040)
    hot = large and number == 5 and node.name == "train-b"

    def busy(moment: int) -> float:
        return _busy(node, moment, seed)

    def throttled(share: float) -> Value:
        """Nanoseconds, for a share of the time while it is busy."""
        return lambda t: (t - START) * 1e9 * share

    fields: dict[str, Value] = {
        "DEV_GPU_UTIL": busy,
        "DEV_MEM_COPY_UTIL": lambda t: 1 if large and _stuck(t) else 0.45 * busy(t),
        "DEV_FB_USED": lambda t: memory * (0.93 if large else 0.88 if node.pool == "serve" else 0.2),
        "DEV_FB_FREE": lambda t: memory * (0.07 if large else 0.12 if node.pool == "serve" else 0.8),
        "DEV_GPU_TEMP": lambda t: 38 + 0.32 * busy(t) + (17 if hot else number) + 2 * _wave(t, seed),
        "DEV_MEMORY_TEMP": lambda t: 45 + 0.35 * busy(t) + (12 if hot else number),
        "DEV_POWER_USAGE": lambda t: watts * (0.17 + 0.8 * busy(t) / 100 * (0.5 if _stuck(t) and large else 1)),
        "DEV_SM_CLOCK": lambda t: (
            clock * (0.17 if busy(t) < 2 else 0.72 if large and not hot else 0.62 if hot else 0.9)
        ),
        "PROF_PIPE_TENSOR_ACTIVE": lambda t: 0 if large and _stuck(t) else 0.0042 * busy(t),
        "PROF_PCIE_RX_BYTES": lambda t: 4e7 * busy(t) * (1 + 0.3 * _wave(t, seed)),
        "PROF_PCIE_TX_BYTES": lambda t: 1.5e7 * busy(t) * (1 + 0.3 * _wave(t, seed + 1)),
        "DEV_THERMAL_VIOLATION": throttled(0.07 if hot else 0),
        "DEV_POWER_VIOLATION": throttled(0.55 if large else 0.05),
        "DEV_ECC_DBE_VOL_TOTAL": lambda t: 0,
        "DEV_UNCORRECTABLE_REMAPPED_ROWS": lambda t: 1 if hot else 0,
        "DEV_ROW_REMAP_PENDING": lambda t: 1 if hot and t > END - 5 * 3600 else 0,
        "DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL": lambda t: (t - START) // 1800 if hot else 0,
    }
    for name, value in fields.items():
        yield Series(f"DCGM_FI_{name}", labels, _while(node.there, value))
    xid = "31" if large else "43"
    seen = END - 7200 if number == 1 else END - 60_000 - 3600 * seed
    yield Series(
        "DCGM_EXP_XID_ERRORS_COUNT", {**labels, "xid": xid},
        _while(node.there, lambda t: 1 if seen <= t < seen + 300 or (number == 0 and t > END - 240) else None),
    )  # fmt: skip


def _while(there: Value, value: Value) -> Value:
    return lambda moment: value(moment) if there(moment) else None


def _node(node: Node) -> Iterator[Series]:
    pool = {"label_gpuyard_dev_pool": node.pool, "label_gpuyard_dev_capacity": node.capacity}
    facts: dict[str, dict[str, str]] = {
        "kube_node_labels": {**pool, "label_node_kubernetes_io_instance_type": node.machine},
        "kube_node_status_allocatable": {"resource": "nvidia_com_gpu", "unit": "integer"},
    }
    for name, labels in facts.items():
        count = node.gpus if name.endswith("allocatable") else 1
        yield Series(name, {"node": node.name, **labels}, _while(node.there, lambda t, count=count: count))
    for status in ("true", "false", "unknown"):
        labels = {"node": node.name, "condition": "Ready", "status": status}
        yield Series("kube_node_status_condition", labels, _while(node.there, lambda t, s=status: float(s == "true")))
    pressure = {"node": node.name, "condition": "MemoryPressure", "status": "true"}
    ill = node.name == "train-b"
    yield Series(
        "kube_node_status_condition", pressure,
        _while(node.there, lambda t: float(ill and END - 9000 < t < END - 6000)),
    )  # fmt: skip
    yield Series(
        "kube_node_spec_unschedulable", {"node": node.name}, _while(node.there, lambda t: float(ill and t > END - 3600))
    )


def _queues() -> Iterator[Series]:
    def pending(moment: int) -> float:
        return round(max(0, 3.5 * _day(moment) + 1.2 * _wave(moment, 3)))

    quota = {"team-a": 16, "team-b": 3}
    for queue, gpus in quota.items():
        one, mine = {"cluster_queue": queue, "replica_role": "leader"}, queue == "team-a"
        gpu = {**one, "cohort": "all", "flavor": "train", "resource": "nvidia.com/gpu"}
        yield Series("kueue_cluster_queue_nominal_quota", gpu, lambda t, gpus=gpus: gpus)
        used = (lambda t: 16 if _hour(t) < 9 or _hour(t) > 12 else 17) if mine else (lambda t: round(2 * _day(t)) + 1)
        yield Series("kueue_cluster_queue_resource_usage", gpu, used)
        for status in ("active", "inadmissible"):
            value = (lambda t: min(1, pending(t))) if status == "active" else (lambda t: max(0, pending(t) - 1))
            yield Series(
                "kueue_pending_workloads", {**one, "status": status}, value if mine else lambda t: float(pending(t) > 3)
            )
        waits = {"quota_reserved": 2400, "admission_checks": 45, "admitted_until_ready": 420}
        for name, typical in waits.items():
            yield from _histogram(
                f"kueue_{name}_wait_time_seconds", {**one, "priority_class": ""}, (10, 60, 300, 600, 1800, 3600, 10800),
                lambda t, typical=typical, mine=mine: typical * (0.4 + _day(t)) * (1 if mine else 0.4), 4,
            )  # fmt: skip
        yield Series(
            "kueue_evicted_workloads_total",
            {**one, "reason": "Preempted", "underlying_cause": "", "priority_class": ""},
            lambda t, mine=mine: (t - START) // (21_600 if mine else 43_200),
        )  # fmt: skip


def _histogram(
    name: str, labels: dict[str, str], bounds: tuple[float, ...], typical: Value, per_hour: float
) -> Iterator[Series]:
    """A histogram whose values are spread around `typical`, which changes within the day."""
    totals: dict[float, dict[int, float]] = {}
    for bound in (*bounds, math.inf):
        total, totals[bound] = 0.0, {}
        for moment in range(START, END + 1, STEP):
            share = 1 - math.exp(-((bound / (typical(moment) or 1)) ** 2))
            total += share * per_hour * STEP / 3600
            totals[bound][moment] = total
        le = "+Inf" if bound == math.inf else f"{bound:g}"
        yield Series(f"{name}_bucket", {**labels, "le": le}, lambda t, of=totals[bound]: of[t])


def _autoscaler() -> Iterator[Series]:
    group = "eks-cheap-spot"
    late = END - 16 * 3600

    def after(seconds: int, length: int) -> Value:
        return lambda t: float(late + seconds <= t < late + seconds + length)

    yield Series("cluster_autoscaler_unschedulable_pods_count", {"type": "unschedulable"}, after(0, 9000))
    backoff = {"node_group": group, "reason": "InsufficientInstanceCapacity"}
    yield Series(
        "cluster_autoscaler_node_group_backoff_status", backoff, lambda t: float(after(900, 7200)(t) or t > END - 600)
    )
    failed = {"reason": "cloudProviderError"}
    yield Series(
        "cluster_autoscaler_failed_scale_ups_total", failed,
        lambda t: min(4, max(0, (t - late) // 1800)) + float(t > END - 900),
    )  # fmt: skip
    for state, value in {
        "ready": lambda t: sum(1 for node in NODES if node.there(t)) + 2,
        "notStarted": lambda t: float(t % 43_200 < 600),
        "unregistered": after(300, 600),
    }.items():
        yield Series("cluster_autoscaler_nodes_count", {"state": state}, value)


def _restarts(node: Node) -> Value:
    return lambda t: float((node.pod == "train-1" and t > END - 9000) + (t > END - 40_000))


def _killed(node: Node) -> Value:
    return lambda t: float(node.pod == "notebook-0" or (node.pod == "train-1" and t > END - 9000))


def _pods() -> Iterator[Series]:
    for node in NODES:
        if not node.pod:
            continue
        pod = {"namespace": node.namespace, "pod": node.pod}
        container = {**pod, "container": "main"}
        yield Series("kube_pod_status_phase", {**pod, "phase": "Running"}, _while(node.there, _always))
        request = {**container, "node": node.name, "resource": "nvidia_com_gpu", "unit": "integer"}
        yield Series(
            "kube_pod_container_resource_requests", request, _while(node.there, lambda t, node=node: node.gpus)
        )
        yield Series("kube_pod_container_status_restarts_total", container, _while(node.there, _restarts(node)))
        reason = {**container, "reason": "OOMKilled"}
        yield Series("kube_pod_container_status_last_terminated_reason", reason, _while(node.there, _killed(node)))
    waiting = {"ContainerCreating": (7200, 900), "ImagePullBackOff": (1800, 5400)}
    for number, (reason, (before, length)) in enumerate(waiting.items()):
        labels = {"namespace": "team-a", "pod": f"new-{number}", "container": "main", "reason": reason}
        yield Series(
            "kube_pod_container_status_waiting_reason", labels,
            lambda t, before=before, length=length: 1 if END - before <= t < END - before + length else None,
        )  # fmt: skip
    for kind, value in {"used": lambda t: 1 + round(2 * _day(t)), "hard": lambda t: 4}.items():
        labels = {"namespace": "team-b", "resourcequota": "gpus", "resource": "requests.nvidia.com/gpu", "type": kind}
        yield Series("kube_resourcequota", labels, value)
    claim = {"namespace": "team-a", "persistentvolumeclaim": "checkpoints"}
    yield Series(
        "kubelet_volume_stats_used_bytes", claim, lambda t: 1e12 * (0.55 + 0.4 * ((t - START) % 43_200) / 43_200)
    )
    yield Series("kubelet_volume_stats_capacity_bytes", claim, lambda t: 1e12)


def _servers() -> Iterator[Series]:
    for node in (node for node in NODES if node.namespace == "serving"):
        seed = len(node.pod) + int(node.pod[-1])
        labels = {
            "namespace": "serving", "pod": node.pod, "model_name": "llama-3-8b", "engine": "0", "job": "llm",
        }  # fmt: skip

        def load(moment: int, seed: int = seed) -> float:
            return max(0.5, 22 * _day(moment) * (1 + 0.2 * _wave(moment, seed)))

        def counted(per_second: float, load: Value = load) -> Value:
            total, known = 0.0, {}
            for moment in range(START, END + 1, STEP):
                total += per_second * (load(moment) or 0) * STEP
                known[moment] = total
            return known.__getitem__

        gauges: dict[str, Value] = {
            "num_requests_running": lambda t, load=load: round(load(t)),
            "num_requests_waiting": lambda t, load=load: round(max(0, load(t) - 17) * 2),
            "kv_cache_usage_perc": lambda t, load=load: min(1, load(t) / 25),
            "generation_tokens_total": counted(32),
            "prompt_tokens_total": counted(210),
        }
        for name, value in gauges.items():
            yield Series(f"vllm:{name}", labels, _while(node.there, value))
        for reason, share in {"stop": 0.1, "length": 0.02, "abort": 0.004}.items():
            finished = {**labels, "finished_reason": reason}
            yield Series("vllm:request_success_total", finished, _while(node.there, counted(share)))
        times = {"time_to_first_token": 0.7, "inter_token_latency": 0.03, "e2e_request_latency": 9.0}
        for name, typical in times.items():
            bounds = tuple(typical * factor for factor in (0.1, 0.3, 0.6, 1, 1.5, 2.5, 4, 8, 16))
            for each in _histogram(
                f"vllm:{name}_seconds", labels, bounds,
                lambda t, typical=typical: typical * (0.5 + 1.4 * _day(t) ** 2), 900,
            ):  # fmt: skip
                yield Series(each.name, each.labels, _while(node.there, each.value))
