"""What a change of the file does to an environment on Amazon EKS; see `changes.py`.

Sources: EKS user guide, "Amazon EKS VPC and subnet considerations" (a control plane stays in its VPC and in the zones
of its creation), "Update existing cluster to new Kubernetes version" (one minor at a time, none back), "Update a
managed node group"; VPC guide, "VPC CIDR blocks" (the primary one cannot change).
"""

import ipaddress
from collections.abc import Iterator
from typing import Any

import pulumi
import pulumi_aws as aws
from pydantic.alias_generators import to_camel

from components import hardware, pools
from components.aws import groups as node_groups
from components.aws import pool_spec as aws_pools
from components.checks import Problem

from .. import sizes, steps
from ..changes import IN_PLACE, NEW_POOL, ROLLS, Effect, Group, Rule, refused, removal_problems, removal_words
from ..environment import Environment
from ..living import Living

_VPC = "aws:ec2/vpc:Vpc"
_SUBNET = "aws:ec2/subnet:Subnet"
_CLUSTER = "aws:eks/cluster:Cluster"
_GROUP = "aws:eks/nodeGroup:NodeGroup"
_LUSTRE = "aws:fsx/lustreFileSystem:LustreFileSystem"

_ROLE = "aws:iam/role:Role"
# The control plane's, where it was there already: read, and not made.
_READY_ROLE = "cluster-role"
_PODS_ROLES = ("vpc_cni", "ebs_csi", "efs_csi", "fsx_csi", "s3_csi", "cluster_autoscaler")

_PLACE = refused("a control plane stays in the VPC of its creation")
_DISK = refused("another file system would take its place, without the data")

