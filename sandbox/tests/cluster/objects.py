"""Kubernetes objects as inputs of the kubernetes provider, for its tests."""

from __future__ import annotations

import json
from typing import Any

from sandbox.cluster.control_plane import ControlPlane
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.plugins.values import Secret

NAMESPACE = "kubernetes:core/v1:Namespace"


CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


SECRET = "kubernetes:core/v1:Secret"


SERVICE = "kubernetes:core/v1:Service"


CLAIM = "kubernetes:core/v1:PersistentVolumeClaim"


STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"


DEPLOYMENT = "kubernetes:apps/v1:Deployment"


DAEMON_SET = "kubernetes:apps/v1:DaemonSet"


JOB = "kubernetes:batch/v1:Job"


QUOTA = "kubernetes:core/v1:ResourceQuota"


def urn(token: str, name: str = "it") -> str:
    return f"urn:pulumi:test::gpuyard::{token}::{name}"


def eks_kubeconfig(plane: ControlPlane, **changes: Any) -> str:
    """The kubeconfig that pulumi-eks outputs for the cluster."""
    args = ["--region", "us-east-1", "eks", "get-token", "--cluster-name", "cluster-tests", "--output", "json"]
    login = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": args}
    login.update(changes.pop("login", {}))
    server = {"server": plane.endpoint, "certificate-authority-data": plane.ca_data, **changes}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "kubernetes", "cluster": server}],
            "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
            "current-context": "aws",
            "users": [{"name": "aws", "user": {"exec": login}}],
        }
    )


def checked(provider: KubernetesProvider, token: str, inputs: dict, olds: dict | None = None, name: str = "it") -> dict:
    checked, failures = provider.check(token, urn(token, name), olds or {}, inputs, b"seed")
    assert not failures, failures
    return {key: value.value if isinstance(value, Secret) else value for key, value in checked.items()}


def made(provider: KubernetesProvider, token: str, inputs: dict, timeout: float = 60, name: str = "it"):
    """(id, checked inputs, outputs) of a created object."""
    inputs = checked(provider, token, inputs, name=name)
    id, outputs = provider.create(token, urn(token, name), inputs, False, timeout)
    return id, inputs, outputs


def config_map(namespace: str, **data: str) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": namespace}, "data": data}


def deployment(namespace: str, replicas: int = 1, **spec: Any) -> dict:
    labels = {"app": "web"}
    container = {"name": "web", "image": "example.org/web:1", "resources": {"requests": {"cpu": "1000m"}}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], **spec}},
        },
    }
