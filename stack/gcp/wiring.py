"""The environment on GKE: how the library's components are wired, in the order of `__main__.py`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import pulumi

from components import hardware, pools
from components.cleanup.component import ClusterCleanup
from components.gcp import offerings, services
from components.gcp.buckets import GcsBuckets
from components.gcp.cluster import GkeCluster, GkeClusterArgs
from components.gcp.compute_class import GkeComputeClass
from components.gcp.dashboards import GkeDashboards
from components.gcp.existing_network import GcpExistingNetwork
from components.gcp.filestore import Filestore, FilestoreArgs
from components.gcp.identity import WorkloadIdentity, WorkloadIdentityArgs
from components.gcp.network import GcpNetwork
from components.gcp.node_pool import GkeNodePool
from components.gcp.storage import FILESTORE_DRIVER, GcpStorage, GcpStorageArgs
from components.gcp.team_access import GkeTeamAccess, GkeTeamAccessArgs
from components.gcp.team_identity import GkeTeamIdentity, GkeTeamIdentityArgs
from components.monitoring.alerts import Alerts
from components.monitoring.prometheus import MANAGED_PROMETHEUS
from components.monitoring.state_metrics import StateMetrics
from components.sharing.hold import PoolHold
from components.sharing.team import Team

from .. import monitoring as stack_monitoring
from .. import platforms as stack_platforms
from .. import providers as stack_providers
from .. import teams as stack_teams
from ..environment import Environment
from ..monitoring import Prometheus
from ..sharing import Queued
from ..teams import Teams
from . import args

Providers = list[pulumi.ProviderResource]
Network = GcpNetwork | GcpExistingNetwork


@dataclass(frozen=True)
class Addons:
    """What is installed in the cluster. `releases`: chart → name of its Helm release; none, see `checks.charts`.
    `platforms`: by their keys in the file. `prometheus`: that of the cluster."""

    releases: dict[str, pulumi.Output[str]]
    platforms: Mapping[str, pulumi.Resource]
    prometheus: Prometheus


def providers(environment: Environment) -> Providers:
    """The cloud's provider."""
    return stack_providers.gcp(environment)


def preflight(environment: Environment, providers: Providers) -> None:
    """Asks Google about mistakes that would otherwise fail twenty minutes into an `up`: zones that do not offer the
    machine types, and Kubernetes versions that the location does not offer.

    Raises:
        pulumi.RunError: one error that lists every pool that cannot get a node, and a version that is not offered yet.
    """
    specs, zones, location = environment.node_pools, environment.config.network.zones, args.location(environment)
    try:
        found = offerings.look_up(specs, zones, location, environment.project, providers[0])
    except offerings.NotEnabled:
        pulumi.log.warn(
            f"Google's APIs are not enabled in {environment.project} yet, so machine types and version could not be "
            "checked; the first `pulumi up` enables them"
        )
        unsure = [*offerings.unasked_problems(specs, zones), *offerings.attached_problems(specs, zones)]
        environment.refuse(problem.under("nodePools") for problem in unsure)
        return
    version = environment.kubernetes_version
    channel = environment.config.cluster.release_channel
    for warning in offerings.warnings(version, location, found):
        pulumi.log.warn(f"cluster.{warning}")
    wrong = [problem.under("network") for problem in offerings.zone_problems(zones, found)]
    wrong += [problem.under("nodePools") for problem in offerings.problems(specs, zones, found)]
    wrong += [problem.under("nodePools") for problem in offerings.attached_problems(specs, zones)]
    wrong += [p.under("cluster") for p in offerings.version_problems(version, channel, location, found)]
    environment.refuse(wrong)