RULES: dict[str, Rule] = {
    "gpuyard:cloud": refused("an environment stays on its cloud"),
    "aws:region": refused("an environment stays in its region"),
    "network.cidr": refused("the range of a VPC cannot change"),
    "network.zones": Rule(
        Effect.IN_PLACE,
        "a zone more; one less is refused for the control plane's two, and while a pool has nodes there",
    ),
    "network.nat": Rule(Effect.IN_PLACE, "open connections break"),
    "network.podsCidr": refused("the range of pods can be added, but neither move nor go"),
    "network.interfaceEndpoints": IN_PLACE,
    "network.flowLogDays": IN_PLACE,
    "network.existing": _PLACE,
    "network.existing.vpcId": _PLACE,
    "network.existing.privateSubnetIds": NEW_POOL,
    "network.existing.publicSubnetIds": IN_PLACE,
    "cluster.name": refused("a cluster keeps its name"),
    "cluster.version": Rule(Effect.ROLLS, "one minor up at a time, never back; the control plane goes first"),
    "cluster.publicAccessCidrs": IN_PLACE,
    "cluster.privateAccessCidrs": IN_PLACE,
    "cluster.iam.path": Rule(Effect.IN_PLACE, "a role keeps the path of its creation"),
    "cluster.iam.permissionsBoundary": IN_PLACE,
    "cluster.iam.roles.cluster": refused("a control plane keeps the role of its creation"),
    "cluster.iam.roles.nodes": NEW_POOL,
    "cluster.iam.roles.flowLog": Rule(Effect.IN_PLACE, "the flow log is made again; what it wrote stays"),
    **{f"cluster.iam.roles.{to_camel(who)}": IN_PLACE for who in _PODS_ROLES},
    "cluster.serviceCidr": refused("the range of services is fixed with the cluster"),
    "cluster.nodePolicyArns": IN_PLACE,
    "cluster.access.*.principalArn": IN_PLACE,
    "cluster.access.*.level": IN_PLACE,
    "cluster.access.*.namespaces": IN_PLACE,
    "cluster.logTypes": IN_PLACE,
    "cluster.logDays": IN_PLACE,
    "cluster.addonVersions": IN_PLACE,
    "cluster.support": IN_PLACE,
    "nodePools.*.machineTypes": NEW_POOL,
    "nodePools.*.min": Rule(Effect.IN_PLACE, "a size below the new `min` is raised to it"),
    "nodePools.*.max": Rule(Effect.IN_PLACE, "refused below the size of the moment"),
    "nodePools.*.perZone": Rule(Effect.IN_PLACE, "refused below the size of the moment"),
    "nodePools.*.labels": IN_PLACE,
    "nodePools.*.taints": IN_PLACE,
    "nodePools.*.capacity": Rule(Effect.IN_PLACE, "a rung more is a group more; a rung less goes with its nodes"),
    "nodePools.*.zones": NEW_POOL,
    "nodePools.*.was": Rule(Effect.IN_PLACE, "the pool of that name takes the new one, and keeps its nodes"),
    "nodePools.*.diskGib": ROLLS,
    "nodePools.*.scratch": ROLLS,
    "nodePools.*.interconnect": ROLLS,
    "nodePools.*.placement": ROLLS,
    "nodePools.*.accelerator": IN_PLACE,
    "nodePools.*.accelerator.type": IN_PLACE,
    "nodePools.*.accelerator.count": IN_PLACE,
    "nodePools.*.acceptWithdrawn": IN_PLACE,
    "nodePools.*.image": NEW_POOL,
    "nodePools.*.ami": Rule(Effect.ROLLS, "between EKS's images and yours new nodes come first, then the old ones go"),
    "nodePools.*.nodeSettings": ROLLS,
    "nodePools.*.securityGroupIds": ROLLS,
    "nodePools.*.machine": IN_PLACE,
    **{f"nodePools.*.machine.{to_camel(fact)}": IN_PLACE for fact in hardware.MachineFacts.__annotations__},
    "nodePools.*.release": ROLLS,
    "nodePools.*.driverBranch": IN_PLACE,
    "nodePools.*.reservation": ROLLS,
    "nodePools.*.reservation.id": ROLLS,
    "nodePools.*.reservation.groupArn": ROLLS,
    "nodePools.*.reservation.capacityBlock": NEW_POOL,
    "nodePools.*.updatePercentage": IN_PLACE,
    "nodePools.*.nodeRepair": IN_PLACE,
    "storage.backups": IN_PLACE,
    "storage.lustre": IN_PLACE,
    "storage.lustre.zone": _DISK,
    "storage.lustre.sizeGib": Rule(Effect.IN_PLACE, "larger only"),
    "storage.lustre.throughput": IN_PLACE,
    "storage.lustre.s3": IN_PLACE,
    "storage.lustre.exports": Rule(Effect.IN_PLACE, "more only; the link to the bucket keeps what it had"),
    "storage.lustre.namespace": IN_PLACE,
    "storage.buckets.*.bucket": IN_PLACE,
    "storage.buckets.*.prefix": IN_PLACE,
    "storage.buckets.*.writable": IN_PLACE,
    "storage.buckets.*.namespace": IN_PLACE,
    "storage.buckets.*.account": IN_PLACE,
    "addons.devicePlugin": IN_PLACE,
    "addons.efaPlugin": IN_PLACE,
    "addons.clusterAutoscaler": IN_PLACE,
    "addons.scaleDownAfterMinutes": IN_PLACE,
    "addons.dcgmExporter": IN_PLACE,
    "addons.monitoring": IN_PLACE,
    "addons.alerts": IN_PLACE,
    "addons.cleanup": IN_PLACE,
    "charts.mirror": IN_PLACE,
    "charts.digests": IN_PLACE,
    "images.registry": IN_PLACE,
    "images.prefixes": IN_PLACE,
    "images.digests": IN_PLACE,
    "deletionProtection": IN_PLACE,
    "tags": Rule(Effect.ROLLS, "those of machines and disks stand in the launch template"),
}


def defaults(environment: Environment) -> dict[str, Any]:
    """What the fields that the file leaves out come to."""
    found: dict[str, Any] = {}
    for name, spec in environment.node_pools.items():
        pool = aws_pools.resolve(name, spec, environment.kubernetes_version)
        found |= {f"nodePools.{name}.release": pool.release, f"nodePools.{name}.driverBranch": pool.driver_branch}
    return found


