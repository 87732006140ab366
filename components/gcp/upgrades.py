"""Node upgrades of a GKE pool: by surge or blue-green, and how long Pulumi waits for them."""

import math
from collections.abc import Iterator

import pulumi

from .. import checks
from ..checks import Problem
from .pool_spec import GkePool

# Value of the argument → the API's. GKE itself gives pools of flex-start nodes a third one, SHORT_LIVED.
STRATEGIES = {"surge": "SURGE", "blue_green": "BLUE_GREEN"}
_FIELDS = {
    "surge": ("max_surge", "max_unavailable"),
    "blue_green": ("batch_percentage", "batch_soak_seconds", "soak_seconds"),
}
# Nodes that GKE upgrades at once (the provider's documentation of upgrade_settings).
_AT_ONCE = 20
# The provider's own limit for operations on a node pool (resource_container_node_pool.go, Timeouts).
_LEAST_MINUTES = 120
# GKE gives the pods of a node up to an hour to end ("Node upgrade strategies"); then the next node boots.
_NODE_MINUTES = 60 + 15
# BlueGreenSettings and StandardRolloutPolicy in the API's reference; a soak ends after seven days.
_RANGES = {"batch_percentage": (1, 100), "batch_soak_seconds": (0, 604800), "soak_seconds": (0, 604800)}


def timeouts(made: GkePool) -> pulumi.CustomTimeouts:
    """How long Pulumi waits for a node pool. A change of its nodes (machine type, disk, version) may recreate all of
    them: the timeout covers the pool's `max`, with each node as slow as GKE allows. GKE continues after the timeout; it
    only decides when Pulumi reports a failure."""
    wanted = made.upgrade
    if wanted["strategy"] == "blue_green":
        batches = math.ceil(100 / wanted["batch_percentage"])
        soak = batches * wanted["batch_soak_seconds"] + wanted["soak_seconds"]
        renewal = batches * _NODE_MINUTES + math.ceil(soak / 60)
    else:
        at_once = wanted["max_surge"] + wanted["max_unavailable"]
        renewal = math.ceil(made.pool.max / at_once) * _NODE_MINUTES
    # The creation of the first node and the deletion of the last one take extra time.
    update = _LEAST_MINUTES + renewal
    return pulumi.CustomTimeouts(create=f"{_LEAST_MINUTES}m", update=f"{update}m", delete=f"{_LEAST_MINUTES}m")


def problems(made: GkePool) -> Iterator[Problem]:
    """What is wrong with `upgrade`."""
    wanted, whole = made.spec.get("upgrade"), made.upgrade
    if wanted is None:
        return
    if made.pool.capacity == ("flex",):
        yield Problem(
            "upgrade", dict(wanted), "flex-start nodes are not upgraded: they end, and new nodes have the new version",
            "nothing", "remove it",
        )  # fmt: skip
        return
    strategy = whole["strategy"]
    yield from checks.one_of("upgrade.strategy", strategy, STRATEGIES)
    for other, fields in _FIELDS.items():
        for field in fields:
            if other != strategy and strategy in STRATEGIES and field in wanted:
                yield Problem(
                    f"upgrade.{field}", wanted[field], f"has no effect with the strategy {strategy}",
                    ", ".join(f"`{each}`" for each in _FIELDS[strategy]), f"remove it, or write `strategy: {other}`",
                )  # fmt: skip
    surge, unavailable = whole["max_surge"], whole["max_unavailable"]
    for field, value in (("max_surge", surge), ("max_unavailable", unavailable)):
        if value < 0:
            yield Problem(f"upgrade.{field}", value, "must not be negative", "0 or more", "write 0")
    if strategy == "surge" and surge == unavailable == 0:
        yield Problem(
            "upgrade", dict(wanted), "allows no node more and no node less: no node could be upgraded",
            "`max_surge` or `max_unavailable` of 1 or more", "write `max_surge: 1`",
        )  # fmt: skip
    if strategy == "surge" and surge + unavailable > _AT_ONCE:
        field = "max_surge" if surge >= unavailable else "max_unavailable"
        yield Problem(
            f"upgrade.{field}", max(surge, unavailable),
            f"{surge + unavailable} nodes at once, with `max_surge: {surge}` and `max_unavailable: {unavailable}`",
            f"up to {_AT_ONCE} together", f"write {max(_AT_ONCE - min(surge, unavailable), 1)}",
        )  # fmt: skip
    batch = ("batch_percentage", wanted.get("batch_percentage"))
    soaks = [("batch_soak_seconds", wanted.get("batch_soak_seconds")), ("soak_seconds", wanted.get("soak_seconds"))]
    for field, value in (batch, *soaks):
        low, high = _RANGES[field]
        if strategy == "blue_green" and value is not None and not low <= value <= high:
            yield Problem(
                f"upgrade.{field}", value, "out of range", f"{low} to {high}",
                f"write {min(max(value, low), high)}",
            )  # fmt: skip
    if strategy == "blue_green" and any(made.compact(rung) for rung in made.pool.rungs):
        yield Problem(
            "upgrade.strategy", strategy, "compactly placed nodes cannot be doubled during an upgrade", "surge",
            "write surge, or `placement: false`",
        )  # fmt: skip
