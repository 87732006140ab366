"""A pool of EKS nodes: managed node groups, one for each rung of the capacity ladder in each zone, on launch templates
of this library."""

import math
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments, checks, child_names, naming
from ..changes import IN_PLACE, NEW_POOL, ROLLS, Effect, Rule
from ..checks import Problem
from ..pools import Rung
from ..renames import renamed
from ..taints import GPU_KEY, cloud_effect
from . import addresses, groups, node_repair, pool_checks, regions, roles, tags
from .groups import Group
from .launch_template import Place, launch_template
from .pool_spec import EksNodePoolSpec, EksPool, resolve

_TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template"
# The resource by which pods request a node's EFA interfaces; the EFA device plugin provides it.
EFA_RESOURCE = "vpc.amazonaws.com/efa"
# Arguments for nodes whose image is not EKS's. For its own images EKS adds these facts to the user data.
_PLACE = ("endpoint", "certificate_authority", "service_cidr")
# A round of an update: the most nodes, and the minutes until new ones have joined and old ones are drained.
_MOST_AT_ONCE, _MINUTES_OF_A_ROUND = 100, 30

CHANGES: dict[str, Rule] = {
    "machine_types": NEW_POOL,
    "min": Rule(Effect.IN_PLACE, "a size below the new `min` is raised to it"),
    "max": Rule(Effect.IN_PLACE, "refused below the current size"),
    "per_zone": Rule(Effect.IN_PLACE, "refused below the current size"),
    "labels": IN_PLACE,
    "taints": IN_PLACE,
    "capacity": Rule(Effect.IN_PLACE, "a new rung adds a group; a removed rung's group is deleted with its nodes"),
    "zones": NEW_POOL,
    "was": Rule(Effect.IN_PLACE, "the pool of that name gets the new name and keeps its nodes"),
    "disk_gib": ROLLS,
    "scratch": ROLLS,
    "interconnect": ROLLS,
    "placement": ROLLS,
    "accelerator": IN_PLACE,
    "partition": ROLLS,
    "sharing": Rule(Effect.ROLLS, "only on bottlerocket; on al2023 it is in place, and running pods keep their GPU"),
    "accept_withdrawn": IN_PLACE,
    "image": NEW_POOL,
    "ami": Rule(
        Effect.ROLLS, "between EKS's images and yours, new nodes are added first, then the old ones are deleted"
    ),
    "node_settings": ROLLS,
    "fast_image_pull": ROLLS,
    "security_group_ids": ROLLS,
    "machine": IN_PLACE,
    "release": ROLLS,
    "driver_branch": IN_PLACE,
    "reservation": ROLLS,
    "reservation.capacity_block": NEW_POOL,
    "reservation.nodes": IN_PLACE,
    "reservation.ends": IN_PLACE,
    "update_percentage": IN_PLACE,
    "node_repair": IN_PLACE,
    "repair": IN_PLACE,
}
"""What a change of each field of a pool does to its nodes. A field inside another one has its rule, unless it has its
own."""


class EksNodePoolArgs(TypedDict):
    """A pool, and the cluster and network that its nodes join."""

    pool: EksNodePoolSpec
    """The pool: machine types, sizes, capacity, labels, taints, image."""
    cluster: pulumi.Input[str]
    """Name of the EKS cluster."""
    subnet_ids: dict[str, pulumi.Input[str]]
    """Zone → id of the subnet for nodes, for every zone of the network in its order. A pool without `zones` has node
    groups in all of them."""
    node_role_arn: pulumi.Input[str]
    """ARN of the nodes' IAM role."""
    kubernetes_version: NotRequired[str]
    """Kubernetes minor of the cluster, such as 1.35: the nodes' version, and the pinned image that belongs to it.
    Default: EKS's newest image at creation; the nodes keep that version when the cluster is upgraded."""
    network_id: NotRequired[pulumi.Input[str]]
    """Id of the VPC. Needed by a pool with `interconnect`. Default: none."""
    security_group_id: NotRequired[pulumi.Input[str]]
    """Id of the cluster's security group. Needed by a pool with `interconnect` or `security_group_ids`.
    Default: none, EKS attaches it."""
    endpoint: NotRequired[pulumi.Input[str]]
    """URL of the cluster's API server. Needed by a pool with `ami`. Default: none."""
    certificate_authority: NotRequired[pulumi.Input[str]]
    """Certificate of the cluster's CA in base64. Needed by a pool with `ami`. Default: none."""
    service_cidr: NotRequired[pulumi.Input[str]]
    """IPv4 range of the cluster's Services. Needed by a pool with `ami`. Default: none."""
    sizes: NotRequired[dict[str, int]]
    """Logical name of a node group → the number of nodes that it has now. A group below a raised `min` is raised to it.
    Default: not known, sizes are the autoscaler's."""
    tags: NotRequired[dict[str, str]]
    """Tags of everything that the pool consists of: groups, templates, instances, disks. Default: none."""


