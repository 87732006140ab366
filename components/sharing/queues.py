"""Queues of teams over a cluster's pools: quotas that follow from the pools, in Kueue's objects."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import arguments, checks
from ..checks import Problem
from ..clouds import AWS, CLOUDS
from ..pools import POOL_LABEL
from . import provisioning, queue_pool, quota, team_checks
from .queue_pool import QueuePool
from .quota import COVERED, Quota
from .team_queue import TEAM_LABEL, TeamQueue

API_VERSION = "kueue.x-k8s.io/v1beta2"
"""The version of Kueue's API that the objects are written in."""

COHORT = "gpuyard"
"""Name of the cohort in which the teams' queues borrow from each other."""

_MOST_POOLS = 64
"""Flavors in one group of resources (apis/kueue/v1beta2/clusterqueue_types.go)."""


class QueuesArgs(TypedDict):
    """The pools to divide, and the teams."""

    cloud: str
    """Cloud of the cluster: aws or gcp."""
    node_pools: dict[str, dict[str, Any]]
    """Every pool of the cluster, by name: the fields of `EksNodePoolSpec` or `GkeNodePoolSpec`. Their order is that in
    which a job that may use several pools tries them, those without GPUs first."""
    teams: dict[str, TeamQueue]
    """The teams by name, one or more: each gets a ClusterQueue of its name."""
    unqueued: NotRequired[dict[str, int]]
    """Pool → nodes of it that queues do not use, for pods without a queue, such as model servers. With all nodes of a
    pool, no queue has it. Default: `{}`."""
    topology: NotRequired[bool]
    """Whether queues place jobs by the network's topology on pools with `interconnect` whose nodes are always there
    (`min` is `max`) or `queued`. Jobs that do not request a topology are then not admitted to these pools. Default:
    `true`."""


