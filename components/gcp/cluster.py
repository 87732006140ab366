"""The GKE cluster: control plane, the account of its nodes, and what Google runs in it (CSI drivers, metrics, DCGM)."""

import json
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import checks, naming
from ..checks import Problem
from .network import PODS, SERVICES

RELEASE_CHANNELS = ("RAPID", "REGULAR", "STABLE", "EXTENDED")
VERSIONS = ("1.34", "1.35", "1.36")
# Logging, monitoring and image pulls, and nothing else (Google's own role for node service accounts).
NODE_ROLE = "roles/container.defaultNodeServiceAccount"
# DCGM here is the one exporter of the cluster; a release of our own beside it would count every GPU twice.
MONITORED = (
    "SYSTEM_COMPONENTS",
    "POD",
    "DAEMONSET",
    "DEPLOYMENT",
    "STATEFULSET",
    "STORAGE",
    "HPA",
    "CADVISOR",
    "KUBELET",
    "DCGM",
)


class GkeClusterArgs(TypedDict):
    """`cluster_name`: physical name, up to 40 characters. `version`: Kubernetes minor. `location`: a region (regional
    control plane) or a zone. `zones`: where nodes may be. `public_access_cidrs`: who reaches the API endpoint from
    outside the VPC; empty (default) leaves it private. `deletion_protection`: the provider refuses to delete the
    cluster (default true)."""

    cluster_name: str
    version: str
    project: str
    location: str
    zones: list[str]
    network_id: pulumi.Input[str]
    subnetwork_id: pulumi.Input[str]
    public_access_cidrs: NotRequired[list[str]]
    release_channel: NotRequired[str]
    deletion_protection: NotRequired[bool]
    tags: NotRequired[dict[str, str]]


def problems(args: GkeClusterArgs) -> Iterator[Problem]:
    """Everything that is wrong with a cluster's arguments, seen without asking Google."""
    name = args["cluster_name"]
    if not 1 <= len(name) <= naming.GKE_NAME_LIMIT or not name.replace("-", "a").isalnum() or not name[0].islower():
        yield Problem(
            "name", name, "no possible GKE cluster name",
            f"1 to {naming.GKE_NAME_LIMIT} lower-case letters, digits and '-', beginning with a letter", "rename it",
        )  # fmt: skip
    yield from checks.one_of("version", args["version"], VERSIONS)
    yield from checks.one_of("release_channel", args.get("release_channel", "REGULAR"), RELEASE_CHANNELS)
    for index, cidr in enumerate(args.get("public_access_cidrs", [])):
        yield from checks.cidr(f"public_access_cidrs[{index}]", cidr)


