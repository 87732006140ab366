"""GPU-hours that teams hold, use and leave idle, by pool, and their cost. A team is a namespace.

GPUs are counted by DCGM's series, so a GPU that several pods share counts for each namespace once. A price is that of
the whole node, divided by its GPUs. Hours are sums over the last hour: the rules are evaluated once a minute.
"""

from collections.abc import Iterator

from . import sources
from .rule import NODE_INFO, Context, Rule

HELD_ON_NODE, USED_ON_NODE = "namespace_node:gpus_held:count", "namespace_node:gpus_used:sum"
HELD, USED = "namespace_pool:gpus_held:count", "namespace_pool:gpus_used:sum"
PRESENT, FREE = "pool:gpus_present:count", "pool:gpus_free:count"
HOURS_HELD, HOURS_USED = "namespace_pool:gpu_hours_held:sum1h", "namespace_pool:gpu_hours_used:sum1h"
HOURS_IDLE, HOURS_FREE = "namespace_pool:gpu_hours_idle:sum1h", "pool:gpu_hours_free:sum1h"
PRICE = "machine:gpu_price:dollars_per_hour"
COST_HELD, COST_IDLE = "namespace_pool:gpu_cost_held:dollars1h", "namespace_pool:gpu_cost_idle:dollars1h"
COST_FREE = "pool:gpu_cost_free:dollars1h"
"""Recorded series."""

_POOL = "pool, capacity, machine"


def rules(context: Context) -> Iterator[Rule]:
    """The rules, those that others use first."""
    measured, pooled = (sources.GPUS,), (sources.GPUS, sources.STATE)
    each = f"max by (namespace, node, gpu) ({context.by_node(f'DCGM_FI_DEV_GPU_UTIL{context.held}')})"
    yield Rule(f"count by (namespace, node) ({each})", measured, record=HELD_ON_NODE)
    yield Rule(f"sum by (namespace, node) ({each} / 100)", measured, record=USED_ON_NODE)
    for record, series in ((HELD, HELD_ON_NODE), (USED, USED_ON_NODE)):
        yield Rule(f"sum by (namespace, {_POOL}) ({_of_pool(series)})", pooled, record=record)
    there = f"count by (node) ({context.by_gpu('DCGM_FI_DEV_GPU_TEMP')})"
    yield Rule(f"sum by ({_POOL}) ({_of_pool(there)})", pooled, record=PRESENT)
    taken = f"sum by ({_POOL}) ({HELD})"
    yield Rule(f"clamp_min({PRESENT} - {taken}, 0) or {PRESENT}", pooled, record=FREE)
    for record, series in ((HOURS_HELD, HELD), (HOURS_USED, USED), (HOURS_FREE, FREE)):
        yield Rule(f"sum_over_time({series}[1h]) / 60", pooled, record=record)
    yield Rule(f"{HOURS_HELD} - {HOURS_USED}", pooled, record=HOURS_IDLE)
    priced = (*pooled, sources.PRICES)
    for price in context.prices:
        labels = {"machine": price.machine, "capacity": price.capacity}
        yield Rule(f"vector({price.dollars_per_gpu_hour:.6g})", priced, record=PRICE, labels=labels)
    for record, hours in ((COST_HELD, HOURS_HELD), (COST_IDLE, HOURS_IDLE), (COST_FREE, HOURS_FREE)):
        yield Rule(f"{hours} * on (machine, capacity) group_left () {PRICE}", priced, record=record)


def _of_pool(expr: str) -> str:
    return f"{expr} * on (node) group_left ({_POOL}) {NODE_INFO}"
