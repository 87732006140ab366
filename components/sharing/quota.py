"""How the pools are divided among teams: what each is guaranteed, and what they lend each other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..checks import Problem
from ..quantities import binary, decimal
from .queue_pool import GPU_RESOURCE, QueuePool
from .team_queue import TeamQueue

COVERED = ("cpu", "memory", GPU_RESOURCE)
"""Resources with a quota. Others, such as EFA interfaces and huge pages, come with the node."""

_WEIGHTS = (1, 1000)


@dataclass(frozen=True)
class Quota:
    """A part of a pool."""

    millicores: int
    mib: int
    gpus: int

    def minus(self, *others: "Quota") -> "Quota":
        """What is left without the others."""
        return Quota(
            self.millicores - sum(each.millicores for each in others),
            self.mib - sum(each.mib for each in others),
            self.gpus - sum(each.gpus for each in others),
        )

    def part(self, share: float, total: float) -> "Quota":
        """Its part `share` of `total`, rounded down."""
        return Quota(*(int(each * share // total) for each in (self.millicores, self.mib, self.gpus)))

    @property
    def quantities(self) -> dict[str, str]:
        """As Kubernetes writes them, by resource."""
        return dict(zip(COVERED, (decimal(self.millicores), binary(self.mib), decimal(1000 * self.gpus))))


def total(pool: QueuePool, unqueued: int) -> Quota:
    """What all nodes of a pool offer, without the nodes that queues do not use. A rung of the ladder may have as many
    nodes as the pool, but never all rungs together: the sum is bounded by the pool's `max`."""
    nodes = pool.pool.max - unqueued
    return Quota(nodes * pool.millicores, nodes * pool.memory_mib, nodes * pool.gpus)


def divided(pool: QueuePool, unqueued: int, teams: Mapping[str, TeamQueue]) -> tuple[dict[str, Quota], Quota]:
    """(team → what it is guaranteed, the rest that all of them may borrow)."""
    whole, name = total(pool, unqueued), pool.pool.name
    found: dict[str, Quota] = {}
    for team, given in teams.items():
        if (gpus := given.get("guaranteed", {}).get(name)) is not None:
            found[team] = Quota(*_follow(whole, gpus), gpus)
    left = whole.minus(*found.values())
    others = {team: given["weight"] for team, given in teams.items() if team not in found}
    for team, weight in others.items():
        part = left.part(weight, sum(others.values()))
        found[team] = Quota(*_follow(whole, part.gpus), part.gpus) if whole.gpus else part
    return {team: found[team] for team in teams}, whole.minus(*found.values())


def _follow(whole: Quota, gpus: int) -> tuple[int, int]:
    """The CPUs and the memory of that many of the pool's GPUs."""
    return whole.millicores * gpus // whole.gpus, whole.mib * gpus // whole.gpus


def problems(
    pools: Mapping[str, QueuePool], unqueued: Mapping[str, int], teams: Mapping[str, TeamQueue]
) -> Iterator[Problem]:
    """Everything that is wrong with the teams' shares, and with the nodes that queues do not use."""
    for name, nodes in unqueued.items():
        yield from _pool_problems(f"unqueued.{name}", name, nodes, pools)
        if name in pools and not 0 <= nodes <= pools[name].pool.max:
            most = pools[name].pool.max
            yield Problem(
                f"unqueued.{name}", nodes, f"the pool has at most {most} nodes", f"0 to {most}",
                f"write {min(max(nodes, 0), most)}",
            )  # fmt: skip
    low, high = _WEIGHTS
    for team, given in teams.items():
        weight = given["weight"]
        if not low <= weight <= high:
            yield Problem(f"teams.{team}.weight", weight, "out of range", f"{low} to {high}", "remove it for 1")
        for name, gpus in given.get("guaranteed", {}).items():
            path = f"teams.{team}.guaranteed.{name}"
            yield from _pool_problems(path, name, gpus, pools)
            if gpus < 0:
                yield Problem(path, gpus, "must not be negative", "0 or more", "write 0")
            elif name in pools and not pools[name].gpus:
                yield Problem(
                    path, gpus, "the pool has no GPUs, and CPUs are divided by weight", "pools with GPUs", "remove it"
                )  # fmt: skip
    for name, pool in pools.items():
        yield from _sum_problems(pool, unqueued.get(name, 0), teams)


def _pool_problems(path: str, name: str, value: object, pools: Mapping[str, QueuePool]) -> Iterator[Problem]:
    if name not in pools:
        yield Problem(
            path,
            value,
            "there is no such pool",
            ", ".join(pools) or "none: there is no pool",
            "correct the name of the pool, or remove it",
        )


def _sum_problems(pool: QueuePool, unqueued: int, teams: Mapping[str, TeamQueue]) -> Iterator[Problem]:
    name, gpus = pool.pool.name, max(0, total(pool, unqueued).gpus)
    given = {team: each["guaranteed"][name] for team, each in teams.items() if name in each.get("guaranteed", {})}
    if not given or not pool.gpus or min(given.values()) < 0 or (wanted := sum(given.values())) <= gpus:
        return
    listed = " + ".join(f"{team} {count}" for team, count in given.items())
    last = list(given)[-1]
    nodes = -(-wanted // pool.gpus) + unqueued
    yield Problem(
        f"teams.{last}.guaranteed.{name}", given[last],
        f"all teams together have {wanted} GPUs ({listed}), and the queues have {gpus} of the pool",
        f"{gpus} in all", f"write {max(0, gpus - wanted + given[last])}, or raise `max` of {name} to {nodes}",
    )  # fmt: skip
