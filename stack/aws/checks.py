"""Problems and warnings of the config of an environment on Amazon EKS, before anything is created."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from pydantic.alias_generators import to_camel

from components import checks, hardware, pools, prices, renames, reservations, versions
from components.aws import (
    addon,
    addons,
    addresses,
    endpoints,
    existing_network,
    groups,
    node_prices,
    roles,
    served_pools,
    system_pods,
    team_access,
    team_identity,
)
from components.aws import buckets as aws_buckets
from components.aws import cluster as aws_cluster
from components.aws import lustre as aws_lustre
from components.aws import network as aws_network
from components.aws import pool_checks as aws_pools
from components.aws import tags as aws_tags
from components.charts import images, source
from components.checks import Problem
from components.sharing import team_members
from components.versions import Chart

from .. import platforms, sharing, teams
from ..environment import Environment
from . import args, config
from . import roles as aws_roles

# Fields that are up to the owner of an existing VPC.
_OWNERS = ("cidr", "nat", "pods_cidr", "interface_endpoints", "flow_log_days")


def network_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `network`, and whether the pools fit into it."""
    network = environment.config.network
    if network.existing is not None:
        for field in _OWNERS:
            if field in network.written:
                yield Problem(
                    field, getattr(network, field), "is up to the owner of the VPC in `existing`", "nothing",
                    "remove it, or remove `existing`",
                )  # fmt: skip
        given = args.existing_network(environment, network.existing)
        yield from aws_network.zone_problems(network.zones, environment.region)
        found = [*existing_network.zone_problems(given, network.zones, "zones"), *existing_network.id_problems(given)]
        yield from (problem.under("existing") for problem in found)
        return
    own = args.network(environment)
    wrong = list(aws_network.problems(own, environment.region))
    yield from wrong
    if not wrong:
        found = addresses.valid_pools(environment.node_pools, network.zones)
        needed = endpoints.count(network.interface_endpoints)
        yield from addresses.problems(network.cidr, network.pods_cidr, network.zones, found, needed)


def cluster_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `cluster`."""
    for problem in aws_cluster.problems(args.cluster(environment)):
        # The file has the cluster's name under `cluster.name`.
        yield replace(problem, path="name") if problem.path == "cluster_name" else problem
    asked, version = environment.config.cluster.addon_versions, environment.kubernetes_version
    yield from addon.versions_problems("addon_versions", asked, version)
    network, own = environment.config.network, environment.config.cluster.service_cidr
    if own is not None:
        others = {} if network.existing else {"network.cidr": network.cidr, "network.podsCidr": network.pods_cidr or ""}
        yield from checks.disjoint({**others, "service_cidr": own})
    yield from (p.under("iam") for p in aws_roles.problems(environment.config.cluster.iam))
    yield from (p.under("iam.roles") for p in _role_problems(environment))


def _role_problems(environment: Environment) -> Iterator[Problem]:
    """Existing roles: invalid ARNs, roles without a use, and policies that the stack does not attach to them."""
    config, given = environment.config, roles.by_field(args.roles(environment))
    yield from roles.problems(args.roles(environment))
    taken = {
        "flow_log": (config.network.existing is None and config.network.flow_log_days > 0, "network.flowLogDays is 0"),
        "fsx_csi": (config.storage.lustre is not None, "there is no storage.lustre"),
        "s3_csi": (bool(config.storage.buckets), "there are no storage.buckets"),
        **{
            row.permissions.role: (row.is_on(args.addons(environment)), f"addons.{to_camel(row.toggle)} is false")
            for row in addons.ADDONS
            if row.permissions and row.permissions.role
        },
    }
    for who, (wanted, why) in taken.items():
        if who in given and not wanted:
            yield Problem(who, given[who], f"nothing uses this role: {why}", "roles that the stack uses", "remove it")
    if "nodes" in given and (more := config.cluster.node_policy_arns):
        yield Problem(
            "nodes", given["nodes"], f"no policy is attached to an existing role, but nodePolicyArns is {more}",
            "one of the two", "attach them to that role, and remove nodePolicyArns",
        )  # fmt: skip


def pool_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `nodePools`."""
    zones, version = environment.config.network.zones, environment.kubernetes_version
    # Too many tags are one problem, with the path of the tags: not one more in every pool.
    tags = 0 if any(aws_tags.problems(environment.config.tags)) else len(environment.tags)
    found = [
        problem.under(name)
        for name, pool in environment.node_pools.items()
        for problem in aws_pools.problems(name, pool, zones, version, tags)
    ]
    found += [] if found else aws_pools.fact_problems(environment.node_pools)
    yield from found or system_pods.home_problems(environment.node_pools)
    if not found:
        yield from groups.name_problems(environment.node_pools, zones)
    yield from renames.problems(environment.node_pools)


