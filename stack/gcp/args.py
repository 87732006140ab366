"""The config of an environment on Google GKE, as arguments of the library's components."""

from components import hardware, pools
from components.gcp import addresses, node_prices
from components.gcp import network as gcp_network
from components.gcp.buckets import GcsBucketsArgs
from components.gcp.cluster import GkeClusterArgs
from components.gcp.dashboards import GkeDashboardsArgs
from components.gcp.existing_network import GcpExistingNetworkArgs
from components.gcp.filestore import FilestoreArgs
from components.gcp.identity import WorkloadIdentityArgs
from components.gcp.network import GcpNetworkArgs
from components.gcp.storage import GcpStorageArgs
from components.gcp.team_identity import GkeTeamIdentityArgs
from components.monitoring.alerts import AlertsArgs, NodePrice, reservations_of
from components.monitoring.prometheus import MANAGED_PROMETHEUS
from components.monitoring.state_metrics import StateMetricsArgs
from components.platforms import keda

from .. import platforms, teams
from ..deployed import DeployedState
from ..environment import Environment
from ..section import Section, complete


def location(environment: Environment) -> str:
    """Location of the control plane: the region, or one zone."""
    return environment.config.cluster.location or environment.region


def pods_per_node(environment: Environment) -> int:
    """Maximum of pods on a node."""
    return environment.config.cluster.pods_per_node or addresses.PODS_PER_NODE


def network(environment: Environment) -> GcpNetworkArgs:
    """A new network."""
    network = environment.config.network
    args = {
        **network.arguments("existing"),
        "region": environment.region,
        "cidr": network.cidr,
        "deletion_protection": environment.config.deletion_protection,
    }
    # An existing range is kept, even if the default is now another one.
    for field, name in (("pods_cidr", gcp_network.PODS), ("services_cidr", gcp_network.SERVICES)):
        args[field] = args.get(field) or deployed_ranges(environment.deployed).get(name)
    if args["pods_cidr"] is None:
        taken = [network.cidr, args["services_cidr"] or network.services_cidr]
        args["pods_cidr"] = addresses.free_pods(network.pods_cidr, taken)
    return complete(GcpNetworkArgs, args)


def deployed_ranges(deployed: DeployedState) -> dict[str, str]:
    """The secondary ranges of the existing subnetwork, by name."""
    made = deployed.one("gcp:compute/subnetwork:Subnetwork") or {}
    return {each["rangeName"]: each["ipCidrRange"] for each in made.get("secondaryIpRanges") or []}


def existing_network(environment: Environment, existing: Section) -> GcpExistingNetworkArgs:
    """An existing network."""
    args = {
        **existing.arguments(),
        "project": environment.project,
        "region": environment.region,
        "zones": environment.config.network.zones,
        "node_pools": environment.node_pools,
        "pods_per_node": pods_per_node(environment),
    }
    return complete(GcpExistingNetworkArgs, args)


def further_pods_ranges(environment: Environment) -> list[str]:
    """Names of the network's further ranges for pods."""
    network = environment.config.network
    return list(network.existing.further_pods_ranges if network.existing else network.further_pods_cidrs)


def shared_vpc(environment: Environment) -> bool:
    """Whether the network belongs to another project."""
    existing = environment.config.network.existing
    return existing is not None and existing.host_project not in (None, environment.project)


def cluster(environment: Environment) -> GkeClusterArgs:
    """The control plane."""
    specs = environment.config.node_pools.values()
    args = {
        **environment.config.cluster.arguments("name"),
        "cluster_name": environment.cluster_name,
        "version": environment.kubernetes_version,
        "project": environment.project,
        "location": location(environment),
        "zones": environment.config.network.zones,
        "image_streaming": any(pool.image_streaming for pool in specs),
        "multi_networking": any(pool.interconnect for pool in specs),
        "impersonate_service_account": environment.keys.impersonated or None,
        "deletion_protection": environment.config.deletion_protection,
    }
    return complete(GkeClusterArgs, args)


def gpu_metrics(environment: Environment) -> bool:
    """Whether GKE's DCGM exporter runs on any node."""
    resolved = pools.resolve_all(hardware.GCP, environment.node_pools)
    return environment.config.cluster.managed_dcgm and any(pool.gpus for pool in resolved.values())


