"""A few objects in place of a rendered chart: recordings need neither helm nor charts.

They have what the library acts on: an account with a role, settings, a controller with the chart's images, a Service,
a webhook, and the definition of a kind.
"""

from __future__ import annotations

from components.charts.rendered import Object, Request

_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "description": "Anything."}


def objects(request: Request) -> list[Object]:
    """What a chart of this name could render."""
    name, home = request.chart.name, request.namespace
    account = {"kind": "ServiceAccount", "name": name, "namespace": home}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    labels = {"app.kubernetes.io/name": name}
    containers = [
        {"name": f"image-{index}", "image": image.reference} for index, image in enumerate(request.chart.images)
    ]
    pod = {"serviceAccountName": name, "containers": containers}
    group = f"{name}.example.com"
    client = {"service": {"name": name, "namespace": home, "path": "/check"}}
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["examples"]}
    check = {
        "name": f"check.{group}",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": client,
        "rules": [rule],
    }
    deployment = _object(
        "apps/v1",
        "Deployment",
        name,
        spec={"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    )
    return [
        *([deployment] if containers else []),
        _object("v1", "ServiceAccount", name),
        _object("v1", "ConfigMap", name, data={"config": "on"}),
        _object(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            f"examples.{group}",
            spec={
                "group": group,
                "names": {"kind": "Example", "plural": "examples"},
                "scope": "Namespaced",
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": _SCHEMA}}],
            },
        ),
        _object("rbac.authorization.k8s.io/v1", "ClusterRole", name, rules=[]),
        _object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", name, roleRef=role, subjects=[account]),
        _object("v1", "Service", name, spec={"selector": labels, "ports": [{"port": 443}]}),
        _object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", name, webhooks=[check]),
    ]


def _object(api_version: str, kind: str, name: str, **rest: object) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}
