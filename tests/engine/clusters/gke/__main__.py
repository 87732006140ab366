"""A minimal GKE cluster as another team may have created it: plain pulumi-gcp, one zone, one node without GPUs."""

import json

import pulumi
import pulumi_gcp as gcp

PROJECT, REGION, ZONE, VERSION = "my-project", "us-central1", "us-central1-a", "1.35"

account = pulumi.ResourceOptions(provider=gcp.Provider("gcp", project=PROJECT, region=REGION))

network = gcp.compute.Network("network", auto_create_subnetworks=False, opts=account)
subnetwork = gcp.compute.Subnetwork(
    "nodes",
    network=network.id,
    region=REGION,
    ip_cidr_range="10.8.0.0/20",
    secondary_ip_ranges=[
        gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name="pods", ip_cidr_range="10.72.0.0/14"),
        gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name="services", ip_cidr_range="10.76.0.0/20"),
    ],
    opts=account,
)
router = gcp.compute.Router("router", network=network.id, region=REGION, opts=account)
nat = gcp.compute.RouterNat(
    "nat",
    router=router.name,
    region=REGION,
    nat_ip_allocate_option="AUTO_ONLY",
    source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
    opts=account,
)
nodes = gcp.serviceaccount.Account("nodes", account_id="their-nodes", opts=account)
cluster = gcp.container.Cluster(
    "cluster",
    name="theirs",
    location=ZONE,
    min_master_version=VERSION,
    release_channel=gcp.container.ClusterReleaseChannelArgs(channel="REGULAR"),
    network=network.id,
    subnetwork=subnetwork.id,
    ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
        cluster_secondary_range_name="pods", services_secondary_range_name="services"
    ),
    workload_identity_config=gcp.container.ClusterWorkloadIdentityConfigArgs(workload_pool=f"{PROJECT}.svc.id.goog"),
    initial_node_count=1,
    node_config=gcp.container.ClusterNodeConfigArgs(machine_type="e2-standard-4", service_account=nodes.email),
    deletion_protection=False,
    opts=pulumi.ResourceOptions.merge(account, pulumi.ResourceOptions(depends_on=[nat])),
)


def kubeconfig(found: list[str]) -> str:
    """The kubeconfig that `gcloud container clusters get-credentials` writes."""
    name, endpoint, authority = found
    login = {"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "gke-gcloud-auth-plugin"}
    server = {"server": f"https://{endpoint}", "certificate-authority-data": authority}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": server}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
            "users": [{"name": name, "user": {"exec": {**login, "provideClusterInfo": True}}}],
        }
    )


pulumi.export("project", PROJECT)
pulumi.export("clusterName", cluster.name)
pulumi.export("location", cluster.location)
pulumi.export("zones", [ZONE])
pulumi.export("kubernetesVersion", VERSION)
pulumi.export("nodeServiceAccount", nodes.email)
facts = pulumi.Output.all(cluster.name, cluster.endpoint, cluster.master_auth.cluster_ca_certificate)
pulumi.export("kubeconfig", pulumi.Output.secret(facts.apply(kubeconfig)))
