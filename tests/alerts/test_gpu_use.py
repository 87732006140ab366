"""Alerts about the use of GPUs fire when they should and only then, with the labels of both clouds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from components.monitoring.prometheus import SYSTEMS
from tests.alerts.promtool import Case, Firing, once
from tests.alerts.series import container, gpu

pytestmark = pytest.mark.alerts

OWNER = {"namespace": "team-a", "pod": "train-0"}
LOW, STUCK, IDLE = "GpuUtilizationLow", "GpuBusyWithoutMemoryTraffic", "GpuHeldButIdle"
FULL, OOM, CLOCK = "GpuMemoryNearlyFull", "GpuOutOfMemory", "GpuClockCollapsed"


def low(system: str) -> Iterator[Case]:
    busy = partial(gpu, system, "GPU_UTIL")
    fires = Firing(OWNER, "Pod team-a/train-0 keeps its GPUs only 20 % busy")
    mine, other = busy("20x60", "train-0"), busy("20x60", "llm", "serving", gpu="1")
    yield Case("20 %", system, LOW, [mine], {29: [], 31: [fires]})
    yield Case("50 % is enough", system, LOW, [busy("50x60", "train-0")], {55: []})
    yield Case("used by no pod", system, LOW, [busy("0x60")], {55: []})
    half = [busy("0x60", "train-0", gpu="0"), busy("100x60", "train-0", gpu="1")]
    yield Case("half of its GPUs busy", system, LOW, half, {55: []})
    # Ten minutes of checkpoint in an hour.
    yield Case("after a pause", system, LOW, [busy("95x25 0x9 95x25", "train-0")], {55: []})
    # Model servers are idle between requests.
    watched = {"watched_namespaces": ["team-a", "team-b"]}
    yield Case("other namespaces", system, LOW, [mine, other], {40: [fires]}, watched)
    own = {"gpu_use": {"utilization_percent": 30, "utilization_minutes": 45}}
    yield Case("own thresholds", system, LOW, [mine], {44: [], 46: [fires]}, own)
    yield Case("own threshold reached", system, LOW, [busy("30x60", "train-0")], {55: []}, own)


def stuck(system: str) -> Iterator[Case]:
    def both(compute: str, memory: str) -> list[dict[str, str]]:
        fields = {"GPU_UTIL": compute, "MEM_COPY_UTIL": memory}
        return [gpu(system, name, f"{value}x60", "train-0") for name, value in fields.items()]

    fires = Firing(OWNER, "GPUs of pod team-a/train-0 look busy but move no data")
    yield Case("busy without traffic", system, STUCK, both("100", "1"), {29: [], 31: [fires]})
    for compute, memory in (("100", "5"), ("20", "1"), ("0", "0")):
        yield Case(f"{compute} % with {memory} %", system, STUCK, both(compute, memory), {55: []})


def idle(system: str) -> Iterator[Case]:
    busy = partial(gpu, system, "GPU_UTIL")
    fires = Firing(OWNER, "Pod team-a/train-0 holds GPUs and does not use them")
    yield Case("idle for an hour", system, IDLE, [busy("0x90", "train-0")], {55: [], 62: [fires]})
    # Pods that are not watched for low utilization hold GPUs as well.
    served = Firing({"namespace": "serving", "pod": "llm"}, "Pod serving/llm holds GPUs and does not use them")
    watched = {"watched_namespaces": ["team-a"]}
    yield Case("not watched", system, IDLE, [busy("0x90", "llm", "serving")], {62: [served]}, watched)
    yield Case("no pod", system, IDLE, [busy("0x90")], {80: []})
    yield Case("one request in ten minutes", system, IDLE, [busy("0x9 40 0x9 40 " * 5, "train-0")], {80: []})
    one = [busy("0x90", "train-0", gpu="0"), busy("60x90", "train-0", gpu="1")]
    yield Case("one of two works", system, IDLE, one, {80: []})


def memory(system: str, used: int, pod: str = "train-0", length: int = 60) -> list[dict[str, str]]:
    return [
        gpu(system, "FB_USED", f"{used}x{length}", pod),
        gpu(system, "FB_FREE", f"{1000 - used}x{length}", pod),
    ]


def full(system: str) -> Iterator[Case]:
    fires = Firing(OWNER, "A GPU of pod team-a/train-0 has 97 % of its memory in use")
    yield Case("97 %", system, FULL, memory(system, 970), {29: [], 31: [fires]})
    yield Case("95 %", system, FULL, memory(system, 950), {55: []})
    yield Case("no pod", system, FULL, memory(system, 970, ""), {55: []})


def out_of_memory(system: str) -> Iterator[Case]:
    restarts, last = "kube_pod_container_status_restarts_total", "kube_pod_container_status_last_terminated_reason"
    ended = "kube_pod_container_status_terminated_reason"
    fires = Firing(OWNER, "Pod team-a/train-0 failed while a GPU of it was full")
    again = [container(system, restarts, "0x19 1x40"), container(system, last, "_x19 1x40", reason="Error")]
    for_good = [container(system, restarts, "0x60"), container(system, ended, "_x19 1x40", reason="Error")]
    crowded, roomy = memory(system, 990, length=20), memory(system, 500, length=20)
    yield Case("restarted", system, OOM, [*again, *crowded], {18: [], 22: [fires], 45: []})
    yield Case("not restarted", system, OOM, [*for_good, *crowded], {18: [], 22: [fires], 45: []})
    yield Case("failed with room", system, OOM, [*again, *roomy], {22: []})
    done = container(system, ended, "_x19 1x40", reason="Completed")
    yield Case("completed", system, OOM, [done, *crowded], {22: []})


def clock(system: str) -> Iterator[Case]:
    def running(clock: str, busy: str) -> list[dict[str, str]]:
        fields = {"SM_CLOCK": clock, "GPU_UTIL": busy}
        return [gpu(system, name, values, "train-0") for name, values in fields.items()]

    where = {"node": "gpu-node-1", "gpu": "0"}
    fires = Firing(where, "GPU 0 of node gpu-node-1 has 17.42 % of its usual clock")
    slow = running("1980x60 345x60", "99x120")
    yield Case("345 of 1980 MHz", system, CLOCK, slow, {60: [], 67: [], 80: [fires]})
    yield Case("at its power limit", system, CLOCK, running("1980x60 1365x60", "99x120"), {100: []})
    yield Case("idle", system, CLOCK, running("1980x60 345x60", "99x60 0x60"), {100: []})


PARTS = (low, stuck, idle, full, out_of_memory, clock)
CASES = [case for system in SYSTEMS for part in PARTS for case in part(system)]
failures = once(lambda: CASES)


def of(*names: str) -> pytest.MarkDecorator:
    found = [case for case in CASES if case.alert in names]
    return pytest.mark.parametrize("case", found, ids=lambda case: case.full_name)


@of(LOW, IDLE)
def test_low_utilisation_of_a_held_gpu_fires(case: Case) -> None:
    """seed row S19: below half for 30 minutes, or nothing for an hour; never for busy or free GPUs."""
    assert case.full_name not in failures(), failures()[case.full_name]


@of(STUCK)
def test_a_busy_gpu_without_memory_traffic_fires(case: Case) -> None:
    """seed row S20: a collective operation that never ends counts as utilization."""
    assert case.full_name not in failures(), failures()[case.full_name]


@of(FULL, OOM)
def test_full_gpu_memory_fires_and_names_a_container_that_failed(case: Case) -> None:
    """seed row S21"""
    assert case.full_name not in failures(), failures()[case.full_name]


@of(CLOCK)
def test_a_busy_gpu_at_a_fraction_of_its_clock_fires(case: Case) -> None:
    """Idle GPUs have low clocks too, and so do those at their power limit, but not as low."""
    assert case.full_name not in failures(), failures()[case.full_name]
