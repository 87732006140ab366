"""KServe: a model server is one object, in mode Standard: a plain Deployment and Service, without Knative."""

from collections.abc import Iterator
from typing import Any

import pulumi
from typing_extensions import NotRequired

from .. import arguments, checks, versions
from ..charts import images, installed
from ..charts.installed import ControllersArgs, Installation
from ..charts.rendered import Object
from ..checks import Problem

NAMESPACE = "kserve"
"""Namespace of the controller."""


class KServeArgs(ControllersArgs):
    """Where the controller runs and comes from, and how services are reached."""

    gateway: NotRequired[str]
    """An existing Gateway, as NAMESPACE/NAME, through which services are reached from outside the cluster: each gets an
    HTTPRoute. The cluster has the kinds of the Gateway API. Default: none, services are reached inside the cluster
    only."""
    domain: NotRequired[str]
    """Domain under which the gateway reaches the services, each as NAME-NAMESPACE.DOMAIN. Needs `gateway`. Default:
    none."""


def problems(args: KServeArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    gateway, domain = args.get("gateway", ""), args.get("domain", "")
    namespace, slash, name = gateway.partition("/")
    if gateway and not (slash and checks.OBJECT_NAME.fullmatch(namespace) and checks.OBJECT_NAME.fullmatch(name)):
        yield Problem(
            "gateway", gateway, "not a namespace and a name", "NAMESPACE/NAME, such as gateways/internal",
            "see `kubectl get gateways -A`",
        )  # fmt: skip
    if bool(gateway) != bool(domain):
        wrong, fix = ("a gateway without a domain", "add `domain`") if gateway else ("a domain without a gateway", "")
        yield Problem(
            "domain", domain or None, wrong, "both `gateway` and `domain`, or neither", fix or "add `gateway`"
        )
    elif domain and not checks.OBJECT_NAME.fullmatch(domain):
        yield Problem("domain", domain, "not a domain", "a DNS name, such as models.example.com", "correct it")
    yield from installed.problems(args, versions.KSERVE_CRD, versions.KSERVE)


def installations(args: KServeArgs) -> tuple[Installation, Installation]:
    """How the two charts are installed: definitions, and the controller with its settings."""
    gateway = args.get("gateway", "")
    routes: dict[str, Any] = {"disableIngressCreation": True}
    if gateway:
        routes = {
            "disableIngressCreation": False,
            "domain": args.get("domain"),
            "ingressGateway": {"enableGatewayApi": True, "kserveGateway": gateway, "createGateway": False},
        }
    resources = {"requests": {"cpu": "100m", "memory": "300Mi"}, "limits": {"cpu": None, "memory": "1Gi"}}
    controller = {
        "deploymentMode": "Standard",
        "resources": resources,
        "gateway": {**routes, "disableIstioVirtualHost": True},
    }
    storage = images.mirrored(versions.KSERVE.images[3].name, args.get("images", {}))
    values = {"kserve": {"controller": controller, "localmodel": {"defaultJobImage": storage}}}
    definitions = Installation(versions.KSERVE_CRD, NAMESPACE)
    return definitions, Installation(versions.KSERVE, NAMESPACE, values, edit=_without_example, namespace_exists=True)


def _without_example(each: Object) -> Object:
    """The settings without their manual, which is most of them."""
    data = {key: value for key, value in each.get("data", {}).items() if key != "_example"}
    return {**each, "data": data} if each["kind"] == "ConfigMap" else each


class KServe(pulumi.ComponentResource):
    """KServe's controller in mode Standard, and its custom resource definitions.

    An InferenceService becomes a Deployment, a Service and an autoscaler. Its pods are placed by the InferenceService,
    which needs the tolerations and the node selector of its pool. Not included: serving runtimes (an InferenceService
    names its container, or a ServingRuntime of yours), LLMInferenceService, ModelMesh and local model caches.

    Works on any cluster with cert-manager, which issues the certificate of its webhooks: let it depend on
    `CertManager`, or on what installs it. With `gateway` it needs the kinds of the Gateway API: GKE has them on request
    of the cluster, elsewhere the gateway's controller installs them. `helm` on the machine that runs Pulumi renders the
    charts. It needs the provider `kubernetes` of the cluster: let it depend on a pool without GPUs. In the cluster it
    is in the namespace `kserve`, so a cluster has one.
    """

    namespace: pulumi.Output[str]
    """Namespace of the controller, known once it runs."""
    version: pulumi.Output[str]
    """Version of KServe, known once it runs."""

    def __init__(self, name: str, args: KServeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"KServe {name}", KServeArgs, args, problems)
        super().__init__("gpuyard:index:KServe", name, None, opts)
        definitions, controller = installations(args)
        first = installed.install(name, self, definitions, args)
        made = installed.install(name, self, controller, args, first)
        self.namespace = installed.after(made, NAMESPACE)
        self.version = installed.after(made, versions.KSERVE.version)
        self.register_outputs({"namespace": self.namespace, "version": self.version})