def facts(environment: Environment, living: Living) -> dict[str, Any]:
    """What exists of the fields that cannot change, by path."""
    cluster, vpc = living.one(_CLUSTER), living.one(_VPC)
    found: dict[str, Any] = {}
    if living.one("gcp:container/cluster:Cluster") or living.one("gcp:compute/network:Network"):
        found["gpuyard:cloud"] = hardware.GCP
    if made := cluster or vpc:
        found["aws:region"] = str(made["arn"]).split(":")[3]
    if cluster:
        found["cluster.name"] = cluster["name"]
        # A role that was made with the cluster is not in the file.
        own = {each.outputs.get("arn") for each in living.all(_ROLE) if each.name != _READY_ROLE}
        found["cluster.iam.roles.cluster"] = "" if cluster.get("roleArn") in own else cluster.get("roleArn")
        # Without one in the file the range is EKS's choice.
        if environment.config.cluster.service_cidr or living.settings.get("cluster.serviceCidr"):
            found["cluster.serviceCidr"] = (cluster.get("kubernetesNetworkConfig") or {}).get("serviceIpv4Cidr")
    if vpc:
        found |= {"network.cidr": vpc["cidrBlock"], "network.existing": ""}
        pods = [each for each in living.all(_SUBNET) if each.name.startswith("network-pods-")]
        if pods:
            found["network.podsCidr"] = _whole(str(pods[0].outputs["cidrBlock"]), pods[0].name[-1])
    elif cluster:
        found["network.existing.vpcId"] = (cluster.get("vpcConfig") or {}).get("vpcId")
    lustre = living.one(_LUSTRE)
    if lustre and environment.config.storage.lustre:
        zones = _zones(environment, living)
        found["storage.lustre.zone"] = zones.get((lustre.get("subnetIds") or [""])[0])
    return {path: value for path, value in found.items() if value is not None}


def _whole(block: str, letter: str) -> str:
    """The range that a zone's block is an eighth of."""
    return str(ipaddress.IPv4Network(block).supernet(prefixlen_diff=3))


def _zones(environment: Environment, living: Living) -> dict[str, str]:
    """Subnet → its zone: of the network that is ours, or of its owner's as the file has it and had it."""
    found = {
        str(each.outputs.get("arn", "")).rpartition("/")[2]: str(each.outputs.get("availabilityZone"))
        for each in living.all(_SUBNET)
    }
    existing = environment.config.network.existing
    had = living.settings.get("network.existing.privateSubnetIds") or {}
    for subnets in (had, existing.private_subnet_ids if existing else {}):
        found |= {id: zone for zone, id in subnets.items()}
    return found


def groups(environment: Environment, living: Living, provider: pulumi.ProviderResource) -> list[Group]:
    """The node groups that exist, with the size of the moment."""
    made = [each for each in living.all(_GROUP) if each.outputs.get("nodeGroupName")]
    asked = [
        aws.eks.get_node_group_output(
            cluster_name=each.outputs["clusterName"],
            node_group_name=each.outputs["nodeGroupName"],
            opts=pulumi.InvokeOutputOptions(provider=provider),
        ).scaling_configs[0].desired_size
        for each in made
    ]  # fmt: skip
    known = [int((each.outputs.get("scalingConfig") or {}).get("desiredSize") or 0) for each in made]
    of_subnets, named_before = _zones(environment, living), _former_names(environment)
    found = []
    for each, size in zip(made, sizes.of_the_moment(asked, known)):
        subnets = each.outputs.get("subnetIds") or []
        zones = tuple(sorted({of_subnets[id] for id in subnets if id in of_subnets}))
        today = named_before.get(each.name)
        # A group of one zone is the one of today under its name of before; one of several cannot become that.
        divided = today is not None and len(zones) > 1
        found.append(
            Group(
                name=each.name if today is None or divided else today,
                pool=(each.outputs.get("tagsAll") or each.outputs.get("tags") or {}).get(pools.POOL_LABEL, each.name),
                zones=zones,
                gpu=pools.GPU_PRESENT_LABEL in (each.outputs.get("labels") or {}),
                nodes=size,
                divided=divided,
            )
        )
    return found


