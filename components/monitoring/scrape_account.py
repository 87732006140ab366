"""The account with which Prometheus reads metrics that a controller shows only to those who may.

Kueue and other controllers ask the API server about the token of each request, and whether its account may read
`/metrics` (controller-runtime, pkg/metrics/filters; the role `kueue-metrics-reader` of Kueue's chart). Neither
Prometheus sends its own token: the operator refuses monitors that name a file (`arbitraryFSAccessThroughSMs`), and
Google's collector has no other token to send. Both read one from a Secret next to the monitor. Sources:
prometheus-operator's API, `SafeAuthorization`; prometheus-engine, doc/api.md (`Auth`, `TLS`) and
examples/instrumentation/go-synthetic/go-synthetic-basic-auth.yaml (the collector's role); all of 2026-07.
"""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from .prometheus import MANAGED_PROMETHEUS

_COLLECTOR = {"kind": "ServiceAccount", "name": "collector", "namespace": "gmp-system"}
"""Service account of Google's collectors, on GKE and elsewhere."""
_TOKEN = "token"
"""Key of the Secret, as the API server writes it."""


def object_name(name: str) -> str:
    """Name of the account, the Secret and the roles of a scrape. Roles of the whole cluster have it too."""
    return f"gpuyard-scrape-{name}"


def endpoint(name: str, system: str) -> dict[str, Any]:
    """The fields of a monitor's endpoint that use the account."""
    secret = {"name": object_name(name), "key": _TOKEN}
    unverified = {"insecureSkipVerify": True}
    if system == MANAGED_PROMETHEUS:
        # The Secret is in the namespace of the PodMonitoring; Google's webhook refuses another one.
        credentials = {"secret": secret}
        return {"scheme": "https", "tls": unverified, "authorization": {"type": "Bearer", "credentials": credentials}}
    return {"scheme": "https", "tlsConfig": unverified, "authorization": {"type": "Bearer", "credentials": secret}}


def create(name: str, parent: pulumi.Resource, namespace: pulumi.Input[str], system: str) -> list[pulumi.Resource]:
    """The account, its permission and its token, as children of a component.

    Args:
        name: name of the component, with which the children's names begin.
        parent: the component.
        namespace: namespace of the monitor.
        system: one of `SYSTEMS`; Google's collector may read the Secret then.
    """
    own, rbac = object_name(name), k8s.rbac.v1
    child = pulumi.ResourceOptions(parent=parent)
    here = k8s.meta.v1.ObjectMetaArgs(name=own, namespace=namespace)
    account = k8s.core.v1.ServiceAccount(
        f"{name}-account", metadata=here, automount_service_account_token=False, opts=child
    )
    after = pulumi.ResourceOptions(parent=parent, depends_on=[account])
    role = rbac.ClusterRole(
        f"{name}-role",
        metadata=k8s.meta.v1.ObjectMetaArgs(name=own),
        rules=[rbac.PolicyRuleArgs(non_resource_urls=["/metrics"], verbs=["get"])],
        opts=child,
    )
    bound = rbac.ClusterRoleBinding(
        f"{name}-binding",
        metadata=k8s.meta.v1.ObjectMetaArgs(name=own),
        role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=role.metadata.name),
        subjects=[rbac.SubjectArgs(kind="ServiceAccount", name=own, namespace=namespace)],
        opts=after,
    )
    token = k8s.core.v1.Secret(
        f"{name}-token",
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=own, namespace=namespace, annotations={"kubernetes.io/service-account.name": own}
        ),
        type="kubernetes.io/service-account-token",
        opts=after,
    )
    if system != MANAGED_PROMETHEUS:
        return [bound, token]
    reading = rbac.Role(
        f"{name}-token-role",
        metadata=here,
        rules=[
            rbac.PolicyRuleArgs(
                api_groups=[""], resources=["secrets"], resource_names=[own], verbs=["get", "list", "watch"]
            )
        ],
        opts=child,
    )
    read = rbac.RoleBinding(
        f"{name}-token-binding",
        metadata=here,
        role_ref=rbac.RoleRefArgs(api_group="rbac.authorization.k8s.io", kind="Role", name=reading.metadata.name),
        subjects=[rbac.SubjectArgs(**_COLLECTOR)],
        opts=child,
    )
    return [bound, token, read]
