"""Grafana in the cluster, as a part of kube-prometheus-stack (chart grafana 12.11)."""

from typing import Any

from .targets import NAMESPACE


def values(enabled: bool, secret: str | None) -> dict[str, Any]:
    """The chart's values under `grafana`. `secret`: with the keys admin-user and admin-password; without it the chart
    makes a random password once, in the Secret kube-prometheus-stack-grafana."""
    if not enabled:
        return {"enabled": False}
    only_here = {"searchNamespace": NAMESPACE, "resource": "configmap"}
    return {
        "enabled": True,
        **({"admin": {"existingSecret": secret}} if secret else {}),
        # Its sidecars read ConfigMaps of this namespace; by default all ConfigMaps and Secrets of the cluster.
        "rbac": {"namespaced": True},
        "sidecar": {"dashboards": only_here, "datasources": only_here},
        # Connections come through the API server, by `kubectl port-forward`, or from pods with its label.
        "networkPolicy": {"enabled": True, "ingress": True, "allowExternal": False},
        "testFramework": {"enabled": False},
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "512Mi"}},
    }
