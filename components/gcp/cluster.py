"""The GKE cluster: control plane, the account of its nodes, and what Google runs in it (CSI drivers, metrics, DCGM)."""

import re
from collections.abc import Iterator
from datetime import date
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import arguments, checks, component_names, naming
from ..checks import Problem
from ..versions import GKE_CHANNELS
from . import (
    addresses,
    control_plane,
    disks_key,
    identity,
    labels,
    maintenance,
    node_account,
    places,
    secrets_key,
    telemetry,
)
from . import cluster_features as features
from .maintenance import Maintenance

RELEASE_CHANNELS = tuple(GKE_CHANNELS)
VERSIONS = tuple(sorted({version for versions in GKE_CHANNELS.values() for version in versions}))


class GkeClusterArgs(TypedDict):
    """A GKE cluster in an existing network."""

    cluster_name: str
    """Physical name: 1 to 40 lower-case letters, digits and hyphens, beginning with a letter."""
    version: str
    """Kubernetes minor, such as 1.35. A release channel upgrades it automatically as far as `maintenance` allows; a
    later minor here upgrades the control plane."""
    project: str
    """Id of the project, not its number."""
    location: str
    """Region of the cluster (three control planes), or one of its zones (one control plane, which is not available
    during upgrades)."""
    zones: list[str]
    """Zones in which nodes may run."""
    network_id: pulumi.Input[str]
    """Id of the VPC."""
    subnetwork_id: pulumi.Input[str]
    """Id of the subnetwork."""
    pods_range: NotRequired[pulumi.Input[str]]
    """Name of the subnetwork's secondary range for pods. Default: `pods`."""
    services_range: NotRequired[pulumi.Input[str]]
    """Name of the subnetwork's secondary range for services. Default: `services`."""
    further_pods_ranges: NotRequired[pulumi.Input[list[str]]]
    """Names of further secondary ranges for pods, which GKE gives to new pools when the first is full. Default:
    none."""
    pods_per_node: NotRequired[int]
    """Maximum of pods on a node, 8 to 256. Each node takes twice as many addresses, and a change replaces the cluster.
    Default: GKE's own, 110."""
    public_access_cidrs: NotRequired[list[str]]
    """Networks in CIDR notation that reach the API endpoint from the internet. Default: none; the endpoint is
    private."""
    private_access_cidrs: NotRequired[list[str]]
    """Networks in CIDR notation, in the VPC or connected to it, that reach the private endpoint in addition to the
    cluster's own nodes and pods. Default: none."""
    dns_endpoint: NotRequired[bool]
    """Whether every identity with IAM permission reaches the API by its DNS name, from anywhere, including the
    internet. The kubeconfig then uses this endpoint. Default: `false`."""
    release_channel: NotRequired[str]
    """Release channel: RAPID, REGULAR, STABLE or EXTENDED. Default: `REGULAR`."""
    maintenance: NotRequired[Maintenance]
    """When GKE may upgrade the cluster. Default: `{}`, where each field has its default."""
    secrets_key: NotRequired[str]
    """Cloud KMS key that encrypts Kubernetes secrets: its full name, or new for a key that is created. Default:
    Google's own encryption."""
    disks_key: NotRequired[str]
    """Full name of the Cloud KMS key that encrypts the disks of nodes and of claims. Default: Google's own key."""
    log_types: NotRequired[list[str]]
    """Components whose logs are sent to Cloud Logging, by Google's names. Default:
    `[SYSTEM_COMPONENTS, WORKLOADS]`."""
    metric_types: NotRequired[list[str]]
    """Components whose metrics are sent to Cloud Monitoring, by Google's names. Default:
    `[SYSTEM_COMPONENTS, POD, DAEMONSET, DEPLOYMENT, STATEFULSET, STORAGE, HPA, CADVISOR, KUBELET]`."""
    managed_dcgm: NotRequired[bool]
    """Whether Google's DCGM exporter runs on GPU nodes. Use false together with another exporter: two of them count
    every GPU twice. Default: `true`."""
    image_streaming: NotRequired[bool]
    """Whether containers start before their whole image is pulled; for images in Artifact Registry. Default: `true`."""
    multi_networking: NotRequired[bool]
    """Whether nodes may have several networks, for GPUDirect. Default: `false`."""
    autoscaling_profile: NotRequired[str]
    """balanced, or optimize_utilization, which removes nodes sooner. Default: GKE's, which is balanced."""
    gateway_api: NotRequired[str]
    """Gateway API: disabled or standard. Default: GKE's, which is disabled."""
    dns: NotRequired[str]
    """DNS of the cluster: kube_dns or cloud_dns. Default: GKE's, which is kube_dns."""
    binary_authorization: NotRequired[bool]
    """Whether only images that the project's policy allows may run. Default: `false`."""
    groups_domain: NotRequired[str]
    """Domain of the Google Workspace, such as example.com: RBAC accepts the Google groups in
    gke-security-groups@DOMAIN. Default: none."""
    deletion_protection: NotRequired[bool]
    """Whether GKE's provider and Pulumi refuse to delete the cluster. Default: `true`."""
    impersonate_service_account: NotRequired[str]
    """Service account as which the kubeconfig logs in, like the provider. Default: the account that gcloud is
    logged in as."""
    services: NotRequired[pulumi.Input[list[str]]]
    """Names of the project's APIs, as an output of the component that enables them: accounts, roles and keys wait for
    it. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Labels of the cluster and of its key. Default: none."""


