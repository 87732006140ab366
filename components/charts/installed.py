"""A chart as resources of a component: each rendered object is one, so a preview shows each change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import checks, cluster_pools, versions
from ..checks import Problem
from ..cluster_pools import ClusterPool
from ..versions import Chart
from . import crds, edges, placement, release, rendered
from .images import ImagesArgs
from .rendered import Object, Request
from .source import ChartsArgs

_CLUSTER_WIDE = (
    "APIService", "CSIDriver", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "DeviceClass",
    "FlowSchema", "IngressClass", "MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration", "Namespace", "PersistentVolume", "PriorityClass", "PriorityLevelConfiguration",
    "RuntimeClass", "StorageClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration", "VolumeAttributesClass",
)  # fmt: skip
"""Kinds of Kubernetes without a namespace that a chart may have. Kinds of other projects whose name begins with
`Cluster` have none either."""

_MANAGED_BY = "app.kubernetes.io/managed-by"
_SKIP_AWAIT = {"pulumi.com/skipAwait": "true"}


class ControllersArgs(TypedDict):
    """What every component that installs controllers needs to know of the cluster, and where it gets them from."""

    pools: NotRequired[dict[str, ClusterPool]]
    """Every pool of the cluster, by name. Controllers run on nodes without GPUs; if each pool of these has taints, they
    tolerate them. Default: none, controllers run on nodes without taints."""
    kubernetes_version: NotRequired[str]
    """Kubernetes minor of the cluster, such as 1.35. Default: the library's default."""
    deletion_protection: NotRequired[bool]
    """Whether Pulumi refuses to delete the component's custom resource definitions. Even without it they stay in the
    cluster, with every object. Default: `true`."""
    charts: NotRequired[ChartsArgs]
    """Where the chart comes from. Default: its own repository."""
    images: NotRequired[ImagesArgs]
    """Where the images come from. Default: their own registries."""


def problems(args: ControllersArgs, *charts: Chart) -> Iterator[Problem]:
    """Everything that is wrong with the arguments of a component that installs these charts."""
    yield from list(cluster_pools.problems(args.get("pools", {}))) or placement.problems(args.get("pools", {}))
    if version := args.get("kubernetes_version"):
        yield from checks.minor_version("kubernetes_version", version)
    # Charts of one component share these arguments, and so a mistake in them.
    found = [p for chart in charts for p in release.problems(chart, args.get("charts", {}), args.get("images", {}))]
    yield from (problem for index, problem in enumerate(found) if problem not in found[:index])


@dataclass(frozen=True)
class Installation:
    """How a chart is installed.

    `security`: Pod Security level of its namespace. `priority`: priority class of its pods; empty for the one of the
    chart. `edit`: changes an object before it is registered; None drops it. `kinds`: see `Request`. `namespace_exists`:
    whether another chart of the same component created the namespace. `labels`: further labels of the namespace.
    """

    chart: Chart
    namespace: str
    values: Mapping[str, Any] = field(default_factory=dict)
    security: str = "restricted"
    priority: str = ""
    edit: Callable[[Object], Object | None] = lambda each: each
    kinds: tuple[str, ...] = ()
    namespace_exists: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)


def objects(installation: Installation, args: ControllersArgs) -> list[Object]:
    """The objects as they are registered, without the namespace.

    Raises:
        pulumi.RunError: the chart cannot be fetched or rendered.
    """
    request = Request(
        installation.chart, installation.namespace, installation.values, args.get("charts", {}),
        args.get("images", {}), args.get("kubernetes_version", versions.EKS_VERSION), installation.kinds,
    )  # fmt: skip
    found = rendered.objects(request)
    own = {crds.kinds(each): each for each in found if each["kind"] == crds.KIND}
    made = []
    for each in found:
        each = installation.edit(_in_namespace(each, installation.namespace, own))
        if each is not None and each["kind"] != "Namespace":
            each = placement.placed(each, args.get("pools", {}), args.get("images", {}), installation.priority)
            made.append(placement.restricted(each) if installation.security == "restricted" else each)
    return made