def network(environment: Environment, providers: Providers) -> Network:
    """The project's APIs, and a new VPC with subnetwork and NAT, or the existing VPC."""
    cluster = environment.config.cluster
    wanted = {
        services.KEYS: cluster.secrets_key or cluster.disks_key,
        services.DNS: cluster.dns == "cloud_dns",
        services.BINARY_AUTHORIZATION: cluster.binary_authorization,
    }
    chosen = [service for service, needed in wanted.items() if needed]
    enabled = services.GcpServices(
        "services", {"services": [*services.REQUIRED, *chosen]}, pulumi.ResourceOptions(providers=providers)
    )
    options = pulumi.ResourceOptions(providers=providers, depends_on=[enabled])
    existing, apis = environment.config.network.existing, enabled.services
    if existing is not None:
        return GcpExistingNetwork(
            "network", {**args.existing_network(environment, existing), "services": apis}, options
        )
    return GcpNetwork("network", {**args.network(environment), "services": apis}, options)


def cluster(environment: Environment, providers: Providers, network: Network) -> GkeCluster:
    """The control plane, and the service account of its nodes."""
    given: GkeClusterArgs = {
        **args.cluster(environment),
        "network_id": network.network_id,
        "subnetwork_id": network.subnetwork_id,
        "pods_range": network.pods_range,
        "services_range": network.services_range,
        **({"further_pods_ranges": network.further_pods_ranges} if args.further_pods_ranges(environment) else {}),
        "services": network.services,
        "tags": environment.tags,
    }
    return GkeCluster("cluster", given, pulumi.ResourceOptions(providers=providers))


def node_pools(
    environment: Environment,
    providers: Providers,
    network: Network,
    cluster: GkeCluster,
    holds: Mapping[str, PoolHold],
) -> dict[str, GkeNodePool]:
    """One component per pool of the config, by name; those with GPUs after those without."""
    resolved = pools.resolve_all(hardware.GCP, environment.node_pools)
    made: dict[str, GkeNodePool] = {}
    for name in sorted(environment.node_pools, key=lambda name: bool(resolved[name].gpus)):
        # GKE taints a GPU pool only if a pool without GPUs exists. Every node needs the network's NAT.
        first = [made[other] for other in made if not resolved[other].gpus] if resolved[name].gpus else []
        made[name] = GkeNodePool(
            name,
            {
                "pool": environment.node_pools[name],
                "zones": environment.config.network.zones,
                "location": cluster.location,
                "cluster": cluster.cluster_name,
                "kubernetes_version": environment.kubernetes_version,
                "node_service_account": cluster.node_service_account,
                "tags": environment.tags,
                **({"disks_key": cluster.disks_key} if environment.config.cluster.disks_key else {}),
            },
            pulumi.ResourceOptions(providers=providers, depends_on=[network, *first, *_hold(holds, name)]),
        )
    return {name: made[name] for name in environment.node_pools}


def storage(
    environment: Environment,
    providers: Providers,
    network: Network,
    cluster: GkeCluster,
    node_pools: dict[str, GkeNodePool],
) -> GcpStorage:
    """Storage classes, file systems and volumes. GKE runs the drivers, so they do not wait for a pool."""
    options = pulumi.ResourceOptions(providers=providers)
    places = {"network_id": network.network_id, "tags": environment.tags}
    if filestore := args.filestore(environment):
        Filestore("filestore", cast(FilestoreArgs, {**filestore, **places}), options)
    if buckets := args.buckets(environment):
        GcsBuckets("buckets", {**buckets, "cluster": cluster.cluster_name}, options)
    given = {**args.storage(environment), **places}
    if environment.config.cluster.disks_key:
        given["disks_key"] = cluster.disks_key
    return GcpStorage("storage", cast(GcpStorageArgs, given), options)


def addons(
    environment: Environment,
    providers: Providers,
    cluster: GkeCluster,
    node_pools: dict[str, GkeNodePool],
    storage: GcpStorage,
) -> Addons:
    """Creates the ComputeClasses, with which the autoscaler orders the rungs of a pool, alert rules and dashboards."""
    for name, pool in node_pools.items():
        if len(environment.config.node_pools[name].capacity) > 1:
            GkeComputeClass(
                name, {"node_pool_names": pool.node_pool_names}, pulumi.ResourceOptions(providers=providers)
            )
    resolved = pools.resolve_all(hardware.GCP, environment.node_pools)
    cpu = [pool for name, pool in node_pools.items() if not resolved[name].gpus]
    prometheus = _monitoring(environment, providers, cpu)
    platforms = stack_platforms.install(environment, providers, node_pools)
    if "keda" in platforms:
        given: WorkloadIdentityArgs = {**args.keda_identity(environment), "cluster": cluster.cluster_name}
        WorkloadIdentity("keda", given, pulumi.ResourceOptions(providers=providers))
    return Addons({}, platforms, prometheus)


