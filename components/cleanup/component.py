"""The first step of a destroy: what Kubernetes created in the cloud for its users is deleted while the cluster runs."""

import os
import sys
from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
from pulumi import dynamic
from typing_extensions import NotRequired

from .. import arguments
from ..checks import Problem

SKIP = "GPUYARD_SKIP_CLEANUP"
"""Environment variable; if it is set to any value, a destroy does not touch the cluster's contents."""

_KEYS = ("kubeconfig", "enabled", "minutes", "network_drivers")


_DELETE_WITH_CLAIM = """kubectl patch pv VOLUME -p '{"spec":{"persistentVolumeReclaimPolicy":"Delete"}}'"""


class ClusterCleanupArgs(TypedDict):
    """The cluster to empty, and how."""

    kubeconfig: pulumi.Input[str]
    """Kubeconfig, as YAML or JSON, of a user who may delete everything in the cluster."""
    enabled: NotRequired[bool]
    """Whether a destroy empties the cluster. If `false`, a destroy does not touch its contents. Default: `true`."""
    minutes: NotRequired[int]
    """How long a destroy may wait until everything is deleted, in minutes, 1 to 60. Default: `10`."""
    deletion_protection: NotRequired[bool]
    """Whether Pulumi refuses to delete this component, and with it the cluster's contents. Default: `true`."""
    network_drivers: NotRequired[list[str]]
    """Storage drivers whose volumes are servers in the cluster's network, such as filestore.csi.storage.gke.io. If the
    network is deleted after the cluster, a destroy stops while volumes of these drivers must be kept. Default: none."""


def problems(args: ClusterCleanupArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    minutes = args["minutes"]
    if not 1 <= minutes <= 60:
        usual = arguments.default(ClusterCleanupArgs, "minutes")
        yield Problem("minutes", minutes, "out of range", "1 to 60", f"remove it for {usual}")


class ClusterCleanup(pulumi.ComponentResource):
    """Deletes the load balancers and the volumes of the cluster's users, as the first step of a destroy.

    Otherwise they outlive the cluster and cost money, and the network cannot be deleted while interfaces of a load
    balancer are in it. Volumes whose reclaim policy is Retain are kept and reported; those that block the deletion of
    the network (`network_drivers`) stop the destroy before anything is deleted. The machine that runs the destroy does
    the work. It logs in with the kubeconfig, so the login command must be installed (`aws eks get-token`, or
    `gke-gcloud-auth-plugin` on GKE); the program itself need not run. If the API server does not answer, a destroy
    prints a warning and continues.

    Works on any Kubernetes cluster; the kubeconfig is the only fact that it needs. Add to `depends_on` what must still
    run meanwhile: nodes, storage drivers, DNS, load balancer controllers. If default providers are disabled, pass a
    provider of the package `pulumi-python`.

    Does not delete machines that Karpenter or others created, does not empty a cluster that is replaced, and does not
    work in programs in other languages than Python, since dynamic resources run in the program's language. To switch it
    off set `enabled` to false: removing the component from a program deletes the cluster's contents.
    """

    def __init__(self, name: str, args: ClusterCleanupArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"ClusterCleanup {name}", ClusterCleanupArgs, args, problems)
        super().__init__("gpuyard:index:ClusterCleanup", name, None, opts)
        _Contents(
            _Provider(),
            f"{name}-contents",
            {
                "kubeconfig": pulumi.Output.secret(args["kubeconfig"]),
                "enabled": args["enabled"],
                "minutes": args["minutes"],
                **({"network_drivers": drivers} if (drivers := args.get("network_drivers", [])) else {}),
            },
            pulumi.ResourceOptions(
                parent=self,
                # Its deletion removes load balancers and volumes from a running cluster.
                protect=args["deletion_protection"],
                additional_secret_outputs=["kubeconfig"],
            ),
        )
        self.register_outputs({})


class ClusterNotEmptyError(Exception):
    """The cluster still has contents, so the destroy stops."""

    # Shown without the module's name.
    __module__ = "builtins"


class _Provider(dynamic.ResourceProvider):
    """Does nothing until the delete. The state has a reference to this class, so a destroy runs the current code."""

    serialize_as_secret_always = False  # the reference is not secret

    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult("cluster-contents", props)

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        # Never a replacement: it would delete the contents.
        changed = any(_olds.get(key) != _news.get(key) for key in _KEYS)
        return dynamic.DiffResult(changes=changed, replaces=[])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.UpdateResult:
        return dynamic.UpdateResult(_news)

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        if not _props.get("enabled", True):
            return
        if os.environ.get(SKIP):
            _report(f"{SKIP} is set: load balancers and volumes that Kubernetes created are not deleted")
            return
        try:
            _empty(_props["kubeconfig"], 60 * _props["minutes"], _props.get("network_drivers") or [])
        except ClusterNotEmptyError:
            # The host of dynamic providers shows every exception with its traceback, which does not help the user here.
            sys.tracebacklimit = 0
            raise


class _Contents(dynamic.Resource, module="gpuyard", name="ClusterContents"):
    """What Kubernetes created in the cloud for the cluster's users."""


def _empty(kubeconfig: str, seconds: float, network_drivers: list[str]) -> None:
    try:
        # Late: only a destroy needs the Kubernetes client.
        from . import cluster_api, cluster_contents

        try:
            cluster_contents.empty(cluster_api.Api(kubeconfig), _report, seconds, network_drivers)
        except cluster_api.Unreachable as error:
            _report(
                f"warning: the cluster's API server cannot be reached ({error}), so its contents are not deleted. If "
                "the cluster still exists, its load balancers and volumes may outlive it: look for them in the cloud"
            )
        except cluster_api.Refused as error:
            raise ClusterNotEmptyError(
                f"the cluster's contents cannot be deleted: {error}.\n  {_advice('Log in to the cloud')}"
            ) from None
        except cluster_contents.KeptVolumesError as kept:
            lines = str(kept).replace("\n", "\n    ")
            raise ClusterNotEmptyError(
                f"these volumes are to be kept, but are in the network that is deleted with the cluster:\n    {lines}\n"
                "  It cannot be deleted while they exist. Nothing was deleted. Either delete them with their claims:\n"
                f"    {_DELETE_WITH_CLAIM}\n"
                "  and run `pulumi destroy` again; or keep them and the network (URN: pulumi stack --show-urns):\n"
                f"    pulumi state protect URN && {SKIP}=1 pulumi destroy --exclude-protected"
            ) from None
        except cluster_contents.LeftoversError as leftovers:
            lines = str(leftovers).replace("\n", "\n    ")
            raise ClusterNotEmptyError(
                f"after {seconds / 60:.0f} minutes the cluster still has\n    {lines}\n"
                "  They would outlive the cluster, cost money, and prevent the deletion of the network.\n"
                f"  {_advice('See why (kubectl describe)')}"
            ) from None
    except ModuleNotFoundError as error:
        raise ClusterNotEmptyError(
            f"the cluster's contents cannot be deleted: the Python package {error.name} is missing.\n"
            f"  {_advice('Install requirements.txt')}"
        ) from None


def _advice(first: str) -> str:
    return f"{first} and run `pulumi destroy` again; or skip this step: {SKIP}=1 pulumi destroy"


def _report(text: str) -> None:
    """Shows a line: the engine prints the output of a dynamic provider."""
    print(text, flush=True)
