"""The GKE cluster: control plane, the account of its nodes, and what Google runs in it (CSI drivers, metrics, DCGM)."""

import re
from collections.abc import Iterator
from datetime import date
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import checks, naming
from ..checks import Problem
from ..versions import GKE_CHANNELS
from . import addresses, control_plane, disks_key, identity, labels, maintenance, places, secrets_key
from . import cluster_features as features
from .maintenance import Maintenance
from .network import PODS, SERVICES

RELEASE_CHANNELS = tuple(GKE_CHANNELS)
VERSIONS = tuple(sorted({version for versions in GKE_CHANNELS.values() for version in versions}))
DEFAULT_CHANNEL = "REGULAR"

# What nodes may do: write logs and metrics (Google's own role for their accounts), pull private images of the project,
# and for image streaming have the project's quota counted. Pods get their rights by Workload Identity.
NODE_ROLE = "roles/container.defaultNodeServiceAccount"
PULL_ROLE = "roles/artifactregistry.reader"
STREAM_ROLE = "roles/serviceusage.serviceUsageConsumer"

# container.v1beta1, LoggingComponentConfig and MonitoringComponentConfig, less what the API calls deprecated.
LOG_TYPES = (
    "SYSTEM_COMPONENTS",
    "WORKLOADS",
    "APISERVER",
    "CONTROLLER_MANAGER",
    "SCHEDULER",
    "KCP_CONNECTION",
    "KCP_SSHD",
    "KCP_HPA",
)
DCGM = "DCGM"
METRIC_TYPES = (
    "SYSTEM_COMPONENTS",
    "POD",
    "DAEMONSET",
    "DEPLOYMENT",
    "STATEFULSET",
    "STORAGE",
    "HPA",
    "CADVISOR",
    "KUBELET",
    "JOBSET",
    "APISERVER",
    "SCHEDULER",
    "CONTROLLER_MANAGER",
)
DEFAULT_LOGS = LOG_TYPES[:2]
# Without the control plane's, which are billed by the sample like all others and rarely looked at.
DEFAULT_METRICS = METRIC_TYPES[:9]


class GkeClusterArgs(TypedDict):
    """`cluster_name`: physical name, up to 40 characters. `version`: Kubernetes minor; a release channel moves on
    automatically as far as `maintenance` lets it, and a later minor here upgrades the control plane. `location`: a
    region (three control planes) or one of its zones (one, which is away while it is upgraded). `zones`: where nodes
    may be. `pods_range`, `services_range`: names of the subnetwork's secondary ranges. `further_pods_ranges`: names of
    others, which GKE gives to new pools when the first is full. `pods_per_node`: 8 to 256 (default 110); each node
    takes twice as many addresses, and a change replaces the cluster.

    `public_access_cidrs`: who reaches the API endpoint from the internet; empty (default) leaves it private.
    `private_access_cidrs`: who reaches the private endpoint from the VPC and from what is connected to it, beside the
    cluster's own nodes and pods. `dns_endpoint`: everyone with a right in IAM reaches the API by its name, from
    anywhere, the internet included; the kubeconfig leads there (default false).

    `release_channel`: RAPID, REGULAR (default), STABLE or EXTENDED. `maintenance`: see `Maintenance`. `secrets_key`:
    encrypts secrets: the full name of a Cloud KMS key, or `new`; none by default. `disks_key`: encrypts the disks of
    nodes and of claims: the full name of a key; none by default. `log_types`, `metric_types`: what
    goes to Cloud Logging and Monitoring, by Google's names (defaults: of the system and of workloads). `managed_dcgm`:
    Google's DCGM exporter on GPU nodes (default true); false for another one, since two count every GPU twice.
    `image_streaming`: pods start before their image is all there (default true; images of Artifact Registry).
    `multi_networking`: nodes may have several networks, for GPUDirect (default false). `autoscaling_profile`: balanced
    (GKE's default) or optimize_utilization, which removes nodes sooner. `gateway_api`: disabled (GKE's default) or
    standard. `dns`: kube_dns (GKE's default) or cloud_dns. `binary_authorization`: only images that the project's
    policy lets in run (default false). `groups_domain`: RBAC knows the Google groups within
    gke-security-groups@DOMAIN; none by default. `deletion_protection`: GKE's provider and Pulumi refuse to delete the
    cluster (default true). `impersonate_service_account`: as whom the kubeconfig logs in, where the provider does
    (default: the environment's identity). `services`: the project's APIs as an output of what switches them on:
    accounts, roles and keys wait for them."""

    cluster_name: str
    version: str
    project: str
    location: str
    zones: list[str]
    network_id: pulumi.Input[str]
    subnetwork_id: pulumi.Input[str]
    pods_range: NotRequired[pulumi.Input[str]]
    services_range: NotRequired[pulumi.Input[str]]
    further_pods_ranges: NotRequired[pulumi.Input[list[str]]]
    pods_per_node: NotRequired[int]
    public_access_cidrs: NotRequired[list[str]]
    private_access_cidrs: NotRequired[list[str]]
    dns_endpoint: NotRequired[bool]
    release_channel: NotRequired[str]
    maintenance: NotRequired[Maintenance]
    secrets_key: NotRequired[str]
    disks_key: NotRequired[str]
    log_types: NotRequired[list[str]]
    metric_types: NotRequired[list[str]]
    managed_dcgm: NotRequired[bool]
    image_streaming: NotRequired[bool]
    multi_networking: NotRequired[bool]
    autoscaling_profile: NotRequired[str]
    gateway_api: NotRequired[str]
    dns: NotRequired[str]
    binary_authorization: NotRequired[bool]
    groups_domain: NotRequired[str]
    deletion_protection: NotRequired[bool]
    impersonate_service_account: NotRequired[str]
    services: NotRequired[pulumi.Input[list[str]]]
    tags: NotRequired[dict[str, str]]


