"""Problems and warnings of the config of an environment on GKE, before anything is created."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from components import hardware, pools, prices, renames, reservations, versions
from components.charts import images
from components.checks import Problem
from components.gcp import addresses, existing_network, labels, node_prices, team_access, team_identity
from components.gcp import buckets as gcp_buckets
from components.gcp import cluster as gcp_cluster
from components.gcp import filestore as gcp_filestore
from components.gcp import network as gcp_network
from components.gcp import pool_checks as gcp_pools
from components.gcp import storage as gcp_storage
from components.sharing import team_members
from components.versions import Chart

from .. import platforms, sharing, teams
from ..environment import Environment
from ..section import Section
from . import args

# Fields that are up to the owner of an existing VPC.
_OWNERS = ("cidr", "nat", "pods_cidr", "services_cidr", "further_pods_cidrs", "flow_log_percent")


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
        for problem in existing_network.problems(args.existing_network(environment, network.existing)):
            # Those are checked as `gcp:project` and `nodePools`.
            if problem.path != "project" and not problem.path.startswith("node_pools."):
                yield problem if problem.path.startswith("zones") else problem.under("existing")
        return
    given = args.network(environment)
    wrong = list(gcp_network.problems(given))
    yield from wrong
    if not wrong:
        pods_cidr, services_cidr = given["pods_cidr"], given["services_cidr"]
        found = addresses.valid_pools(environment.node_pools, network.zones)
        further = given.get("further_pods_cidrs", {})
        yield from addresses.room_problems(
            network.cidr, pods_cidr, services_cidr, found, args.pods_per_node(environment), further
        )


def cluster_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `cluster`."""
    # The default location, the region, is right: wrong zones are a problem of the network, as is their absence.
    elsewhere = ["project", "zones"] if environment.config.cluster.location else ["project", "zones", "location"]
    for problem in gcp_cluster.problems(args.cluster(environment)):
        if problem.path not in elsewhere:
            yield replace(problem, path="name") if problem.path == "cluster_name" else problem


def pool_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `nodePools`."""
    zones, version = environment.config.network.zones, environment.kubernetes_version
    found = [
        problem.under(name)
        for name, pool in environment.node_pools.items()
        for problem in gcp_pools.problems(name, pool, zones, version)
    ]
    found += _range_problems(environment)
    yield from found or gcp_pools.home_problems(environment.node_pools)
    yield from renames.problems(environment.node_pools)


def _range_problems(environment: Environment) -> Iterator[Problem]:
    """Pools that name a range for pods which the network does not have."""
    ranges = args.further_pods_ranges(environment)
    for name, pool in environment.node_pools.items():
        wanted = pool.get("pods_range")
        if wanted and wanted not in ranges:
            yield Problem(
                f"{name}.pods_range", wanted, "not a further range of the network",
                ", ".join(ranges) or "there is none",
                "name one of network.furtherPodsCidrs (in an existing VPC: furtherPodsRanges), or add it there",
            )  # fmt: skip


def storage_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `storage`."""
    for problem in gcp_storage.problems(args.storage(environment)):
        # The pools' machine types and the cluster's version are not keys of `storage`.
        yield replace(problem, path="") if problem.path == "kubernetes_version" else problem
    found = []
    if filestore := args.filestore(environment):
        found += [problem.under("filestore") for problem in gcp_filestore.problems(filestore)]
    if buckets := args.buckets(environment):
        found += gcp_buckets.problems(buckets)
    # The project is a problem of `gcp:project`, and zones are one of the network.
    yield from (problem for problem in found if problem.path not in ("project", "filestore.project", "filestore.zones"))


def team_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `teams`."""
    yield from teams.problems(environment)
    for name, spec in teams.specs(environment).items():
        yield from (problem.under(f"{name}.members") for problem in team_access.member_problems(spec["members"]))
        if identity := args.team_identity(environment, name):
            for problem in team_identity.problems(identity):
                if problem.path.startswith("roles"):
                    yield problem.under(f"{name}.role")
        groups = [path for path, member in team_members.paths(spec["members"]) if member.startswith("group:")]
        if groups and not environment.config.cluster.groups_domain:
            yield Problem(
                f"{name}.members.{groups[0]}", "…", "the cluster does not know Google groups: it has no domain of them",
                "groups together with `cluster.groups_domain`", "add `groups_domain` to the cluster, or name users",
            )  # fmt: skip


def tag_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `tags`, which are labels here."""
    yield from labels.own_problems(environment.config.tags)
    yield from labels.problems(environment.tags)


