"""What the config of an environment on Amazon EKS says, as the arguments of the library's components."""

from typing import cast

from components.aws.addons import EksAddonsSpec
from components.aws.buckets import S3BucketsArgs
from components.aws.cluster import EksClusterArgs
from components.aws.existing_network import AwsExistingNetworkArgs
from components.aws.lustre import FsxLustreArgs
from components.aws.network import AwsNetworkArgs
from components.aws.roles import Roles
from components.aws.storage import AwsStorageArgs
from components.charts.images import ImagesArgs
from components.charts.source import ChartsArgs

from ..environment import Environment as AnyEnvironment
from .config import AwsConfig, ExistingNetwork

Environment = AnyEnvironment[AwsConfig]


def roles(environment: Environment) -> Roles:
    """The ready-made roles that the file names."""
    return cast(Roles, environment.config.cluster.iam.roles.model_dump(exclude_defaults=True))


def network(environment: Environment) -> AwsNetworkArgs:
    """A network of its own."""
    network = environment.config.network
    args: AwsNetworkArgs = {
        "cidr": network.cidr,
        "zones": network.zones,
        "nat": network.nat,
        "cluster_name": environment.cluster_name,
        "interface_endpoints": network.interface_endpoints,
        "flow_log_days": network.flow_log_days,
        "deletion_protection": environment.config.deletion_protection,
        "roles": roles(environment),
    }
    return args if network.pods_cidr is None else {**args, "pods_cidr": network.pods_cidr}


def existing_network(environment: Environment, existing: ExistingNetwork) -> AwsExistingNetworkArgs:
    """A network that is there already."""
    return {
        "vpc_id": existing.vpc_id,
        "zones": environment.config.network.zones,
        "private_subnet_ids": existing.private_subnet_ids,
        "public_subnet_ids": existing.public_subnet_ids,
        "cluster_name": environment.cluster_name,
        "node_pools": environment.node_pools,
    }


def cluster(environment: Environment) -> EksClusterArgs:
    """The control plane."""
    cluster = environment.config.cluster
    args = {
        "cluster_name": environment.cluster_name,
        "version": environment.kubernetes_version,
        "support": cluster.support,
        "public_access_cidrs": cluster.public_access_cidrs,
        "private_access_cidrs": cluster.private_access_cidrs or [],
        "access": {who: access.model_dump() for who, access in cluster.access.items()},
        "addon_versions": cluster.addon_versions,
        "node_policy_arns": cluster.node_policy_arns,
        **({} if cluster.service_cidr is None else {"service_cidr": cluster.service_cidr}),
        "log_days": cluster.log_days,
        "deletion_protection": environment.config.deletion_protection,
        "profile": environment.keys.profile,
        "role_arn": environment.keys.role_arn,
        **({} if cluster.log_types is None else {"log_types": cluster.log_types}),
    }
    return cast(EksClusterArgs, args)


def storage(environment: Environment) -> AwsStorageArgs:
    """Storage classes."""
    args = {
        "cluster_name": environment.cluster_name,
        "kubernetes_version": environment.kubernetes_version,
        "zones": environment.config.network.zones,
        "addon_versions": environment.config.cluster.addon_versions,
        "backups": environment.config.storage.backups,
        "deletion_protection": environment.config.deletion_protection,
        "roles": roles(environment),
    }
    return cast(AwsStorageArgs, args)


def lustre(environment: Environment) -> FsxLustreArgs | None:
    """The Lustre file system, if one is wanted."""
    lustre = environment.config.storage.lustre
    return cast(FsxLustreArgs, {**storage(environment), **lustre.model_dump()}) if lustre else None


def buckets(environment: Environment) -> S3BucketsArgs | None:
    """Buckets as volumes, if there are any."""
    buckets = environment.config.storage.buckets
    args = {
        "cluster_name": environment.cluster_name,
        "kubernetes_version": environment.kubernetes_version,
        "region": environment.region,
        "buckets": {name: bucket.model_dump() for name, bucket in buckets.items()},
        "addon_versions": environment.config.cluster.addon_versions,
        "roles": roles(environment),
    }
    return cast(S3BucketsArgs, args) if buckets else None


def images(environment: Environment) -> ImagesArgs:
    """Where images come from."""
    return cast(ImagesArgs, environment.config.images.model_dump())


def charts(environment: Environment) -> ChartsArgs:
    """Where charts come from."""
    return cast(ChartsArgs, environment.config.charts.model_dump())


def addons(environment: Environment) -> EksAddonsSpec:
    """Which add-ons are installed."""
    return cast(EksAddonsSpec, environment.config.addons.model_dump())