def problems(args: QueuesArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, found without asking the cloud."""
    wrong = list(checks.one_of("cloud", args["cloud"], CLOUDS))
    yield from wrong
    if not args["teams"]:
        yield Problem("teams", {}, "has no team", "one or more teams by name", "add a team")
    for name in args["teams"]:
        yield from team_checks.name_problems(f"teams.{name}", name)
    if wrong:
        return
    specs = list(queue_pool.spec_problems(args["cloud"], args["node_pools"]))
    yield from specs
    if len(args["node_pools"]) > _MOST_POOLS:
        yield Problem(
            "node_pools", f"{len(args['node_pools'])} pools", "more than a queue can have", f"up to {_MOST_POOLS}",
            "use fewer pools",
        )  # fmt: skip
    if not specs:
        yield from share_problems(args)


def share_problems(args: QueuesArgs) -> Iterator[Problem]:
    """What is wrong with the teams' shares of pools whose specs have no problems."""
    found = queue_pool.of_cloud(args["cloud"], args["node_pools"])
    yield from quota.problems(found, args["unqueued"], args["teams"])


def warnings(args: QueuesArgs) -> Iterator[str]:
    """Settings that work but may not be intended. `args`: arguments without problems."""
    queued = "" if args["cloud"] == AWS else " or `queued: true`"
    for name, pool in _pools(args).items():
        if pool.has_topology:
            yield (
                f"{name}: queues admit only jobs that request a topology, by the annotation "
                "kueue.x-k8s.io/podset-preferred-topology or podset-required-topology (see docs/queues.md)"
            )
        elif pool.located and pool.pool.interconnects:
            yield (
                f"{name}: queues do not place its jobs by the network's topology: Kueue knows it only from nodes that "
                f"exist, so a pool at zero would never start a job; it needs `min` equal to `max`{queued}"
            )
        if len(pool.own_labels) > (most := len(pool.labels) - 1):
            left = ", ".join(sorted(pool.own_labels)[most:])
            yield f"{name}.labels: queues do not know {left}: jobs that select them may be assigned to another pool"


def _pools(args: QueuesArgs) -> dict[str, QueuePool]:
    """The pools that queues use, by name."""
    found = queue_pool.of_cloud(args["cloud"], args["node_pools"])
    return {
        name: pool if args["topology"] else replace(pool, located=False)
        for name, pool in found.items()
        if pool.pool.max > args["unqueued"].get(name, 0)
    }


class Queues(pulumi.ComponentResource):
    """A ResourceFlavor for each pool and a ClusterQueue for each team, in one cohort, from the specs of the pools.

    The quota of a pool is what its `max` nodes offer: GPUs (shared ones and partitions included), CPUs and memory. So
    nothing is admitted that the pool could never run. It is divided among the teams (`guaranteed`, `weight`). What a
    team does not use, the others borrow; it gets it back by preemption of the borrowers. A pool's rungs are one flavor:
    the autoscaler, which knows what the cloud has, chooses the rung.

    A job must tolerate `nvidia.com/gpu` to use a pool with GPUs. Kueue adds the tolerations of all other taints, and
    the pool's labels. Pools with `interconnect` have a Topology, if their nodes are always there or are added before a
    job is admitted (GKE's `queued`, which gets its AdmissionCheck): only jobs that request a topology use them.

    Works on every cluster with Kueue: let it depend on `Kueue`. It needs the provider `kubernetes` of the cluster.
    Objects have fixed names, so a cluster has one. Does not include the LocalQueue in a team's namespace. If a queue is
    removed, its deletion waits for the jobs that it admitted.
    """

    cluster_queue_names: pulumi.Output[dict[str, str]]
    """Team → name of its ClusterQueue, known once it exists."""
    flavor_names: pulumi.Output[dict[str, str]]
    """Pool → name of its ResourceFlavor, known once it exists."""

    def __init__(self, name: str, args: QueuesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"Queues {name}", QueuesArgs, args, problems)
        super().__init__("gpuyard:index:Queues", name, None, opts)
        self._name, self._cloud = name, args["cloud"]
        unqueued = args["unqueued"]
        pools = _pools(args)
        topologies = self._topologies(list(pools.values()))
        self.flavors: dict[str, k8s.apiextensions.CustomResource] = {
            pool: self._flavor(facts, topologies) for pool, facts in pools.items()
        }
        """The ResourceFlavors by the names of their pools."""
        queued = [facts for facts in pools.values() if facts.queued]
        gate = provisioning.admission_check(name, self) if queued else None
        divided = {pool: quota.divided(facts, unqueued.get(pool, 0), args["teams"]) for pool, facts in pools.items()}
        cohort = self._object(
            "cohort", "Cohort", COHORT, _groups(pools, {pool: rest for pool, (_, rest) in divided.items()}),
            list(self.flavors.values()),
        )  # fmt: skip
        self.cluster_queues: dict[str, k8s.apiextensions.CustomResource] = {
            team: self._object(
                f"{team}-queue",
                "ClusterQueue",
                team,
                {
                    **_queue(team, given),
                    **_groups(pools, {pool: parts[team] for pool, (parts, _) in divided.items()}),
                    **(provisioning.strategy([facts.flavor for facts in queued]) if gate else {}),
                },
                [cohort, *self.flavors.values(), *([gate] if gate else [])],
            )
            for team, given in args["teams"].items()
        }
        """The ClusterQueues by the names of their teams."""
        self.cluster_queue_names = pulumi.Output.all(
            **{team: made.id.apply(lambda _, team=team: team) for team, made in self.cluster_queues.items()}
        )
        self.flavor_names = pulumi.Output.all(
            **{pool: made.id.apply(lambda _, flavor=pools[pool].flavor: flavor) for pool, made in self.flavors.items()}
        )
        self.register_outputs({"clusterQueueNames": self.cluster_queue_names, "flavorNames": self.flavor_names})

    def _topologies(self, pools: list[QueuePool]) -> list[k8s.apiextensions.CustomResource]:
        if not any(pool.has_topology for pool in pools):
            return []
        levels = [{"nodeLabel": label} for label in CLOUDS[self._cloud].topology_labels]
        return [self._object("topology", "Topology", CLOUDS[self._cloud].topology, {"levels": levels}, [])]

    def _flavor(
        self, pool: QueuePool, topologies: list[k8s.apiextensions.CustomResource]
    ) -> k8s.apiextensions.CustomResource:
        topology = {"topologyName": CLOUDS[self._cloud].topology} if pool.has_topology else {}
        # Without empty lists: Kueue removes them when it writes the object, which a flavor with a topology refuses, and
        # its deletion would never end.
        lists = {"nodeTaints": pool.taints, "tolerations": pool.tolerations}
        spec = {"nodeLabels": pool.labels, **{key: value for key, value in lists.items() if value}, **topology}
        return self._object(f"{pool.flavor}-flavor", "ResourceFlavor", pool.flavor, spec, topologies, pool.pool.name)

    def _object(
        self,
        role: str,
        kind: str,
        name: str,
        spec: Mapping[str, Any],
        after: list[k8s.apiextensions.CustomResource],
        pool: str = "",
    ) -> k8s.apiextensions.CustomResource:
        return k8s.apiextensions.CustomResource(
            f"{self._name}-{role}",
            api_version=API_VERSION,
            kind=kind,
            metadata=k8s.meta.v1.ObjectMetaArgs(
                name=name,
                labels={POOL_LABEL: pool} if pool else None,
                # `PoolHold` adds a taint to a flavor for the time of a change, and the flavor may change meanwhile.
                annotations={"pulumi.com/patchForce": "true"} if pool else None,
            ),
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )


def _queue(team: str, given: TeamQueue) -> dict[str, Any]:
    """The spec of a ClusterQueue, without its quotas."""
    return {
        "cohortName": COHORT,
        "namespaceSelector": {"matchLabels": {TEAM_LABEL: team}},
        # A job that does not fit yet does not stop a smaller one behind it.
        "queueingStrategy": "BestEffortFIFO",
        "fairSharing": {"weight": str(given["weight"])},
        # Borrow in the first pool that fits before the next pool; use the next pool before preempting in the first.
        "flavorFungibility": {"whenCanBorrow": "MayStopSearch", "whenCanPreempt": "TryNextFlavor"},
        # What others borrowed comes back whatever its priority; within a team, only lower priorities give way.
        "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
    }


def _groups(pools: Mapping[str, QueuePool], parts: Mapping[str, Quota]) -> dict[str, Any]:
    flavors = [
        {
            "name": facts.flavor,
            "resources": [{"name": key, "nominalQuota": value} for key, value in parts[pool].quantities.items()],
        }
        for pool, facts in pools.items()
    ]
    return {"resourceGroups": [{"coveredResources": list(COVERED), "flavors": flavors}]} if flavors else {}
