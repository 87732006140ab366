"""A pool of EKS nodes: managed node groups on a launch template of our own, one for each rung of the capacity ladder in
each zone."""

import math
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import checks, naming
from ..checks import Problem
from ..pools import Rung
from ..renames import renamed
from ..taints import cloud_effect
from . import groups, tags
from .groups import Group
from .launch_template import Place, launch_template
from .pool_checks import problems
from .pool_spec import EksNodePoolSpec, EksPool, resolve
from .subnets import of_zones

_TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template"
# The resource under which the EFA device plugin shows a node's interfaces to pods.
EFA_RESOURCE = "vpc.amazonaws.com/efa"
# What nodes with an image that is not EKS's are given: EKS adds it to the others' user data.
_PLACE = ("endpoint", "certificate_authority", "service_cidr")
# Rounds of an update: at most so many nodes, and minutes until new ones have joined and old ones are drained.
_MOST_AT_ONCE, _MINUTES_OF_A_ROUND = 100, 30


class EksNodePoolArgs(TypedDict):
    """`pool`: what the pool is (see `EksNodePoolSpec`). `zones`: the network's zones, in the order of `subnet_ids`; a
    pool that names none of its own has a group in each of them.
    `cluster_name`: plain, for tags; `cluster`: the same as an output of the cluster. `kubernetes_version`: the
    cluster's minor, from which the pinned image follows; without it EKS takes its newest. `network_id`,
    `security_group_id`: the VPC and the cluster's own group; pools with interconnect or with security groups need them.
    `endpoint`, `certificate_authority`, `service_cidr`: the cluster's; pools with an `ami` need them. `sizes`:
    nodes that the groups have at the moment, by their logical names (default: not known): one below a raised `min` is
    raised to it."""

    pool: EksNodePoolSpec
    zones: list[str]
    subnet_ids: pulumi.Input[list[pulumi.Input[str]]]
    cluster_name: str
    cluster: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    kubernetes_version: NotRequired[str]
    network_id: NotRequired[pulumi.Input[str]]
    security_group_id: NotRequired[pulumi.Input[str]]
    endpoint: NotRequired[pulumi.Input[str]]
    certificate_authority: NotRequired[pulumi.Input[str]]
    service_cidr: NotRequired[pulumi.Input[str]]
    sizes: NotRequired[dict[str, int]]
    tags: NotRequired[dict[str, str]]


class EksNodePool(pulumi.ComponentResource):
    """Equal nodes that the Cluster Autoscaler may resize between min and max, from zero too.

    The name of the resource is the name of the pool; its groups are named after it, their rung and their zone (see
    `groups.py`). Desired size is the autoscaler's: update with `pulumi up --refresh` (this repository's Pulumi.yaml
    sets `refresh: always`), or a change of `max` puts back the size that the engine saw last, and the nodes in use go.
    EKS refuses a `min` above the size of the moment: pass `sizes`, or raise that first (`aws eks
    update-nodegroup-config`). What cannot change in place (the machine type, say) makes a new group before the old one
    goes: names carry a suffix.
    """

    node_group_names: pulumi.Output[list[str]]
    """Physical names of the node groups: best rung first, then by zone."""
    autoscaling_group_names: pulumi.Output[list[str]]
    """Names of the Auto Scaling groups behind them, in the same order."""

    def __init__(self, name: str, args: EksNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:EksNodePool", name, None, renamed(opts, args["pool"]))
        version = args.get("kubernetes_version", "")
        checks.refuse(_problems(name, args, version), f"EksNodePool {name}")
        self._name, self._args, self._tags = name, args, args.get("tags", {})
        eks = resolve(name, args["pool"], version)
        templates = self._templates(eks)
        planned = groups.of_pool(eks.pool, args["zones"])
        made = [self._group(group, eks, templates[group.rung.capacity == "reserved"]) for group in planned]
        asg_names = [node_group.resources[0].autoscaling_groups[0].name for node_group in made]
        # Of the group itself; its instances have theirs from the template, and twice is refused by neither.
        own = {f"tag-{key}": (key, value) for key, value in self._tags.items()}
        for group, asg_name in zip(planned, asg_names):
            for role, (key, value) in {**own, **autoscaler_tags(eks, group.rung, args["cluster_name"])}.items():
                aws.autoscaling.Tag(
                    f"{group.name}-{role}",
                    autoscaling_group_name=asg_name,
                    tag=aws.autoscaling.TagTagArgs(key=key, value=value, propagate_at_launch=False),
                    opts=pulumi.ResourceOptions(parent=self, aliases=_aliases(group, f"-{role}")),
                )
        self.node_group_names = pulumi.Output.all(*[node_group.node_group_name for node_group in made])
        self.autoscaling_group_names = pulumi.Output.all(*asg_names)
        self.register_outputs(
            {"nodeGroupNames": self.node_group_names, "autoscalingGroupNames": self.autoscaling_group_names}
        )

    def _templates(self, eks: EksPool) -> dict[bool, aws.ec2.LaunchTemplate]:
        """The launch template of the reserved rung (True) and that of all others (False), as far as there are such."""
        # Groups of a template's own take the place of the cluster's, so that is among them.
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
                cluster_name=self._args["cluster_name"],
                tags=self._tags,
                reserved=reserved,
                security_group_ids=security_groups,
                # A reservation has its place already; a group beside it is InsufficientInstanceCapacity (eksctl#7949).
                placement_group=None if reserved else placement,
                place=place,
                parent=self,
            )
            for reserved in sorted({rung.capacity == "reserved" for rung in eks.pool.rungs})
        }

    def _efa_group(self) -> aws.ec2.SecurityGroup:
        """EFA's traffic bypasses the kernel and passes only between members of one group that allows all of it, both
        ways and by name (EC2 user guide, "Get started with EFA")."""
        child = pulumi.ResourceOptions(parent=self)
        name = f"{self._name}-efa"
        tags = {**self._tags, "Name": f"{self._args['cluster_name']}-{name}"}
        group = aws.ec2.SecurityGroup(
            name,
            # Cannot change: another one is another group, which no interface could leave this one for.
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
            # Always, so that nodes follow the cluster: without it a group keeps the minor of its creation.
            version=None if eks.ami else args.get("kubernetes_version"),
            # Of the rung alone: the autoscaler's priorities are by name, and zones of a rung are equals.
            node_group_name_prefix=f"{naming.fit(rung.name, naming.NODE_GROUP_PREFIX_LIMIT - 1)}-",
            node_role_arn=args["node_role_arn"],
            subnet_ids=of_zones(args["subnet_ids"], args["zones"], [group.zone]),
            ami_type=eks.ami_type,
            release_version=eks.release,
            capacity_type="CAPACITY_BLOCK" if block else "SPOT" if rung.capacity == "spot" else "ON_DEMAND",
            # Of a capacity block the template names the type.
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
                # EKS starts new nodes before it takes old ones away; a reservation that is in use has none to give.
                update_strategy="MINIMAL" if rung.capacity == "reserved" else "DEFAULT",
            ),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=eks.node_repair),
            # A preview shows by the tag which driver a new release brings.
            tags={**self._tags, "gpuyard.dev/pool": pool.name, "gpuyard.dev/zone": group.zone, **driver},
            opts=pulumi.ResourceOptions(
                parent=self,
                aliases=_aliases(group),
                ignore_changes=[
                    # The autoscaler's, from the first pending pod on. Ours is a size below `min`: EKS takes no such.
                    *([] if size is not None and size < group.min else ["scalingConfig.desiredSize"]),
                    # The name is that of the creation, whatever the pool is called later.
                    "nodeGroupNamePrefix",
                ],
                # The provider's own is an hour, whatever the number of nodes.
                custom_timeouts=pulumi.CustomTimeouts(update=f"{update_minutes(group.max, eks.update_percentage)}m"),
            ),
        )


