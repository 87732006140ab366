"""The environment on Google GKE: how the library's components are wired, in the order of `__main__.py`."""

from collections.abc import Iterator
from datetime import date
from typing import Any, cast

import pulumi

from components import hardware, pools
from components.checks import Problem
from components.gcp import addresses, existing_network, labels, offerings, services
from components.gcp import buckets as gcp_buckets
from components.gcp import cluster as gcp_cluster
from components.gcp import filestore as gcp_filestore
from components.gcp import network as gcp_network
from components.gcp import pools as gcp_pools
from components.gcp import storage as gcp_storage
from components.gcp.buckets import GcsBuckets, GcsBucketsArgs
from components.gcp.cluster import GkeCluster, GkeClusterArgs
from components.gcp.compute_class import GkeComputeClass
from components.gcp.existing_network import GcpExistingNetwork, GcpExistingNetworkArgs
from components.gcp.filestore import Filestore, FilestoreArgs
from components.gcp.network import GcpNetwork, GcpNetworkArgs
from components.gcp.node_pool import GkeNodePool
from components.gcp.storage import GcpStorage, GcpStorageArgs
from components.versions import Chart

from . import providers as stack_providers
from .environment import Environment as AnyEnvironment
from .gcp_config import ExistingNetwork, GcpConfig

Environment = AnyEnvironment[GcpConfig]
Providers = list[pulumi.ProviderResource]
Network = GcpNetwork | GcpExistingNetwork


# What the owner of an existing VPC has decided.
_OWNERS = ("cidr", "nat", "pods_cidr", "services_cidr", "flow_log_percent")


def _zones(environment: Environment) -> list[str]:
    return environment.config.network.zones


def _location(environment: Environment) -> str:
    """Where the control plane is: the region, or one zone."""
    return environment.config.cluster.location or environment.region


def _pods_per_node(environment: Environment) -> int:
    return environment.config.cluster.pods_per_node or addresses.PODS_PER_NODE


def _given(args: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in args.items() if value is not None}


def _network_args(environment: Environment) -> GcpNetworkArgs:
    network, zones = environment.config.network, _zones(environment)
    args = {
        "region": environment.region,
        "cidr": network.cidr,
        "zones": zones,
        "nat": network.nat,
        "pods_cidr": network.pods_cidr,
        "services_cidr": network.services_cidr,
        "flow_log_percent": network.flow_log_percent,
    }
    if network.pods_cidr is None:
        found = addresses.sound(environment.node_pools, zones)
        args["pods_cidr"] = addresses.default_pods(found, _pods_per_node(environment))
    return cast(GcpNetworkArgs, _given(args))


def _existing_args(environment: Environment, existing: ExistingNetwork) -> GcpExistingNetworkArgs:
    args = {
        **existing.model_dump(),
        "project": environment.project,
        "region": environment.region,
        "zones": _zones(environment),
        "node_pools": environment.node_pools,
        "pods_per_node": _pods_per_node(environment),
    }
    return cast(GcpExistingNetworkArgs, _given(args))


def _shared_vpc(environment: Environment) -> bool:
    existing = environment.config.network.existing
    return existing is not None and existing.host_project not in (None, environment.project)


def _cluster_args(environment: Environment) -> GkeClusterArgs:
    cluster, specs = environment.config.cluster, environment.config.node_pools.values()
    args = {
        "cluster_name": environment.cluster_name,
        "version": environment.kubernetes_version,
        "project": environment.project,
        "location": _location(environment),
        "zones": _zones(environment),
        "pods_per_node": cluster.pods_per_node,
        "public_access_cidrs": cluster.public_access_cidrs,
        "private_access_cidrs": cluster.private_access_cidrs,
        "dns_endpoint": cluster.dns_endpoint,
        "release_channel": cluster.release_channel,
        "maintenance": cluster.maintenance.model_dump(),
        "secrets_key": cluster.secrets_key,
        "log_types": cluster.log_types,
        "metric_types": cluster.metric_types,
        "managed_dcgm": cluster.managed_dcgm,
        "image_streaming": any(pool.image_streaming for pool in specs),
        "multi_networking": any(pool.interconnect for pool in specs),
        "deletion_protection": environment.config.deletion_protection,
    }
    return cast(GkeClusterArgs, _given(args))


