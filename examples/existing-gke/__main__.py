"""A GPU pool on an existing GKE cluster, with the order of its capacity types, and a team that uses it."""

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes
from gpuyard.gcp import GkeComputeClass, GkeNodePool
from gpuyard.sharing import Team

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
in_cluster = pulumi.ResourceOptions(providers=[cluster])
GkeComputeClass("gpu-workers", {"node_pool_names": pool.node_pool_names}, in_cluster)

# A team on the cluster: a namespace with quota, limits and a network policy that denies by default. A namespace is
# protected unless you say otherwise; this one is not, so that `pulumi destroy` removes it with everything in it.
team = Team(
    "research",
    {"team": "research", "cloud": "gcp", "quota": {"gpus": 4}, "deletion_protection": False},
    in_cluster,
)

pulumi.export("nodePools", pool.node_pool_names)
pulumi.export("teamNamespace", team.namespace)
