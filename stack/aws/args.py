"""The config of an environment on Amazon EKS, as arguments of the library's components. The wiring adds the outputs of
other components, and the values that are checked once for all components: roles, tags and versions of add-ons."""

from collections.abc import Collection
from typing import Any

from components.aws import drivers, team_access
from components.aws.access import Access
from components.aws.addons import EksAddonsSpec
from components.aws.buckets import S3BucketsArgs
from components.aws.cluster import EksClusterArgs
from components.aws.existing_network import AwsExistingNetworkArgs
from components.aws.lustre import FsxLustreArgs
from components.aws.network import AwsNetworkArgs
from components.aws.roles import Roles
from components.aws.storage import AwsStorageArgs
from components.aws.team_identity import EksTeamIdentityArgs
from components.charts.images import ImagesArgs
from components.charts.source import ChartsArgs
from components.monitoring.stalled_jobs import StalledJobsArgs
from components.sharing import team_members

from .. import platforms, teams
from ..environment import Environment
from ..section import Section, complete
from . import config

# Kubernetes group of an entry of `cluster.access` that is in no team. Nothing is bound to it.
_NO_TEAM = "gpuyard:no-team"


def roles(environment: Environment, used: Collection[str] | None = None) -> Roles:
    """The existing roles that the file names. In the file, empty text stands for a new role. `used`: the fields that a
    component uses; None for all."""
    given = environment.config.cluster.iam.roles.arguments()
    return complete(Roles, {field: arn for field, arn in given.items() if arn and (used is None or field in used)})


def addon_versions(environment: Environment, installs: Collection[str]) -> dict[str, str]:
    """The versions that the file names of the add-ons that a component installs."""
    return {name: version for name, version in environment.config.cluster.addon_versions.items() if name in installs}


def of_addons(environment: Environment, installs: Collection[str]) -> dict[str, Any]:
    """Versions and roles of the add-ons that a component installs."""
    return {
        "addon_versions": addon_versions(environment, installs),
        "roles": roles(environment, drivers.role_fields(installs)),
    }


def network(environment: Environment) -> AwsNetworkArgs:
    """A new network."""
    network = environment.config.network
    args = {
        **network.arguments("existing"),
        "cidr": network.cidr,
        "cluster_name": environment.cluster_name,
        "deletion_protection": environment.config.deletion_protection,
    }
    return complete(AwsNetworkArgs, args)


def existing_network(environment: Environment, existing: Section) -> AwsExistingNetworkArgs:
    """An existing network."""
    zones, subnets = environment.config.network.zones, existing.private_subnet_ids
    # In the order of the zones: the first ones have the control plane.
    ordered = {zone: subnets[zone] for zone in zones if zone in subnets}
    args = {
        "vpc_id": existing.vpc_id,
        "private_subnet_ids": {**ordered, **subnets},
        "public_subnet_ids": existing.public_subnet_ids,
        "cluster_name": environment.cluster_name,
        "node_pools": environment.node_pools,
    }
    return complete(AwsExistingNetworkArgs, args)


def cluster(environment: Environment) -> EksClusterArgs:
    """The control plane."""
    args = {
        **environment.config.cluster.arguments("name", "iam", "addon_versions"),
        "cluster_name": environment.cluster_name,
        "version": environment.kubernetes_version,
        "deletion_protection": environment.config.deletion_protection,
        "profile": environment.keys.profile or None,
        "role_arn": environment.keys.role_arn or None,
    }
    return complete(EksClusterArgs, args)


def access(environment: Environment) -> dict[str, Access]:
    """The entries of `cluster.access`; with teams, each has the groups of the teams of its role or user, because EKS
    accepts one entry for it."""
    entries = {who: complete(Access, entry.arguments()) for who, entry in environment.config.cluster.access.items()}
    if not environment.config.teams:
        return entries
    groups = team_access.kubernetes_groups(teams.members(environment))
    for entry in entries.values():
        # Never an empty list, with which EKS would keep the groups of a former team.
        entry["groups"] = [*entry.get("groups", []), *groups.get(entry["principal_arn"], [_NO_TEAM])]
    return entries


def accessed(environment: Environment) -> list[str]:
    """The roles and users of `cluster.access`."""
    return [entry.principal_arn for entry in environment.config.cluster.access.values()]


def principals(environment: Environment) -> dict[str, str]:
    """Path in the file → ARN of each role and user that gets an access entry."""
    entries, members = environment.config.cluster.access, teams.members(environment)
    found = {f"cluster.access.{who}.principal_arn": entry.principal_arn for who, entry in entries.items()}
    return found | {
        f"teams.{team}.members.{path}": arn for team, each in members.items() for path, arn in team_members.paths(each)
    }


def storage(environment: Environment) -> AwsStorageArgs:
    """Storage classes."""
    args = {
        "kubernetes_version": environment.kubernetes_version,
        # The zones are known before the subnets are.
        "subnet_ids": dict.fromkeys(environment.config.network.zones, ""),
        **environment.config.storage.arguments("lustre", "buckets"),
        "deletion_protection": environment.config.deletion_protection,
    }
    return complete(AwsStorageArgs, args)


def lustre(environment: Environment) -> FsxLustreArgs | None:
    """The Lustre file system, if the file has one."""
    lustre = environment.config.storage.lustre
    return complete(FsxLustreArgs, {**storage(environment), **lustre.arguments()}) if lustre else None


def buckets(environment: Environment) -> S3BucketsArgs | None:
    """Buckets as volumes, if the file has any."""
    buckets = environment.config.storage.buckets
    args = {
        "kubernetes_version": environment.kubernetes_version,
        "region": environment.region,
        "buckets": {name: bucket.arguments() for name, bucket in buckets.items()},
    }
    return complete(S3BucketsArgs, args) if buckets else None


def team_identity(environment: Environment, name: str) -> EksTeamIdentityArgs | None:
    """The role of a team's service account, if the team has one. Without the name of the cluster."""
    spec = teams.specs(environment)[name]
    role = spec.get("role", {})
    if not any(role.values()):
        return None
    volumes = environment.config.storage.buckets
    args = {
        "cluster": "",
        "namespace": teams.namespace(name, spec),
        "service_account": teams.service_account(name, spec),
        "buckets": {each: volumes[each].arguments() for each in role.get("buckets", []) if each in volumes},
        "policy_arns": role.get("policy_arns", []),
    }
    return complete(EksTeamIdentityArgs, args)


def images(environment: Environment) -> ImagesArgs:
    """The source of container images."""
    return complete(ImagesArgs, environment.config.images.arguments())


def charts(environment: Environment) -> ChartsArgs:
    """The source of Helm charts."""
    return complete(ChartsArgs, environment.config.charts.arguments())


def addons(environment: Environment) -> EksAddonsSpec:
    """The add-ons to install."""
    return complete(EksAddonsSpec, environment.config.addons.arguments("cleanup", "stalled_jobs"))


def stalled_jobs(environment: Environment) -> StalledJobsArgs | None:
    """What is done about stalled jobs of teams, if anything is."""
    chosen = environment.config.addons.stalled_jobs
    if chosen == config.LEAVE:
        return None
    specs = teams.specs(environment)
    args = {
        "namespaces": [teams.namespace(name, spec) for name, spec in specs.items()],
        "taint": chosen == config.RESTART_AND_TAINT,
        "pools": platforms.cluster(environment),
        "images": images(environment),
    }
    return complete(StalledJobsArgs, args)
