"""The hardware of GPUs: XIDs, memory errors, heat, links; and whether GPUs are measured at all."""

from collections.abc import Iterator

from . import sources, xids
from .rule import CRITICAL, INFO, WARNING, Context, Rule

_GPU = "GPU {{ $labels.gpu }} of node {{ $labels.node }}"
_FAULTS = (sources.GPU_FAULTS,)
_REPLACE = (
    "Drain the node and have it replaced: on EKS node repair does it where it is on, otherwise terminate the instance."
)


def rules(context: Context) -> Iterator[Rule]:
    """The rules."""
    yield from _xid_rules(context)
    yield from _memory_rules(context)
    yield from _throttling_rules(context)
    yield from _coverage_rules(context)


def _xid_rules(context: Context) -> Iterator[Rule]:
    """DCGM_FI_DEV_XID_ERRORS is the last XID, kept until the next one: it shows neither when nor how often. The
    exporter counts them within its window of five minutes, with the label `xid`."""

    def seen(selector: str) -> str:
        return f"max by (node, gpu, xid) ({context.by_node(f'DCGM_EXP_XID_ERRORS_COUNT{selector}')}) > 0"

    summary = f"XID {{{{ $labels.xid }}}} on {_GPU}"
    known = f"{xids.pattern(xids.RESET)}|{xids.pattern(xids.APPLICATION)}"
    yield Rule(
        seen(f'{{xid=~"{xids.pattern(xids.RESET)}"}}'),
        _FAULTS,
        alert="GpuXidCritical",
        severity=CRITICAL,
        summary=summary,
        description=f"The GPU needs a reset or the node a replacement; the work on it is lost. {_REPLACE}",
        dashboard="node",
    )
    yield Rule(
        seen(f'{{xid=~".+",xid!~"0|{known}"}}'),
        _FAULTS,
        alert="GpuXidWarning",
        severity=WARNING,
        summary=summary,
        description=(
            "The runbook has the meaning of the usual ones; NVIDIA's catalog has all. Once may be nothing. The "
            "same XID on the same GPU again is a reason to replace the node."
        ),
        dashboard="node",
    )
    yield Rule(
        seen(f'{{xid=~"{xids.pattern(xids.APPLICATION)}"}}'),
        _FAULTS,
        alert="GpuXidApplication",
        severity=INFO,
        summary=summary,
        description=(
            "Usually an error of the application, which ends: an index out of range, an invalid pointer. The same "
            "job fails on other nodes as well; if it does not, suspect the GPU."
        ),
        dashboard="node",
    )


def _memory_rules(context: Context) -> Iterator[Rule]:
    yield Rule(
        f"{context.by_gpu('DCGM_FI_DEV_ROW_REMAP_FAILURE')} > 0",
        _FAULTS,
        alert="GpuRowRemapFailed",
        severity=CRITICAL,
        summary=f"{_GPU} has no spare memory rows left",
        description=f"A row with an uncorrectable error could not be replaced: the next error ends a job. {_REPLACE}",
        dashboard="node",
    )
    yield Rule(
        f"{context.by_gpu('DCGM_FI_DEV_ROW_REMAP_PENDING')} > 0",
        _FAULTS,
        alert="GpuRowRemapPending",
        severity=WARNING,
        summary=f"{_GPU} needs a reset for a memory row that is replaced",
        description=(
            "A row had an error, and its spare is used after the next reset of the GPU. Let the job reach a "
            "checkpoint, then drain the node and replace it."
        ),
        dashboard="node",
    )
    yield Rule(
        f"{context.by_gpu('DCGM_FI_DEV_ECC_DBE_VOL_TOTAL')} > 0",
        _FAULTS,
        alert="GpuEccUncorrectable",
        severity=CRITICAL,
        summary=f"{_GPU} had {{{{ $value }}}} uncorrectable memory errors since its last reset",
        description=f"Results of jobs that ran on it at that time may be wrong. {_REPLACE}",
        dashboard="node",
    )
    count = context.limits.gpu_health["nvlink_count"]
    replayed, recovered = (
        context.by_gpu(f"increase(DCGM_FI_DEV_NVLINK_{kind}_ERROR_COUNT_TOTAL[1h])") for kind in ("REPLAY", "RECOVERY")
    )
    yield Rule(
        f"{replayed} + {recovered} >= {count}",
        _FAULTS,
        alert="GpuNvlinkErrors",
        severity=WARNING,
        summary=f"NVLinks of {_GPU} had {{{{ $value | humanize }}}} errors within an hour",
        description=(
            f"{count} or more: packets are sent again or links recover. Collective operations become slow, and XID "
            "74 may follow. Replace the node when its job is done."
        ),
        dashboard="node",
    )


