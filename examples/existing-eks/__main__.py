"""A GPU pool on an existing EKS cluster, with the add-ons that it needs, and a team that uses it."""

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from gpuyard.aws import EksNodePool, EksNodePoolSpec, install_addons
from gpuyard.sharing import Team

config = pulumi.Config()
region = pulumi.Config("aws").require("region")
cluster_name = config.require("clusterName")
kubernetes_version = config.require("kubernetesVersion")
kubeconfig = config.require_secret("kubeconfig")

account = aws.Provider("aws", region=region)
cluster = kubernetes.Provider("kubernetes", kubeconfig=kubeconfig, cluster_identifier=cluster_name)

POOL = "gpu-workers"
spec: EksNodePoolSpec = {
    "machine_types": ["g6.2xlarge"],
    "min": 0,
    "max": 4,
    "capacity": ["spot", "on_demand"],
    "labels": {"workload": "gpu-training"},
}
pool = EksNodePool(
    POOL,
    {
        "pool": spec,
        "cluster": cluster_name,
        "kubernetes_version": kubernetes_version,
        "subnet_ids": config.require_object("subnetIds"),
        "node_role_arn": config.require("nodeRoleArn"),
    },
    pulumi.ResourceOptions(providers=[account]),
)

# The Cluster Autoscaler and NVIDIA's device plugin. They are created after the pool and deleted before it.
install_addons(
    {
        "cluster": cluster_name,
        "kubernetes_version": kubernetes_version,
        "region": region,
        "node_pools": {POOL: spec},
        "existing_addons": ["coredns", "metrics-server", "eks-node-monitoring-agent"],
        "spec": {"monitoring": False, "dcgm_exporter": False},
    },
    pulumi.ResourceOptions(providers=[account, cluster]),
    pools={POOL: pool},
)

# A team on the cluster: a namespace with quota, limits and a network policy that denies by default. A namespace is
# protected unless you say otherwise; this one is not, so that `pulumi destroy` removes it with everything in it.
team = Team(
    "research",
    {"team": "research", "cloud": "aws", "quota": {"gpus": 4}, "deletion_protection": False},
    pulumi.ResourceOptions(providers=[cluster]),
)

# The outputs that the example addons-by-reference reads. gpuyard's own stack has outputs of the same names.
pulumi.export("region", region)
pulumi.export("clusterName", cluster_name)
pulumi.export("kubernetesVersion", kubernetes_version)
pulumi.export("kubeconfig", kubeconfig)
pulumi.export("nodePoolSpecs", {POOL: spec})
pulumi.export("nodeGroups", pool.node_group_names)
pulumi.export("teamNamespace", team.namespace)
