"""Queues of Kueue. Source of the names: sigs.k8s.io/kueue, pkg/metrics/metrics.go of v0.19.2."""

from collections.abc import Iterator

from . import sources
from .rule import INFO, WARNING, Context, Rule

_NEEDS = (sources.QUEUES,)

DECIDING = 'replica_role!="follower"'
"""Matcher of the replica of Kueue that decides: the others report gauges as well, and a sum would count them twice."""


def rules(context: Context) -> Iterator[Rule]:
    """The rules."""
    limits = context.limits.queues
    minutes = limits["wait_minutes"]
    waiting = f"sum by (cluster_queue) (kueue_pending_workloads{{{DECIDING}}}) > 0"
    admitted = f"sum by (cluster_queue) (increase(kueue_admitted_workloads_total{{{DECIDING}}}[{minutes}m])) > 0"
    yield Rule(
        f"{waiting} unless on (cluster_queue) {admitted}",
        _NEEDS,
        alert="QueueNotAdmitting",
        minutes=minutes,
        severity=WARNING,
        summary="{{ $value }} workloads wait in queue {{ $labels.cluster_queue }}, and none is admitted",
        description=(
            f"For {minutes} minutes. Its quota and what it may borrow are in use, a workload asks for more than "
            "there is, or an admission check does not answer."
        ),
        dashboard="queue",
    )
    series = f"kueue_quota_reserved_wait_time_seconds_bucket{{{DECIDING}}}"
    waits = f"sum by (cluster_queue, le) (increase({series}[1h]))"
    yield Rule(
        f"histogram_quantile(0.9, {waits}) / 60 > {minutes}",
        _NEEDS,
        alert="QueueWaitLong",
        severity=INFO,
        summary="Workloads of queue {{ $labels.cluster_queue }} wait {{ $value | humanize }} minutes for quota",
        description=(
            f"One of ten that got quota within the last hour had waited more than {minutes} minutes. More quota, "
            "more nodes or fewer jobs; the dashboard shows which team holds what."
        ),
        dashboard="queue",
    )
    yield Rule(
        f'max by (cluster_queue) (kueue_cluster_queue_status{{status="active",{DECIDING}}}) == 0',
        _NEEDS,
        alert="QueueInactive",
        minutes=limits["inactive_minutes"],
        severity=WARNING,
        summary="Queue {{ $labels.cluster_queue }} is not active and admits nothing",
        description=(
            f"For {limits['inactive_minutes']} minutes: it is held, or a flavor or an admission check that it "
            "names does not exist. While nodes of its pool are replaced it is held on purpose."
        ),
        dashboard="queue",
    )
