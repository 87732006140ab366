"""Alerts about containers, pods and volumes fire when they should and only then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.monitoring.prometheus import SYSTEMS
from tests.alerts.promtool import Case, Firing, once
from tests.alerts.series import container, scraped, state

pytestmark = pytest.mark.alerts

OWNER = {"namespace": "team-a", "pod": "train-0"}
OOM, PENDING, VOLUME = "ContainerOomKilled", "GpuPodPending", "VolumeNearlyFull"
RESTARTS = "kube_pod_container_status_restarts_total"
LAST, ENDED = "kube_pod_container_status_last_terminated_reason", "kube_pod_container_status_terminated_reason"


def oom(system: str) -> Iterator[Case]:
    def ends(restarts: str, name: str, values: str, reason: str) -> list[dict[str, str]]:
        return [container(system, RESTARTS, restarts), container(system, name, values, reason=reason)]

    fires = Firing({**OWNER, "container": "main"}, "Container main of team-a/train-0 ran out of memory")
    # restartPolicy OnFailure or Always, then Never.
    yield Case(
        "restarted", system, OOM, ends("0x19 1x40", LAST, "_x19 1x40", "OOMKilled"), {18: [], 22: [fires], 40: []}
    )
    for_good = ends("0x60", ENDED, "_x19 1x40", "OOMKilled")
    yield Case("not restarted", system, OOM, for_good, {18: [], 22: [fires], 40: []})
    yield Case("again and again", system, OOM, ends("0+1x60", LAST, "1x60", "OOMKilled"), {50: [fires]})
    yield Case("an error", system, OOM, ends("0x19 1x40", LAST, "_x19 1x40", "Error"), {22: []})
    yield Case("an error for good", system, OOM, ends("0x60", ENDED, "_x19 1x40", "Error"), {22: []})
    # The container has run since.
    yield Case("long ago", system, OOM, ends("3x60", LAST, "1x60", "OOMKilled"), {22: []})


def pending(system: str) -> Iterator[Case]:
    requests = container(
        system, "kube_pod_container_resource_requests", "1x60", resource="nvidia_com_gpu", unit="integer", node=""
    )
    unschedulable = state(system, "kube_pod_status_unschedulable", "1x60", **OWNER, uid="1f0c")

    def waiting(values: str, reason: str) -> dict[str, str]:
        return container(system, "kube_pod_container_status_waiting_reason", values, reason=reason)

    def fires(reason: str) -> Firing:
        return Firing({**OWNER, "reason": reason}, f"Pod team-a/train-0 waits for its start: {reason}")

    yield Case("no room", system, PENDING, [requests, unschedulable], {19: [], 22: [fires("unschedulable")]})
    pulls = [waiting("1x4 _x4 " * 6, "ErrImagePull"), waiting("_x4 1x4 " * 6, "ImagePullBackOff")]
    yield Case("no image, in turns", system, PENDING, [requests, *pulls], {15: [], 25: [fires("image")]})
    starts = [requests, waiting("1x60", "ContainerCreating")]
    yield Case("no volume", system, PENDING, starts, {15: [], 25: [fires("starting")]})
    brief = state(system, "kube_pod_status_unschedulable", "1x10 stale", **OWNER, uid="1f0c")
    yield Case("until a node is there", system, PENDING, [requests, brief], {15: [], 40: []})
    yield Case("without GPUs", system, PENDING, [unschedulable], {40: []})
    crash = [requests, waiting("1x60", "CrashLoopBackOff")]
    yield Case("it ran and crashes", system, PENDING, crash, {40: []})
    cpu = container(system, "kube_pod_container_resource_requests", "8x60", resource="cpu", unit="core")
    yield Case("CPU only", system, PENDING, [cpu, unschedulable], {40: []})


def volume(system: str) -> Iterator[Case]:
    labels = {"namespace": "team-a", "persistentvolumeclaim": "checkpoints"}

    def size(used: str) -> list[dict[str, str]]:
        values = {"used": used, "capacity": "1000x60"}
        return [
            scraped(system, f"kubelet_volume_stats_{kind}_bytes", each, job="kubelet", node="a", **labels)
            for kind, each in values.items()
        ]

    fires = Firing(labels, "Volume team-a/checkpoints is 93 % full")
    yield Case("93 %", system, VOLUME, size("800x9 930x50"), {20: [], 30: [fires]})
    yield Case("90 %", system, VOLUME, size("900x60"), {50: []})
    yield Case("cleaned in time", system, VOLUME, size("950x10 100x50"), {50: []})


CASES = [case for system in SYSTEMS for part in (oom, pending, volume) for case in part(system)]
failures = once(lambda: CASES)


@pytest.mark.parametrize("case", [case for case in CASES if case.alert == OOM], ids=lambda case: case.full_name)
def test_a_container_out_of_memory_fires_for_some_minutes(case: Case) -> None:
    """seed row S21: restarted or not, and on GKE with a complete kube-state-metrics as well."""
    assert case.full_name not in failures(), failures()[case.full_name]


@pytest.mark.parametrize("case", [case for case in CASES if case.alert != OOM], ids=lambda case: case.full_name)
def test_pending_pods_and_full_volumes_fire(case: Case) -> None:
    """A reason that alternates does not reset the time; Kueue's waiting pods and CPU pods are not reported."""
    assert case.full_name not in failures(), failures()[case.full_name]