def _former_names(environment: Environment) -> dict[str, str]:
    """What groups were called when one had all zones of its pool → what that of the first zone is called since."""
    found = {}
    for name, pool in pools.resolve_all(hardware.AWS, environment.node_pools).items():
        for group in node_groups.of_pool(pool, environment.config.network.zones):
            for called in filter(None, (name, environment.config.node_pools[name].was)):
                if group.former_name:
                    before, today = (each.removeprefix(name) for each in (group.former_name, group.name))
                    found[f"{called}{before}"] = f"{called}{today}"
    return found


def problems(environment: Environment, living: Living, groups: list[Group]) -> Iterator[Problem]:
    """What EKS refuses of a living environment."""
    cluster, has = living.one(_CLUSTER), []
    if cluster:
        yield from steps.problems(str(cluster["version"]), environment.kubernetes_version, "EKS")
        ids, zones = (cluster.get("vpcConfig") or {}).get("subnetIds") or [], _zones(environment, living)
        has = sorted({zones[id] for id in ids if id in zones})
        yield from _control_plane_zones(environment, has)
    # From a zone of the control plane the pools need not go first: it stays anyway.
    leaving = [group for group in groups if not {*group.zones} & {*has}]
    yield from sizes.zone_problems(environment.config.network.zones, leaving)
    yield from _maxima(environment)
    lustre, wanted = living.one(_LUSTRE), environment.config.storage.lustre
    if lustre and not wanted:
        yield from removal_problems(environment, "storage.lustre")
    if lustre and wanted and wanted.size_gib < int(lustre["storageCapacity"]):
        has = int(lustre["storageCapacity"])
        yield Problem(
            "storage.lustre.sizeGib", wanted.size_gib, f"a file system never shrinks; this one has {has} GiB",
            f"{has} or more", f"write {has}",
        )  # fmt: skip


def words(environment: Environment, living: Living, groups: list[Group]) -> Iterator[str]:
    """What else a person has to know of a change."""
    if living.one(_LUSTRE) and not environment.config.storage.lustre:
        yield removal_words("storage.lustre")
    yield from sizes.zone_words(environment, groups)
    for name, group in sorted((group.name, group) for group in groups if group.divided):
        yield (
            f"nodePools.{group.pool}: {name} becomes a group in each of {', '.join(group.zones)}: new nodes first, "
            f"then the old ones go ({sizes.text(group.nodes)} at the moment)"
        )
    for name, (least, _) in planned(environment).items():
        nodes = environment.sizes.get(name)
        if nodes is not None and nodes < least:
            yield f"nodePools: the group {name} grows from {nodes} to its new min of {least} nodes at once"


def _control_plane_zones(environment: Environment, has: list[str]) -> Iterator[Problem]:
    zones = environment.config.network.zones
    gone = [zone for zone in has if zone not in zones]
    if gone:
        yield Problem(
            "network.zones", zones, f"the control plane has its interfaces in {', '.join(gone)} and stays there",
            f"zones with {' and '.join(has)} among them", f"add {', '.join(gone)}; pools can leave it by their `zones`",
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
                    f"a max under which {group} may have {nodes} or more",
                    "keep max until the autoscaler has removed idle nodes (`kubectl drain` makes them so)",
                )  # fmt: skip


def planned(environment: Environment, name: str = "") -> dict[str, tuple[int, int]]:
    """Node groups (of the pool `name`, else of all) by their logical names → min and max."""
    found = {}
    for pool in pools.resolve_all(hardware.AWS, environment.node_pools).values():
        if name in ("", pool.name):
            own = node_groups.of_pool(pool, environment.config.network.zones)
            found |= {group.name: (group.min, group.max) for group in own}
    return found
