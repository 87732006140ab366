"""When alerts fire: their thresholds, grouped by what they watch. Each field has its range by its unit (`RANGES`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast

from typing_extensions import NotRequired

from .. import arguments
from ..checks import Problem


class GpuUseLimits(TypedDict):
    """How pods use the GPUs that they hold."""

    utilization_percent: NotRequired[int]
    """GpuUtilizationLow: GPUs of a pod are busy less than this share of the time, 1 to 100. Default: `50`."""
    utilization_minutes: NotRequired[int]
    """How long that lasts, in minutes, 5 to 1440. Default: `30`."""
    bandwidth_percent: NotRequired[int]
    """GpuBusyWithoutMemoryTraffic: GPUs are busy and use their memory less than this share of the time, 1 to 100.
    Default: `5`."""
    bandwidth_minutes: NotRequired[int]
    """How long that lasts, in minutes, 5 to 1440. Default: `30`."""
    idle_percent: NotRequired[int]
    """GpuHeldButIdle: no GPU of a pod is busy more than this share of the time, 1 to 100. Default: `1`."""
    idle_minutes: NotRequired[int]
    """How long that lasts, in minutes, 5 to 1440. Default: `60`."""
    memory_percent: NotRequired[int]
    """GpuMemoryNearlyFull and GpuOutOfMemory: more than this share of a GPU's memory is in use, 1 to 100.
    Default: `95`."""
    memory_minutes: NotRequired[int]
    """How long GpuMemoryNearlyFull waits, in minutes, 5 to 1440. Default: `30`."""
    clock_percent: NotRequired[int]
    """GpuClockCollapsed: the clock of a busy GPU is below this share of its highest clock of the last day, 1 to 100.
    A GPU at its power limit runs at about two thirds. Default: `50`."""
    clock_minutes: NotRequired[int]
    """How long that lasts, in minutes, 5 to 1440. Default: `10`."""


class GpuHealthLimits(TypedDict):
    """The hardware of GPUs, and what measures it."""

    metrics_missing_minutes: NotRequired[int]
    """GpuMetricsMissing: a node with GPUs has had no GPU metrics for this many minutes, 5 to 1440. Should be longer
    than driver and exporter take to start. Default: `15`."""
    daemon_minutes: NotRequired[int]
    """GpuDaemonMissing: pods of the exporter or of a device plugin are missing for this many minutes, 5 to 1440.
    Default: `15`."""
    temperature_celsius: NotRequired[int]
    """GpuTemperatureHigh: a GPU is hotter than this, 50 to 110. Default: `85`."""
    temperature_minutes: NotRequired[int]
    """How long that lasts, in minutes, 5 to 1440. Default: `10`."""
    thermal_percent: NotRequired[int]
    """GpuThermalThrottling: heat slows a GPU down for more than this share of the time, 1 to 100. Default: `5`."""
    power_percent: NotRequired[int]
    """GpuPowerThrottling: the power limit slows a GPU down for more than this share of the time, 1 to 100. Full load
    does that on many types. Default: `80`."""
    throttling_minutes: NotRequired[int]
    """How long either lasts, in minutes, 5 to 1440. Default: `30`."""
    nvlink_count: NotRequired[int]
    """GpuNvlinkErrors: a GPU's links repeat or recover this often within an hour, 1 to 100000. Default: `10`."""


class PodLimits(TypedDict):
    """Containers, pods and their volumes."""

    oom_minutes: NotRequired[int]
    """How long ContainerOomKilled and GpuOutOfMemory are reported after a container ends, in minutes, 5 to 1440.
    Default: `10`."""
    pending_minutes: NotRequired[int]
    """GpuPodPending: a pod that requests GPUs does not run for this many minutes, 5 to 1440. Should be longer than a
    node takes to start. Default: `20`."""
    volume_percent: NotRequired[int]
    """VolumeNearlyFull: more than this share of a volume is in use, 1 to 100. Default: `90`."""
    volume_minutes: NotRequired[int]
    """How long that lasts, in minutes, 5 to 1440. Default: `15`."""


class CapacityLimits(TypedDict):
    """Nodes: how they are added, interrupted and reserved."""

    scale_up_minutes: NotRequired[int]
    """How long ScaleUpFailed is reported, and how long NodeGroupBackedOff and NodeGroupUnhealthy wait, in minutes, 5 to
    1440. Default: `15`."""
    interruptions_count: NotRequired[int]
    """SpotInterruptions: this many spot nodes of a pool are lost within an hour, 1 to 100000. Default: `3`."""
    reservation_minutes: NotRequired[int]
    """ReservationIdle and ReservationUnused: nodes of a reservation are not in use for this many minutes, 5 to 1440.
    Default: `60`."""
    reservation_hours: NotRequired[int]
    """ReservationEnds: hours before the end of a reservation, 1 to 720. Default: `48`."""


class QueueLimits(TypedDict):
    """Queues of Kueue."""

    wait_minutes: NotRequired[int]
    """QueueNotAdmitting and QueueWaitLong: workloads wait this many minutes, 5 to 1440. Default: `60`."""
    inactive_minutes: NotRequired[int]
    """QueueInactive: a queue is not active for this many minutes, 5 to 1440. A roll of its pool holds it.
    Default: `60`."""


class ServingLimits(TypedDict):
    """Model servers with the metrics of vLLM."""

    first_token_seconds: NotRequired[int]
    """ServingLatencyHigh: one of twenty requests waits longer for its first token, in seconds, 1 to 600.
    Default: `5`."""
    waiting_count: NotRequired[int]
    """ServingQueueLong: this many requests per server wait, 1 to 100000. Default: `10`."""
    serving_minutes: NotRequired[int]
    """How long either lasts, in minutes, 5 to 1440. Default: `10`."""


GROUPS: Mapping[str, Any] = {
    "gpu_use": GpuUseLimits,
    "gpu_health": GpuHealthLimits,
    "pods": PodLimits,
    "capacity": CapacityLimits,
    "queues": QueueLimits,
    "serving": ServingLimits,
}
"""Argument of `Alerts` → its thresholds."""

# Below five minutes two missed scrapes raise an alert. After more than a day its cause is hard to find.
_RANGES = {
    "percent": (1, 100),
    "minutes": (5, 1440),
    "hours": (1, 720),
    "seconds": (1, 600),
    "celsius": (50, 110),
    "count": (1, 100_000),
}
RANGES = {
    (group, name): _RANGES[name.rpartition("_")[2]]
    for group, declared in GROUPS.items()
    for name in arguments.shape(declared).fields
}
"""(group, field) → smallest and largest value."""


@dataclass(frozen=True)
class Limits:
    """All thresholds, complete."""

    gpu_use: GpuUseLimits
    gpu_health: GpuHealthLimits
    pods: PodLimits
    capacity: CapacityLimits
    queues: QueueLimits
    serving: ServingLimits


def of(args: Mapping[str, Any]) -> Limits:
    """The thresholds in the arguments of `Alerts`, with the default of each that is omitted."""
    return Limits(**{name: arguments.cleaned(declared, args.get(name, {})) for name, declared in GROUPS.items()})


def problems(args: Mapping[str, Any]) -> Iterator[Problem]:
    """Thresholds that are out of range."""
    for (group, name), (low, high) in RANGES.items():
        value = cast(Mapping[str, Any], args.get(group, {})).get(name)
        if value is not None and not low <= value <= high:
            usual = arguments.default(GROUPS[group], name)
            yield Problem(f"{group}.{name}", value, "out of range", f"{low} to {high}", f"remove it for {usual}")