def _throttling_rules(context: Context) -> Iterator[Rule]:
    limits = context.limits.gpu_health
    minutes = limits["throttling_minutes"]

    def share(field: str) -> str:
        """Percentage of the time; the counters are nanoseconds."""
        return f"{context.by_gpu(f'rate(DCGM_FI_DEV_{field}_VIOLATION[10m])')} / 1e7"

    hot = limits["temperature_celsius"]
    yield Rule(
        f"{context.by_gpu('DCGM_FI_DEV_GPU_TEMP')} > {hot}",
        (sources.GPUS,),
        alert="GpuTemperatureHigh",
        minutes=limits["temperature_minutes"],
        severity=WARNING,
        summary=f"{_GPU} is at {{{{ $value }}}} °C",
        description=(
            f"More than {hot} °C for {limits['temperature_minutes']} minutes. Most types slow down from about 90 "
            "°C. In a cloud the cooling is not yours: replace the node if it stays so."
        ),
        dashboard="node",
    )
    yield Rule(
        f"{share('THERMAL')} > {limits['thermal_percent']}",
        _FAULTS,
        alert="GpuThermalThrottling",
        minutes=minutes,
        severity=WARNING,
        summary=f"Heat slows {_GPU} down {{{{ $value | humanize }}}} % of the time",
        description=(
            f"More than {limits['thermal_percent']} % for {minutes} minutes. Every rank of a job waits for its "
            "slowest GPU. Replace the node when its job is done."
        ),
        dashboard="node",
    )
    yield Rule(
        f"{share('POWER')} > {limits['power_percent']}",
        _FAULTS,
        alert="GpuPowerThrottling",
        minutes=minutes,
        severity=INFO,
        summary=f"The power limit slows {_GPU} down {{{{ $value | humanize }}}} % of the time",
        description=(
            f"More than {limits['power_percent']} % for {minutes} minutes. At full load this is normal on types "
            "that reach their limit. Compare with the other GPUs of the node: one that is alone is the reason to "
            "look further."
        ),
        dashboard="node",
    )


def _coverage_rules(context: Context) -> Iterator[Rule]:
    limits, words = context.limits.gpu_health, context.words
    yield Rule(
        f"max by (node) ({words.gpu_nodes}) unless on (node) max by (node) ({context.by_node('DCGM_FI_DEV_GPU_TEMP')})",
        (sources.GPUS,),
        alert="GpuMetricsMissing",
        minutes=limits["metrics_missing_minutes"],
        severity=WARNING,
        summary="Node {{ $labels.node }} has GPUs but no GPU metrics",
        description=(
            f"For {limits['metrics_missing_minutes']} minutes; no other GPU alert can fire for this node. Look at "
            f"the exporter's pod on it, in namespace {words.exporter_namespace}: does it run, and does it see the "
            "driver?"
        ),
        dashboard="node",
    )
    daemons = f'{{daemonset=~"{words.daemons}"}}'
    wanted, ready = (
        f"sum by (namespace, daemonset) (kube_daemonset_status_{what}{daemons})"
        for what in ("desired_number_scheduled", "number_ready")
    )
    yield Rule(
        f"{wanted} - {ready} > 0",
        (sources.STATE,),
        alert="GpuDaemonMissing",
        minutes=limits["daemon_minutes"],
        severity=WARNING,
        summary="{{ $value }} pods of {{ $labels.namespace }}/{{ $labels.daemonset }} are not ready",
        description=(
            f"For {limits['daemon_minutes']} minutes. Without the device plugin pods cannot use the GPUs of a "
            "node, without the exporter they are not measured."
        ),
        dashboard="node",
    )
