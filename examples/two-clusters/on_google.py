"""A cluster on Google Kubernetes Engine. The names of all resources begin with that of the cluster, as on AWS."""

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes
from gpuyard.gcp import GcpNetwork, GkeCluster, GkeNodePool, GkeNodePoolSpec
from gpuyard.monitoring import Alerts

KUBERNETES_VERSION = "1.35"


def gke_cluster(name: str, region: str, gpu_machine: str, public_access_cidrs: list[str]) -> GkeCluster:
    """A network, a cluster in one zone of it, a CPU pool, a GPU pool that starts at zero nodes, and alert rules."""
    project, zone = pulumi.Config("gcp").require("project"), f"{region}-a"
    account = gcp.Provider(f"{name}-gcp", project=project, region=region)
    on_account = pulumi.ResourceOptions(providers=[account])

    network = GcpNetwork(
        f"{name}-network",
        {"cidr": "10.0.0.0/20", "region": region, "zones": [zone], "deletion_protection": False},
        on_account,
    )
    cluster = GkeCluster(
        f"{name}-cluster",
        {
            "cluster_name": f"gpuyard-{name}",
            "version": KUBERNETES_VERSION,
            "project": project,
            "location": zone,
            "zones": [zone],
            "network_id": network.network_id,
            "subnetwork_id": network.subnetwork_id,
            "public_access_cidrs": public_access_cidrs,
            "deletion_protection": False,
        },
        on_account,
    )

    def node_pool(pool: str, spec: GkeNodePoolSpec, after: list[pulumi.Resource]) -> GkeNodePool:
        return GkeNodePool(
            pool,
            {
                "pool": spec,
                "zones": [zone],
                "location": cluster.location,
                "cluster": cluster.cluster_name,
                "kubernetes_version": KUBERNETES_VERSION,
                "node_service_account": cluster.node_service_account,
            },
            pulumi.ResourceOptions(providers=[account], depends_on=after),
        )

    # GKE taints the nodes of a GPU pool only if the cluster has a pool without GPUs.
    cpu = node_pool(f"{name}-cpu", {"machine_types": ["n2-standard-4"], "min": 1, "max": 4}, [network])
    node_pool(
        f"{name}-gpu",
        {"machine_types": [gpu_machine], "min": 0, "max": 8, "capacity": ["spot"]},
        [network, cpu],
    )

    api = kubernetes.Provider(
        f"{name}-kubernetes", kubeconfig=cluster.kubeconfig, cluster_identifier=cluster.cluster_name
    )
    # The operator that checks the rules needs a node.
    Alerts(
        f"{name}-alerts",
        {"system": "managed_prometheus"},
        pulumi.ResourceOptions(providers=[api], depends_on=[cpu]),
    )
    return cluster
