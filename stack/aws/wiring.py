"""The environment on Amazon EKS: how the library's components are wired, in the order of `__main__.py`."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import pulumi

from components.aws import addons as addon_table
from components.aws import buckets as aws_buckets
from components.aws import cluster as aws_cluster
from components.aws import creator, offerings, roles, served_pools, tagged_groups, team_access
from components.aws import lustre as aws_lustre
from components.aws import network as aws_network
from components.aws import storage as aws_storage
from components.aws.buckets import S3Buckets, S3BucketsArgs
from components.aws.cluster import EksCluster, EksClusterArgs
from components.aws.existing_network import AwsExistingNetwork
from components.aws.installation import install_addons
from components.aws.lustre import FsxLustre, FsxLustreArgs
from components.aws.network import AwsNetwork
from components.aws.node_pool import EksNodePool
from components.aws.storage import AwsStorage, AwsStorageArgs
from components.aws.team_access import EksTeamAccess, EksTeamAccessArgs
from components.aws.team_identity import EksTeamIdentity, EksTeamIdentityArgs
from components.cleanup.component import ClusterCleanup
from components.monitoring.prometheus import PROMETHEUS_OPERATOR
from components.monitoring.stalled_jobs import StalledJobs
from components.sharing.hold import PoolHold
from components.sharing.team import Team, TeamArgs

from .. import monitoring as stack_monitoring
from .. import platforms as stack_platforms
from .. import providers as stack_providers
from .. import teams as stack_teams
from ..environment import Environment
from ..monitoring import Prometheus
from ..sharing import Queued
from ..teams import Teams
from . import args
from . import checks as aws_checks
from . import roles as aws_roles

Providers = list[pulumi.ProviderResource]
Network = AwsNetwork | AwsExistingNetwork


@dataclass(frozen=True)
class Storage:
    """The storage classes, and the components whose drivers provide volumes (`drivers`, which includes `classes`)."""

    classes: AwsStorage
    drivers: list[pulumi.Resource]

    @property
    def storage_class_names(self) -> pulumi.Output[list[str]]:
        """Names of the storage classes, the default one first."""
        return self.classes.storage_class_names


@dataclass(frozen=True)
class Addons:
    """What is installed in the cluster. `releases`: chart → name of its Helm release. `dns`: the add-on with which pods
    find AWS. `platforms`: by their keys in the file. `prometheus`: that of the cluster."""

    releases: dict[str, pulumi.Output[str]]
    dns: pulumi.Resource
    platforms: Mapping[str, pulumi.Resource]
    prometheus: Prometheus


def providers(environment: Environment) -> Providers:
    """The cloud's providers. Also sets the path and the boundary of every role."""
    aws_roles.shape(environment.config.cluster.iam)
    return stack_providers.aws(environment)


def preflight(environment: Environment, providers: Providers) -> None:
    """Asks AWS about mistakes that would otherwise fail twenty minutes into an `up`: zones that cannot have the control
    plane or do not offer the machine types, an entry of `access` for the identity that creates the cluster, tags of the
    pools' security groups, and existing roles without the trust and the policies that they need.

    Raises:
        pulumi.RunError: one error that lists every zone, pool, entry and role that cannot work.
    """
    specs, zones = environment.node_pools, environment.config.network.zones
    found = [p.under("network") for p in offerings.zone_problems(zones, offerings.zone_ids(providers[0]))]
    if not found:  # otherwise the call to EC2 would name zones that do not exist
        offered = offerings.look_up(specs, providers[0])
        found = [p.under("nodePools") for p in offerings.problems(specs, zones, offered)]
    found += creator.problems(args.principals(environment), environment.cluster_name, providers[0])
    tagged = tagged_groups.problems(specs, environment.cluster_name, providers[0])
    found += [p.under("nodePools") for p in tagged]
    wrong_roles = roles.look_up(args.roles(environment), addon_table.needs(), providers[0])
    found += [p.under("cluster.iam.roles") for p in wrong_roles]
    environment.refuse(found)


def network(environment: Environment, providers: Providers) -> Network:
    """VPC, subnets and NAT, or the existing VPC."""
    options, existing = pulumi.ResourceOptions(providers=providers), environment.config.network.existing
    if existing is not None:
        outside = bool(aws_checks.charts(environment)) and not environment.config.images.registry
        given = args.existing_network(environment, existing)
        return AwsExistingNetwork("network", {**given, "needs_internet": outside}, options)
    roles = args.roles(environment, aws_network.ROLES)
    return AwsNetwork("network", {**args.network(environment), "roles": roles}, options)


