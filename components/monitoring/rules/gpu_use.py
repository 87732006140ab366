"""How pods use the GPUs that they hold: low, stuck, idle, out of memory."""

from collections.abc import Iterator

from . import sources
from .rule import INFO, WARNING, Context, Rule

UTILIZATION = "namespace_pod:gpu_utilization_percent:avg10m"
BANDWIDTH = "namespace_pod:gpu_memory_bandwidth_percent:avg10m"
MEMORY = "namespace_pod:gpu_memory_used_percent:max"
"""Recorded series, one for each pod that holds GPUs."""

# Long enough to average a training step, a checkpoint or a burst of requests.
_AVERAGED = "10m"
# Practically always busy: kernels run, useful or not.
_BUSY_PERCENT = 90
_POD = "{{ $labels.namespace }}/{{ $labels.pod }}"
_GPUS = (sources.GPUS,)


def _average(field: str, selector: str) -> str:
    return f"avg by (namespace, pod) (avg_over_time(DCGM_FI_DEV_{field}{selector}[{_AVERAGED}]))"


def _memory(selector: str) -> str:
    used, free = (f"DCGM_FI_DEV_FB_{field}{selector}" for field in ("USED", "FREE"))
    return f"max by (namespace, pod) (100 * {used} / ({used} + {free}))"


def rules(context: Context) -> Iterator[Rule]:
    """The rules, those that others use first."""
    limits, held, watched = context.limits.gpu_use, context.held, context.watched
    yield Rule(_average("GPU_UTIL", held), _GPUS, record=UTILIZATION)
    yield Rule(_average("MEM_COPY_UTIL", held), _GPUS, record=BANDWIDTH)
    yield Rule(_memory(held), _GPUS, record=MEMORY)
    compute, memory = _average("GPU_UTIL", watched), _average("MEM_COPY_UTIL", watched)
    yield Rule(
        f"{compute} < {limits['utilization_percent']}",
        _GPUS,
        alert="GpuUtilizationLow",
        minutes=limits["utilization_minutes"],
        severity=WARNING,
        summary=f"Pod {_POD} keeps its GPUs only {{{{ $value | humanize }}}} % busy",
        description=(
            f"Less than {limits['utilization_percent']} % for {limits['utilization_minutes']} minutes. Look at data "
            "loading, batch size and number of workers first; then check whether the pod still does any work."
        ),
        dashboard="job",
    )
    yield Rule(
        f"{memory} < {limits['bandwidth_percent']} and on (namespace, pod) {compute} >= {_BUSY_PERCENT}",
        _GPUS,
        alert="GpuBusyWithoutMemoryTraffic",
        minutes=limits["bandwidth_minutes"],
        severity=WARNING,
        summary=f"GPUs of pod {_POD} look busy but move no data",
        description=(
            f"Kernels run {_BUSY_PERCENT} % of the time or more, and memory is used less than "
            f"{limits['bandwidth_percent']} % of it, for {limits['bandwidth_minutes']} minutes: usually a "
            "collective operation (NCCL) that waits for a peer that has stopped. Do all ranks still complete steps?"
        ),
        dashboard="job",
    )
    yield Rule(
        f"max by (namespace, pod) (max_over_time(DCGM_FI_DEV_GPU_UTIL{held}[{_AVERAGED}])) < {limits['idle_percent']}",
        _GPUS,
        alert="GpuHeldButIdle",
        minutes=limits["idle_minutes"],
        severity=WARNING,
        summary=f"Pod {_POD} holds GPUs and does not use them",
        description=(
            f"None of its GPUs was busy {limits['idle_percent']} % of the time, for {limits['idle_minutes']} "
            "minutes. They are paid for, and no other pod can have them. Does the pod still run something?"
        ),
        dashboard="team",
    )
    yield Rule(
        f"{_memory(watched)} > {limits['memory_percent']}",
        _GPUS,
        alert="GpuMemoryNearlyFull",
        minutes=limits["memory_minutes"],
        severity=INFO,
        summary=f"A GPU of pod {_POD} has {{{{ $value | humanize }}}} % of its memory in use",
        description=(
            f"More than {limits['memory_percent']} % for {limits['memory_minutes']} minutes. Frameworks that keep "
            "freed memory, and model servers that reserve it at their start, look like this and are well."
        ),
        dashboard="job",
    )
    yield _out_of_memory(context)
    busy = context.by_gpu(f"avg_over_time(DCGM_FI_DEV_GPU_UTIL{held}[5m])")
    now, usual = (context.by_gpu(f"{each}") for each in (
        "avg_over_time(DCGM_FI_DEV_SM_CLOCK[5m])", "max_over_time(DCGM_FI_DEV_SM_CLOCK[1d])",
    ))  # fmt: skip
    yield Rule(
        f"100 * {now} / {usual} < {limits['clock_percent']} and on (node, gpu) {busy} > 50",
        _GPUS,
        alert="GpuClockCollapsed",
        minutes=limits["clock_minutes"],
        severity=WARNING,
        summary="GPU {{ $labels.gpu }} of node {{ $labels.node }} has {{ $value | humanize }} % of its usual clock",
        description=(
            f"It is busy and below {limits['clock_percent']} % of the highest clock of the last day, for "
            f"{limits['clock_minutes']} minutes. One slow GPU slows down every rank of a job. Look at its "
            "temperature and power; if both are low, a power cap or a fault of the board is left."
        ),
        dashboard="node",
    )


def _out_of_memory(context: Context) -> Rule:
    """A container that failed while a GPU of its pod was full. No series says that an allocation on the GPU failed: the
    framework gets the error, and the container ends like after any other."""
    limits = context.limits
    window, percent = f"{limits.pods['oom_minutes']}m", limits.gpu_use["memory_percent"]
    container = "namespace, pod, container"
    restarted = f"increase(kube_pod_container_status_restarts_total[{window}]) > 0"
    last = 'kube_pod_container_status_last_terminated_reason{reason="Error"} == 1'
    ended = 'kube_pod_container_status_terminated_reason{reason="Error"}'
    failed = (
        f"(max by (namespace, pod) ({restarted} and on ({container}) {last})"
        f" or max by (namespace, pod) ({ended} == 1 unless on ({container}) {ended} offset {window} == 1))"
    )
    return Rule(
        f"{failed} and on (namespace, pod) max_over_time({MEMORY}[{limits.pods['oom_minutes'] + 5}m]) > {percent}",
        (sources.GPUS, sources.STATE),
        alert="GpuOutOfMemory",
        severity=WARNING,
        summary=f"Pod {_POD} failed while a GPU of it was full",
        description=(
            f"A container ended with an error within the last {limits.pods['oom_minutes']} minutes, and a GPU of "
            f"the pod had more than {percent} % of its memory in use. Its log shows whether an allocation on the "
            "GPU failed."
        ),
        dashboard="job",
    )
