"""A cluster on Amazon EKS. The names of all resources begin with that of the cluster, so a program can have several."""

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
import pulumi_kubernetes as kubernetes
from gpuyard.aws import AwsNetwork, EksCluster, EksNodePool, EksNodePoolSpec, install_addons

KUBERNETES_VERSION = "1.35"


def eks_cluster(name: str, region: str, gpu_machine: str, public_access_cidrs: list[str]) -> EksCluster:
    """A network, a cluster in it, a CPU pool, a GPU pool that starts at zero nodes, and add-ons."""
    account = aws.Provider(f"{name}-aws", region=region)
    on_account = pulumi.ResourceOptions(providers=[account, eks.Provider(f"{name}-eks")])
    cluster_name, zones = f"gpuyard-{name}", [f"{region}a", f"{region}b"]

    network = AwsNetwork(
        f"{name}-network",
        {"cidr": "10.0.0.0/16", "zones": zones, "cluster_name": cluster_name, "deletion_protection": False},
        on_account,
    )
    cluster = EksCluster(
        f"{name}-cluster",
        {
            "cluster_name": cluster_name,
            "version": KUBERNETES_VERSION,
            "network_id": network.network_id,
            "private_subnet_ids": network.subnet_ids,
            "public_subnet_ids": network.load_balancer_subnet_ids,
            "public_access_cidrs": public_access_cidrs,
            "deletion_protection": False,
        },
        pulumi.ResourceOptions.merge(on_account, pulumi.ResourceOptions(depends_on=network.subnets)),
    )

    cpu, gpu = f"{name}-cpu", f"{name}-gpu"
    specs: dict[str, EksNodePoolSpec] = {
        cpu: {"machine_types": ["m7i.xlarge"], "min": 1, "max": 4, "zones": zones[:1]},
        gpu: {"machine_types": [gpu_machine], "min": 0, "max": 8, "zones": zones[:1], "capacity": ["spot"]},
    }
    pools = {
        pool: EksNodePool(
            pool,
            {
                "pool": spec,
                "cluster": cluster.cluster_name,
                "kubernetes_version": KUBERNETES_VERSION,
                "subnet_ids": network.subnet_ids,
                "node_role_arn": cluster.node_role_arn,
            },
            # A node needs its route to the internet and its network plug-in for its whole lifetime.
            pulumi.ResourceOptions(providers=[account], depends_on=[network, cluster]),
        )
        for pool, spec in specs.items()
    }

    api = kubernetes.Provider(
        f"{name}-kubernetes", kubeconfig=cluster.kubeconfig, cluster_identifier=cluster.cluster_name
    )
    # They are created after the pools and deleted before them.
    install_addons(
        {
            "cluster": cluster.cluster_name,
            "kubernetes_version": KUBERNETES_VERSION,
            "region": region,
            "node_pools": specs,
            "spec": {"monitoring": False, "dcgm_exporter": False},
        },
        pulumi.ResourceOptions(providers=[account, api]),
        pools=pools,
        name=name,
    )
    return cluster
