"""cert-manager: certificates as objects. KServe's webhooks need it."""

from collections.abc import Iterator
from typing import Any

import pulumi

from .. import arguments, versions
from ..charts import installed
from ..charts.installed import ControllersArgs, Installation
from ..checks import Problem

NAMESPACE = "cert-manager"
"""Namespace of the controllers."""


class CertManagerArgs(ControllersArgs):
    """Where the controllers run and come from."""


def problems(args: CertManagerArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from installed.problems(args, versions.CERT_MANAGER)


def installation() -> Installation:
    """How the chart is installed: without its hook job, which only checks that the webhook answers."""
    resources = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}}
    parts = {part: {"resources": resources} for part in ("webhook", "cainjector")}
    values: dict[str, Any] = {
        "crds": {"enabled": True, "keep": False},
        "startupapicheck": {"enabled": False},
        # Leases in the chart's own namespace: GKE forbids writes to kube-system on Autopilot.
        "global": {"leaderElection": {"namespace": NAMESPACE}},
        "resources": resources,
        **parts,
    }
    return Installation(versions.CERT_MANAGER, NAMESPACE, values)


class CertManager(pulumi.ComponentResource):
    """cert-manager's controller, webhook and CA injector, and their custom resource definitions.

    Issuers are not included. Works on any cluster that has none yet, with `helm` on the machine that runs Pulumi, which
    renders the chart. It needs the provider `kubernetes` of the cluster: let it depend on a pool without GPUs. In the
    cluster it is in the namespace `cert-manager`, so a cluster has one.
    """

    namespace: pulumi.Output[str]
    """Namespace of the controllers, known once they run."""
    version: pulumi.Output[str]
    """Version of cert-manager, known once it runs."""

    def __init__(self, name: str, args: CertManagerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"CertManager {name}", CertManagerArgs, args, problems)
        super().__init__("gpuyard:index:CertManager", name, None, opts)
        made = installed.install(name, self, installation(), args)
        self.namespace = installed.after(made, NAMESPACE)
        self.version = installed.after(made, versions.CERT_MANAGER.version)
        self.register_outputs({"namespace": self.namespace, "version": self.version})