def _storage_args(environment: Environment) -> GcpStorageArgs:
    storage = environment.config.storage
    args = {
        "shared_vpc": _shared_vpc(environment),
        "machine_types": [name for pool in environment.config.node_pools.values() for name in pool.machine_types],
        "version": environment.kubernetes_version,
        "filestore_tier": storage.filestore_tier,
        "filestore_multishare": storage.filestore_multishare,
    }
    return cast(GcpStorageArgs, _given(args))


def _filestore_args(environment: Environment) -> FilestoreArgs | None:
    filestore, network = environment.config.storage.filestore, environment.config.network
    if filestore is None:
        return None
    args = {
        **filestore.model_dump(),
        "project": environment.project,
        "region": environment.region,
        "zones": network.zones,
        "shared_vpc": _shared_vpc(environment),
        # Pods mount by their nodes. Of somebody else's VPC the whole may mount.
        "client_cidrs": [network.cidr] if network.existing is None else None,
        "deletion_protection": environment.config.deletion_protection,
    }
    return cast(FilestoreArgs, _given(args))


def _bucket_args(environment: Environment) -> GcsBucketsArgs | None:
    buckets = environment.config.storage.buckets
    args = {"project": environment.project, "buckets": {name: bucket.model_dump() for name, bucket in buckets.items()}}
    return cast(GcsBucketsArgs, args) if buckets else None


def network_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `network`, and whether the pools fit into it."""
    network = environment.config.network
    if network.existing is not None:
        for field in _OWNERS:
            if field in network.model_fields_set:
                yield Problem(
                    field, getattr(network, field), "is up to the owner of the VPC in `existing`", "nothing",
                    "remove it, or remove existing",
                )  # fmt: skip
        for problem in existing_network.problems(_existing_args(environment, network.existing)):
            yield problem if problem.path.startswith("zones") else problem.under("existing")
        return
    args = _network_args(environment)
    wrong = list(gcp_network.problems(args))
    yield from wrong
    if not wrong:
        pods_cidr = args.get("pods_cidr", gcp_network.PODS_CIDR)
        services_cidr = args.get("services_cidr", gcp_network.SERVICES_CIDR)
        found = addresses.sound(environment.node_pools, network.zones)
        yield from addresses.room_problems(args["cidr"], pods_cidr, services_cidr, found, _pods_per_node(environment))


def cluster_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `cluster`."""
    for problem in gcp_cluster.problems(_cluster_args(environment)):
        # The region as the default is right; where zones of another one are the mistake, the network says so.
        if problem.path != "location" or environment.config.cluster.location:
            yield problem


def pool_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `nodePools`."""
    zones, version = environment.config.network.zones, environment.kubernetes_version
    found = [
        problem.under(name)
        for name, pool in environment.node_pools.items()
        for problem in gcp_pools.problems(name, pool, zones, version)
    ]
    yield from found or gcp_pools.home_problems(environment.node_pools)


def storage_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `storage`."""
    yield from gcp_storage.problems(_storage_args(environment))
    if filestore := _filestore_args(environment):
        yield from (p.under("filestore") for p in gcp_filestore.problems(filestore))
    if buckets := _bucket_args(environment):
        yield from gcp_buckets.problems(buckets)


def addon_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong between the add-ons and the rest."""
    yield from labels.problems(environment.tags)
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
    """What works on GKE but is seldom meant. Ends of support are none: release channels upgrade by themselves."""
    if environment.config.network.existing is None:
        yield from (f"network.{said}" for said in gcp_network.warnings(_network_args(environment)))
    yield from (f"cluster.{said}" for said in gcp_cluster.warnings(_cluster_args(environment)))


def providers(environment: Environment) -> Providers:
    """The cloud's provider."""
    return stack_providers.gcp(environment)