def cluster(environment: Environment, providers: Providers, network: Network) -> EksCluster:
    """The control plane, and what nodes need to join it."""
    given: EksClusterArgs = {
        **args.cluster(environment),
        "addon_versions": args.addon_versions(environment, aws_cluster.ADDONS),
        "roles": args.roles(environment, aws_cluster.ROLES),
        "tags": environment.tags,
        "network_id": network.network_id,
        # A control plane cannot change its zones (containers-roadmap#2330). It is in the first two, the fewest that EKS
        # accepts, so that a zone can be added to the network later. Nodes and load balancers are in all zones.
        "private_subnet_ids": _first(network.subnet_ids),
        "public_subnet_ids": _first(network.load_balancer_subnet_ids),
    }
    given["access"] = args.access(environment)
    named = environment.config.cluster
    if "private_access_cidrs" not in named.written and not named.public_access_cidrs:
        # Otherwise only nodes could reach the API: they alone are in the security group of the control plane.
        given["private_access_cidrs"] = [network.cidr]
    # The cluster's load balancers are in the subnets of all zones, so the subnets are deleted after the cluster.
    options = pulumi.ResourceOptions(providers=providers, depends_on=network.subnets)
    return EksCluster("cluster", given, options)


def _first(subnet_ids: dict[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    """The subnets of the control plane."""
    return dict(list(subnet_ids.items())[: offerings.CONTROL_PLANE_ZONES])


def node_pools(
    environment: Environment,
    providers: Providers,
    network: Network,
    cluster: EksCluster,
    holds: Mapping[str, PoolHold],
) -> dict[str, EksNodePool]:
    """One component per pool of the config, by name."""
    return {
        name: EksNodePool(
            name,
            {
                "pool": spec,
                "cluster": cluster.cluster_name,
                "subnet_ids": network.subnet_ids,
                "kubernetes_version": environment.kubernetes_version,
                "node_role_arn": cluster.node_role_arn,
                "network_id": network.network_id,
                "security_group_id": cluster.security_group_id,
                "endpoint": cluster.endpoint,
                "certificate_authority": cluster.certificate_authority,
                "service_cidr": cluster.service_cidr,
                # The provider's default tags reach the node group, but not what EC2 and the drivers create.
                "tags": environment.tags,
                "sizes": dict(environment.sizes),
            },
            # As long as a node exists, it needs its route to the internet, its role's permissions and its CNI.
            pulumi.ResourceOptions(providers=providers, depends_on=[network, cluster, *_hold(holds, name)]),
        )
        for name, spec in environment.node_pools.items()
    }


def storage(
    environment: Environment,
    providers: Providers,
    network: Network,
    cluster: EksCluster,
    node_pools: dict[str, EksNodePool],
) -> Storage:
    """Drivers, file systems, storage classes and volumes."""
    name = {"cluster": cluster.cluster_name}
    places = {
        **name,
        "network_id": network.network_id,
        "subnet_ids": network.subnet_ids,
        "security_group_id": cluster.security_group_id,
        "tags": environment.tags,
    }
    # The drivers' controllers run on nodes.
    after = pulumi.ResourceOptions(providers=providers, depends_on=_without_gpus(environment, node_pools))
    drivers: list[pulumi.Resource] = []
    if lustre := args.lustre(environment):
        of_lustre = {**lustre, **places, **args.of_addons(environment, aws_lustre.ADDONS)}
        drivers.append(FsxLustre("lustre", cast(FsxLustreArgs, of_lustre), after))
    if buckets := args.buckets(environment):
        of_buckets = {**buckets, **name, **args.of_addons(environment, aws_buckets.ADDONS)}
        drivers.append(S3Buckets("buckets", cast(S3BucketsArgs, of_buckets), after))
    of_classes = {**args.storage(environment), **places, **args.of_addons(environment, aws_storage.ADDONS)}
    classes = AwsStorage("storage", cast(AwsStorageArgs, of_classes), after)
    return Storage(classes, [*drivers, classes])


def addons(
    environment: Environment,
    providers: Providers,
    cluster: EksCluster,
    node_pools: dict[str, EksNodePool],
    storage: Storage,
) -> Addons:
    """Installs the environment's add-ons from the table."""
    installed: Mapping[str, Any] = install_addons(
        {
            "cluster": cluster.cluster_name,
            "region": environment.region,
            "kubernetes_version": environment.kubernetes_version,
            "node_pools": environment.node_pools,
            "spec": args.addons(environment),
            "addon_versions": args.addon_versions(environment, addon_table.managed(addon_table.ADDONS)),
            "roles": args.roles(environment, addon_table.role_fields(addon_table.ADDONS)),
            "charts": args.charts(environment),
            "images": args.images(environment),
        },
        pulumi.ResourceOptions(providers=providers),
        pools=node_pools,
        storage=storage.classes,
    )
    rows = [row for row in addon_table.ADDONS if row.name in installed]
    releases = {row.chart.name: installed[row.name].release_name for row in rows if row.chart}
    platforms = stack_platforms.install(environment, providers, node_pools)
    operator, prometheus = installed.get("monitoring"), Prometheus()
    if operator is not None:
        prometheus = Prometheus(PROMETHEUS_OPERATOR, [operator], installed.get("alerts"))
    return Addons(releases, installed["coredns"], platforms, prometheus)


def teams(
    environment: Environment, providers: Providers, network: Network, cluster: EksCluster, queued: Queued
) -> Teams:
    """The teams' namespaces, the permissions of their service accounts, and the access of their members."""
    specs, options = stack_teams.specs(environment), pulumi.ResourceOptions(providers=providers)
    if members := stack_teams.members(environment):
        given: EksTeamAccessArgs = {
            "cluster": cluster.cluster_name,
            "teams": members,
            "existing_entries": args.accessed(environment),
            "tags": environment.tags,
        }
        EksTeamAccess("team-access", given, options)
    # The endpoints of the API server: its Service, and its interfaces in the private subnets.
    service = cluster.service_cidr.apply(lambda cidr: f"{ipaddress.IPv4Network(cidr)[1]}/32")
    endpoints = pulumi.Output.all(service, network.cidr)
    made, identities = {}, {}
    for name, spec in specs.items():
        own = {**stack_teams.args(environment, name, spec), "api_server_cidrs": endpoints}
        own |= {"queue": queue} if (queue := queued.names.get(name)) else {}
        own["members"] = team_access.rbac_members(name, spec["members"])
        made[name] = Team(name, cast(TeamArgs, own), options)
        if identity := args.team_identity(environment, name):
            place = {"cluster": cluster.cluster_name, "tags": environment.tags}
            identities[name] = EksTeamIdentity(name, cast(EksTeamIdentityArgs, {**identity, **place}), options).identity
    return Teams(made, stack_teams.outputs(made, identities, cluster.connect_command))


def watch(environment: Environment, providers: Providers, addons: Addons, queued: Queued, teams: Teams) -> None:
    """Metrics of the controllers, and the restart of teams' stalled jobs."""
    stack_monitoring.scrape(providers, addons.prometheus, queued, addons.platforms)
    if (stalled := args.stalled_jobs(environment)) and addons.prometheus.alerts:
        after = [addons.prometheus.alerts, *teams.made.values()]
        StalledJobs("stalled-jobs", stalled, pulumi.ResourceOptions(providers=providers, depends_on=after))


def cleanup(
    environment: Environment,
    python: pulumi.ProviderResource,
    cluster: EksCluster,
    node_pools: dict[str, EksNodePool],
    storage: Storage,
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
        },
        pulumi.ResourceOptions(
            providers=[python],
            # These must still run during the cleanup: nodes, the drivers that detach and delete volumes, and the DNS
            # with which the drivers find AWS; controllers, which remove finalizers of their objects. The control plane
            # itself deletes load balancers. Teams' namespaces are deleted after that: with volumes in them, their
            # deletion would wait for the drivers.
            depends_on=[
                *node_pools.values(),
                *storage.drivers,
                addons.dns,
                *addons.platforms.values(),
                *teams.made.values(),
            ],
        ),
    )


def _without_gpus(environment: Environment, node_pools: dict[str, EksNodePool]) -> list[EksNodePool]:
    return [node_pools[name] for name in served_pools.without_gpus(environment.node_pools)]


def _hold(holds: Mapping[str, PoolHold], pool: str) -> list[PoolHold]:
    """What happens before the nodes of a pool are replaced."""
    return [holds[pool]] if pool in holds else []