def problems(args: GkeClusterArgs) -> Iterator[Problem]:
    """Everything that is wrong with a cluster's arguments, found without asking Google."""
    name, location = args["cluster_name"], args["location"]
    # container.v1: Cluster.name.
    if not re.fullmatch(rf"[a-z]([-a-z0-9]{{0,{naming.GKE_NAME_LIMIT - 2}}}[a-z0-9])?", name):
        yield Problem(
            "cluster_name", name, "not a valid name of a GKE cluster",
            f"1 to {naming.GKE_NAME_LIMIT} lower-case letters, digits and '-', beginning with a letter", "rename it",
        )  # fmt: skip
    yield from identity.project_problems("project", args["project"])
    yield from _version_problems(args["version"], args["release_channel"])
    usual = places.standard(args["zones"])
    if not usual:
        yield Problem("zones", args["zones"], "has no standard zone", "one or more standard zones", "add a zone")
    elif location not in (region := places.region_of(usual[0]), *usual):
        wrong = "neither the region nor a zone of the network"
        yield Problem(
            "location", location, "an AI zone, which cannot have a control plane" if places.is_ai(location) else wrong,
            f"{region} (regional), or for one control plane {', '.join(usual)}", f"write {region}",
        )  # fmt: skip
    low, high = addresses.PODS_PER_NODE_RANGE
    pods = args.get("pods_per_node", addresses.PODS_PER_NODE)
    if not low <= pods <= high:
        yield Problem("pods_per_node", pods, "out of range", f"{low} to {high}", "write 110, 64 or 32")
    yield from control_plane.problems(args.get("public_access_cidrs", []), args.get("private_access_cidrs", []))
    yield from (p.under("maintenance") for p in maintenance.problems(args["maintenance"]))
    yield from secrets_key.problems(args.get("secrets_key", ""), places.region_of(location))
    yield from secrets_key.name_problems("disks_key", args.get("disks_key", ""), places.region_of(location))
    yield from telemetry.problems(args["log_types"], args["metric_types"], args["managed_dcgm"])
    yield from features.problems(args)


def _version_problems(version: str, channel: str) -> Iterator[Problem]:
    unknown = list(checks.one_of("release_channel", channel, RELEASE_CHANNELS))
    yield from unknown
    if version not in VERSIONS:
        minor = ".".join(version.split(".")[:2])
        known = VERSIONS if unknown else GKE_CHANNELS[channel]
        yield Problem(
            "version", version,
            "a patch version, which the release channel chooses" if minor in VERSIONS else "unknown minor",
            ", ".join(known), f"write {minor if minor in known else known[-1]}",
        )  # fmt: skip
    elif not unknown and version not in GKE_CHANNELS[channel]:
        others = [other for other, versions in GKE_CHANNELS.items() if version in versions]
        yield Problem(
            "version", version, f"not in the release channel {channel}", ", ".join(GKE_CHANNELS[channel]),
            f"write one of them, or `release_channel: {others[0]}`",
        )  # fmt: skip


