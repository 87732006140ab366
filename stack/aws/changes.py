"""What a change of the file does to an environment on Amazon EKS; see `changes.py`.

Sources: EKS user guide, "Amazon EKS VPC and subnet considerations" (a control plane cannot change its VPC and zones),
"Update existing cluster to new Kubernetes version" (one minor at a time, never down), "Update a managed node group";
VPC guide, "VPC CIDR blocks" (the primary one cannot change).
"""

import ipaddress
from collections.abc import Iterator
from typing import Any

import pulumi
import pulumi_aws as aws

from components import hardware, pools
from components.aws import groups as node_groups
from components.aws import pool_spec as aws_pools
from components.aws.node_pool import CHANGES
from components.changes import IN_PLACE, NEW_POOL, Effect, Rule, refused
from components.checks import Problem

from .. import sizes, steps
from ..changes import Group, removal_problems, removal_warning, rules
from ..deployed import DeployedState
from ..environment import Environment

_VPC = "aws:ec2/vpc:Vpc"
_SUBNET = "aws:ec2/subnet:Subnet"
_CLUSTER = "aws:eks/cluster:Cluster"
_GROUP = "aws:eks/nodeGroup:NodeGroup"
_LUSTRE = "aws:fsx/lustreFileSystem:LustreFileSystem"

_ROLE = "aws:iam/role:Role"
# The control plane's role if the file names an existing one: it is read, not created.
_EXISTING_ROLE = "cluster-role"

_PLACE = refused("a control plane cannot move to another VPC")
_DISK = refused("a new file system would replace this one, without its data")

OWN: dict[str, Rule] = {
    "aws:region": refused("an environment cannot move to another region"),
    "network.cidr": refused("the range of a VPC cannot change"),
    "network.zones": Rule(
        Effect.IN_PLACE,
        "zones can be added; the control plane's two, and zones in which a pool has nodes, cannot be removed",
    ),
    "network.podsCidr": refused("the range of pods can be added, but neither changed nor removed"),
    "network.interfaceEndpoints": IN_PLACE,
    "network.flowLogDays": IN_PLACE,
    "network.existing": _PLACE,
    "network.existing.privateSubnetIds": NEW_POOL,
    "network.existing.publicSubnetIds": IN_PLACE,
    "cluster.version": Rule(Effect.ROLLS, "up by one minor at a time, never down; the control plane is upgraded first"),
    "cluster.iam.path": Rule(Effect.IN_PLACE, "existing roles keep their path"),
    "cluster.iam.permissionsBoundary": IN_PLACE,
    "cluster.iam.roles.cluster": refused("a control plane cannot change its role"),
    "cluster.iam.roles.nodes": NEW_POOL,
    "cluster.iam.roles.flowLog": Rule(Effect.IN_PLACE, "the flow log is recreated; its records are kept"),
    "cluster.iam.roles": IN_PLACE,
    "cluster.serviceCidr": refused("a cluster cannot change its range of services"),
    "cluster.access": IN_PLACE,
    "cluster.nodePolicyArns": IN_PLACE,
    "cluster.logDays": IN_PLACE,
    "cluster.addonVersions": IN_PLACE,
    "cluster.support": IN_PLACE,
    "storage.backups": IN_PLACE,
    "storage.lustre": IN_PLACE,
    "storage.lustre.zone": _DISK,
    "storage.lustre.sizeGib": Rule(Effect.IN_PLACE, "it can only grow"),
    "storage.lustre.throughput": IN_PLACE,
    "storage.lustre.s3": IN_PLACE,
    "storage.lustre.exports": Rule(
        Effect.IN_PLACE, "exports can only be added; the link to the bucket keeps earlier ones"
    ),
    "storage.lustre.namespace": IN_PLACE,
    "tags": Rule(Effect.ROLLS, "the launch template contains the tags of machines and disks"),
}
"""The effects on this cloud, by path, without those of pools."""
RULES = rules(hardware.AWS, OWN, CHANGES)


def defaults(environment: Environment) -> dict[str, Any]:
    """Values of fields that the file omits, by path."""
    found: dict[str, Any] = {}
    for name, spec in environment.node_pools.items():
        pool = aws_pools.resolve(name, spec, environment.kubernetes_version)
        found |= {f"nodePools.{name}.release": pool.release, f"nodePools.{name}.driverBranch": pool.driver_branch}
    return found