def alerts(environment: Environment) -> AlertsArgs | None:
    """The alert rules, if there is anything for them to watch."""
    addons, measured = environment.config.addons, gpu_metrics(environment)
    if not addons.alerts or not (measured or addons.state_metrics):
        return None
    args = {
        "system": MANAGED_PROMETHEUS,
        "gpu_metrics": measured,
        "state_metrics": addons.state_metrics,
        "reservations": reservations_of(environment.node_pools),
        "prices": _prices(environment),
    }
    return complete(AlertsArgs, args)


def _prices(environment: Environment) -> list[NodePrice]:
    return node_prices.of_nodes(environment.region, environment.node_pools)


def dashboards(environment: Environment) -> GkeDashboardsArgs | None:
    """The dashboards, if the file asks for them and GPUs are measured."""
    addons = environment.config.addons
    if not addons.dashboards or not gpu_metrics(environment):
        return None
    costs = addons.alerts and addons.state_metrics and bool(_prices(environment))
    args = {"cluster": environment.cluster_name, "state_metrics": addons.state_metrics, "costs": costs}
    return complete(GkeDashboardsArgs, args)


def state_metrics(environment: Environment) -> StateMetricsArgs | None:
    """The complete kube-state-metrics, if the file asks for it."""
    if not environment.config.addons.state_metrics:
        return None
    charts, images = platforms.sources(environment)
    args = {
        "pools": platforms.cluster(environment),
        "kubernetes_version": environment.kubernetes_version,
        "deletion_protection": environment.config.deletion_protection,
        "charts": charts,
        "images": images,
    }
    return complete(StateMetricsArgs, args)


def keda_identity(environment: Environment) -> WorkloadIdentityArgs:
    """What KEDA may do in the project: ask Google's Prometheus (KEDA, "Prometheus scaler"). Without the name of the
    cluster. The role is granted to the Kubernetes service account itself, as Google documents it for its own rule
    evaluator, which asks the same API ("Managed data collection", attached clusters)."""
    return {
        "project": environment.project,
        "cluster": "",
        "namespace": keda.NAMESPACE,
        "service_account": keda.SERVICE_ACCOUNT,
        "roles": ["roles/monitoring.viewer"],
    }


def storage(environment: Environment) -> GcpStorageArgs:
    """Storage classes."""
    storage, network = environment.config.storage, environment.config.network
    args = {
        "shared_vpc": shared_vpc(environment),
        "machine_types": [name for pool in environment.config.node_pools.values() for name in pool.machine_types],
        "kubernetes_version": environment.kubernetes_version,
        **storage.arguments("filestore", "buckets"),
        # NFS mounts come from the nodes' addresses. In an existing VPC their range is unknown, so all of it may mount.
        "client_cidrs": [network.cidr] if network.existing is None else None,
    }
    return complete(GcpStorageArgs, args)


def team_identity(environment: Environment, name: str) -> GkeTeamIdentityArgs | None:
    """The permissions of a team's service account, if the team has any. Without the name of the cluster."""
    spec = teams.specs(environment)[name]
    role, volumes = spec.get("role", {}), environment.config.storage.buckets
    namespace, account = teams.namespace(name, spec), teams.service_account(name, spec)
    named = {
        each: {"namespace": namespace, **volumes[each].arguments()}
        for each in role.get("buckets", [])
        # The volume itself gives the account the same permissions: to it, or to the whole namespace.
        if each in volumes
        and not (volumes[each].namespace == namespace and volumes[each].service_account in (None, account))
    }
    if not named and not role.get("roles"):
        return None
    args = {
        "project": environment.project,
        "cluster": "",
        "namespace": namespace,
        "service_account": account,
        "buckets": named,
        "roles": role.get("roles", []),
    }
    return complete(GkeTeamIdentityArgs, args)


def filestore(environment: Environment) -> FilestoreArgs | None:
    """The file system for all pods, if the config has one."""
    filestore, network = environment.config.storage.filestore, environment.config.network
    if filestore is None:
        return None
    args = {
        **filestore.arguments(),
        "project": environment.project,
        "region": environment.region,
        "zones": network.zones,
        "shared_vpc": shared_vpc(environment),
        # NFS mounts come from the nodes' addresses. In an existing VPC their range is unknown, so all of it may mount.
        "client_cidrs": [network.cidr] if network.existing is None else None,
        "deletion_protection": environment.config.deletion_protection,
    }
    return complete(FilestoreArgs, args)


def buckets(environment: Environment) -> GcsBucketsArgs | None:
    """Buckets as volumes, if the config has any."""
    buckets = environment.config.storage.buckets
    given = {name: bucket.arguments() for name, bucket in buckets.items()}
    args = {"project": environment.project, "buckets": given}
    return complete(GcsBucketsArgs, args) if buckets else None
