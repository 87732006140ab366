"""Argo Workflows: pipelines whose steps are pods, in an order that a graph describes."""

from collections.abc import Iterator
from typing import Any

import pulumi
from typing_extensions import NotRequired

from .. import arguments, checks, versions
from ..charts import installed
from ..charts.installed import ControllersArgs, Installation
from ..checks import Problem

NAMESPACE = "argo"
"""Namespace of the controller."""
SERVICE_ACCOUNT = "argo-workflow"
"""Service account of workflows in the namespaces that may run them."""

_USER = 8737
"""The user of Argo's images (Dockerfile of argo-workflows)."""


class ArgoWorkflowsArgs(ControllersArgs):
    """Where the controller runs and comes from, and who may run workflows."""

    workflow_namespaces: NotRequired[list[str]]
    """Existing namespaces that get the service account `argo-workflow` with the permissions that a workflow's pods
    need. In others, create one yourself. Default: none."""
    server: NotRequired[bool]
    """Whether the server with the user interface runs too. It is a Service inside the cluster; users log in with a
    token of their service account. Default: `false`."""


def problems(args: ArgoWorkflowsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    given = args.get("workflow_namespaces", [])
    for index, namespace in enumerate(given):
        yield from checks.namespace(f"workflow_namespaces[{index}]", namespace)
    yield from checks.listed("workflow_namespaces", given, 1000)
    yield from installed.problems(args, versions.ARGO_WORKFLOWS)


def installation(args: ArgoWorkflowsArgs) -> Installation:
    """How the chart is installed.

    Its complete definitions are downloaded by a hook job; the small ones in the chart, which accept every field, are
    used. The controller itself checks workflows.
    """
    namespaces = args.get("workflow_namespaces", [])
    resources = {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}
    user = {"runAsUser": _USER}
    values: dict[str, Any] = {
        "crds": {"full": False, "keep": False},
        "controller": {"workflowNamespaces": namespaces, "resources": resources, "podSecurityContext": user},
        "workflow": {"serviceAccount": {"create": bool(namespaces)}, "rbac": {"create": bool(namespaces)}},
        "server": {
            "enabled": args["server"], "authModes": ["client"], "resources": resources, "podSecurityContext": user,
        },
    }  # fmt: skip
    return Installation(versions.ARGO_WORKFLOWS, NAMESPACE, values)


class ArgoWorkflows(pulumi.ComponentResource):
    """Argo Workflows' controller and its custom resource definitions, and its server by choice.

    A workflow's pods are placed by the workflow: steps on GPUs need the tolerations and the node selector of their
    pool. Not included: an archive in a database, a repository for artifacts, single sign-on, and an address outside the
    cluster. The definitions accept every field; mistakes are reported when a workflow starts.

    Works on any cluster, with `helm` on the machine that runs Pulumi, which renders the chart. It needs the provider
    `kubernetes` of the cluster: let it depend on a pool without GPUs. In the cluster it is in the namespace `argo`, so
    a cluster has one.
    """

    namespace: pulumi.Output[str]
    """Namespace of the controller, known once it runs."""
    version: pulumi.Output[str]
    """Version of the chart, known once the controller runs."""

    def __init__(self, name: str, args: ArgoWorkflowsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"ArgoWorkflows {name}", ArgoWorkflowsArgs, args, problems)
        super().__init__("gpuyard:index:ArgoWorkflows", name, None, opts)
        made = installed.install(name, self, installation(args), args)
        self.namespace = installed.after(made, NAMESPACE)
        self.version = installed.after(made, versions.ARGO_WORKFLOWS.version)
        self.register_outputs({"namespace": self.namespace, "version": self.version})