def _monitoring(environment: Environment, providers: Providers, cpu: list[GkeNodePool]) -> Prometheus:
    """Metrics of objects, alert rules and dashboards. `cpu`: the pools without GPUs; the operator that checks the rules
    needs a node to run on."""
    options = pulumi.ResourceOptions(providers=providers)
    after = pulumi.ResourceOptions(providers=providers, depends_on=cpu)
    if state_metrics := args.state_metrics(environment):
        StateMetrics("state-metrics", state_metrics, after)
    rules, shown = args.alerts(environment), args.dashboards(environment)
    alerts = Alerts("alerts", rules, after) if rules else None
    if shown:
        GkeDashboards("dashboards", shown, options)
    return Prometheus(MANAGED_PROMETHEUS, cpu, alerts) if rules or shown else Prometheus()


def teams(
    environment: Environment, providers: Providers, network: Network, cluster: GkeCluster, queued: Queued
) -> Teams:
    """The teams' namespaces, the permissions of their service accounts, and the access of their members."""
    specs, options = stack_teams.specs(environment), pulumi.ResourceOptions(providers=providers)
    if members := stack_teams.members(environment):
        given: GkeTeamAccessArgs = {
            "project": environment.project,
            "cluster": cluster.cluster_name,
            "location": cluster.location,
            "teams": members,
        }
        GkeTeamAccess("team-access", given, options)
    made, identities = {}, {}
    for name, spec in specs.items():
        own = stack_teams.args(environment, name, spec)
        if queue := queued.names.get(name):
            own["queue"] = queue
        if spec["network"]["api_server"]:
            endpoint = cluster.resource.private_cluster_config.private_endpoint
            own["api_server_cidrs"] = pulumi.Output.concat(endpoint, "/32").apply(lambda cidr: [cidr])
        made[name] = Team(name, own, options)
        if identity := args.team_identity(environment, name):
            given_identity: GkeTeamIdentityArgs = {**identity, "cluster": cluster.cluster_name}
            identities[name] = GkeTeamIdentity(name, given_identity, options).identity
    return Teams(made, stack_teams.outputs(made, identities, cluster.connect_command))


def watch(environment: Environment, providers: Providers, addons: Addons, queued: Queued, teams: Teams) -> None:
    """Metrics of the controllers."""
    stack_monitoring.scrape(providers, addons.prometheus, queued, addons.platforms)


def cleanup(
    environment: Environment,
    python: pulumi.ProviderResource,
    cluster: GkeCluster,
    node_pools: dict[str, GkeNodePool],
    storage: GcpStorage,
    addons: Addons,
    teams: Teams,
) -> None:
    """Empties the cluster as the first step of a destroy."""
    ClusterCleanup(
        "cleanup",
        {
            "kubeconfig": cluster.kubeconfig,
            "enabled": environment.config.addons.cleanup,
            "deletion_protection": environment.config.deletion_protection,
            # Filestore is peered with the VPC; an existing VPC stays, and its peering with it.
            "network_drivers": [] if environment.config.network.existing else [FILESTORE_DRIVER],
        },
        pulumi.ResourceOptions(
            providers=[python],
            # These must still exist during the cleanup: nodes, which detach volumes, and the network that they need for
            # it; controllers, which remove finalizers of their objects. GKE's control plane runs the drivers and the
            # load balancer controller. Teams' namespaces are deleted after that.
            depends_on=[*node_pools.values(), storage, *addons.platforms.values(), *teams.made.values()],
        ),
    )


def _hold(holds: Mapping[str, PoolHold], pool: str) -> list[PoolHold]:
    """What happens before the nodes of a pool are replaced."""
    return [holds[pool]] if pool in holds else []