def update_minutes(nodes: int, percentage: int) -> int:
    """How long a new version of so many nodes may take, and at least the provider's default of 60 minutes.

    A share of the nodes at a time, 100 at most; each of these rounds starts nodes, drains the old ones (EKS waits 15
    minutes for their pods) and ends them. The group is made larger before and smaller after. Source: EKS user guide,
    "Understand each phase of node updates"."""
    at_once = min(max(1, nodes * percentage // 100), _MOST_AT_ONCE)
    return max(60, _MINUTES_OF_A_ROUND * (math.ceil(nodes / at_once) + 1))


def _aliases(group: Group, role: str = "") -> list[pulumi.Alias]:
    return [pulumi.Alias(name=f"{group.former_name}{role}")] if group.former_name else []


def _problems(name: str, args: EksNodePoolArgs, version: str) -> Iterator[Problem]:
    yield from problems(name, args["pool"], args["zones"], version, len(args.get("tags", {})))
    yield from tags.problems({key: value for key, value in args.get("tags", {}).items() if key != tags.STACK})
    pool, needed = args["pool"], set()
    if pool.get("interconnect"):
        needed |= {"network_id", "security_group_id"}
    if pool.get("security_group_ids"):
        needed.add("security_group_id")
    if pool.get("ami"):
        needed |= {*_PLACE}
    for field in sorted(needed):
        if args.get(field) is None:
            yield Problem(
                field, None, "a pool with interconnect, security groups or an image of its own needs it",
                "an output of the network or the cluster", f"pass the output {field} of network or cluster",
            )  # fmt: skip


def autoscaler_tags(eks: EksPool, rung: Rung, cluster_name: str) -> dict[str, tuple[str, str]]:
    """Role → (key, value) of the tags from which the Cluster Autoscaler knows a group of which no node exists.

    Source: cluster-autoscaler/cloudprovider/aws/README.md, "Auto-Discovery Setup" and "Node template" tags. Node group
    tags do not reach the Auto Scaling group, so they are put there by themselves.
    """
    pool = eks.pool
    tags = {
        "discovery": ("k8s.io/cluster-autoscaler/enabled", "true"),
        "discovery-cluster": (f"k8s.io/cluster-autoscaler/{cluster_name}", "owned"),
        "resource-ephemeral-storage": (
            f"{_TEMPLATE_TAG}/resources/ephemeral-storage",
            f"{pool.allocatable_disk_gib}Gi",
        ),
    }
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