def storage_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `storage`."""
    if lustre := args.lustre(environment):
        yield from (p.under("lustre") for p in aws_lustre.problems(lustre))
    if buckets := args.buckets(environment):
        yield from aws_buckets.problems(buckets)


def team_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `teams`."""
    yield from teams.problems(environment)
    for name, spec in teams.specs(environment).items():
        yield from (problem.under(f"{name}.members") for problem in team_access.member_problems(spec["members"]))
        if identity := args.team_identity(environment, name):
            for problem in team_identity.problems(identity):
                if problem.path.startswith("policy_arns"):
                    yield problem.under(f"{name}.role")


def tag_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `tags`."""
    yield from aws_tags.problems(environment.config.tags)


def addon_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `addons`, and conflicts between the add-ons and the pools."""
    yield from (problem.under("addons") for problem in addons.problems(args.addons(environment)))
    yield from (problem.under("addons") for problem in _stalled_problems(environment))
    shared = addons.sharing_problems(environment.node_pools, args.addons(environment))
    yield from (problem.under("nodePools") for problem in shared)
    if not served_pools.without_gpus(environment.node_pools):
        waiting = [row.name for row in _installed(environment) if row.pools == addons.CPU_POOLS]
        yield Problem(
            "nodePools", list(environment.node_pools),
            f"has no pool without GPUs: {', '.join(waiting)} have no node to run on",
            "at least one pool of CPU machines with min of 1 or more", "add a pool such as cpu-workers (m5.2xlarge)",
        )  # fmt: skip
    yield from sharing.problems(environment)


def _stalled_problems(environment: Environment) -> Iterator[Problem]:
    """A restart of stalled jobs that could not know of any, or has no namespace to act in."""
    chosen = environment.config.addons.stalled_jobs
    yield from checks.one_of("stalled_jobs", chosen, config.STALLED_JOBS)
    if chosen not in config.STALLED_JOBS or chosen == config.LEAVE:
        return
    installed = [row.name for row in _installed(environment)]
    missing = [name for name in ("monitoring", "dcgm-exporter", "alerts") if name not in installed]
    if missing:
        yield Problem(
            "stalled_jobs", chosen, f"nothing finds stalled jobs without {', '.join(missing)}",
            "a pool with GPUs, and addons.monitoring, addons.dcgmExporter and addons.alerts", "add them, or remove it",
        )  # fmt: skip
    elif not environment.config.teams:
        yield Problem(
            "stalled_jobs", chosen, "jobs are restarted in the namespaces of teams, and there is no team",
            "together with `teams`", "add a team, or remove it",
        )  # fmt: skip


def platform_problems(environment: Environment) -> Iterator[Problem]:
    """Conflicts of the platforms with the pools."""
    yield from platforms.problems(environment)


def _installed(environment: Environment) -> list[addons.Addon]:
    return addons.installed(environment.node_pools, args.addons(environment))


def charts(environment: Environment) -> list[Chart]:
    """The charts that the stack installs."""
    own = [row.chart for row in _installed(environment) if row.chart]
    return [*own, *sharing.charts(environment), *platforms.charts(environment)]


