"""The environment on Google GKE: how the library's components are wired, in the order of `__main__.py`."""

from collections.abc import Iterator
from datetime import date
from typing import cast

import pulumi

from components import checks, hardware, pools
from components.checks import Problem
from components.gcp import cluster as gcp_cluster
from components.gcp import network as gcp_network
from components.gcp import services
from components.gcp.cluster import GkeCluster, GkeClusterArgs
from components.gcp.network import GcpNetwork, GcpNetworkArgs
from components.gcp.node_pool import GkeNodePool
from components.gcp.storage import FILESTORE_TIER, FILESTORE_TIERS, GcpStorage
from components.versions import Chart

from . import providers as stack_providers
from .environment import Environment as AnyEnvironment
from .gcp_config import GcpConfig

Environment = AnyEnvironment[GcpConfig]
Providers = list[pulumi.ProviderResource]


def _network_args(environment: Environment) -> GcpNetworkArgs:
    network = environment.config.network
    args = {
        "region": environment.region,
        "cidr": network.cidr,
        "zones": network.zones,
        "nat": network.nat,
        "pods_cidr": network.pods_cidr,
        "services_cidr": network.services_cidr,
    }
    return cast(GcpNetworkArgs, {key: value for key, value in args.items() if value is not None})


def _cluster_args(environment: Environment) -> GkeClusterArgs:
    cluster = environment.config.cluster
    args = {
        "cluster_name": environment.cluster_name,
        "version": environment.kubernetes_version,
        "project": environment.project,
        "location": environment.region,
        "zones": environment.config.network.zones,
        "public_access_cidrs": cluster.public_access_cidrs,
        "release_channel": cluster.release_channel,
        "deletion_protection": environment.config.deletion_protection,
    }
    return cast(GkeClusterArgs, {key: value for key, value in args.items() if value is not None})


def network_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `network`."""
    yield from gcp_network.problems(_network_args(environment))


def cluster_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `cluster`."""
    yield from gcp_cluster.problems(_cluster_args(environment))


def pool_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `nodePools`."""
    zones = environment.config.network.zones
    for name, pool in environment.node_pools.items():
        yield from (p.under(name) for p in pools.problems(hardware.GCP, name, pool, zones))


def storage_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `storage`."""
    tier = environment.config.storage.filestore_tier
    if tier:
        yield from checks.one_of("filestore_tier", tier, FILESTORE_TIERS)


def addon_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong between the add-ons and the rest."""
    resolved = pools.resolve_all(hardware.GCP, environment.node_pools)
    if all(pool.gpus for pool in resolved.values()):
        yield Problem(
            "nodePools", list(resolved), "no pool without GPUs: GKE's system pods find no node to run on",
            "at least one pool of CPU machines with min of 1 or more", "add a pool such as cpu-workers (n2-standard-8)",
        )  # fmt: skip


def charts(environment: Environment) -> list[Chart]:
    """None: the device plugin, the autoscaler, Prometheus and DCGM are GKE's own."""
    return []


def warnings(environment: Environment, today: date) -> Iterator[str]:
    """None: release channels upgrade by themselves, and Google announces it."""
    yield from ()


def providers(environment: Environment) -> Providers:
    """The cloud's provider."""
    return stack_providers.gcp(environment)


def preflight(environment: Environment, providers: Providers) -> None:
    """Nothing is asked of Google Cloud beforehand."""


def network(environment: Environment, providers: Providers) -> GcpNetwork:
    """The project's APIs, VPC, subnetwork, NAT."""
    enabled = services.GcpServices(
        "services", {"services": list(services.REQUIRED)}, pulumi.ResourceOptions(providers=providers)
    )
    return GcpNetwork(
        "network", _network_args(environment), pulumi.ResourceOptions(providers=providers, depends_on=[enabled])
    )


def cluster(environment: Environment, providers: Providers, network: GcpNetwork) -> GkeCluster:
    """Control plane and the account of its nodes."""
    args: GkeClusterArgs = {
        **_cluster_args(environment),
        "network_id": network.network_id,
        "subnetwork_id": network.subnetwork_id,
        "tags": environment.tags,
    }
    return GkeCluster("cluster", args, pulumi.ResourceOptions(providers=providers))


def node_pools(
    environment: Environment, providers: Providers, network: GcpNetwork, cluster: GkeCluster
) -> dict[str, GkeNodePool]:
    """One component per pool of the config, by name; those with GPUs after those without."""
    resolved = pools.resolve_all(hardware.GCP, environment.node_pools)
    made: dict[str, GkeNodePool] = {}
    for name in sorted(environment.node_pools, key=lambda name: bool(resolved[name].gpus)):
        # GKE taints a GPU pool by itself only when another pool exists. Every node needs the network's way out.
        first = [made[other] for other in made if not resolved[other].gpus] if resolved[name].gpus else []
        made[name] = GkeNodePool(
            name,
            {
                "pool": environment.node_pools[name],
                "zones": environment.config.network.zones,
                "location": environment.region,
                "cluster": cluster.cluster_name,
                "node_service_account": cluster.node_service_account,
                "tags": environment.tags,
            },
            pulumi.ResourceOptions(providers=providers, depends_on=[network, *first]),
        )
    return {name: made[name] for name in environment.node_pools}


def storage(
    environment: Environment,
    providers: Providers,
    network: GcpNetwork,
    cluster: GkeCluster,
    node_pools: dict[str, GkeNodePool],
) -> GcpStorage:
    """Storage classes; GKE runs the drivers, so no pool is waited for."""
    return GcpStorage(
        "storage",
        {
            "network_id": network.network_id,
            "filestore_tier": environment.config.storage.filestore_tier or FILESTORE_TIER,
        },
        pulumi.ResourceOptions(providers=providers),
    )


def addons(
    environment: Environment,
    providers: Providers,
    cluster: GkeCluster,
    node_pools: dict[str, GkeNodePool],
    storage: GcpStorage,
) -> dict[str, pulumi.Output[str]]:
    """None to install; see `charts`."""
    return {}
