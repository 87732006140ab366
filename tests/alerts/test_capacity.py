"""Alerts about nodes and reservations fire when they should and only then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.monitoring.prometheus import PROMETHEUS_OPERATOR, SYSTEMS
from tests.alerts.promtool import Case, Firing, once
from tests.alerts.series import Series, gpu, pool_node, series, state

pytestmark = pytest.mark.alerts

EKS = PROMETHEUS_OPERATOR
TRAIN = {"pool": "train"}


def autoscaler() -> Iterator[Case]:
    def metric(name: str, values: str, **labels: str) -> Series:
        return series(
            f"cluster_autoscaler_{name}", values, job="cluster-autoscaler", instance="10.0.0.5:8085", **labels
        )

    def failed(values: str) -> list[Series]:
        return [metric("failed_scale_ups_total", values, reason="cloudProviderError")]

    alert, labels = "ScaleUpFailed", {"reason": "cloudProviderError"}
    fires = Firing(labels, "2 scale-ups failed: cloudProviderError")
    yield Case("first failures", EKS, alert, failed("_x9 2x50"), {8: [], 12: [fires], 40: []})
    yield Case("more failures", EKS, alert, failed("5x29 7x50"), {28: [], 32: [fires], 60: []})
    yield Case("the autoscaler restarts", EKS, alert, failed("5x9 0x50"), {12: [], 40: []})
    group = {"node_group": "eks-train-spot-123"}

    def backoff(values: str, **labels: str) -> list[Series]:
        return [metric("node_group_backoff_status", values, **group, **labels)]

    tired = Firing(group, "The autoscaler has given up node group eks-train-spot-123 for now")
    tries = backoff("1x5 0x5 " * 8, reason="InsufficientInstanceCapacity")
    yield Case("with retries", EKS, "NodeGroupBackedOff", tries, {10: [], 60: [tired]})
    yield Case("once", EKS, "NodeGroupBackedOff", backoff("1x5 0x80", reason="x"), {10: [], 60: []})
    yield Case("never", EKS, "NodeGroupBackedOff", backoff("0x80", reason=""), {60: []})
    sick = Firing(group, "Node group eks-train-spot-123 is not healthy; the autoscaler does not resize it")
    health = [metric("node_group_healthiness", "1x9 0x50", **group)]
    yield Case("not healthy", EKS, "NodeGroupUnhealthy", health, {20: [], 30: [sick]})
    yield Case("healthy", EKS, "NodeGroupUnhealthy", [metric("node_group_healthiness", "1x60", **group)], {50: []})


def spot(system: str) -> Iterator[Case]:
    def lost(count: int, capacity: str = "spot", values: str = "1x29 stale") -> list[Series]:
        kept = pool_node(system, "1x90", "kept", capacity=capacity)
        return [kept, *(pool_node(system, values, f"lost-{number}", capacity=capacity) for number in range(count))]

    def deleted(count: int) -> list[Series]:
        taint = {"key": "ToBeDeletedByClusterAutoscaler", "value": "1", "effect": "NoSchedule"}
        name = "kube_node_spec_taint"
        return [state(system, name, "_x26 1x2 stale", node=f"lost-{number}", **taint) for number in range(count)]

    alert, fires = "SpotInterruptions", Firing(TRAIN, "3 spot nodes of pool train were lost within an hour")
    yield Case("three", system, alert, lost(3), {28: [], 40: [fires], 95: []})
    yield Case("two", system, alert, lost(2), {40: []})
    yield Case("on demand", system, alert, lost(3, "on_demand"), {40: []})
    yield Case("scaled down", system, alert, [*lost(3), *deleted(3)], {40: []})
    yield Case("one of them scaled down", system, alert, [*lost(3), *deleted(1)], {40: []})


def reservations(system: str) -> Iterator[Case]:
    def nodes(*names: str, capacity: str = "reserved") -> list[Series]:
        return [pool_node(system, "1x120", name, capacity=capacity) for name in names]

    def used(node: str, pod: str) -> Series:
        return gpu(system, "GPU_UTIL", "90x120", pod, node=node)

    alert = "ReservationIdle"
    one = Firing(TRAIN, "1 reserved nodes of pool train run no pod with a GPU")
    part = [*nodes("a", "b"), used("a", "train-0"), used("b", "")]
    yield Case("one of two", system, alert, part, {55: [], 65: [one]})
    yield Case("all in use", system, alert, [*nodes("a"), used("a", "train-0")], {100: []})
    free = [*nodes("a", capacity="on_demand"), used("a", "")]
    yield Case("on demand", system, alert, free, {100: []})
    yield Case("not measured", system, alert, nodes("a"), {100: []})
    facts = {"reservations": [{"pool": "train", "nodes": 4, "ends": "1970-01-01T04:00:00Z"}, {"pool": "other"}]}
    alert, two = "ReservationUnused", Firing(TRAIN, "2 reserved nodes of pool train do not run")
    yield Case("two of four", system, alert, nodes("a", "b"), {55: [], 65: [two]}, facts)
    four = Firing(TRAIN, "4 reserved nodes of pool train do not run")
    yield Case("none", system, alert, nodes("a", capacity="spot"), {65: [four]}, facts)
    yield Case("all", system, alert, nodes("a", "b", "c", "d"), {100: []}, facts)
    # promtool's time begins with 1970.
    ends = Firing(TRAIN, "The reservation of pool train ends in 1.5 hours")
    soon = {**facts, "capacity": {"reservation_hours": 2}}
    yield Case("within two hours", system, "ReservationEnds", [], {60: [], 150: [ends], 245: []}, soon)


BOTH = [case for system in SYSTEMS for part in (spot, reservations) for case in part(system)]
CASES = [*autoscaler(), *BOTH]
failures = once(lambda: CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.full_name)
def test_missing_and_unused_nodes_fire(case: Case) -> None:
    """Failed scale-ups, groups without capacity, lost spot nodes; reservations that are idle, unused or end soon."""
    assert case.full_name not in failures(), failures()[case.full_name]
