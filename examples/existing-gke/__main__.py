"""A GPU pool on an existing GKE cluster, with the order of its capacity types."""

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes
from gpuyard.gcp import GkeComputeClass, GkeNodePool

config = pulumi.Config()
cluster_name = config.require("clusterName")

account = gcp.Provider("gcp", project=pulumi.Config("gcp").require("project"))
cluster = kubernetes.Provider(
    "kubernetes", kubeconfig=config.require_secret("kubeconfig"), cluster_identifier=cluster_name
)

pool = GkeNodePool(
    "gpu-workers",
    {
        "pool": {
            "machine_types": ["g2-standard-8"],
            "min": 0,
            "max": 4,
            "capacity": ["spot", "on_demand"],
            "labels": {"workload": "gpu-training"},
        },
        "cluster": cluster_name,
        "location": config.require("location"),
        "zones": config.require_object("zones"),
        "kubernetes_version": config.require("kubernetesVersion"),
        "node_service_account": config.require("nodeServiceAccount"),
    },
    pulumi.ResourceOptions(providers=[account]),
)

# GKE runs the device plugin, the autoscaler and the DCGM exporter. The class makes its autoscaler try spot first.
GkeComputeClass("gpu-workers", {"node_pool_names": pool.node_pool_names}, pulumi.ResourceOptions(providers=[cluster]))

pulumi.export("nodePools", pool.node_pool_names)
