"""What a change of the file does to an environment on Google GKE; see `changes.py`.

Sources: GKE's "About flexible Pod CIDR" and "VPC-native clusters" (ranges of pods and services stay), "Manually
upgrading a cluster or node pool" (one minor at a time, never down; nodes at most two minors behind), ForceNew marks of
terraform-provider-google 8.0.
"""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
import pulumi_gcp as gcp

from components import hardware
from components import pools as common
from components.changes import IN_PLACE, NEW_POOL, Effect, Rule, refused
from components.checks import Problem
from components.gcp.filestore import TIERS, FilestoreArgs
from components.gcp.network import PODS, SERVICES
from components.gcp.node_pool import CHANGES

from .. import sizes, steps
from ..changes import Group, removal_problems, removal_warning, rules
from ..deployed import DeployedState
from ..environment import Environment
from . import args

_NETWORK = "gcp:compute/network:Network"
_SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
_CLUSTER = "gcp:container/cluster:Cluster"
_POOL = "gcp:container/nodePool:NodePool"
_FILESTORE = "gcp:filestore/instance:Instance"
_NODES_BEHIND = 2

_PLACE = refused("a cluster cannot move to another network")
_DISK = refused("a new file system would replace this one, without its data")

OWN: dict[str, Rule] = {
    "gcp:region": refused("an environment cannot move to another region"),
    "gcp:project": refused("an environment cannot move to another project"),
    "network.cidr": Rule(Effect.IN_PLACE, "a larger range that contains the old one; any other is refused"),
    "network.zones": Rule(Effect.IN_PLACE, "zones can be added; zones in which a pool has nodes cannot be removed"),
    "network.podsCidr": refused("the range of pods cannot change"),
    "network.servicesCidr": refused("the range of services cannot change"),
    "network.furtherPodsCidrs": Rule(
        Effect.IN_PLACE, "ranges can be added; one in use can neither be changed nor removed"
    ),
    "network.flowLogPercent": IN_PLACE,
    "network.existing": _PLACE,
    "network.existing.furtherPodsRanges": IN_PLACE,
    "network.existing.grant": IN_PLACE,
    "cluster.version": Rule(
        Effect.IN_PLACE,
        "up by one minor at a time, never down; only the control plane, nodes follow in a maintenance window",
    ),
    "cluster.location": refused("a control plane cannot move to another location"),
    "cluster.podsPerNode": refused("a cluster cannot change it"),
    "cluster.dnsEndpoint": IN_PLACE,
    "cluster.releaseChannel": IN_PLACE,
    "cluster.maintenance": IN_PLACE,
    "cluster.secretsKey": IN_PLACE,
    "cluster.disksKey": NEW_POOL,
    "cluster.autoscalingProfile": IN_PLACE,
    "cluster.gatewayApi": IN_PLACE,
    "cluster.dns": IN_PLACE,
    "cluster.binaryAuthorization": IN_PLACE,
    "cluster.groupsDomain": IN_PLACE,
    "cluster.metricTypes": IN_PLACE,
    "cluster.managedDcgm": IN_PLACE,
    "storage.filestoreTier": IN_PLACE,
    "storage.filestoreMultishare": IN_PLACE,
    "storage.filestore": IN_PLACE,
    "storage.filestore.tier": _DISK,
    "storage.filestore.sizeGib": IN_PLACE,
    "storage.filestore.zone": _DISK,
    "storage.filestore.namespace": IN_PLACE,
    "storage.filestore.claim": IN_PLACE,
    "tags": IN_PLACE,
}
"""The effects on this cloud, by path, without those of pools."""
RULES = rules(hardware.GCP, OWN, CHANGES)


def defaults(environment: Environment) -> dict[str, Any]:
    """Values of fields that the file omits, by path."""
    found: dict[str, Any] = {
        "cluster.location": args.location(environment),
        "cluster.podsPerNode": args.pods_per_node(environment),
    }
    if environment.config.network.existing is None:
        network = args.network(environment)
        found |= {"network.podsCidr": network["pods_cidr"], "network.servicesCidr": network["services_cidr"]}
    return found


