"""Nodes: those that cannot be added, those that are interrupted, and reservations that end or are not used."""

import re
from collections.abc import Iterator

from ..targets import NODE_LABELS
from . import sources
from .rule import CRITICAL, INFO, NODE_INFO, WARNING, Context, Rule

RESERVED_NODES = "pool:reserved_nodes:count"
RESERVATION_END = "pool:reservation_end:seconds"
"""Recorded series with what the argument `reservations` says."""

# Label of a node, as kube-state-metrics spells it → label of the recorded series.
_NODE_LABELS = {f"label_{re.sub('[^a-z0-9]', '_', label)}": name for label, name in NODE_LABELS.items()}
# The autoscaler's taint on a node that it is about to delete (cluster-autoscaler/utils/taints).
_DELETED = 'kube_node_spec_taint{key="ToBeDeletedByClusterAutoscaler"}'


def rules(context: Context) -> Iterator[Rule]:
    """The rules, those that others use first."""
    yield Rule(node_info(), (sources.STATE,), record=NODE_INFO)
    yield from _autoscaler_rules(context)
    yield from _spot_rules(context)
    yield from _reservation_rules(context)


def node_info() -> str:
    """PromQL: the nodes of pools, with their pool, capacity and machine type."""
    found = f'max by (node, {", ".join(_NODE_LABELS)}) (kube_node_labels{{label_gpuyard_dev_pool!=""}})'
    for source, label in _NODE_LABELS.items():
        found = f'label_replace({found}, "{label}", "$1", "{source}", "(.*)")'
    return f"max by (node, {', '.join(_NODE_LABELS.values())}) ({found})"


def _autoscaler_rules(context: Context) -> Iterator[Rule]:
    minutes = context.limits.capacity["scale_up_minutes"]
    window, needs = f"{minutes}m", (sources.AUTOSCALER,)
    failed = "sum by (reason) (cluster_autoscaler_failed_scale_ups_total)"
    before = f"sum by (reason) (cluster_autoscaler_failed_scale_ups_total offset {window})"
    yield Rule(
        # The series of a reason begins with its first failure, which increase() would not count.
        f"{failed} - ({before} or 0 * {failed}) > 0",
        needs,
        alert="ScaleUpFailed",
        severity=WARNING,
        summary="{{ $value }} scale-ups failed: {{ $labels.reason }}",
        description=(
            f"Within the last {minutes} minutes. cloudProviderError and apiCallError: the cloud refused, for a "
            "quota, for permissions or without capacity. timeout: machines started and did not join. The next rung "
            "is tried anyway."
        ),
        dashboard="queue",
    )
    yield Rule(
        f"max by (node_group) (max_over_time(cluster_autoscaler_node_group_backoff_status[{window}])) == 1",
        needs,
        alert="NodeGroupBackedOff",
        minutes=minutes,
        severity=WARNING,
        summary="The autoscaler has given up node group {{ $labels.node_group }} for now",
        description=(
            f"For {minutes} minutes, with retries: usually EC2 has no capacity for it. Pods wait, or are on a "
            "later rung. The activities of the Auto Scaling group have EC2's message."
        ),
        dashboard="queue",
    )
    yield Rule(
        "min by (node_group) (cluster_autoscaler_node_group_healthiness) == 0",
        needs,
        alert="NodeGroupUnhealthy",
        minutes=minutes,
        severity=CRITICAL,
        summary="Node group {{ $labels.node_group }} is not healthy; the autoscaler does not resize it",
        description=(
            f"For {minutes} minutes: too many of its nodes are not ready or never joined. EKS's own state of the "
            "group (DEGRADED) is in no series: aws eks describe-nodegroup shows it, with the reason."
        ),
        dashboard="fleet",
    )


def _spot_rules(context: Context) -> Iterator[Rule]:
    count = context.limits.capacity["interruptions_count"]
    seen = f'max_over_time({NODE_INFO}{{capacity="spot"}}[1h])'
    yield Rule(
        # No series says that a node was interrupted: it is gone, and the autoscaler did not delete it.
        f"count by (pool) ({seen} unless on (node) {NODE_INFO} unless on (node) max_over_time({_DELETED}[1h]))"
        f" >= {count}",
        (sources.STATE,),
        alert="SpotInterruptions",
        severity=INFO,
        summary="{{ $value }} spot nodes of pool {{ $labels.pool }} were lost within an hour",
        description=(
            f"{count} or more that the autoscaler did not delete: interrupted by the cloud, or deleted by a "
            "person. Jobs go on from their last checkpoint. Add machine types or a rung on_demand if it stays so."
        ),
        dashboard="fleet",
    )


def _reservation_rules(context: Context) -> Iterator[Rule]:
    limits, given = context.limits.capacity, (sources.RESERVATIONS, sources.STATE)
    for each in context.reservations:
        if each.nodes is not None:
            yield Rule(f"vector({each.nodes})", given, record=RESERVED_NODES, labels={"pool": each.pool})
        if each.ends is not None:
            yield Rule(f"vector({each.ends})", given, record=RESERVATION_END, labels={"pool": each.pool})
    minutes, hours = limits["reservation_minutes"], limits["reservation_hours"]
    reserved = f'{NODE_INFO}{{capacity="reserved"}}'
    working = f"max by (node) ({context.by_node(f'DCGM_FI_DEV_GPU_UTIL{context.held}')})"
    measured = f"max by (node) ({context.by_node('DCGM_FI_DEV_GPU_UTIL')})"
    yield Rule(
        f"count by (pool) ({reserved} and on (node) {measured} unless on (node) {working}) > 0",
        (sources.STATE, sources.GPUS),
        alert="ReservationIdle",
        minutes=minutes,
        severity=WARNING,
        summary="{{ $value }} reserved nodes of pool {{ $labels.pool }} run no pod with a GPU",
        description=(
            f"For {minutes} minutes. They are paid for until the reservation ends: run batch work there, with a "
            "priority that others preempt, or shrink the reservation."
        ),
        dashboard="fleet",
    )
    yield Rule(
        f"{RESERVED_NODES} - on (pool) (count by (pool) ({reserved}) or on (pool) 0 * {RESERVED_NODES}) > 0",
        given,
        alert="ReservationUnused",
        minutes=minutes,
        severity=WARNING,
        summary="{{ $value }} reserved nodes of pool {{ $labels.pool }} do not run",
        description=(
            f"For {minutes} minutes, fewer nodes of the rung run than are reserved. A reservation is paid for "
            "whether its machines run or not. Are the pool's maximum, its queue's quota and the priorities such "
            "that work gets there?"
        ),
        dashboard="fleet",
    )
    yield Rule(
        f"({RESERVATION_END} - time()) / 3600 < {hours} > 0",
        given,
        alert="ReservationEnds",
        severity=WARNING,
        summary="The reservation of pool {{ $labels.pool }} ends in {{ $value | humanize }} hours",
        description=(
            f"Less than {hours} hours. EKS drains nodes of a capacity block about 40 minutes before its end. Let "
            "jobs write their checkpoints, extend it, or buy the next one."
        ),
        dashboard="fleet",
    )