class GkeCluster(pulumi.ComponentResource):
    """A VPC-native GKE cluster with private nodes, Workload Identity, Dataplane V2, and no nodes yet.

    Does not: make node pools (`GkeNodePool`), storage (`GcpStorage`) or anything inside Kubernetes. The device plugin,
    the autoscaler and the DCGM exporter are Google's own here.
    """

    cluster_name: pulumi.Output[str]
    """Physical name. Whoever uses it waits for the cluster."""
    endpoint: pulumi.Output[str]
    """Address of the API server."""
    kubernetes_version: pulumi.Output[str]
    """Version of the control plane."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls gke-gcloud-auth-plugin; secret."""
    connect_command: pulumi.Output[str]
    """What a person types to use kubectl."""
    node_service_account: pulumi.Output[str]
    """E-mail address of the account of the nodes."""

    def __init__(self, name: str, args: GkeClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GkeCluster", name, None, opts)
        checks.refuse(problems(args), f"GkeCluster {name}")
        child = pulumi.ResourceOptions(parent=self)
        protected = args.get("deletion_protection", True)
        public_cidrs = args.get("public_access_cidrs", [])
        project = args["project"]

        account = gcp.serviceaccount.Account(
            f"{name}-nodes",
            account_id=naming.fit(f"{args['cluster_name']}-nodes", naming.SERVICE_ACCOUNT_LIMIT),
            display_name=f"Nodes of the GKE cluster {args['cluster_name']}",
            opts=child,
        )
        node_role = gcp.projects.IAMMember(
            f"{name}-nodes-role",
            project=project,
            role=NODE_ROLE,
            member=account.member,
            opts=child,
        )
        cluster = gcp.container.Cluster(
            f"{name}-gke",
            name=args["cluster_name"],
            location=args["location"],
            node_locations=args["zones"] if args["location"] not in args["zones"] else None,
            min_master_version=args["version"],
            release_channel=gcp.container.ClusterReleaseChannelArgs(channel=args.get("release_channel", "REGULAR")),
            network=args["network_id"],
            subnetwork=args["subnetwork_id"],
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=PODS, services_secondary_range_name=SERVICES
            ),
            datapath_provider="ADVANCED_DATAPATH",
            private_cluster_config=gcp.container.ClusterPrivateClusterConfigArgs(
                enable_private_nodes=True, enable_private_endpoint=not public_cidrs
            ),
            master_authorized_networks_config=gcp.container.ClusterMasterAuthorizedNetworksConfigArgs(
                cidr_blocks=[
                    gcp.container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=cidr)
                    for cidr in public_cidrs
                ]
            ),
            workload_identity_config=gcp.container.ClusterWorkloadIdentityConfigArgs(
                workload_pool=f"{project}.svc.id.goog"
            ),
            addons_config=gcp.container.ClusterAddonsConfigArgs(
                gce_persistent_disk_csi_driver_config=(
                    gcp.container.ClusterAddonsConfigGcePersistentDiskCsiDriverConfigArgs(enabled=True)
                ),
                gcp_filestore_csi_driver_config=gcp.container.ClusterAddonsConfigGcpFilestoreCsiDriverConfigArgs(
                    enabled=True
                ),
                gcs_fuse_csi_driver_config=gcp.container.ClusterAddonsConfigGcsFuseCsiDriverConfigArgs(enabled=True),
            ),
            monitoring_config=gcp.container.ClusterMonitoringConfigArgs(
                enable_components=list(MONITORED),
                managed_prometheus=gcp.container.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
            ),
            enable_shielded_nodes=True,
            # Node pools are ours: the default one is made with one node, because GKE insists, and removed.
            initial_node_count=1,
            remove_default_node_pool=True,
            node_config=gcp.container.ClusterNodeConfigArgs(service_account=account.email),
            deletion_protection=protected,
            resource_labels=args.get("tags", {}),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=protected,
                depends_on=[node_role],
                # The release channel moves the version; the block describes the default pool, which is gone.
                ignore_changes=["nodeConfig", "minMasterVersion"],
            ),
        )
        self.cluster_name = cluster.name
        self.endpoint = pulumi.Output.concat("https://", cluster.endpoint)
        self.kubernetes_version = cluster.master_version
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.name, cluster.endpoint, cluster.master_auth.cluster_ca_certificate).apply(
                lambda values: _kubeconfig(*values)
            )
        )
        self.connect_command = pulumi.Output.format(
            "gcloud container clusters get-credentials {} --location {} --project {}",
            cluster.name,
            cluster.location,
            project,
        )
        self.node_service_account = account.email
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "endpoint": self.endpoint,
                "kubernetesVersion": self.kubernetes_version,
                "kubeconfig": self.kubeconfig,
                "connectCommand": self.connect_command,
                "nodeServiceAccount": self.node_service_account,
            }
        )


def _kubeconfig(name: str, endpoint: str, certificate_authority: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": name,
                    "cluster": {
                        "server": f"https://{endpoint}",
                        "certificate-authority-data": certificate_authority,
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
            "users": [
                {
                    "name": name,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": "gke-gcloud-auth-plugin",
                            "installHint": "gcloud components install gke-gcloud-auth-plugin",
                            "provideClusterInfo": True,
                        }
                    },
                }
            ],
        }
    )