def facts(environment: Environment, deployed: DeployedState) -> dict[str, Any]:
    """The existing values of fields that cannot change, by path."""
    cluster, vpc = deployed.one(_CLUSTER), deployed.one(_VPC)
    found: dict[str, Any] = {}
    if deployed.one("gcp:container/cluster:Cluster") or deployed.one("gcp:compute/network:Network"):
        found["gpuyard:cloud"] = hardware.GCP
    if made := cluster or vpc:
        found["aws:region"] = str(made["arn"]).split(":")[3]
    if cluster:
        found["cluster.name"] = cluster["name"]
        # A role that the stack created with the cluster is not in the file.
        own = {each.outputs.get("arn") for each in deployed.all(_ROLE) if each.name != _EXISTING_ROLE}
        found["cluster.iam.roles.cluster"] = "" if cluster.get("roleArn") in own else cluster.get("roleArn")
        # If the file has none, EKS chooses the range.
        if environment.config.cluster.service_cidr or deployed.settings.get("cluster.serviceCidr"):
            found["cluster.serviceCidr"] = (cluster.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr")
    if vpc:
        found |= {"network.cidr": vpc["cidrBlock"], "network.existing": ""}
        pods = [each for each in deployed.all(_SUBNET) if each.name.startswith("network-pods-")]
        if pods:
            found["network.podsCidr"] = _whole(str(pods[0].outputs["cidrBlock"]), pods[0].name[-1])
    elif cluster:
        found["network.existing.vpcId"] = (cluster.get("vpcConfig") or {}).get("vpcId")
    lustre = deployed.one(_LUSTRE)
    if lustre and environment.config.storage.lustre:
        zones = _zones(environment, deployed)
        found["storage.lustre.zone"] = zones.get((lustre.get("subnetIds") or [""])[0])
    return {path: value for path, value in found.items() if value is not None}


def _whole(block: str, letter: str) -> str:
    """The whole range, of which a zone's block is one eighth."""
    return str(ipaddress.IPv4Network(block).supernet(prefixlen_diff=3))


def _zones(environment: Environment, deployed: DeployedState) -> dict[str, str]:
    """Subnet → its zone, for subnets that the stack created and for existing ones in the file, now and before."""
    found = {
        str(each.outputs.get("arn", "")).rpartition("/")[2]: str(each.outputs.get("availabilityZone"))
        for each in deployed.all(_SUBNET)
    }
    existing = environment.config.network.existing
    had = deployed.settings.get("network.existing.privateSubnetIds") or {}
    for subnets in (had, existing.private_subnet_ids if existing else {}):
        found |= {id: zone for zone, id in subnets.items()}
    return found


def groups(environment: Environment, deployed: DeployedState, provider: pulumi.ProviderResource) -> list[Group]:
    """The existing node groups, with their current size."""
    made = [each for each in deployed.all(_GROUP) if each.outputs.get("nodeGroupName")]
    asked = [
        aws.eks.get_node_group_output(
            cluster_name=each.outputs["clusterName"],
            node_group_name=each.outputs["nodeGroupName"],
            opts=pulumi.InvokeOutputOptions(provider=provider),
        ).scaling_configs[0].desired_size
        for each in made
    ]  # fmt: skip
    known = [int((each.outputs.get("scalingConfig") or {}).get("desiredSize") or 0) for each in made]
    of_subnets, new_names = _zones(environment, deployed), _former_names(environment)
    found = []
    for each, size in zip(made, sizes.current(asked, known)):
        subnets = each.outputs.get("subnetIds") or []
        zones = tuple(sorted({of_subnets[id] for id in subnets if id in of_subnets}))
        new_name = new_names.get(each.name)
        # A group with a former name and one zone is renamed. One with several zones cannot be: it is replaced.
        divided = new_name is not None and len(zones) > 1
        found.append(
            Group(
                name=each.name if new_name is None or divided else new_name,
                pool=(each.outputs.get("tagsAll") or each.outputs.get("tags") or {}).get(pools.POOL_LABEL, each.name),
                zones=zones,
                gpu=pools.GPU_PRESENT_LABEL in (each.outputs.get("labels") or {}),
                nodes=size,
                divided=divided,
            )
        )
    return found


def _former_names(environment: Environment) -> dict[str, str]:
    """Former name of a group with all zones of its pool → name of the group of the first zone."""
    found = {}
    for name, pool in pools.resolve_all(hardware.AWS, environment.node_pools).items():
        for group in node_groups.of_pool(pool, environment.config.network.zones):
            for pool_name in filter(None, (name, environment.config.node_pools[name].was)):
                if group.former_name:
                    before, now = (each.removeprefix(name) for each in (group.former_name, group.name))
                    found[f"{pool_name}{before}"] = f"{pool_name}{now}"
    return found


def problems(environment: Environment, deployed: DeployedState, groups: list[Group]) -> Iterator[Problem]:
    """Changes of an existing environment that EKS refuses."""
    cluster, has = deployed.one(_CLUSTER), []
    if cluster:
        yield from steps.problems(str(cluster["version"]), environment.kubernetes_version, "EKS")
        ids, zones = (cluster.get("vpcConfig") or {}).get("subnetIds") or [], _zones(environment, deployed)
        has = sorted({zones[id] for id in ids if id in zones})
        yield from _control_plane_zones(environment, has)
    # A zone of the control plane cannot be removed at all: see above.
    leaving = [group for group in groups if not {*group.zones} & {*has}]
    yield from sizes.zone_problems(environment.config.network.zones, leaving)
    yield from _maxima(environment)
    lustre, wanted = deployed.one(_LUSTRE), environment.config.storage.lustre
    if lustre and not wanted:
        yield from removal_problems(environment, "storage.lustre")
    if lustre and wanted and wanted.size_gib < int(lustre["storageCapacity"]):
        has = int(lustre["storageCapacity"])
        yield Problem(
            "storage.lustre.sizeGib", wanted.size_gib, f"a file system cannot shrink; this one has {has} GiB",
            f"{has} or more", f"write {has}",
        )  # fmt: skip


def warnings(environment: Environment, deployed: DeployedState, groups: list[Group]) -> Iterator[str]:
    """Further effects of a change on nodes and data."""
    if deployed.one(_LUSTRE) and not environment.config.storage.lustre:
        yield removal_warning("storage.lustre")
    yield from sizes.zone_warnings(environment, groups)
    for name, group in sorted((group.name, group) for group in groups if group.divided):
        yield (
            f"nodePools.{group.pool}: {name} becomes one group in each of {', '.join(group.zones)}: new nodes are "
            f"added, then the old ones are deleted ({sizes.text(group.nodes)} at the moment)"
        )
    for name, (least, _) in planned(environment).items():
        nodes = environment.sizes.get(name)
        if nodes is not None and nodes < least:
            yield f"nodePools: the group {name} immediately grows from {nodes} to its new min of {least} nodes"


def _control_plane_zones(environment: Environment, has: list[str]) -> Iterator[Problem]:
    zones = environment.config.network.zones
    gone = [zone for zone in has if zone not in zones]
    if gone:
        yield Problem(
            "network.zones", zones, f"the control plane has its interfaces in {', '.join(gone)} and cannot move",
            f"zones that include {' and '.join(has)}", f"add {', '.join(gone)}; pools can leave it by their `zones`",
        )  # fmt: skip


def _maxima(environment: Environment) -> Iterator[Problem]:
    for name, pool in pools.resolve_all(hardware.AWS, environment.node_pools).items():
        room = planned(environment, name)
        for group in [
            f"{rung.name}-{zone}" for rung in pool.rungs for zone in pool.zones or environment.config.network.zones
        ]:
            nodes, (_, most) = environment.sizes.get(group, 0), room.get(group, (0, 0))
            if nodes > most:
                yield Problem(
                    f"nodePools.{name}.max", pool.max,
                    f"the group {group} has {sizes.text(nodes)} at the moment, and its share is {most}",
                    f"a max that gives {group} {nodes} nodes or more",
                    "keep max until the autoscaler has removed idle nodes (`kubectl drain` makes a node idle)",
                )  # fmt: skip


def planned(environment: Environment, name: str = "") -> dict[str, tuple[int, int]]:
    """Logical name of each node group → its min and max. `name`: only this pool; empty for all pools."""
    found = {}
    for pool in pools.resolve_all(hardware.AWS, environment.node_pools).values():
        if name in ("", pool.name):
            own = node_groups.of_pool(pool, environment.config.network.zones)
            found |= {group.name: (group.min, group.max) for group in own}
    return found