def problems(args: GkeClusterArgs) -> Iterator[Problem]:
    """Everything that is wrong with a cluster's arguments, seen without asking Google."""
    name, location = args["cluster_name"], args["location"]
    # container.v1: Cluster.name.
    if not re.fullmatch(rf"[a-z]([-a-z0-9]{{0,{naming.GKE_NAME_LIMIT - 2}}}[a-z0-9])?", name):
        yield Problem(
            "name", name, "no possible GKE cluster name",
            f"1 to {naming.GKE_NAME_LIMIT} lower-case letters, digits and '-', beginning with a letter", "rename it",
        )  # fmt: skip
    if not naming.GOOGLE_PROJECT.fullmatch(project := args["project"]):
        yield Problem("project", project, "no id of a project", "6 to 30 characters, not the number", "correct it")
    yield from _version_problems(args["version"], args.get("release_channel", DEFAULT_CHANNEL))
    usual = places.standard(args["zones"])
    if usual and location not in (region := places.region_of(usual[0]), *usual):
        wrong = "neither the region nor a zone of the network"
        yield Problem(
            "location", location, "an AI zone, which holds no control plane" if places.is_ai(location) else wrong,
            f"{region} (regional), or for one control plane {', '.join(usual)}", f"write {region}",
        )  # fmt: skip
    low, high = addresses.PODS_PER_NODE_RANGE
    pods = args.get("pods_per_node", addresses.PODS_PER_NODE)
    if not low <= pods <= high:
        yield Problem("pods_per_node", pods, "no number that GKE takes", f"{low} to {high}", "write 110, 64 or 32")
    yield from control_plane.problems(args.get("public_access_cidrs", []), args.get("private_access_cidrs", []))
    yield from (p.under("maintenance") for p in maintenance.problems(args.get("maintenance", {})))
    yield from secrets_key.problems(args.get("secrets_key", ""), places.region_of(location))
    yield from secrets_key.name_problems("disks_key", args.get("disks_key", ""), places.region_of(location))
    yield from _component_problems("log_types", args.get("log_types"), LOG_TYPES)
    yield from _component_problems("metric_types", args.get("metric_types"), METRIC_TYPES)
    if args.get("metric_types") == [] and args.get("managed_dcgm", True):
        yield Problem(
            "metric_types", [], f"GKE takes {DCGM} (managedDcgm) only with {METRIC_TYPES[0]}", ", ".join(METRIC_TYPES),
            f"write [{METRIC_TYPES[0]}], or managedDcgm: false for no metric at all",
        )  # fmt: skip
    yield from labels.problems(args.get("tags", {}))
    yield from features.problems(args)