class EksNodePool(pulumi.ComponentResource):
    """Equal nodes that the Cluster Autoscaler resizes between `min` and `max`, also from zero.

    Works on any EKS cluster: it needs the provider `aws`, and the cluster's facts that the arguments name. The name of
    the component is the name of the pool. Node groups are named after pool, rung and zone.

    The desired size is the autoscaler's. Update with `pulumi up --refresh` (or `refresh: always` in Pulumi.yaml):
    otherwise a change of `max` restores the size that the engine saw last, and nodes in use are deleted. EKS refuses a
    `min` above the current size: pass `sizes`, or raise the size first (`aws eks update-nodegroup-config`). A change
    that cannot be made in place, such as another machine type, creates a new group before it deletes the old one.
    """

    node_group_names: pulumi.Output[list[str]]
    """Physical names of the node groups: best rung first, then by zone."""
    autoscaling_group_names: pulumi.Output[list[str]]
    """Names of the Auto Scaling groups behind them, in the same order."""

    def __init__(self, name: str, args: EksNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"EksNodePool {name}", EksNodePoolArgs, args, lambda given: problems(name, given))
        child_names.claim("EksNodePool", name, opts, _children(name, args))
        super().__init__("gpuyard:index:EksNodePool", name, None, renamed(opts, args["pool"]))
        self._name, self._args, self._tags = name, args, args.get("tags", {})
        eks = resolve(name, args["pool"], args.get("kubernetes_version", ""))
        templates = self._templates(eks)
        planned = groups.of_pool(eks.pool, list(args["subnet_ids"]))
        self.node_groups: dict[str, aws.eks.NodeGroup] = {
            group.name: self._group(group, eks, templates[group.rung.capacity == "reserved"]) for group in planned
        }
        """The node groups by logical name (pool, rung and zone), best rung first, then by zone."""
        node_groups = list(self.node_groups.values())
        asg_names = [node_group.resources[0].autoscaling_groups[0].name for node_group in node_groups]
        # Tags of the Auto Scaling group itself. Its instances have those of the template.
        own = {f"tag-{key}": (key, value) for key, value in self._tags.items()}
        for group, asg_name in zip(planned, asg_names):
            for role, (key, value) in {**own, **autoscaler_tags(eks, group.rung, args["cluster"])}.items():
                aws.autoscaling.Tag(
                    f"{group.name}-{role}",
                    autoscaling_group_name=asg_name,
                    tag=aws.autoscaling.TagTagArgs(key=key, value=value, propagate_at_launch=False),
                    opts=pulumi.ResourceOptions(parent=self, aliases=_aliases(group, f"-{role}")),
                )
        self.node_group_names = pulumi.Output.all(*[node_group.node_group_name for node_group in node_groups])
        self.autoscaling_group_names = pulumi.Output.all(*asg_names)
        self.register_outputs(
            {"nodeGroupNames": self.node_group_names, "autoscalingGroupNames": self.autoscaling_group_names}
        )

    def _templates(self, eks: EksPool) -> dict[bool, aws.ec2.LaunchTemplate]:
        """The launch template of the reserved rung (True) and that of all other rungs (False), if there are such."""
        # Security groups in a template replace the cluster's, so the list includes that one.
        further: list[pulumi.Input[str]] = [*eks.security_group_ids]
        if eks.pool.interconnects:
            further.append(self._efa_group().id)
        security_groups = [self._args.get("security_group_id", ""), *further] if further else []
        place = None
        if eks.ami:
            args = self._args
            place = Place(args.get("endpoint", ""), args.get("certificate_authority", ""), args.get("service_cidr", ""))
        placement = None
        if eks.pool.placement:
            placement = aws.ec2.PlacementGroup(
                f"{self._name}-placement",
                strategy="cluster",
                tags=self._tags,
                opts=pulumi.ResourceOptions(parent=self),
            ).name
        return {
            reserved: launch_template(
                f"{self._name}-reserved-template" if reserved else f"{self._name}-template",
                eks,
                cluster=self._args["cluster"],
                tags=self._tags,
                reserved=reserved,
                security_group_ids=security_groups,
                # The place of reserved machines is fixed; with a placement group EC2 answers
                # InsufficientInstanceCapacity (eksctl#7949).
                placement_group=None if reserved else placement,
                place=place,
                parent=self,
            )
            for reserved in sorted({rung.capacity == "reserved" for rung in eks.pool.rungs})
        }

    def _efa_group(self) -> aws.ec2.SecurityGroup:
        """The security group of the EFA interfaces. EFA's traffic bypasses the kernel, and passes only between members
        of one group that allows all of it in both directions, by the group's id (EC2 user guide, "Get started with
        EFA")."""
        child = pulumi.ResourceOptions(parent=self)
        name = f"{self._name}-efa"
        tags = {**self._tags, "Name": pulumi.Output.concat(self._args["cluster"], f"-{name}")}
        group = aws.ec2.SecurityGroup(
            name,
            # Must not change: EC2 would replace the group, which is not possible while interfaces use it.
            description=f"EFA among the nodes of the pool {self._args['pool'].get('was') or self._name}",
            vpc_id=self._args.get("network_id"),
            tags=tags,
            opts=child,
        )
        for kind, rule in (
            ("in", aws.vpc.SecurityGroupIngressRule),
            ("out", aws.vpc.SecurityGroupEgressRule),
        ):
            rule(
                f"{name}-{kind}",
                security_group_id=group.id,
                referenced_security_group_id=group.id,
                ip_protocol="-1",
                tags=tags,
                opts=child,
            )
        return group

    def _group(self, group: Group, eks: EksPool, template: aws.ec2.LaunchTemplate) -> aws.eks.NodeGroup:
        args, pool, rung = self._args, eks.pool, group.rung
        block = rung.capacity == "reserved" and eks.capacity_block
        size = args.get("sizes", {}).get(group.name)
        driver = {"gpuyard.dev/nvidia-driver": str(eks.driver_branch)} if eks.driver_branch else {}
        return aws.eks.NodeGroup(
            group.name,
            cluster_name=args["cluster"],
            # With it nodes follow the cluster; without it a group keeps the minor of its creation.
            version=None if eks.ami else args.get("kubernetes_version"),
            # Without the zone: the autoscaler's priorities are by name, and the zones of a rung have the same one.
            node_group_name_prefix=f"{naming.fit(rung.name, naming.NODE_GROUP_PREFIX_LIMIT - 1)}-",
            node_role_arn=args["node_role_arn"],
            subnet_ids=[args["subnet_ids"][group.zone]],
            ami_type=eks.ami_type,
            release_version=eks.release,
            capacity_type="CAPACITY_BLOCK" if block else "SPOT" if rung.capacity == "spot" else "ON_DEMAND",
            # For a capacity block, the template names the type.
            instance_types=None if block else list(pool.machine_types),
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=group.min, max_size=group.max, desired_size=group.min
            ),
            labels=rung.labels,
            taints=[
                aws.eks.NodeGroupTaintArgs(
                    key=taint["key"], value=taint.get("value", ""), effect=cloud_effect(taint["effect"])
                )
                for taint in pool.taints
            ],
            update_config=aws.eks.NodeGroupUpdateConfigArgs(
                max_unavailable_percentage=eks.update_percentage,
                # By default EKS starts new nodes before it removes old ones, which fails if the reservation is used up.
                update_strategy="MINIMAL" if rung.capacity == "reserved" else "DEFAULT",
            ),
            node_repair_config=node_repair.config(eks.node_repair, eks.repair),
            # The tag shows in a preview which driver a new release includes.
            tags={**self._tags, "gpuyard.dev/pool": pool.name, "gpuyard.dev/zone": group.zone, **driver},
            opts=pulumi.ResourceOptions(
                parent=self,
                aliases=_aliases(group),
                ignore_changes=[
                    # The size is the autoscaler's from the first pending pod on, unless it is below `min`, which EKS
                    # refuses.
                    *([] if size is not None and size < group.min else ["scalingConfig.desiredSize"]),
                    # A group keeps the name of its creation when the pool is renamed.
                    "nodeGroupNamePrefix",
                ],
                # The provider's default is one hour, whatever the number of nodes.
                custom_timeouts=pulumi.CustomTimeouts(update=f"{update_minutes(group.max, eks.update_percentage)}m"),
            ),
        )


