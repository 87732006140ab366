"""How the nodes of a GKE pool are renewed: by surge, or blue and green."""

from collections.abc import Iterator

from .. import checks
from ..checks import Problem
from .pool_spec import GkePool

# Name in a spec → the API's. The third, SHORT_LIVED, is what GKE itself gives pools of flex-start nodes.
STRATEGIES = {"surge": "SURGE", "blue_green": "BLUE_GREEN"}
_FIELDS = {
    "surge": ("max_surge", "max_unavailable"),
    "blue_green": ("batch_percentage", "batch_soak_seconds", "soak_seconds"),
}
# The API's reference of BlueGreenSettings and StandardRolloutPolicy; a soak ends after seven days.
# Nodes that GKE renews at once (the provider's docs of upgrade_settings).
_AT_ONCE = 20
_RANGES = {"batch_percentage": (1, 100), "batch_soak_seconds": (0, 604800), "soak_seconds": (0, 604800)}


def problems(made: GkePool) -> Iterator[Problem]:
    """What is wrong with `upgrade`."""
    wanted, whole = made.spec.get("upgrade"), made.upgrade
    if wanted is None:
        return
    if made.pool.capacity == ("flex",):
        yield Problem(
            "upgrade", dict(wanted), "flex-start nodes are not upgraded: they end, and new ones have the new version",
            "nothing", "remove it",
        )  # fmt: skip
        return
    strategy = whole.get("strategy", "surge")
    yield from checks.one_of("upgrade.strategy", strategy, STRATEGIES)
    for other, fields in _FIELDS.items():
        for field in fields:
            if other != strategy and strategy in STRATEGIES and field in wanted:
                yield Problem(
                    f"upgrade.{field}", wanted[field], f"has no meaning for the strategy {strategy}",
                    ", ".join(_FIELDS[strategy]), f"remove it, or write strategy: {other}",
                )  # fmt: skip
    surge, unavailable = whole.get("max_surge", 0), whole.get("max_unavailable", 0)
    for field, value in (("max_surge", surge), ("max_unavailable", unavailable)):
        if value < 0:
            yield Problem(f"upgrade.{field}", value, "less than no node", "0 or more", "write 0")
    if strategy == "surge" and surge == unavailable == 0:
        yield Problem(
            "upgrade", dict(wanted), "no node may be added and none taken away: nothing could be renewed",
            "max_surge or max_unavailable of 1 or more", "write maxSurge: 1",
        )  # fmt: skip
    if strategy == "surge" and surge + unavailable > _AT_ONCE:
        field = "max_surge" if surge >= unavailable else "max_unavailable"
        yield Problem(
            f"upgrade.{field}", max(surge, unavailable),
            f"{surge + unavailable} nodes at once, with max_surge = {surge} and max_unavailable = {unavailable}",
            f"up to {_AT_ONCE} together", f"write {max(_AT_ONCE - min(surge, unavailable), 1)}",
        )  # fmt: skip
    batch = ("batch_percentage", wanted.get("batch_percentage"))
    soaks = [("batch_soak_seconds", wanted.get("batch_soak_seconds")), ("soak_seconds", wanted.get("soak_seconds"))]
    for field, value in (batch, *soaks):
        low, high = _RANGES[field]
        if strategy == "blue_green" and value is not None and not low <= value <= high:
            yield Problem(
                f"upgrade.{field}", value, "no possible value", f"{low} to {high}",
                f"write {min(max(value, low), high)}",
            )  # fmt: skip
    if strategy == "blue_green" and any(made.compact(rung) for rung in made.pool.rungs):
        yield Problem(
            "upgrade.strategy", strategy, "compactly placed nodes cannot be doubled for a while", "surge",
            "write surge, or placement: false",
        )  # fmt: skip