def install(
    name: str,
    parent: pulumi.Resource,
    installation: Installation,
    args: ControllersArgs,
    depends_on: Sequence[pulumi.Resource] = (),
) -> list[pulumi.CustomResource]:
    """Registers a chart's objects as children of a component, each after those that it needs.

    Args:
        name: name of the component, with which the children's names begin.
        parent: the component.
        installation: the chart.
        args: the component's arguments.
        depends_on: what must exist first.
    """
    found = objects(installation, args)
    inside: list[pulumi.Resource] = []
    made: list[pulumi.CustomResource] = []
    if not installation.namespace_exists:
        home = release.namespace(
            f"{name}-namespace", installation.namespace, parent, installation.security, installation.labels
        )
        inside.append(home)
        made.append(home)
    allowed: list[pulumi.Resource] = []
    if installation.priority == placement.CRITICAL:
        quota = _critical_quota(name, installation.namespace, parent, inside)
        allowed.append(quota)
        made.append(quota)
    order, needed = edges.in_order(found), edges.Edges(found)
    resources: dict[int, pulumi.CustomResource] = {}
    for index in order:
        each, before = found[index], [resources[other] for other in needed.before(index)]
        before += [*(allowed if each["kind"] in edges.WORKLOADS else []), *(inside if _is_inside(each) else [])]
        before += [] if each["kind"] == crds.KIND else depends_on
        resources[index] = _register(name, parent, installation, args, each, before)
    return [*made, *resources.values()]


def _is_inside(each: Object) -> bool:
    return "namespace" in each["metadata"]


def _register(
    name: str,
    parent: pulumi.Resource,
    installation: Installation,
    args: ControllersArgs,
    each: Object,
    before: list[pulumi.Resource],
) -> pulumi.CustomResource:
    definition = each["kind"] == crds.KIND
    group_version = each["apiVersion"] if "/" in each["apiVersion"] else f"core/{each['apiVersion']}"
    # CRDs are kept with all their objects when the component is removed; a destroy of the cluster deletes them with it.
    options = pulumi.ResourceOptions(
        parent=parent,
        depends_on=before,
        protect=args["deletion_protection"] if definition else None,
        retain_on_delete=definition or None,
    )
    token = crds.TOKEN if definition else f"kubernetes:{group_version}:{each['kind']}"
    props = crds.inputs(each) if definition else _awaited(each)
    return pulumi.CustomResource(token, _resource_name(name, each, installation.namespace), props, options)


def _resource_name(name: str, each: Object, home: str) -> str:
    """`{component}-{kind}-{object}`, with the namespace if it is not the chart's own."""
    meta = each["metadata"]
    elsewhere = meta.get("namespace", home)
    parts = [name, each["kind"].lower(), *([elsewhere] if elsewhere != home else []), meta["name"]]
    return "-".join(parts)


def _awaited(each: Object) -> Object:
    """The inputs of an object. Pulumi would wait for the pods behind a Service, which may wait for another object."""
    if each["kind"] != "Service":
        return each
    meta = each["metadata"]
    return {**each, "metadata": {**meta, "annotations": {**(meta.get("annotations") or {}), **_SKIP_AWAIT}}}


def _in_namespace(each: Object, home: str, own: Mapping[tuple[str, str], Object]) -> Object:
    """The object with its namespace, as Helm would complete it; without one if its kind has none."""
    crd = own.get((each["apiVersion"].rpartition("/")[0], each["kind"]))
    cluster_wide = (
        crd["spec"]["scope"] == "Cluster"
        if crd
        else each["kind"] in _CLUSTER_WIDE or each["kind"].startswith("Cluster")
    )
    meta = {key: value for key, value in each["metadata"].items() if key != "namespace" and value is not None}
    if _MANAGED_BY in meta.get("labels", {}):
        # Helm would refuse to install over it, and `helm list` does not know it.
        meta["labels"] = {**meta["labels"], _MANAGED_BY: "pulumi"}
    if not cluster_wide:
        meta["namespace"] = each["metadata"].get("namespace") or home
    if each["kind"] == "Secret" and not any(each.get("data", {}).values()):
        # Its controller fills it; empty values would be written over that.
        each = {key: value for key, value in each.items() if key != "data"}
    return {**_without_nulls(each), "metadata": _without_nulls(meta)}


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _critical_quota(
    name: str, namespace: str, parent: pulumi.Resource, before: list[pulumi.Resource]
) -> pulumi.CustomResource:
    """GKE admits pods of the critical priority classes outside kube-system only where a quota allows them (GKE,
    "Pods fail to schedule: insufficient quota to match these scopes")."""
    scope = {"scopeName": "PriorityClass", "operator": "In", "values": [placement.CRITICAL]}
    return pulumi.CustomResource(
        "kubernetes:core/v1:ResourceQuota",
        f"{name}-critical-pods",
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "critical-pods", "namespace": namespace},
            "spec": {"hard": {"pods": "100"}, "scopeSelector": {"matchExpressions": [scope]}},
        },
        pulumi.ResourceOptions(parent=parent, depends_on=before),
    )


def after(made: Sequence[pulumi.CustomResource], value: str) -> pulumi.Output[str]:
    """An output of a component that is known once these resources exist."""
    return pulumi.Output.all(*(each.id for each in made)).apply(lambda _: value)