def preflight(environment: Environment, providers: Providers) -> None:
    """What only Google knows and what would otherwise fail twenty minutes into an `up`: which zones offer the machine
    types, and which Kubernetes the location has.

    Raises:
        pulumi.RunError: one error that lists every pool that could not get a node, and a version that is not there yet.
    """
    specs, zones, location = environment.node_pools, _zones(environment), _location(environment)
    try:
        found = offerings.look_up(specs, zones, location, environment.project, providers[0])
    except offerings.NotEnabled:
        pulumi.log.warn(
            f"Google's APIs are not switched on in {environment.project} yet, so nobody can say whether it has the "
            "machine types and the version; the first `pulumi up` switches them on"
        )
        return
    version = environment.kubernetes_version
    channel = environment.config.cluster.release_channel or gcp_cluster.DEFAULT_CHANNEL
    for said in offerings.warnings(version, location, found):
        pulumi.log.warn(f"cluster.{said}")
    wrong = [problem.under("nodePools") for problem in offerings.problems(specs, zones, found)]
    wrong += [p.under("cluster") for p in offerings.version_problems(version, channel, location, found)]
    environment.refuse(wrong)


def network(environment: Environment, providers: Providers) -> Network:
    """The project's APIs; VPC, subnetwork, NAT, or the VPC that is there already."""
    keys = [services.KEYS] if environment.config.cluster.secrets_key else []
    enabled = services.GcpServices(
        "services", {"services": [*services.REQUIRED, *keys]}, pulumi.ResourceOptions(providers=providers)
    )
    options = pulumi.ResourceOptions(providers=providers, depends_on=[enabled])
    existing, on = environment.config.network.existing, enabled.services
    if existing is not None:
        return GcpExistingNetwork("network", {**_existing_args(environment, existing), "services": on}, options)
    return GcpNetwork("network", {**_network_args(environment), "services": on}, options)


def cluster(environment: Environment, providers: Providers, network: Network) -> GkeCluster:
    """Control plane and the account of its nodes."""
    args: GkeClusterArgs = {
        **_cluster_args(environment),
        "network_id": network.network_id,
        "subnetwork_id": network.subnetwork_id,
        "pods_range": network.pods_range,
        "services_range": network.services_range,
        "services": network.services,
        "tags": environment.tags,
    }
    return GkeCluster("cluster", args, pulumi.ResourceOptions(providers=providers))


def node_pools(
    environment: Environment, providers: Providers, network: Network, cluster: GkeCluster
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
                "location": _location(environment),
                "cluster": cluster.cluster_name,
                "kubernetes_version": environment.kubernetes_version,
                "node_service_account": cluster.node_service_account,
                "tags": environment.tags,
            },
            pulumi.ResourceOptions(providers=providers, depends_on=[network, *first]),
        )
    return {name: made[name] for name in environment.node_pools}


def storage(
    environment: Environment,
    providers: Providers,
    network: Network,
    cluster: GkeCluster,
    node_pools: dict[str, GkeNodePool],
) -> GcpStorage:
    """Storage classes, file systems and volumes; GKE runs the drivers, so no pool is waited for."""
    options = pulumi.ResourceOptions(providers=providers)
    places = {"network_id": network.network_id, "tags": environment.tags}
    if filestore := _filestore_args(environment):
        Filestore("filestore", cast(FilestoreArgs, {**filestore, **places}), options)
    if buckets := _bucket_args(environment):
        GcsBuckets("buckets", {**buckets, "cluster": cluster.cluster_name}, options)
    return GcpStorage("storage", {**_storage_args(environment), "network_id": network.network_id}, options)


def addons(
    environment: Environment,
    providers: Providers,
    cluster: GkeCluster,
    node_pools: dict[str, GkeNodePool],
    storage: GcpStorage,
) -> dict[str, pulumi.Output[str]]:
    """No release: see `charts`. The order of each capacity ladder, which the autoscaler reads in the cluster."""
    for name, pool in node_pools.items():
        if len(environment.config.node_pools[name].capacity) > 1:
            GkeComputeClass(
                name, {"node_pool_names": pool.node_pool_names}, pulumi.ResourceOptions(providers=providers)
            )
    return {}
