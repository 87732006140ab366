"""Alerts about Kueue's queues and about model servers fire when they should and only then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.monitoring.prometheus import SYSTEMS
from tests.alerts.promtool import Case, Firing, once
from tests.alerts.series import Series, scraped

pytestmark = pytest.mark.alerts

QUEUE = {"cluster_queue": "team-a"}
MODEL = {"namespace": "serving", "model_name": "llama"}


def queues(system: str) -> Iterator[Case]:
    def metric(name: str, values: str, role: str = "leader", **labels: str) -> Series:
        who = {"job": "kueue", "replica_role": role}
        return scraped(system, f"kueue_{name}", values, **who, **QUEUE, **labels)

    # The replica that does not decide knows the queues as well.
    pending = [
        metric("pending_workloads", "2x180", "follower", status="inadmissible"),
        metric("pending_workloads", "2x180", status="inadmissible"),
        metric("pending_workloads", "1x180", status="active"),
    ]
    alert = "QueueNotAdmitting"
    fires = Firing(QUEUE, "3 workloads wait in queue team-a, and none is admitted")
    stopped = metric("admitted_workloads_total", "0+1x30 30x150", priority_class="")
    going = metric("admitted_workloads_total", "0+1x180", priority_class="")
    # An hour without admissions, for an hour.
    yield Case("stopped", system, alert, [*pending, stopped], {120: [], 155: [fires]})
    yield Case("never admitted any", system, alert, pending, {55: [], 65: [fires]})
    yield Case("it admits others", system, alert, [*pending, going], {170: []})
    yield Case("empty", system, alert, [metric("pending_workloads", "0x180", status="active")], {170: []})

    def waits(*counts: int) -> list[Series]:
        bounds = ("600", "3600", "7200", "+Inf")
        name, last = "quota_reserved_wait_time_seconds_bucket", {"priority_class": ""}
        return [metric(name, f"0x9 {count}x60", le=bound, **last) for bound, count in zip(bounds, counts)]

    alert, slow = "QueueWaitLong", Firing(QUEUE, "Workloads of queue team-a wait 110 minutes for quota")
    yield Case("most wait two hours", system, alert, waits(1, 4, 10, 10), {5: [], 20: [slow]})
    yield Case("most wait minutes", system, alert, waits(9, 10, 10, 10), {20: []})

    def status(active: str) -> list[Series]:
        late = metric("cluster_queue_status", "1x180", "follower", status="active")
        return [metric("cluster_queue_status", active, status="active"), late]

    alert, held = "QueueInactive", Firing(QUEUE, "Queue team-a is not active and admits nothing")
    yield Case("inactive", system, alert, status("1x9 0x90"), {60: [], 75: [held]})
    yield Case("active", system, alert, status("1x90"), {75: []})
    yield Case("held for a roll", system, alert, status("1x9 0x40 1x60"), {75: []})


def serving(system: str) -> Iterator[Case]:
    def metric(name: str, values: str, pod: str = "llm-0", **labels: str) -> Series:
        who = {"job": "llm", "pod": pod, "container": "vllm", "engine": "0"}
        return scraped(system, f"vllm:{name}", values, **who, **MODEL, **labels)

    def tokens(*each_minute: int) -> list[Series]:
        bounds = ("1", "5", "10", "+Inf")
        name = "time_to_first_token_seconds_bucket"
        return [metric(name, f"0+{count}x60", le=bound) for bound, count in zip(bounds, each_minute)]

    alert = "ServingLatencyHigh"
    fires = Firing(MODEL, "llama in serving: first token after 9.5 s")
    yield Case("9.5 s", system, alert, tokens(0, 50, 100, 100), {8: [], 20: [fires]})
    yield Case("quick", system, alert, tokens(96, 100, 100, 100), {20: []})
    yield Case("no requests", system, alert, tokens(0, 0, 0, 0), {20: []})
    alert, queue = "ServingQueueLong", Firing(MODEL, "llama in serving: 20 requests wait per server")
    two = [metric("num_requests_waiting", "10x60"), metric("num_requests_waiting", "30x60", "llm-1")]
    yield Case("20 for each server", system, alert, two, {9: [], 20: [queue]})
    one = [metric("num_requests_waiting", "20x60"), metric("num_requests_waiting", "0x60", "llm-1")]
    yield Case("10 for each server", system, alert, one, {20: []})


CASES = [case for system in SYSTEMS for part in (queues, serving) for case in part(system)]
failures = once(lambda: CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.full_name)
def test_queues_and_servers_fire(case: Case) -> None:
    """Queues that admit nothing, long waits, inactive queues; slow first tokens and waiting requests."""
    assert case.full_name not in failures(), failures()[case.full_name]
