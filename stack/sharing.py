"""The section `queues`, for both clouds: Kueue, the teams' queues and priorities, and holds of pools. It has an effect
once the file names a team."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from components import arguments, hardware, pools, versions
from components.changes import Effect
from components.charts.images import ImagesArgs
from components.charts.source import ChartsArgs
from components.checks import Problem
from components.sharing import headroom, hold, kueue, queue_pool, queues, waiting
from components.sharing.headroom import Headroom
from components.sharing.hold import PoolHold, PoolRelease
from components.sharing.kueue import Kueue, KueueArgs
from components.sharing.priorities import Priorities
from components.sharing.queues import Queues, QueuesArgs
from components.sharing.team_queue import TeamQueue
from components.versions import Chart

from . import changes, on, platforms
from .environment import Environment
from .section import complete

GKE_IDLE_MINUTES = 10
"""After how many minutes GKE's autoscaler removes an idle node (profile `balanced`)."""


@dataclass(frozen=True)
class Queued:
    """The teams' queues. `names`: team → name of its ClusterQueue; empty without queues. `controllers`: Kueue."""

    names: dict[str, pulumi.Output[str]]
    controllers: pulumi.Resource | None = None


def used(environment: Environment) -> bool:
    """Whether the cluster gets queues."""
    return bool(environment.config.teams) and environment.config.queues.enabled


def charts(environment: Environment) -> list[Chart]:
    """The charts of the section."""
    return [versions.KUEUE] if used(environment) else []


def args(environment: Environment) -> QueuesArgs:
    """The queues of the file's teams over all pools."""
    section = environment.config.queues
    of_teams = arguments.shape(TeamQueue).fields
    given = {
        "cloud": environment.config.cloud,
        "node_pools": environment.node_pools,
        "teams": {
            name: {field: value for field, value in team.written.items() if field in of_teams}
            for name, team in environment.config.teams.items()
        },
        "unqueued": section.unqueued,
        "topology": section.topology,
    }
    return complete(QueuesArgs, given)


