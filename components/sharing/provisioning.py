"""How Kueue gets nodes before it admits a job: the ProvisioningRequest of GKE's queued pools.

Other pools get their nodes when pods are pending. The Cluster Autoscaler offers a second class,
`check-capacity.autoscaling.x-k8s.io`, on every cloud: it adds no nodes, so a job for an empty pool would never start.
What would add all nodes of a gang or none (`AtomicIncreaseSize`) is not implemented for AWS
(cluster-autoscaler/cloudprovider/aws/aws_cloud_provider.go returns ErrNotImplemented). So on EKS `Queues` has neither.
"""

from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from .queue_pool import GPU_RESOURCE

_API_GROUP = "kueue.x-k8s.io"
_API_VERSION = f"{_API_GROUP}/v1beta2"
_NAME = "gpuyard-queued"
# GKE, "Deploy GPUs for batch and AI workloads with Dynamic Workload Scheduler".
_CLASS = "queued-provisioning.gke.io"
_CONTROLLER = "kueue.x-k8s.io/provisioning-request"


def admission_check(name: str, parent: pulumi.Resource) -> k8s.apiextensions.CustomResource:
    """The check that all nodes of a job exist. `name`: that of the component."""
    options = pulumi.ResourceOptions(parent=parent)
    config = k8s.apiextensions.CustomResource(
        f"{name}-provisioning",
        api_version=_API_VERSION,
        kind="ProvisioningRequestConfig",
        metadata=k8s.meta.v1.ObjectMetaArgs(name=_NAME),
        # A request waits in Google's queue as long as needed, so a failure is final only after some attempts.
        spec={"provisioningClassName": _CLASS, "managedResources": [GPU_RESOURCE]},
        opts=options,
    )
    return k8s.apiextensions.CustomResource(
        f"{name}-admission-check",
        api_version=_API_VERSION,
        kind="AdmissionCheck",
        metadata=k8s.meta.v1.ObjectMetaArgs(name=_NAME),
        spec={
            "controllerName": _CONTROLLER,
            "parameters": {"apiGroup": _API_GROUP, "kind": "ProvisioningRequestConfig", "name": _NAME},
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[config]),
    )


def strategy(flavors: list[str]) -> dict[str, Any]:
    """The part of a ClusterQueue that applies the check to these flavors only."""
    return {"admissionChecksStrategy": {"admissionChecks": [{"name": _NAME, "onFlavors": flavors}]}}
