"""What a change of the file does to an environment on Google GKE; see `changes.py`.

Sources: GKE's "About flexible Pod CIDR" and "VPC-native clusters" (ranges of pods and services stay), "Manually
upgrading a cluster or node pool" (one minor at a time, no step back; nodes two minors behind at most), ForceNew marks
of terraform-provider-google 8.0.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
import pulumi_gcp as gcp

from components import hardware
from components import pools as common
from components.checks import Problem
from components.gcp.filestore import TIERS, FilestoreArgs
from components.gcp.network import PODS, SERVICES, SERVICES_CIDR

from .. import sizes, steps
from ..changes import IN_PLACE, NEW_POOL, ROLLS, Effect, Group, Rule, refused, removal_problems, removal_words
from ..environment import Environment
from ..living import Living
from . import args

_NETWORK = "gcp:compute/network:Network"
_SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
_CLUSTER = "gcp:container/cluster:Cluster"
_POOL = "gcp:container/nodePool:NodePool"
_FILESTORE = "gcp:filestore/instance:Instance"
_NODES_BEHIND = 2

_PLACE = refused("a cluster stays in the network of its creation")
_DISK = refused("another file system would take its place, without the data")

RULES: dict[str, Rule] = {
    "gpuyard:cloud": refused("an environment stays on its cloud"),
    "gcp:region": refused("an environment stays in its region"),
    "gcp:project": refused("an environment stays in its project"),
    "network.cidr": Rule(Effect.IN_PLACE, "a larger range around the old one; another one is refused"),
    "network.zones": Rule(Effect.IN_PLACE, "one less is refused while a pool has nodes there"),
    "network.nat": Rule(Effect.IN_PLACE, "open connections break"),
    "network.podsCidr": refused("the range of pods can neither move nor grow"),
    "network.servicesCidr": refused("the range of services can neither move nor grow"),
    "network.furtherPodsCidrs": Rule(Effect.IN_PLACE, "more of them; one in use can neither move nor go"),
    "network.flowLogPercent": IN_PLACE,
    "network.existing": _PLACE,
    "network.existing.network": _PLACE,
    "network.existing.subnetwork": _PLACE,
    "network.existing.hostProject": _PLACE,
    "network.existing.podsRange": _PLACE,
    "network.existing.servicesRange": _PLACE,
    "network.existing.furtherPodsRanges": IN_PLACE,
    "network.existing.grant": IN_PLACE,
    "cluster.name": refused("a cluster keeps its name"),
    "cluster.version": Rule(
        Effect.IN_PLACE, "one minor up at a time, never back; the control plane only, nodes follow in a window"
    ),
    "cluster.publicAccessCidrs": IN_PLACE,
    "cluster.location": refused("a control plane stays in its place"),
    "cluster.podsPerNode": refused("it is fixed with the cluster"),
    "cluster.privateAccessCidrs": IN_PLACE,
    "cluster.dnsEndpoint": IN_PLACE,
    "cluster.releaseChannel": IN_PLACE,
    "cluster.maintenance.days": IN_PLACE,
    "cluster.maintenance.start": IN_PLACE,
    "cluster.maintenance.hours": IN_PLACE,
    "cluster.maintenance.hold": IN_PLACE,
    "cluster.maintenance.exclusions.*.first": IN_PLACE,
    "cluster.maintenance.exclusions.*.last": IN_PLACE,
    "cluster.maintenance.exclusions.*.scope": IN_PLACE,
    "cluster.secretsKey": IN_PLACE,
    "cluster.disksKey": NEW_POOL,
    "cluster.autoscalingProfile": IN_PLACE,
    "cluster.gatewayApi": IN_PLACE,
    "cluster.dns": IN_PLACE,
    "cluster.binaryAuthorization": IN_PLACE,
    "cluster.groupsDomain": IN_PLACE,
    "cluster.logTypes": IN_PLACE,
    "cluster.metricTypes": IN_PLACE,
    "cluster.managedDcgm": IN_PLACE,
    "nodePools.*.machineTypes": Rule(
        Effect.ROLLS, "where GPUs or local SSDs differ, a new pool comes first, then the old one goes"
    ),
    "nodePools.*.min": IN_PLACE,
    "nodePools.*.max": Rule(Effect.IN_PLACE, "nodes above it stay until they are idle"),
    "nodePools.*.perZone": IN_PLACE,
    "nodePools.*.labels": IN_PLACE,
    "nodePools.*.taints": IN_PLACE,
    "nodePools.*.capacity": Rule(Effect.IN_PLACE, "a rung more is a pool more; a rung less goes with its nodes"),
    "nodePools.*.zones": Rule(Effect.IN_PLACE, "a zone less takes its nodes away"),
    "nodePools.*.was": Rule(Effect.IN_PLACE, "the pool of that name takes the new one, and keeps its nodes"),
    "nodePools.*.diskGib": ROLLS,
    "nodePools.*.scratch": NEW_POOL,
    "nodePools.*.interconnect": NEW_POOL,
    "nodePools.*.placement": NEW_POOL,
    "nodePools.*.accelerator": NEW_POOL,
    "nodePools.*.accelerator.type": NEW_POOL,
    "nodePools.*.accelerator.count": NEW_POOL,
    "nodePools.*.acceptWithdrawn": IN_PLACE,
    "nodePools.*.diskType": ROLLS,
    "nodePools.*.localSsds": NEW_POOL,
    "nodePools.*.driver": NEW_POOL,
    "nodePools.*.partition": NEW_POOL,
    "nodePools.*.sharing": NEW_POOL,
    "nodePools.*.sharing.strategy": NEW_POOL,
    "nodePools.*.sharing.clients": NEW_POOL,
    "nodePools.*.reservation": NEW_POOL,
    "nodePools.*.reservation.name": NEW_POOL,
    "nodePools.*.reservation.project": NEW_POOL,
    "nodePools.*.reservation.block": NEW_POOL,
    "nodePools.*.reservation.subBlock": NEW_POOL,
    "nodePools.*.podsPerNode": NEW_POOL,
    "nodePools.*.podsRange": NEW_POOL,
    "nodePools.*.sysctls": ROLLS,
    "nodePools.*.hugePages": ROLLS,
    "nodePools.*.hugePages.twoMib": ROLLS,
    "nodePools.*.hugePages.oneGib": ROLLS,
    "nodePools.*.cpuManager": ROLLS,
    "nodePools.*.secondaryBootDisk": NEW_POOL,
    "nodePools.*.secondaryBootDisk.image": NEW_POOL,
    "nodePools.*.secondaryBootDisk.mode": NEW_POOL,
    "nodePools.*.queued": NEW_POOL,
    "nodePools.*.maxRunSeconds": NEW_POOL,
    "nodePools.*.placementPolicy": NEW_POOL,
    "nodePools.*.spotGraceSeconds": ROLLS,
    "nodePools.*.upgrade": IN_PLACE,
    "nodePools.*.upgrade.strategy": IN_PLACE,
    "nodePools.*.upgrade.maxSurge": IN_PLACE,
    "nodePools.*.upgrade.maxUnavailable": IN_PLACE,
    "nodePools.*.upgrade.batchPercentage": IN_PLACE,
    "nodePools.*.upgrade.batchSoakSeconds": IN_PLACE,
    "nodePools.*.upgrade.soakSeconds": IN_PLACE,
    "nodePools.*.nodeRepair": IN_PLACE,
    "nodePools.*.imageStreaming": ROLLS,
    "storage.filestoreTier": IN_PLACE,
    "storage.filestoreMultishare": IN_PLACE,
    "storage.filestore": IN_PLACE,
    "storage.filestore.tier": _DISK,
    "storage.filestore.sizeGib": IN_PLACE,
    "storage.filestore.zone": _DISK,
    "storage.filestore.namespace": IN_PLACE,
    "storage.filestore.claim": IN_PLACE,
    "storage.buckets.*.bucket": IN_PLACE,
    "storage.buckets.*.prefix": IN_PLACE,
    "storage.buckets.*.writable": IN_PLACE,
    "storage.buckets.*.namespace": IN_PLACE,
    "storage.buckets.*.serviceAccount": IN_PLACE,
    "storage.buckets.*.claim": IN_PLACE,
    "storage.buckets.*.hostNetwork": IN_PLACE,
    "addons.alerts": IN_PLACE,
    "addons.cleanup": IN_PLACE,
    "charts.mirror": IN_PLACE,
    "charts.digests": IN_PLACE,
    "images.registry": IN_PLACE,
    "images.prefixes": IN_PLACE,
    "images.digests": IN_PLACE,
    "deletionProtection": IN_PLACE,
    "tags": IN_PLACE,
}


def defaults(environment: Environment) -> dict[str, Any]:
    """What the fields that the file leaves out come to."""
    found: dict[str, Any] = {
        "cluster.location": args.location(environment),
        "cluster.podsPerNode": args.pods_per_node(environment),
    }
    if environment.config.network.existing is None:
        network = args.network(environment)
        services = network.get("services_cidr", SERVICES_CIDR)
        found |= {"network.podsCidr": network.get("pods_cidr"), "network.servicesCidr": services}
    return found


def facts(environment: Environment, living: Living) -> dict[str, Any]:
    """What exists of the fields that cannot change, by path."""
    cluster, network = living.one(_CLUSTER), living.one(_NETWORK)
    subnetwork = living.one(_SUBNETWORK)
    found: dict[str, Any] = {}
    if living.one("aws:eks/cluster:Cluster") or living.one("aws:ec2/vpc:Vpc"):
        found["gpuyard:cloud"] = hardware.AWS
    if cluster or network:
        found["gcp:project"] = (cluster or network or {}).get("project")
    if subnetwork:
        ranges = args.living_ranges(living)
        found |= {"gcp:region": subnetwork.get("region"), "network.existing": ""}
        found |= {"network.podsCidr": ranges.get(PODS), "network.servicesCidr": ranges.get(SERVICES)}
        old, new = str(subnetwork["ipCidrRange"]), environment.config.network.cidr
        if not ipaddress.IPv4Network(old).subnet_of(ipaddress.IPv4Network(new)):
            found["network.cidr"] = old
    if cluster:
        found |= {"cluster.name": cluster["name"], "cluster.location": cluster.get("location")}
        found["cluster.podsPerNode"] = cluster.get("defaultMaxPodsPerNode")
        if not subnetwork:
            found |= _place(environment, cluster)
    filestore = living.one(_FILESTORE)
    if filestore and (wanted := args.filestore(environment)):
        found |= _filestore(filestore, wanted)
    return {path: value for path, value in found.items() if value is not None}


def _place(environment: Environment, cluster: Mapping[str, Any]) -> dict[str, Any]:
    """The existing network of a cluster, as the stack file writes it."""
    network, subnetwork = (str(cluster.get(key) or "") for key in ("network", "subnetwork"))
    found: dict[str, Any] = {"network.existing.network": network.rpartition("/")[2] or None}
    existing = environment.config.network.existing
    if not existing:
        return found
    policy, host = cluster.get("ipAllocationPolicy") or {}, network.removeprefix("projects/").partition("/")[0]
    found |= {
        "network.existing.subnetwork": subnetwork.rpartition("/")[2] or None,
        "network.existing.podsRange": policy.get("clusterSecondaryRangeName"),
        "network.existing.servicesRange": policy.get("servicesSecondaryRangeName"),
    }
    own = cluster.get("project")
    if network.startswith("projects/") and own and host != (existing.host_project or own):
        found["network.existing.hostProject"] = "" if host == own else host
    return found


def _filestore(made: Mapping[str, Any], wanted: FilestoreArgs) -> dict[str, Any]:
    tier = next((name for name, tier in TIERS.items() if tier.api == made.get("tier")), None)
    zone = made.get("location") if "zone" in wanted else None
    return {"storage.filestore.tier": tier, "storage.filestore.zone": zone}


def groups(environment: Environment, living: Living, provider: pulumi.ProviderResource) -> list[Group]:
    """The node pools that exist, by zone, with the size of the moment."""
    made = [
        (each, zone, url)
        for each in living.all(_POOL)
        for url in each.outputs.get("managedInstanceGroupUrls") or []
        if (zone := str(url).partition("/zones/")[2].partition("/")[0])
    ]
    asked = [
        gcp.compute.get_instance_group_output(self_link=url, opts=pulumi.InvokeOutputOptions(provider=provider)).size
        for _, _, url in made
    ]
    known = [int(each.outputs.get("nodeCount") or 0) for each, _, _ in made]
    return [
        Group(
            name=each.name,
            pool=((each.outputs.get("nodeConfig") or {}).get("labels") or {}).get(common.POOL_LABEL, each.name),
            zones=(zone,),
            gpu=bool((each.outputs.get("nodeConfig") or {}).get("guestAccelerators")),
            nodes=size,
        )
        for (each, zone, _), size in zip(made, sizes.of_the_moment(asked, known))
    ]


def problems(environment: Environment, living: Living, groups: list[Group]) -> Iterator[Problem]:
    """What GKE refuses of a living environment."""
    cluster = living.one(_CLUSTER)
    if cluster:
        yield from _version_problems(environment, living, cluster)
    yield from sizes.zone_problems(environment.config.network.zones, groups)
    if living.one(_FILESTORE) and not environment.config.storage.filestore:
        yield from removal_problems(environment, "storage.filestore")


def words(environment: Environment, living: Living, groups: list[Group]) -> Iterator[str]:
    """What else a person has to know of a change."""
    if living.one(_FILESTORE) and not environment.config.storage.filestore:
        yield removal_words("storage.filestore")
    yield from sizes.zone_words(environment, groups)
    for name, (_, most) in planned(environment).items():
        nodes = sum(group.nodes for group in groups if group.name == name)
        if nodes > most:
            yield f"nodePools: {name} has {nodes} nodes; those above its max of {most} stay until they are idle"


def planned(environment: Environment, name: str = "") -> dict[str, tuple[int, int]]:
    """Node pools of the cloud (of the pool `name`, else of all) by their logical names → min and max."""
    found = {}
    for pool in common.resolve_all(hardware.GCP, environment.node_pools).values():
        if name in ("", pool.name):
            found |= {rung.name: (rung.min, pool.max) for rung in pool.rungs}
    return found


def _version_problems(environment: Environment, living: Living, cluster: Any) -> Iterator[Problem]:
    """A release channel moves the control plane on, and the file stays behind: that is no step back. What the file said
    before is."""
    wanted, said, runs = environment.kubernetes_version, cluster.get("minMasterVersion"), str(cluster["masterVersion"])
    if said and steps.minor(wanted) < steps.minor(str(said)):
        yield from steps.problems(str(said), wanted, "GKE")
    elif steps.minor(wanted) > steps.minor(runs):
        yield from steps.problems(runs, wanted, "GKE")
        for pool in living.all(_POOL):
            nodes = steps.minor(str(pool.outputs.get("version") or runs))
            if steps.minor(wanted)[1] - nodes[1] > _NODES_BEHIND:
                yield Problem(
                    "cluster.version", wanted,
                    f"nodes of {pool.name} run {nodes[0]}.{nodes[1]} and may be two minors behind at most",
                    f"{nodes[0]}.{nodes[1] + _NODES_BEHIND} or less, until they follow",
                    "let them follow first: cluster.maintenance.hold: minor, or "
                    f"gcloud container clusters upgrade {environment.cluster_name} --node-pool POOL",
                )  # fmt: skip