def warnings(args: GkeClusterArgs, today: date) -> Iterator[str]:
    """Warnings about settings that work but are rarely intended. `today`: in UTC, as GKE counts."""
    ways = ("public_access_cidrs", "private_access_cidrs", "dns_endpoint")
    if not any(args.get(way) for way in ways):
        yield (
            "public_access_cidrs: only the cluster's own nodes and pods reach the API endpoint, and this program "
            "must run there; name networks here or in `private_access_cidrs`, or set `dns_endpoint`"
        )
    if not args["managed_dcgm"]:
        yield (
            "managed_dcgm: Google's exporter is off, and nothing else measures the GPUs; install your own exporter "
            "(exactly one: two of them count every GPU twice), or remove the line"
        )
    channel = args["release_channel"]
    yield from (f"maintenance.{message}" for message in maintenance.warnings(args["maintenance"], today, channel))


class GkeCluster(pulumi.ComponentResource):
    """A VPC-native GKE cluster with private nodes, Workload Identity, Dataplane V2, and no nodes yet.

    The account of its nodes may write logs and metrics and pull images, and nothing else. No role can be bound to
    anonymous users. Costs are reported by namespace and label. Logs are kept as long as the project's log bucket
    `_Default` keeps them.

    Does not: create node pools (`GkeNodePool`), storage (`GcpStorage`) or anything inside Kubernetes. On GKE, Google
    runs the device plugin, the autoscaler and the DCGM exporter.
    """

    cluster_name: pulumi.Output[str]
    """Physical name, known once the cluster exists."""
    location: pulumi.Output[str]
    """Region or zone of the cluster."""
    endpoint: pulumi.Output[str]
    """URL of the API server."""
    kubernetes_version: pulumi.Output[str]
    """Version of the control plane."""
    kubeconfig: pulumi.Output[str]
    """Kubeconfig (JSON) that calls gke-gcloud-auth-plugin; secret."""
    connect_command: pulumi.Output[str]
    """The command that configures kubectl."""
    disks_key: pulumi.Output[str]
    """Full name of the key of the disks, known once Compute Engine may use it; '' for Google's own key."""
    node_service_account: pulumi.Output[str]
    """E-mail address of the Google service account of the nodes."""
    workload_pool: pulumi.Output[str]
    """The project's identity pool of Kubernetes service accounts (`WorkloadIdentity`)."""

    def __init__(self, name: str, args: GkeClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"GkeCluster {name}", GkeClusterArgs, args, problems, places.of_one_region, labels.with_tags,
            lambda given: component_names.google_problems(name, "-secrets")
            if given.get("secrets_key") == secrets_key.NEW
            else [],
        )  # fmt: skip
        super().__init__("gpuyard:index:GkeCluster", name, None, opts)
        protected = args["deletion_protection"]
        public, private = args.get("public_access_cidrs", []), args.get("private_access_cidrs", [])
        dns, location, project = args["dns_endpoint"], args["location"], args["project"]
        streaming, tags = args["image_streaming"], args.get("tags", {})

        after = pulumi.Output.all(project, args.get("services", [])).apply(lambda values: values[0])
        account, roles = node_account.create(name, args["cluster_name"], after, streaming, self)
        secret, disks = args.get("secrets_key", ""), args.get("disks_key", "")
        agents = identity.agents(name, after, self) if secret or disks else None
        encryption, key_ready = secrets_key.database_encryption(
            name, secret, after, places.region_of(location), protected, tags, self, agents
        )
        unencrypted = pulumi.Output.from_input("")
        self.disks_key = disks_key.usable(name, disks, agents, self) if disks and agents else unencrypted
        self.resource = gcp.container.Cluster(
            f"{name}-gke",
            name=args["cluster_name"],
            location=location,
            # A zonal cluster always has its own zone; an AI zone is for the pools that name it.
            node_locations=[zone for zone in places.standard(args["zones"]) if zone != location],
            min_master_version=args["version"],
            release_channel=gcp.container.ClusterReleaseChannelArgs(channel=args["release_channel"]),
            maintenance_policy=maintenance.policy(args["maintenance"]),
            network=args["network_id"],
            subnetwork=args["subnetwork_id"],
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=args["pods_range"],
                services_secondary_range_name=args["services_range"],
                additional_pod_ranges_config=gcp.container.ClusterIpAllocationPolicyAdditionalPodRangesConfigArgs(
                    pod_range_names=args["further_pods_ranges"]
                )
                if "further_pods_ranges" in args
                else None,
            ),
            default_max_pods_per_node=args.get("pods_per_node"),
            datapath_provider="ADVANCED_DATAPATH",
            enable_multi_networking=args["multi_networking"],
            # Without it, an internal load balancer serves at most 250 nodes.
            enable_l4_ilb_subsetting=True,
            private_cluster_config=control_plane.private_cluster(public, private),
            master_authorized_networks_config=control_plane.authorized_networks(public, private),
            control_plane_endpoints_config=control_plane.dns_endpoint(dns),
            rbac_binding_config=gcp.container.ClusterRbacBindingConfigArgs(
                enable_insecure_binding_system_unauthenticated=False,
                enable_insecure_binding_system_authenticated=False,
            ),
            workload_identity_config=gcp.container.ClusterWorkloadIdentityConfigArgs(
                workload_pool=identity.pool(project)
            ),
            database_encryption=encryption,
            cluster_autoscaling=features.autoscaling(args),
            gateway_api_config=features.gateway_api(args),
            dns_config=features.dns(args),
            binary_authorization=features.binary_authorization(args),
            authenticator_groups_config=features.groups(args),
            addons_config=gcp.container.ClusterAddonsConfigArgs(
                gce_persistent_disk_csi_driver_config=(
                    gcp.container.ClusterAddonsConfigGcePersistentDiskCsiDriverConfigArgs(enabled=True)
                ),
                gcp_filestore_csi_driver_config=gcp.container.ClusterAddonsConfigGcpFilestoreCsiDriverConfigArgs(
                    enabled=True
                ),
                gcs_fuse_csi_driver_config=gcp.container.ClusterAddonsConfigGcsFuseCsiDriverConfigArgs(enabled=True),
            ),
            logging_config=telemetry.logging(args["log_types"]),
            monitoring_config=telemetry.monitoring(args["metric_types"], args["managed_dcgm"]),
            cost_management_config=gcp.container.ClusterCostManagementConfigArgs(enabled=True),
            enable_shielded_nodes=True,
            node_pool_defaults=gcp.container.ClusterNodePoolDefaultsArgs(
                node_config_defaults=gcp.container.ClusterNodePoolDefaultsNodeConfigDefaultsArgs(
                    gcfs_config=gcp.container.ClusterNodePoolDefaultsNodeConfigDefaultsGcfsConfigArgs(
                        enabled=streaming
                    ),
                    # The port exposes the names and logs of all pods to everything that can reach a node.
                    insecure_kubelet_readonly_port_enabled="FALSE",
                )
            ),
            # GKE requires a default node pool: it is created with one node, and removed.
            initial_node_count=1,
            remove_default_node_pool=True,
            node_config=gcp.container.ClusterNodeConfigArgs(
                service_account=account.email,
                shielded_instance_config=gcp.container.ClusterNodeConfigShieldedInstanceConfigArgs(
                    enable_secure_boot=True, enable_integrity_monitoring=True
                ),
            ),
            deletion_protection=protected,
            resource_labels=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=protected,
                depends_on=[*roles, *key_ready],
                # It describes the default pool, which is removed.
                ignore_changes=["nodeConfig"],
            ),
        )
        """The cluster."""
        cluster = self.resource
        self.cluster_name = cluster.name
        self.location = cluster.location
        self.endpoint = control_plane.server(cluster, dns)
        self.kubernetes_version = cluster.master_version
        authority = "" if dns else cluster.master_auth.cluster_ca_certificate
        self.kubeconfig = pulumi.Output.secret(
            pulumi.Output.all(cluster.name, self.endpoint, authority).apply(
                lambda values: control_plane.kubeconfig(
                    *values, impersonated=args.get("impersonate_service_account", "")
                )
            )
        )
        self.connect_command = control_plane.connect_command(cluster, project, dns)
        self.node_service_account = account.email
        self.workload_pool = cluster.name.apply(lambda _: identity.pool(project))
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "location": self.location,
                "endpoint": self.endpoint,
                "kubernetesVersion": self.kubernetes_version,
                "kubeconfig": self.kubeconfig,
                "connectCommand": self.connect_command,
                "disksKey": self.disks_key,
                "nodeServiceAccount": self.node_service_account,
                "workloadPool": self.workload_pool,
            }
        )
