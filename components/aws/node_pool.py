"""A pool of EKS nodes: a managed node group on a launch template of our own, for each rung of the capacity ladder."""

from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import checks, hardware, naming
from ..pools import NodePoolSpec, Pool, Rung, problems, resolve
from ..taints import cloud_effect

# AMI type by (architecture, GPUs): always explicit, EKS's own guess is AL2 or a CPU image.
_AMI_TYPES = {
    ("x86_64", False): "AL2023_x86_64_STANDARD",
    ("x86_64", True): "AL2023_x86_64_NVIDIA",
    ("arm64", False): "AL2023_ARM_64_STANDARD",
    ("arm64", True): "AL2023_ARM_64_NVIDIA",
}
_CAPACITY_TYPES = {"on_demand": "ON_DEMAND", "spot": "SPOT"}
_TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template"


class EksNodePoolArgs(TypedDict):
    """`pool`: what the pool is (see `NodePoolSpec`). `zones`: the network's zones, in the order of `subnet_ids`.
    `cluster_name`: plain, for tags; `cluster`: the same as an output of the cluster. `release_version`: exact AMI
    release, such as 1.35.2-20260715; without it EKS takes its newest at creation and moves no node afterwards."""

    pool: NodePoolSpec
    zones: list[str]
    subnet_ids: pulumi.Input[list[str]]
    cluster_name: str
    cluster: pulumi.Input[str]
    node_role_arn: pulumi.Input[str]
    release_version: NotRequired[str]
    tags: NotRequired[dict[str, str]]


class EksNodePool(pulumi.ComponentResource):
    """Equal nodes that the Cluster Autoscaler may resize between min and max, from zero too.

    The name of the resource is the name of the pool. Desired size is the autoscaler's. What cannot change in place (the
    machine type, say) makes a new group before the old one goes: names carry a suffix.
    """

    node_group_names: pulumi.Output[list[str]]
    """Physical names of the node groups, best rung first."""
    autoscaling_group_names: pulumi.Output[list[str]]
    """Names of the Auto Scaling groups behind them, best rung first."""

    def __init__(self, name: str, args: EksNodePoolArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:EksNodePool", name, None, opts)
        found = problems(hardware.AWS, name, args["pool"], args["zones"])
        checks.refuse(found, f"EksNodePool {name}")
        pool = resolve(hardware.AWS, name, args["pool"])
        template = self._launch_template(name, pool, args)
        groups = [self._group(rung, pool, template, args) for rung in pool.rungs]
        asg_names = [group.resources[0].autoscaling_groups[0].name for group in groups]
        for rung, asg_name in zip(pool.rungs, asg_names):
            for role, (key, value) in autoscaler_tags(pool, rung, args["cluster_name"]).items():
                aws.autoscaling.Tag(
                    f"{rung.name}-{role}",
                    autoscaling_group_name=asg_name,
                    tag=aws.autoscaling.TagTagArgs(key=key, value=value, propagate_at_launch=False),
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.node_group_names = pulumi.Output.all(*[group.node_group_name for group in groups])
        self.autoscaling_group_names = pulumi.Output.all(*asg_names)
        self.register_outputs(
            {"nodeGroupNames": self.node_group_names, "autoscalingGroupNames": self.autoscaling_group_names}
        )

    def _launch_template(self, name: str, pool: Pool, args: EksNodePoolArgs) -> aws.ec2.LaunchTemplate:
        tags = {**args.get("tags", {}), "Name": f"{args['cluster_name']}-{name}", "gpuyard.dev/pool": name}
        return aws.ec2.LaunchTemplate(
            f"{name}-template",
            description=f"Nodes of the pool {name}",
            update_default_version=True,
            block_device_mappings=[
                aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                    device_name="/dev/xvda",  # the root device of AL2023
                    ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                        volume_type="gp3",
                        volume_size=pool.disk_gib,
                        encrypted="true",
                        delete_on_termination="true",
                        # Ten-gigabyte GPU images: the most that gp3 gives without a bill for IOPS is 125 MiB/s.
                        throughput=500 if pool.gpus else 125,
                        iops=3000,
                    ),
                )
            ],
            metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
                http_endpoint="enabled",
                http_tokens="required",
                # One hop: a pod cannot take the node's credentials; pods have Pod Identity.
                http_put_response_hop_limit=1,
            ),
            tag_specifications=[
                aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
                for kind in ("instance", "volume", "network-interface")
            ],
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _group(
        self, rung: Rung, pool: Pool, template: aws.ec2.LaunchTemplate, args: EksNodePoolArgs
    ) -> aws.eks.NodeGroup:
        chosen = [args["zones"].index(zone) for zone in (pool.zones or args["zones"])]
        subnets = pulumi.Output.from_input(args["subnet_ids"]).apply(lambda ids: [ids[index] for index in chosen])
        return aws.eks.NodeGroup(
            rung.name,
            cluster_name=args["cluster"],
            node_group_name_prefix=f"{naming.fit(rung.name, naming.NODE_GROUP_PREFIX_LIMIT - 1)}-",
            node_role_arn=args["node_role_arn"],
            subnet_ids=subnets,
            ami_type=_AMI_TYPES[pool.arch, bool(pool.gpus)],
            release_version=args.get("release_version"),
            capacity_type=_CAPACITY_TYPES[rung.capacity],
            instance_types=list(pool.machine_types),
            launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
                id=template.id, version=template.latest_version.apply(str)
            ),
            scaling_config=aws.eks.NodeGroupScalingConfigArgs(
                min_size=rung.min, max_size=pool.max, desired_size=rung.min
            ),
            labels=rung.labels,
            taints=[
                aws.eks.NodeGroupTaintArgs(key=taint["key"], value=taint["value"], effect=cloud_effect(taint["effect"]))
                for taint in pool.taints
            ],
            update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable_percentage=33),
            node_repair_config=aws.eks.NodeGroupNodeRepairConfigArgs(enabled=True),
            tags={**args.get("tags", {}), "gpuyard.dev/pool": pool.name},
            opts=pulumi.ResourceOptions(
                parent=self,
                # The autoscaler's, from the first pending pod on.
                ignore_changes=["scalingConfig.desiredSize"],
            ),
        )


def autoscaler_tags(pool: Pool, rung: Rung, cluster_name: str) -> dict[str, tuple[str, str]]:
    """Role → (key, value) of the tags from which the Cluster Autoscaler knows a group of which no node exists.

    Source: cluster-autoscaler/cloudprovider/aws/README.md, "Auto-Discovery Setup" and "Node template" tags. Node group
    tags do not reach the Auto Scaling group, so they are put there by themselves.
    """
    tags = {
        "discovery": ("k8s.io/cluster-autoscaler/enabled", "true"),
        "discovery-cluster": (f"k8s.io/cluster-autoscaler/{cluster_name}", "owned"),
        "resource-ephemeral-storage": (
            f"{_TEMPLATE_TAG}/resources/ephemeral-storage",
            f"{pool.allocatable_disk_gib}Gi",
        ),
    }
    for key, value in rung.labels.items():
        tags[f"label-{key}"] = (f"{_TEMPLATE_TAG}/label/{key}", value)
    for taint in pool.taints:
        tags[f"taint-{taint['key']}"] = (f"{_TEMPLATE_TAG}/taint/{taint['key']}", f"{taint['value']}:{taint['effect']}")
    return tags
