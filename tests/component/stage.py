"""Pools and providers that the component tests of both clouds use."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes

from components.pools import NodePoolSpec

AWS_ZONES = ["us-east-1a", "us-east-1b"]
GCP_ZONES = ["us-central1-a", "us-central1-b"]

GUIDE_CPU: NodePoolSpec = {"machine_types": ["m5.2xlarge"], "min": 2, "max": 20}
GUIDE_GPU: NodePoolSpec = {
    "machine_types": ["g6.2xlarge"],
    "min": 0,
    "max": 10,
    "labels": {"workload": "gpu-training"},
}
GKE_CPU: NodePoolSpec = {"machine_types": ["n2-standard-8"], "min": 2, "max": 20}
GKE_GPU: NodePoolSpec = {
    "machine_types": ["g2-standard-8"],
    "min": 0,
    "max": 10,
    "labels": {"workload": "gpu-training"},
}


def aws_options(name: str = "") -> pulumi.ResourceOptions:
    """Explicit providers of aws and kubernetes, as a stack on EKS has them. `name`: the prefix for one of several
    clusters."""
    prefix = f"{name}-" if name else ""
    cluster = kubernetes.Provider(f"{prefix}k8s", kubeconfig="{}")
    cloud = aws.Provider(f"{prefix}aws", region="us-east-1")
    return pulumi.ResourceOptions(providers={"aws": cloud, "kubernetes": cluster})


def gcp_options(name: str = "") -> pulumi.ResourceOptions:
    """Explicit providers of gcp and kubernetes, as a stack on GKE has them. `name`: as in `aws_options`."""
    prefix = f"{name}-" if name else ""
    cloud = gcp.Provider(f"{prefix}gcp", project="gpuyard-project", region="us-central1")
    cluster = kubernetes.Provider(f"{prefix}k8s", kubeconfig="{}")
    return pulumi.ResourceOptions(providers={"gcp": cloud, "kubernetes": cluster})


def pool(spec: NodePoolSpec, **changes: Any) -> NodePoolSpec:
    """A pool with some fields changed."""
    return {**spec, **changes}  # type: ignore[typeddict-item]
