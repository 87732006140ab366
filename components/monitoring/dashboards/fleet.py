"""All pools at a glance: what exists, what is held and used, what it costs, what is ill."""

from ..rules import sources, usage
from ..rules.rule import NODE_INFO, Context
from .panel import (
    BARS,
    CELSIUS,
    COUNT,
    DOLLARS_PER_HOUR,
    FAULTS,
    GPUS,
    LINES,
    NUMBER,
    PERCENT,
    POOLED,
    PRICED,
    STACK,
    STATE,
    Dashboard,
    Panel,
    Query,
    Row,
    gpu_series,
)  # fmt: skip


def dashboard(context: Context) -> Dashboard:
    """The dashboard."""
    held, used = "sum(namespace_node:gpus_held:count)", f"sum({usage.USED_ON_NODE})"
    there = f"count(max by (node, gpu) ({gpu_series(context, 'DEV_GPU_TEMP')}))"
    numbers = Row("Now", [
        Panel("GPUs", [Query(there, "GPUs")], COUNT, GPUS, "GPUs that are measured.", NUMBER),
        Panel("held by pods", [Query(f"{held} or vector(0)", "held")], COUNT, GPUS, "GPUs that a pod has.", NUMBER),
        Panel(
            "used of what is held", [Query(f"100 * {used} / {held}", "used")], PERCENT, GPUS,
            "Utilization of the GPUs that pods hold. Below 50 %, half of the money is lost.", NUMBER,
        ),
        Panel(
            "cost of GPU nodes", [Query(f"sum({usage.COST_HELD}) + sum({usage.COST_FREE})", "cost")],
            DOLLARS_PER_HOUR, PRICED, "At the prices in `prices`; spot has none.", NUMBER,
        ),
    ])  # fmt: skip
    pools = Row("Pools", [
        Panel(
            "GPUs by pool", [Query(f"sum by (pool, capacity) ({usage.PRESENT})", "{{pool}} {{capacity}}")], COUNT,
            POOLED, "GPUs of the nodes that exist.", STACK,
        ),
        Panel(
            "free GPUs by pool", [Query(f"sum by (pool, capacity) ({usage.FREE})", "{{pool}} {{capacity}}")], COUNT,
            POOLED, "On a node, and held by no pod.", STACK,
        ),
        Panel(
            "nodes by pool", [Query(f"count by (pool, capacity) ({NODE_INFO})", "{{pool}} {{capacity}}")], COUNT,
            STATE, "Nodes of every rung.", STACK,
        ),
        Panel(
            "used of what is held, by pool",
            [Query(f"100 * sum by (pool) ({usage.USED}) / sum by (pool) ({usage.HELD})", "{{pool}}")], PERCENT,
            POOLED,
        ),
    ])  # fmt: skip
    counted = context.by_node('DCGM_EXP_XID_ERRORS_COUNT{xid!=""}')
    xids = f"sum by (xid) (max by (node, gpu, xid) ({counted}))"
    ready = 'sum(kube_node_status_condition{condition="Ready",status=~"false|unknown"})'
    health = Row("Health", [
        Panel(
            "hottest GPU by node", [Query(f"max by (node) ({gpu_series(context, 'DEV_GPU_TEMP')})", "{{node}}")],
            CELSIUS, GPUS, "85 °C and more for long is a reason to look.", LINES, 85,
        ),
        Panel("XIDs", [Query(xids, "XID {{xid}}")], COUNT, FAULTS, "Errors of the last five minutes.", BARS, 0),
        Panel("nodes that are not ready", [Query(ready, "nodes")], COUNT, STATE, "", NUMBER, 0),
        Panel(
            "failed scale-ups in an hour",
            [Query("sum by (reason) (increase(cluster_autoscaler_failed_scale_ups_total[1h]))", "{{reason}}")], COUNT,
            (sources.AUTOSCALER,), "", BARS, 0,
        ),
    ])  # fmt: skip
    return Dashboard(
        "fleet", "GPU fleet", "What is there, what is used, what is ill?", [numbers, pools, health], hours=24
    )