def _version_problems(version: str, channel: str) -> Iterator[Problem]:
    unknown = list(checks.one_of("release_channel", channel, RELEASE_CHANNELS))
    yield from unknown
    if version not in VERSIONS:
        minor = ".".join(version.split(".")[:2])
        known = VERSIONS if unknown else GKE_CHANNELS[channel]
        yield Problem(
            "version", version, "a patch, which the release channel chooses" if minor in VERSIONS else "unknown minor",
            ", ".join(known), f"write {minor if minor in known else known[-1]}",
        )  # fmt: skip
    elif not unknown and version not in GKE_CHANNELS[channel]:
        others = [other for other, versions in GKE_CHANNELS.items() if version in versions]
        yield Problem(
            "version", version, f"not in the release channel {channel}", ", ".join(GKE_CHANNELS[channel]),
            f"write one of them, or releaseChannel: {others[0]}",
        )  # fmt: skip


def _component_problems(field: str, wanted: list[str] | None, known: tuple[str, ...]) -> Iterator[Problem]:
    unknown = False
    for index, component in enumerate(wanted or []):
        path = f"{field}[{index}]"
        unknown = unknown or component not in known
        if component == DCGM:
            yield Problem(path, component, "has a switch of its own", ", ".join(known), "write managedDcgm: true")
        else:
            yield from checks.one_of(path, component, known)
    if wanted and not unknown and known[0] not in wanted:
        # GKE: "--logging" and "--monitoring" take nothing without SYSTEM.
        yield Problem(field, wanted, f"GKE takes nothing without {known[0]}", ", ".join(known), f"add {known[0]}")


def warnings(args: GkeClusterArgs, today: date) -> Iterator[str]:
    """What works but is seldom meant. `today`: in UTC, as GKE counts."""
    ways = ("public_access_cidrs", "private_access_cidrs", "dns_endpoint")
    if not any(args.get(way) for way in ways):
        yield (
            "publicAccessCidrs: nobody but the cluster's own nodes and pods reaches the API endpoint, this program "
            "included unless it runs there; name networks here or in privateAccessCidrs, or set dnsEndpoint"
        )
    if not args.get("managed_dcgm", True):
        yield (
            "managedDcgm: Google's exporter is off, and nothing here measures the GPUs in its place; install one of "
            "your own (exactly one: two count every GPU twice), or remove the line"
        )
    channel = args.get("release_channel", DEFAULT_CHANNEL)
    yield from (f"maintenance.{said}" for said in maintenance.warnings(args.get("maintenance", {}), today, channel))


