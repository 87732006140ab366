"""The launch template of a rung: disks, metadata service, network interfaces, placement, reserved capacity."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from . import image_pull, user_data
from .pool_spec import EksPool

# A machine whose first network card does not support EFA has one card more than EFA interfaces (p6-b300: 17 and 16).
_FIRST_DEVICE = 0
_OTHER_DEVICES = 1


def launch_template(
    name: str,
    eks: EksPool,
    *,
    cluster: pulumi.Input[str],
    tags: dict[str, str],
    reserved: bool,
    security_group_ids: list[pulumi.Input[str]],
    placement_group: pulumi.Input[str] | None,
    place: "Place | None",
    parent: pulumi.Resource,
) -> aws.ec2.LaunchTemplate:
    """A launch template for EKS, which adds image, cluster and instance profile.

    Args:
        name: of the resource.
        eks: the pool.
        cluster: name of the EKS cluster.
        tags: tags of the template, and of the instances, disks and interfaces.
        reserved: whether its nodes come from the pool's reservation.
        security_group_ids: all security groups; empty for the cluster's alone.
        placement_group: name of a placement group.
        place: what nodes with an image that is not EKS's need to join.
        parent: the component.
    """
    pool = eks.pool
    # A renamed pool keeps its template unchanged: a new version would replace the nodes.
    named: dict[str, pulumi.Input[str]] = {
        **tags,
        "Name": pulumi.Output.concat(cluster, f"-{eks.origin}"),
        "gpuyard.dev/pool": eks.origin,
    }
    reservation = eks.reservation if reserved else {}
    block = reserved and eks.capacity_block
    return aws.ec2.LaunchTemplate(
        name,
        description=f"Nodes of the pool {eks.origin}",
        update_default_version=True,
        block_device_mappings=_disks(eks),
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled",
            http_tokens="required",
            # One hop: a pod cannot take the node's credentials; pods have Pod Identity.
            http_put_response_hop_limit=1,
        ),
        network_interfaces=_interfaces(eks, security_group_ids),
        placement=aws.ec2.LaunchTemplatePlacementArgs(group_name=placement_group) if placement_group else None,
        # For a capacity block, EKS requires market, reservation and type here (EKS user guide, "Capacity Blocks").
        instance_market_options=aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block")
        if block
        else None,
        instance_type=pool.machine_types[0] if block else None,
        capacity_reservation_specification=aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(
            capacity_reservation_target=aws.ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
                capacity_reservation_id=reservation.get("id"),
                capacity_reservation_resource_group_arn=reservation.get("group_arn"),
            )
        )
        if reserved
        else None,
        image_id=eks.ami,
        # If the template has interfaces, they name the security groups.
        vpc_security_group_ids=security_group_ids if security_group_ids and not pool.interconnects else None,
        user_data=_user_data(eks, cluster, place),
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=named)
            for kind in ("instance", "volume", "network-interface")
        ],
        tags=named,
        opts=pulumi.ResourceOptions(parent=parent),
    )


@dataclass(frozen=True)
class Place:
    """What a node needs to know of its cluster to join it."""

    endpoint: pulumi.Input[str]
    """URL of the API server."""
    certificate: pulumi.Input[str]
    """Certificate of the cluster's CA in base64."""
    service_cidr: pulumi.Input[str]
    """IPv4 range of the Services."""


def _user_data(eks: EksPool, cluster: pulumi.Input[str], place: Place | None) -> pulumi.Input[str] | None:
    pool = eks.pool

    def text(join: user_data.Join | None) -> str | None:
        return user_data.encoded(
            user_data.render(
                eks.image, scratch=bool(pool.scratch_gb), gpus=bool(pool.gpus), settings=eks.node_settings, join=join
            )
        )

    if eks.ami is None or place is None:
        return text(None)
    taints = [f"{taint['key']}={taint.get('value', '')}:{taint['effect']}" for taint in pool.taints]
    found = pulumi.Output.all(cluster, place.endpoint, place.certificate, place.service_cidr)
    pods = eks.pods_per_node
    return found.apply(
        lambda facts: text(user_data.Join(facts[0], facts[1], facts[2], facts[3], pool.labels, taints, pods)) or ""
    )


def _disks(eks: EksPool) -> list[aws.ec2.LaunchTemplateBlockDeviceMappingArgs]:
    # AL2023 has everything on its root device. Bottlerocket keeps images and pods on a second device; its first one has
    # the size of the image.
    bottlerocket = eks.image == "bottlerocket"
    system = [
        aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
            device_name="/dev/xvda",
            ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                volume_type="gp3", encrypted="true", delete_on_termination="true"
            ),
        )
    ]
    device = "/dev/xvdb" if bottlerocket else "/dev/xvda"
    throughput = image_pull.throughput(eks.pool, eks.fast_image_pull)
    return (system if bottlerocket else []) + [
        aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
            device_name=device,
            ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                volume_type="gp3",
                volume_size=eks.pool.disk_gib,
                encrypted="true",
                delete_on_termination="true",
                throughput=throughput,
                iops=max(3000, 4 * throughput),  # gp3 gives 0.25 MiB/s for each of them
            ),
        )
    ]


def _interfaces(
    eks: EksPool, security_group_ids: list[pulumi.Input[str]]
) -> list[aws.ec2.LaunchTemplateNetworkInterfaceArgs] | None:
    """One EFA interface on each network card that has EFA; None if EC2 chooses the one plain interface.

    The first card's interface is also for IP traffic: it is `efa`, or `interface` if that card has no EFA. The others
    are `efa-only` and have no address in the subnet. Source: EC2 user guide, "Maximize network bandwidth on instances
    with multiple network cards"; terraform-aws-eks and eksctl use the same layout.
    """
    count = eks.pool.interconnects
    if not count:
        return None
    plain_first = eks.pool.machines[0].network_cards > count
    kinds = [(0, _FIRST_DEVICE, "interface" if plain_first else "efa")]
    kinds += [(card, _OTHER_DEVICES, "efa-only") for card in range(1, count + plain_first)]
    return [
        aws.ec2.LaunchTemplateNetworkInterfaceArgs(
            network_card_index=card,
            device_index=device,
            interface_type=kind,
            security_groups=security_group_ids,
            delete_on_termination="true",
        )
        for card, device, kind in kinds
    ]