def facts(environment: Environment, deployed: DeployedState) -> dict[str, Any]:
    """The existing values of fields that cannot change, by path."""
    cluster, network = deployed.one(_CLUSTER), deployed.one(_NETWORK)
    subnetwork = deployed.one(_SUBNETWORK)
    found: dict[str, Any] = {}
    if deployed.one("aws:eks/cluster:Cluster") or deployed.one("aws:ec2/vpc:Vpc"):
        found["gpuyard:cloud"] = hardware.AWS
    if cluster or network:
        found["gcp:project"] = (cluster or network or {}).get("project")
    if subnetwork:
        ranges = args.deployed_ranges(deployed)
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
    filestore = deployed.one(_FILESTORE)
    if filestore and (wanted := args.filestore(environment)):
        found |= _filestore(filestore, wanted)
    return {path: value for path, value in found.items() if value is not None}


def _place(environment: Environment, cluster: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the existing network that a cluster is in, as the stack's file writes them."""
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


def groups(environment: Environment, deployed: DeployedState, provider: pulumi.ProviderResource) -> list[Group]:
    """The existing node pools by zone, with their current size."""
    made = [
        (each, zone, url)
        for each in deployed.all(_POOL)
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
        for (each, zone, _), size in zip(made, sizes.current(asked, known))
    ]


def problems(environment: Environment, deployed: DeployedState, groups: list[Group]) -> Iterator[Problem]:
    """Changes of an existing environment that GKE refuses."""
    cluster = deployed.one(_CLUSTER)
    if cluster:
        yield from _version_problems(environment, deployed, cluster)
    yield from sizes.zone_problems(environment.config.network.zones, groups)
    if deployed.one(_FILESTORE) and not environment.config.storage.filestore:
        yield from removal_problems(environment, "storage.filestore")


def warnings(environment: Environment, deployed: DeployedState, groups: list[Group]) -> Iterator[str]:
    """Further effects of a change on nodes and data."""
    if deployed.one(_FILESTORE) and not environment.config.storage.filestore:
        yield removal_warning("storage.filestore")
    yield from sizes.zone_warnings(environment, groups)
    for name, (_, most) in planned(environment).items():
        nodes = sum(group.nodes for group in groups if group.name == name)
        if nodes > most:
            yield f"nodePools: {name} has {nodes} nodes; those above its max of {most} are kept until they are idle"


def planned(environment: Environment, name: str = "") -> dict[str, tuple[int, int]]:
    """Logical name of each GKE node pool → its min and max. `name`: only this pool of the file; empty for all."""
    found = {}
    for pool in common.resolve_all(hardware.GCP, environment.node_pools).values():
        if name in ("", pool.name):
            found |= {rung.name: (rung.min, pool.max) for rung in pool.rungs}
    return found


def _version_problems(environment: Environment, deployed: DeployedState, cluster: Any) -> Iterator[Problem]:
    """A version that GKE refuses. A release channel upgrades the control plane beyond the version in the file, so a
    lower version in the file is a downgrade only if it is lower than the file's previous one."""
    wanted, before = environment.kubernetes_version, cluster.get("minMasterVersion")
    runs = str(cluster["masterVersion"])
    if before and steps.minor(wanted) < steps.minor(str(before)):
        yield from steps.problems(str(before), wanted, "GKE")
    elif steps.minor(wanted) > steps.minor(runs):
        yield from steps.problems(runs, wanted, "GKE")
        for pool in deployed.all(_POOL):
            nodes = steps.minor(str(pool.outputs.get("version") or runs))
            if steps.minor(wanted)[1] - nodes[1] > _NODES_BEHIND:
                yield Problem(
                    "cluster.version", wanted,
                    f"nodes of {pool.name} run {nodes[0]}.{nodes[1]} and may be at most two minors behind",
                    f"{nodes[0]}.{nodes[1] + _NODES_BEHIND} or less, until the nodes are upgraded",
                    "upgrade the nodes first: cluster.maintenance.hold: minor, or "
                    f"gcloud container clusters upgrade {environment.cluster_name} --node-pool POOL",
                )  # fmt: skip