def chart_problems(environment: Environment, charts: list[Chart] | None) -> Iterator[Problem]:
    """What is wrong with `charts` in the config. `charts`: those that the stack installs; None if that is not known."""
    known = versions.CHARTS if charts is None else charts
    yield from source.problems(args.charts(environment), charts or [], known)


def image_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `images`, and whether nodes in a network without NAT can pull images."""
    given, network = args.images(environment), environment.config.network
    wrong = list(images.problems(given))
    yield from wrong
    if wrong:
        return
    pulled = charts(environment)
    minor = versions.CLUSTER_AUTOSCALER_IMAGE.get(environment.kubernetes_version, "")
    yield from images.digest_problems(given, images.references(pulled, {versions.CLUSTER_AUTOSCALER: minor}))
    closed = network.existing is None and network.nat == "none"
    if closed and pulled and not environment.config.images.registry:
        hosts = sorted({images.split(image.name)[0] for chart in pulled for image in chart.images})
        yield Problem(
            "registry", None, f"missing: without NAT, nodes cannot reach {', '.join(hosts)}",
            "a registry inside the network, such as 111122223333.dkr.ecr.us-east-1.amazonaws.com",
            "add it (docs/air-gapped.md lists what it must have), or give the network a NAT",
        )  # fmt: skip
    elif closed and (why := images.out_of_reach(environment.config.images.registry, environment.region)):
        yield Problem(
            "registry", environment.config.images.registry, why, f"a registry of {environment.region}, or your own",
            "replicate its images, or give the network a NAT",
        )  # fmt: skip


def warnings(environment: Environment, today: date) -> Iterator[str]:
    """Settings that work on EKS but may not be intended."""
    yield from (f"cluster.{each}" for each in aws_cluster.warnings(args.cluster(environment), today))
    old = aws_pools.warnings(environment.node_pools, environment.kubernetes_version, today)
    yield from (f"nodePools.{each}" for each in old)
    specs, zones = environment.node_pools, environment.config.network.zones
    yield from (f"nodePools.{each}" for each in reservations.warnings(specs, today))
    if environment.config.addons.alerts:
        used = [each.price for each in node_prices.of_rungs(environment.region, specs)]
        yield from filter(None, [prices.age_warning(used, today)])
    yield from (f"nodePools.{each}" for each in groups.warnings(specs, zones))
    yield from (f"nodePools: {each}" for each in groups.quota_warnings(specs, zones))
    if lustre := args.lustre(environment):
        yield from (f"storage.lustre.{each}" for each in aws_lustre.warnings(lustre))
    if buckets := args.buckets(environment):
        yield from (f"storage.{each}" for each in aws_buckets.warnings(buckets))
    yield from sharing.warnings(environment)
    yield from teams.warnings(environment, pools.resolve_all(hardware.AWS, environment.node_pools))
    yield from _idle_addon_warnings(environment)
    yield from _administrator_warnings(environment)


def _idle_addon_warnings(environment: Environment) -> Iterator[str]:
    """Add-ons that the file switches on, and that are not installed without another one."""
    section, names = environment.config.addons, [row.name for row in _installed(environment)]
    wanted = {row.toggle: row.requires for row in addons.ADDONS if row.name not in names} | {"grafana": ("monitoring",)}
    for field, requires in wanted.items():
        missing = [each for each in requires if each not in names]
        if section.written.get(field) is True and missing:
            yield f"addons.{field}: has no effect: {', '.join(missing)} is not installed"


def _administrator_warnings(environment: Environment) -> Iterator[str]:
    """Members of teams that may do everything in the cluster anyway."""
    administrators = {
        entry.principal_arn: who
        for who, entry in environment.config.cluster.access.items()
        if entry.level == "admin" and not entry.namespaces
    }
    for name, members in teams.members(environment).items():
        for path, arn in team_members.paths(members):
            if arn in administrators:
                yield (
                    f"teams.{name}.members.{path}: cluster.access.{administrators[arn]} makes it an administrator of "
                    "the whole cluster; the team's levels do not limit it"
                )