def update_minutes(nodes: int, percentage: int) -> int:
    """Minutes that an update of a group may take; at least the provider's default of 60.

    EKS updates a share of the nodes at a time, 100 at most. Each of these rounds starts nodes, drains the old ones (EKS
    waits 15 minutes for their pods) and terminates them. EKS enlarges the group before and shrinks it afterwards.
    Source: EKS user guide, "Understand each phase of node updates".

    Args:
        nodes: size of the group.
        percentage: share of the nodes that are updated at once.
    """
    at_once = min(max(1, nodes * percentage // 100), _MOST_AT_ONCE)
    return max(60, _MINUTES_OF_A_ROUND * (math.ceil(nodes / at_once) + 1))


def _aliases(group: Group, role: str = "") -> list[pulumi.Alias]:
    return [pulumi.Alias(name=f"{group.former_name}{role}")] if group.former_name else []


def _children(name: str, args: EksNodePoolArgs) -> dict[str, str]:
    """Logical names of the groups, and those that they had (`Group.former_name`) → path of the pool."""
    pool = resolve(name, args["pool"], args.get("kubernetes_version", "")).pool
    planned = groups.of_pool(pool, list(args["subnet_ids"]))
    return {each: "pool" for group in planned for each in (group.name, group.former_name) if each}


def problems(name: str, args: EksNodePoolArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments of the pool `name`, checked without calling AWS."""
    zones, version = list(args["subnet_ids"]), args.get("kubernetes_version", "")
    yield from regions.subnet_problems(args)
    yield from roles.arn_problems("node_role_arn", args["node_role_arn"])
    for group, size in args.get("sizes", {}).items():
        if size < 0:
            yield Problem(f"sizes.{group}", size, "must not be negative", "the group's nodes", "remove or correct it")
    if not zones:
        yield Problem(
            "subnet_ids", {}, "no zone has a subnet for nodes", "zone → id of a subnet",
            "pass the private subnets of the network",
        )  # fmt: skip
    if version:
        yield from checks.minor_version("kubernetes_version", version)
    found = pool_checks.problems(name, args["pool"], zones, version, len(args.get("tags", {})))
    yield from (problem.under("pool") for problem in found)
    yield from tags.problems({key: value for key, value in args.get("tags", {}).items() if key != tags.STACK})
    # Another input is an output of the cluster.
    if isinstance(services := args.get("service_cidr"), str):
        yield from addresses.services_problems(services)
    pool, needed = args["pool"], set()
    if pool["interconnect"]:
        needed |= {"network_id", "security_group_id"}
    if pool.get("security_group_ids"):
        needed.add("security_group_id")
    if pool.get("ami"):
        needed |= {*_PLACE}
    for field in sorted(needed):
        if args.get(field) is None:
            yield Problem(
                field, None, "missing: a pool with `interconnect`, `security_group_ids` or `ami` needs it",
                "an output of the network or the cluster", f"pass `{field}` of the network or the cluster",
            )  # fmt: skip


def autoscaler_tags(eks: EksPool, rung: Rung, cluster: pulumi.Input[str]) -> dict[str, tuple[pulumi.Input[str], str]]:
    """Role → (key, value) of the tags that describe the nodes of an empty group to the Cluster Autoscaler.

    Source: cluster-autoscaler/cloudprovider/aws/README.md, "Auto-Discovery Setup" and "Node template" tags. EKS does
    not copy a node group's tags to the Auto Scaling group, so these are tags of that group.
    """
    pool = eks.pool
    tags: dict[str, tuple[pulumi.Input[str], str]] = {
        "discovery": ("k8s.io/cluster-autoscaler/enabled", "true"),
        "discovery-cluster": (pulumi.Output.concat("k8s.io/cluster-autoscaler/", cluster), "owned"),
        "resource-ephemeral-storage": (
            f"{_TEMPLATE_TAG}/resources/ephemeral-storage",
            f"{pool.allocatable_disk_gib}Gi",
        ),
    }
    if pool.gpu_resources != pool.gpus:  # without this tag the autoscaler counts the machine type's GPUs
        tags["resource-gpu"] = (f"{_TEMPLATE_TAG}/resources/{GPU_KEY}", str(pool.gpu_resources))
    if pool.interconnects:
        tags["resource-efa"] = (f"{_TEMPLATE_TAG}/resources/{EFA_RESOURCE}", str(pool.interconnects))
    if eks.huge_pages_mib:
        tags["resource-hugepages-2Mi"] = (f"{_TEMPLATE_TAG}/resources/hugepages-2Mi", f"{eks.huge_pages_mib}Mi")
    for key, value in rung.labels.items():
        tags[f"label-{key}"] = (f"{_TEMPLATE_TAG}/label/{key}", value)
    for taint in pool.taints:
        tags[f"taint-{taint['key']}"] = (
            f"{_TEMPLATE_TAG}/taint/{taint['key']}",
            f"{taint.get('value', '')}:{taint['effect']}",
        )
    return tags
