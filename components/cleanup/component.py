"""The first step of a destroy: what Kubernetes has made in the cloud for its users goes while the cluster runs."""

import os
import sys
from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
from pulumi import dynamic
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

SKIP = "GPUYARD_SKIP_CLEANUP"
"""Environment variable: set to anything, a destroy leaves the cluster's contents alone."""

_MINUTES = 10
_KEYS = ("kubeconfig", "enabled", "minutes", "network_drivers")


_LET_GO = """kubectl patch pv VOLUME -p '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}'"""


class ClusterCleanupArgs(TypedDict):
    """`kubeconfig`: of a user who may delete everything in the cluster. `enabled`: whether a destroy empties the
    cluster (default true); when false it goes straight on. `minutes`: how long that may take, 1 to 60 (default 10).
    `deletion_protection`: Pulumi refuses to delete this, and with it the cluster's contents (default true).
    `network_drivers`: storage drivers whose volumes are machines in the cluster's network; when that goes with the
    cluster, a destroy stops while volumes of theirs are to be kept (default none)."""

    kubeconfig: pulumi.Input[str]
    enabled: NotRequired[bool]
    minutes: NotRequired[int]
    deletion_protection: NotRequired[bool]
    network_drivers: NotRequired[list[str]]


def problems(args: ClusterCleanupArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    minutes = int(args.get("minutes", _MINUTES))
    if not 1 <= minutes <= 60:
        yield Problem("minutes", minutes, "out of range", "1 to 60", f"leave it out for {_MINUTES}")


class ClusterCleanup(pulumi.ComponentResource):
    """Deletes the load balancers and the volumes of the cluster's users, as the first step of a destroy.

    Else they outlive the cluster: nobody is left to remove them, they cost money, and the network cannot go while a
    load balancer's interfaces are in it. Volumes whose reclaim policy is Retain stay and are named; those that would
    hold the network (`network_drivers`) stop the destroy before anything is deleted. The work is done by
    the machine that runs the destroy, logged in as the kubeconfig says (on EKS by `aws eks get-token`, on GKE by
    `gke-gcloud-auth-plugin`, so that must be there); the program itself need not run. An API server that does not
    answer stops nothing: a warning, and the destroy goes on.

    Put what must still run meanwhile into `depends_on`: nodes, storage drivers, DNS, load balancer controllers. Where
    default providers are disabled, `pulumi-python` among them, it takes one of that package.

    Does not: know any cloud; look after machines that Karpenter or others made; empty a cluster that is replaced; work
    in programs that are not Python, since dynamic resources run in the program's own language. To switch it off set
    `enabled` to false; to remove the component from a program is to delete the cluster's contents.
    """

    def __init__(self, name: str, args: ClusterCleanupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:ClusterCleanup", name, None, opts)
        checks.refuse(problems(args), f"ClusterCleanup {name}")
        _Contents(
            _Provider(),
            f"{name}-contents",
            {
                "kubeconfig": pulumi.Output.secret(args["kubeconfig"]),
                "enabled": args.get("enabled", True),
                "minutes": int(args.get("minutes", _MINUTES)),
                **({"network_drivers": drivers} if (drivers := args.get("network_drivers", [])) else {}),
            },
            pulumi.ResourceOptions(
                parent=self,
                # A running cluster would lose its load balancers and volumes.
                protect=args.get("deletion_protection", True),
                additional_secret_outputs=["kubeconfig"],
            ),
        )
        self.register_outputs({})


class NotEmpty(Exception):
    """The destroy stops here."""

    # Shown as `NotEmpty: …`, without the module.
    __module__ = "builtins"


class _Provider(dynamic.ResourceProvider):
    """Does nothing until the delete. State holds a reference to this class, so a destroy runs today's code."""

    serialize_as_secret_always = False  # the reference is no secret

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult("cluster-contents", props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        # Never a replacement: its second half is the delete.
        changed = any(_olds.get(key) != _news.get(key) for key in _KEYS)
        return dynamic.DiffResult(changes=changed, replaces=[])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.UpdateResult:
        return dynamic.UpdateResult(_news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        if not _props.get("enabled", True):
            return
        if os.environ.get(SKIP):
            _say(f"{SKIP} is set: load balancers and volumes that Kubernetes has made are left alone")
            return
        try:
            _empty(_props["kubeconfig"], 60 * _props["minutes"], _props.get("network_drivers") or [])
        except NotEmpty:
            # The host of dynamic providers shows every exception with its traceback, and there is nothing to see in it.
            sys.tracebacklimit = 0
            raise


class _Contents(dynamic.Resource, module="gpuyard", name="ClusterContents"):
    """What the cluster's users have made in the cloud."""


def _empty(kubeconfig: str, seconds: float, network_drivers: list[str]) -> None:
    try:
        # Late: only a destroy needs the Kubernetes client.
        from . import cluster_api, cluster_contents

        try:
            cluster_contents.empty(cluster_api.Api(kubeconfig), _say, seconds, network_drivers)
        except cluster_api.Unreachable as error:
            _say(
                f"warning: the cluster's API server cannot be reached ({error}), so its contents are left alone. If "
                "the cluster still exists, its load balancers and volumes may outlive it: look for them in the cloud"
            )
        except cluster_api.Refused as error:
            raise NotEmpty(
                f"the cluster's contents cannot be deleted: {error}.\n  {_advice('Log in to the cloud')}"
            ) from None
        except cluster_contents.Held as held:
            lines = str(held).replace("\n", "\n    ")
            raise NotEmpty(
                f"these volumes are to be kept, and lie in the network that goes with the cluster:\n    {lines}\n"
                "  It cannot go while they are in it. Nothing was deleted. Either let them go with their claims:\n"
                f"    {_LET_GO}\n"
                "  and run `pulumi destroy` again; or keep them and the network (URN: pulumi stack --show-urns):\n"
                f"    pulumi state protect URN && {SKIP}=1 pulumi destroy --exclude-protected"
            ) from None
        except cluster_contents.Left as left:
            lines = str(left).replace("\n", "\n    ")
            raise NotEmpty(
                f"after {seconds / 60:.0f} minutes the cluster still has\n    {lines}\n"
                "  They would outlive the cluster, cost money, and keep the network from going.\n"
                f"  {_advice('See why (kubectl describe)')}"
            ) from None
    except ModuleNotFoundError as error:
        raise NotEmpty(
            f"the cluster's contents cannot be deleted: the Python package {error.name} is missing.\n"
            f"  {_advice('Install requirements.txt')}"
        ) from None


def _advice(first: str) -> str:
    return f"{first} and run `pulumi destroy` again; or leave them alone: {SKIP}=1 pulumi destroy"


def _say(text: str) -> None:
    """What a dynamic provider prints, the engine shows."""
    print(text, flush=True)