class GkeCluster(pulumi.ComponentResource):
    """A VPC-native GKE cluster with private nodes, Workload Identity, Dataplane V2, and no nodes yet.

    Its nodes' account may write logs and metrics and pull images, and nothing else. Anonymous users can be bound to no
    role. Costs are reported by namespace and label. Logs are kept as long as the project's bucket `_Default` says.

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
    disks_key: pulumi.Output[str]
    """Key of the disks, once it may be used; '' for Google's own."""
    node_service_account: pulumi.Output[str]
    """E-mail address of the account of the nodes."""
    workload_pool: pulumi.Output[str]
    """The identity pool of the project's service accounts in Kubernetes (`WorkloadIdentity`)."""

    def __init__(self, name: str, args: GkeClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GkeCluster", name, None, opts)
        checks.refuse(problems(args), f"GkeCluster {name}")
        protected = args.get("deletion_protection", True)
        public, private = args.get("public_access_cidrs", []), args.get("private_access_cidrs", [])
        dns, location, project = args.get("dns_endpoint", False), args["location"], args["project"]
        streaming, tags = args.get("image_streaming", True), args.get("tags", {})

        after = pulumi.Output.all(project, args.get("services", [])).apply(lambda values: values[0])
        account, roles = self._node_account(name, args, after)
        secret, disks = args.get("secrets_key", ""), args.get("disks_key", "")
        agents = identity.agents(name, after, self) if secret or disks else None
        encryption, key_ready = secrets_key.database_encryption(
            name, secret, after, places.region_of(location), protected, tags, self, agents
        )
        unencrypted = pulumi.Output.from_input("")
        self.disks_key = disks_key.usable(name, disks, agents, self) if disks and agents else unencrypted
        cluster = gcp.container.Cluster(
            f"{name}-gke",
            name=args["cluster_name"],
            location=location,
            # A zonal cluster has its own zone anyway; an AI zone is for the pools that name it.
            node_locations=[zone for zone in places.standard(args["zones"]) if zone != location],
            min_master_version=args["version"],
            release_channel=gcp.container.ClusterReleaseChannelArgs(
                channel=args.get("release_channel", DEFAULT_CHANNEL)
            ),
            maintenance_policy=maintenance.policy(args.get("maintenance", {})),
            network=args["network_id"],
            subnetwork=args["subnetwork_id"],
            networking_mode="VPC_NATIVE",
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=args.get("pods_range", PODS),
                services_secondary_range_name=args.get("services_range", SERVICES),
                additional_pod_ranges_config=gcp.container.ClusterIpAllocationPolicyAdditionalPodRangesConfigArgs(
                    pod_range_names=args["further_pods_ranges"]
                )
                if "further_pods_ranges" in args
                else None,
            ),
            default_max_pods_per_node=int(args["pods_per_node"]) if "pods_per_node" in args else None,
            datapath_provider="ADVANCED_DATAPATH",
            enable_multi_networking=args.get("multi_networking", False),
            # Else an internal load balancer serves 250 nodes at most.
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
            logging_config=gcp.container.ClusterLoggingConfigArgs(
                enable_components=args.get("log_types", list(DEFAULT_LOGS))
            ),
            monitoring_config=gcp.container.ClusterMonitoringConfigArgs(
                enable_components=_metrics(args),
                managed_prometheus=gcp.container.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
            ),
            cost_management_config=gcp.container.ClusterCostManagementConfigArgs(enabled=True),
            enable_shielded_nodes=True,
            node_pool_defaults=gcp.container.ClusterNodePoolDefaultsArgs(
                node_config_defaults=gcp.container.ClusterNodePoolDefaultsNodeConfigDefaultsArgs(
                    gcfs_config=gcp.container.ClusterNodePoolDefaultsNodeConfigDefaultsGcfsConfigArgs(
                        enabled=streaming
                    ),
                    # Served every pod's logs and names to whoever reached a node.
                    insecure_kubelet_readonly_port_enabled="FALSE",
                )
            ),
            # Node pools are ours: the default one is made with one node, because GKE insists, and removed.
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
                # It describes the default pool, which is gone.
                ignore_changes=["nodeConfig"],
            ),
        )
        self.cluster_name = cluster.name
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
                "endpoint": self.endpoint,
                "kubernetesVersion": self.kubernetes_version,
                "kubeconfig": self.kubeconfig,
                "connectCommand": self.connect_command,
                "disksKey": self.disks_key,
                "nodeServiceAccount": self.node_service_account,
                "workloadPool": self.workload_pool,
            }
        )

    def _node_account(
        self, name: str, args: GkeClusterArgs, project: pulumi.Output[str]
    ) -> tuple[gcp.serviceaccount.Account, list[gcp.projects.IAMMember]]:
        """The account of the nodes, and its rights; a node without them does not become ready."""
        child = pulumi.ResourceOptions(parent=self)
        account = gcp.serviceaccount.Account(
            f"{name}-nodes",
            project=project,
            account_id=naming.fit(f"{args['cluster_name']}-nodes", naming.SERVICE_ACCOUNT_LIMIT),
            display_name=f"Nodes of the GKE cluster {args['cluster_name']}",
            opts=child,
        )
        wanted = {"role": NODE_ROLE, "pull-role": PULL_ROLE}
        if args.get("image_streaming", True):
            wanted["stream-role"] = STREAM_ROLE
        roles = [
            gcp.projects.IAMMember(
                f"{name}-nodes-{suffix}", project=project, role=role, member=account.member, opts=child
            )
            for suffix, role in wanted.items()
        ]
        return account, roles


def _metrics(args: GkeClusterArgs) -> list[str]:
    """Never left out: without the list Pulumi sends an empty one, which is no monitoring at all."""
    managed = [DCGM] if args.get("managed_dcgm", True) else []
    return [*args.get("metric_types", list(DEFAULT_METRICS)), *managed]