def addon_problems(environment: Environment) -> Iterator[Problem]:
    """Conflicts of the add-ons with the rest of the config."""
    resolved = pools.resolve_all(hardware.GCP, environment.node_pools)
    if all(pool.gpus for pool in resolved.values()):
        yield Problem(
            "nodePools", list(resolved), "has no pool without GPUs: GKE's system pods find no node to run on",
            "at least one pool of CPU machines with `min` of 1 or more",
            "add a pool such as cpu-workers (n2-standard-8)",
        )  # fmt: skip
    yield from sharing.problems(environment)


def platform_problems(environment: Environment) -> Iterator[Problem]:
    """Conflicts of the platforms with the pools."""
    yield from platforms.problems(environment)


def charts(environment: Environment) -> list[Chart]:
    """Those of the queues, the platforms and kube-state-metrics: GKE runs the device plugin, the autoscaler, Prometheus
    and DCGM."""
    own = [versions.KUBE_STATE_METRICS] if environment.config.addons.state_metrics else []
    return [*own, *sharing.charts(environment), *platforms.charts(environment)]


def chart_problems(environment: Environment, charts: list[Chart] | None) -> Iterator[Problem]:
    """What is wrong with `charts`; without a chart to install, no field has an effect. `charts`: those that the stack
    installs; None if that is not known."""
    if charts is None:
        return
    if charts:
        yield from platforms.chart_problems(environment, charts)
    else:
        yield from _without_effect(
            environment.config.charts, "gpuyard installs no chart on GKE without queues, platforms or stateMetrics"
        )


def image_problems(environment: Environment) -> Iterator[Problem]:
    """What is wrong with `images`; without a chart to install, no field has an effect: GKE installs what runs in the
    cluster."""
    pulled, network = charts(environment), environment.config.network
    if not pulled:
        why = "gpuyard installs nothing on GKE that has an image, without queues, platforms or stateMetrics"
        yield from _without_effect(environment.config.images, why)
        return
    yield from platforms.image_problems(environment, pulled)
    if network.existing is None and network.nat == "none" and not environment.config.images.registry:
        hosts = sorted({images.split(image.name)[0] for chart in pulled for image in chart.images})
        yield Problem(
            "registry", None, f"missing: without NAT, nodes cannot reach {', '.join(hosts)}",
            "a registry of Google's, such as us-central1-docker.pkg.dev/my-project/mirror",
            "add it (docs/air-gapped.md lists what it must have), or give the network a NAT",
        )  # fmt: skip


def _without_effect(section: Section, why: str) -> Iterator[Problem]:
    for name, value in section.written.items():
        yield Problem(name, value, why, "nothing", "remove it")


def warnings(environment: Environment, today: date) -> Iterator[str]:
    """Settings that work on GKE but may not be intended. Support never ends: release channels upgrade automatically."""
    if environment.config.network.existing is None:
        given = args.network(environment)
        yield from (f"network.{each}" for each in gcp_network.warnings(given))
        used, usual = given["pods_cidr"], environment.config.network.pods_cidr
        own = "pods_cidr" not in environment.config.network.written and not args.deployed_ranges(environment.deployed)
        if own and used != usual:
            yield (
                f"network.pods_cidr: {used} is used, because another range overlaps {usual}; write it into the file: "
                "a range in use cannot change"
            )
    for name, bucket in environment.config.storage.buckets.items():
        if not bucket.service_account:
            yield (
                f"storage.buckets.{name}.service_account: all pods of the namespace {bucket.namespace} may use the "
                "bucket, in every cluster of the project; name the service account of those that need it"
            )
    yield from sharing.warnings(environment)
    yield from teams.warnings(environment, pools.resolve_all(hardware.GCP, environment.node_pools))
    yield from _mount_warnings(environment)
    if environment.config.addons.alerts and environment.config.addons.state_metrics:
        used = [each.price for each in node_prices.of_rungs(environment.region, environment.node_pools)]
        yield from filter(None, [prices.age_warning(used, today)])
    yield from (f"nodePools.{each}" for each in reservations.warnings(environment.node_pools, today))
    yield from (f"cluster.{each}" for each in gcp_cluster.warnings(args.cluster(environment), today))
    yield from (
        f"nodePools.{each}" for each in gcp_pools.warnings(environment.node_pools, environment.kubernetes_version)
    )


def _mount_warnings(environment: Environment) -> Iterator[str]:
    """Teams whose pods mount a bucket: Cloud Storage FUSE runs in the pod, behind the team's network policy."""
    volumes = environment.config.storage.buckets
    for name, spec in teams.specs(environment).items():
        mine = [each for each, volume in volumes.items() if volume.namespace == teams.namespace(name, spec)]
        if mine and not spec["network"]["internet"] and not spec["network"].get("egress_cidrs"):
            yield (
                f"teams.{name}.network.internet: pods cannot mount {', '.join(mine)}, because they do not reach Cloud "
                "Storage: set it to `true`, or name the networks of private endpoints in `egress_cidrs`"
            )