def _kueue_args(environment: Environment) -> KueueArgs:
    config = environment.config
    found = queue_pool.of_cloud(config.cloud, environment.node_pools)
    ready = config.queues.pods_ready_minutes
    idle = config.addons.scale_down_after_minutes if config.cloud == hardware.AWS else GKE_IDLE_MINUTES
    first_retry = waiting.first_retry_seconds(idle)
    given = {
        "pools": {name: pool.of_cluster for name, pool in found.items()},
        "kubernetes_version": environment.kubernetes_version,
        "deletion_protection": config.deletion_protection,
        "charts": complete(ChartsArgs, config.charts.arguments()),
        "images": complete(ImagesArgs, config.images.arguments()),
        "pods_ready_minutes": waiting.pods_ready_minutes(found.values()) if ready is None else ready,
        "first_retry_seconds": first_retry,
        "longest_retry_minutes": max(arguments.default(KueueArgs, "longest_retry_minutes"), first_retry // 60),
        "integrations": [*arguments.default(KueueArgs, "integrations"), *platforms.integrations(environment)],
    }
    return complete(KueueArgs, given)


def problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with the teams' shares and with `queues`, for pools and teams that have no problems."""
    section, given = environment.config.queues, args(environment)
    for problem in queues.share_problems(given):
        yield problem if problem.path.startswith("teams.") else problem.under("queues")
    found = queue_pool.of_cloud(environment.config.cloud, environment.node_pools)
    for problem in headroom.node_problems(found, section.headroom):
        yield Problem(
            problem.path.replace("nodes", "queues.headroom", 1), problem.value, problem.wrong, problem.allowed,
            problem.fix,
        )  # fmt: skip
    held = complete(hold.PoolHoldArgs, {"minutes": section.hold_minutes, "pool": "", "replaces": "", "kubeconfig": ""})
    for problem in hold.problems(held):
        yield Problem("queues.hold_minutes", problem.value, problem.wrong, problem.allowed, problem.fix)
    if section.pods_ready_minutes is not None:
        for problem in kueue.problems(_kueue_args(environment)):
            if problem.path == "pods_ready_minutes":
                yield problem.under("queues")


def warnings(environment: Environment) -> Iterator[str]:
    """Settings that work but may not be intended with queues, and those without an effect."""
    section = environment.config.queues
    if not used(environment):
        yield from _idle(environment)
        return
    yield from (f"node_pools.{each}" for each in queues.warnings(args(environment)))
    for name, nodes in section.headroom.items():
        if nodes > section.unqueued.get(name, 0):
            yield (
                f"queues.headroom.{name}: queues have quota for these nodes as well: on a full pool a job with the "
                "priority gpuyard-training is admitted and waits, since it evicts no placeholder; write "
                f"`queues.unqueued: {{{name}: {nodes}}}`"
            )


def _idle(environment: Environment) -> Iterator[str]:
    """Settings without an effect, because there are no queues."""
    section, teams = environment.config.queues, environment.config.teams
    why = "`queues.enabled` is false" if teams else "there is no team"
    given = [f"queues.{field}" for field in ("headroom", "unqueued") if getattr(section, field)]
    of_teams = arguments.shape(TeamQueue).fields
    given += [f"teams.{name}.{field}" for name, team in teams.items() for field in of_teams if field in team.written]
    yield from (f"{each}: has no effect: {why}" for each in given)


def replaces(environment: Environment, pool: str) -> str:
    """Text that changes if a change of the file replaces the nodes of a pool: a hash of every such field."""
    rules = on.changes(environment.config.cloud).RULES
    found = {
        path: value
        for path, value in changes.settings(environment).items()
        if (path.startswith(f"nodePools.{pool}.") or not path.startswith("nodePools."))
        and (rule := rules.get(changes.pattern(path)))
        and rule.effect in (Effect.ROLLS, Effect.NEW_POOL)
    }
    return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()


def holds(environment: Environment, python: pulumi.ProviderResource, cluster: Any) -> dict[str, PoolHold]:
    """Pool → the hold that comes before a replacement of its nodes; empty without queues."""
    return {
        name: PoolHold(
            f"{name}-hold",
            {
                "kubeconfig": cluster.kubeconfig,
                "pool": name,
                "replaces": replaces(environment, name),
                "minutes": environment.config.queues.hold_minutes,
            },
            pulumi.ResourceOptions(providers=[python]),
        )
        for name in (_pools(environment) if used(environment) else ())
    }


def _pools(environment: Environment) -> list[str]:
    """The pools that queues use."""
    unqueued = environment.config.queues.unqueued
    resolved = pools.resolve_all(environment.config.cloud, environment.node_pools)
    return [name for name, pool in resolved.items() if pool.max > unqueued.get(name, 0)]


def share(
    environment: Environment,
    providers: list[pulumi.ProviderResource],
    cluster: Any,
    node_pools: Mapping[str, pulumi.Resource],
    holds: Mapping[str, PoolHold],
) -> Queued:
    """Kueue, the teams' queues, priorities and headroom; and the release of pools that were held. `providers`: that of
    the cluster, and that of dynamic resources."""
    if not used(environment):
        return Queued({})
    options = pulumi.ResourceOptions(providers=providers)
    resolved = pools.resolve_all(environment.config.cloud, environment.node_pools)
    cpu = [node_pools[name] for name, pool in resolved.items() if not pool.gpus]
    controllers = Kueue("kueue", _kueue_args(environment), pulumi.ResourceOptions(providers=providers, depends_on=cpu))
    after = pulumi.ResourceOptions(providers=providers, depends_on=[controllers])
    priorities = Priorities("priorities", {}, after)
    # After the pools: a quota grows after its pool, and a flavor that is held is not written while nodes are replaced.
    every = pulumi.ResourceOptions(providers=providers, depends_on=[controllers, *node_pools.values()])
    made = Queues("queues", args(environment), every)
    if environment.config.queues.headroom:
        Headroom(
            "headroom",
            {
                "cloud": environment.config.cloud,
                "node_pools": environment.node_pools,
                "nodes": environment.config.queues.headroom,
                "images": complete(ImagesArgs, environment.config.images.arguments()),
            },
            pulumi.ResourceOptions(providers=providers, depends_on=[priorities, *node_pools.values()]),
        )
    for name, held in holds.items():
        PoolRelease(
            f"{name}-release",
            {"kubeconfig": cluster.kubeconfig, "pool": name, "held_at": held.held_at},
            pulumi.ResourceOptions.merge(options, pulumi.ResourceOptions(depends_on=[node_pools[name], made])),
        )
    return Queued({team: made.cluster_queue_names[team] for team in environment.config.teams}, controllers)
