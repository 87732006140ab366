"""Before a change replaces the nodes of a pool: no new job is admitted there, and running ones get time to finish."""

import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, TypedDict

import pulumi
from pulumi import dynamic
from typing_extensions import NotRequired

from .. import arguments
from ..checks import Problem

_RANGE = (0, 1440)


class PoolHoldArgs(TypedDict):
    """The pool to hold, and when."""

    kubeconfig: pulumi.Input[str]
    """Kubeconfig, as YAML or JSON, of a user who may change Kueue's flavors and list its workloads."""
    pool: str
    """Name of the pool."""
    replaces: str
    """Text that changes whenever the pool's nodes are about to be replaced."""
    minutes: NotRequired[int]
    """How long running jobs may take to finish before the nodes are replaced, in minutes, 0 to 1440. With 0, only new
    ones are kept away. Default: `60`."""


class PoolReleaseArgs(TypedDict):
    """The pool to release, and when."""

    kubeconfig: pulumi.Input[str]
    """Kubeconfig, as YAML or JSON, of a user who may change Kueue's flavors."""
    pool: str
    """Name of the pool."""
    held_at: pulumi.Input[str]
    """Output of the pool's `PoolHold`."""


def problems(args: PoolHoldArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    low, high = _RANGE
    if not low <= args["minutes"] <= high:
        usual = arguments.default(PoolHoldArgs, "minutes")
        yield Problem("minutes", args["minutes"], "out of range", f"{low} to {high}", f"remove it for {usual}")


class PoolHold(pulumi.ComponentResource):
    """Holds a pool before its nodes are replaced: its queues admit no new job, and running jobs get time to finish.

    It acts when `replaces` changes, on the machine that runs Pulumi, which logs in with the kubeconfig. A taint on the
    pool's ResourceFlavor keeps new jobs away; other pools of the same queues go on. Then it waits until no admitted job
    uses the pool, or until the time ends: remaining jobs are drained with their nodes, and go on from their last
    checkpoint. Without a cluster, without Kueue and when it is created, it does nothing.

    Let the pool depend on it, and a `PoolRelease` on the pool. An update that fails or is killed leaves the pool held,
    and the next successful one releases it, also if the file was changed back. Works on any cluster and in Python
    programs only, as `ClusterCleanup`. If default providers are disabled, pass a provider of the package
    `pulumi-python`.
    """

    held_at: pulumi.Output[str]
    """When the pool was last held; changes with each hold. The input of its `PoolRelease`."""

    def __init__(self, name: str, args: PoolHoldArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"PoolHold {name}", PoolHoldArgs, args, problems)
        super().__init__("gpuyard:index:PoolHold", name, None, opts)
        # Two steps: the first one only writes down that a hold begins. So a hold that is killed is known to the next
        # run, whatever the file says then.
        planned = _Plan(
            _PlanProvider(),
            f"{name}-plan",
            {"replaces": args["replaces"], "planned_at": None},
            pulumi.ResourceOptions(parent=self),
        )
        held = _Hold(
            _HoldProvider(),
            f"{name}-hold",
            {
                "kubeconfig": pulumi.Output.secret(args["kubeconfig"]),
                "pool": args["pool"],
                "minutes": args["minutes"],
                "held_at": planned.planned_at,
            },
            pulumi.ResourceOptions(parent=self, additional_secret_outputs=["kubeconfig"]),
        )
        self.held_at = held.held_at
        self.register_outputs({"heldAt": self.held_at})


class PoolRelease(pulumi.ComponentResource):
    """Releases a pool that `PoolHold` held. Let it depend on the pool.

    Its queues admit jobs to the pool again. Without a cluster and without Kueue it does nothing.
    """

    released_at: pulumi.Output[str]
    """The hold that was last released."""

    def __init__(self, name: str, args: PoolReleaseArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"PoolRelease {name}", PoolReleaseArgs, args)
        super().__init__("gpuyard:index:PoolRelease", name, None, opts)
        made = _Release(
            _ReleaseProvider(),
            f"{name}-release",
            {
                "kubeconfig": pulumi.Output.secret(args["kubeconfig"]),
                "pool": args["pool"],
                "held_at": args["held_at"],
            },
            pulumi.ResourceOptions(parent=self, additional_secret_outputs=["kubeconfig"]),
        )
        self.released_at = made.held_at
        self.register_outputs({"releasedAt": self.released_at})


class _PlanProvider(dynamic.ResourceProvider):
    """Notes the time at which a replacement of nodes was planned. Touches nothing."""

    serialize_as_secret_always = False  # the reference is not secret

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult("pool-plan", {**props, "planned_at": _now()})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        return dynamic.DiffResult(changes=_olds.get("replaces") != _news.get("replaces"), replaces=[])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.UpdateResult:
        return dynamic.UpdateResult({**_news, "planned_at": _now()})


class _HoldProvider(dynamic.ResourceProvider):
    """Holds the pool on an update; the state has a reference to this class, so an update runs the current code."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult("pool-hold", props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        return _differs(_olds, _news)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.UpdateResult:
        from . import flavors

        flavors.hold(_news["kubeconfig"], _news["pool"], 60 * _news["minutes"], _report, time.sleep)
        return dynamic.UpdateResult(_news)


class _ReleaseProvider(dynamic.ResourceProvider):
    """Releases the pool on an update."""

    serialize_as_secret_always = False

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult("pool-release", props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        return _differs(_olds, _news)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.UpdateResult:
        from . import flavors

        flavors.release(_news["kubeconfig"], _news["pool"], _report)
        return dynamic.UpdateResult(_news)


class _Plan(dynamic.Resource, module="gpuyard", name="PoolPlan"):
    """When the nodes of a pool were planned to be replaced."""

    planned_at: pulumi.Output[str]


class _Hold(dynamic.Resource, module="gpuyard", name="PoolHold"):
    """A pool that is kept free of new jobs."""

    held_at: pulumi.Output[str]


class _Release(dynamic.Resource, module="gpuyard", name="PoolRelease"):
    """A pool that takes new jobs again."""

    held_at: pulumi.Output[str]


def _differs(olds: dict[str, Any], news: dict[str, Any]) -> dynamic.DiffResult:
    """Another hold. A new kubeconfig or another time to wait is no reason to act."""
    return dynamic.DiffResult(changes=olds.get("held_at") != news.get("held_at"), replaces=[])


def _now() -> str:
    return datetime.now(timezone.utc).isoformat()


def _report(text: str) -> None:
    """Shows a line: the engine prints the output of a dynamic provider."""
    print(text, flush=True)
