"""GPU-hours and cost by team, over a day."""

from ..rules import usage
from ..rules.rule import Context
from .panel import (
    BARS,
    COUNT,
    DOLLARS,
    DOLLARS_PER_HOUR,
    GPU_HOURS,
    GPUS,
    PERCENT,
    POOLED,
    PRICED,
    STACK,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
)  # fmt: skip

TEAM = Variable("namespace", usage.HELD_ON_NODE)


def dashboard(context: Context) -> Dashboard:
    """The dashboard."""
    where = f"{{{TEAM.matcher}}}"

    def day(series: str, labels: str = "namespace", of: str = where) -> str:
        """The rolling hour, once a minute for a day, adds up to sixty times the day."""
        return f"sum by ({labels}) (sum_over_time({series}{of}[1d])) / 60"

    team = "{{namespace}}"
    hours = Row("GPU-hours of the last day", [
        Panel("held", [Query(day(usage.HOURS_HELD), team)], GPU_HOURS, POOLED, "What pods had, used or not.", BARS),
        Panel("held and not used", [Query(day(usage.HOURS_IDLE), team)], GPU_HOURS, POOLED, "", BARS),
        Panel(
            "used of what is held",
            [Query(f"100 * {day(usage.HOURS_USED)} / ({day(usage.HOURS_HELD)} > 0)", team)], PERCENT, POOLED, "", BARS,
        ),
        Panel(
            "free, held by no pod",
            [Query(day(usage.HOURS_FREE, "pool", ""), "{{pool}}")], GPU_HOURS, POOLED,
            "Nodes that are up for no pod, also those of a reservation.", BARS,
        ),
    ])  # fmt: skip
    cost = Row("Cost of the last day", [
        Panel("held", [Query(day(usage.COST_HELD), team)], DOLLARS, PRICED, "At the prices in `prices`.", BARS),
        Panel("held and not used", [Query(day(usage.COST_IDLE), team)], DOLLARS, PRICED, "", BARS),
        Panel(
            "free", [Query(day(usage.COST_FREE, "pool, capacity", ""), "{{pool}} {{capacity}}")], DOLLARS, PRICED, "",
            BARS,
        ),
        Panel(
            "cost per hour", [Query(f"sum by (namespace) ({usage.COST_HELD}{where})", team)], DOLLARS_PER_HOUR, PRICED,
            "", STACK,
        ),
    ])  # fmt: skip
    now = Row("Now", [
        Panel("GPUs held", [Query(f"sum by (namespace) ({usage.HELD_ON_NODE}{where})", team)], COUNT, GPUS, "", STACK),
        Panel(
            "GPUs used", [Query(f"sum by (namespace) ({usage.USED_ON_NODE}{where})", team)], COUNT, GPUS,
            "Held × utilization.", STACK,
        ),
    ])  # fmt: skip
    return Dashboard(
        "team", "GPUs by team", "Who holds what, uses it, and what does it cost?", [hours, cost, now], [TEAM], 24
    )
