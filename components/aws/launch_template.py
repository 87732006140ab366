"""The launch template of a rung: disks, metadata service, network interfaces, placement, reserved capacity."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from ..hardware import AWS, find
from . import user_data
from .pool_spec import EksPool

# A machine whose first network card has no EFA has one card more than EFA interfaces (p6-b300: 17 and 16).
_FIRST_DEVICE = 0
_OTHER_DEVICES = 1


def launch_template(
    name: str,
    eks: EksPool,
    *,
    cluster_name: str,
    tags: dict[str, str],
    reserved: bool,
    security_group_ids: list[pulumi.Input[str]],
    placement_group: pulumi.Input[str] | None,
    place: "Place | None",
    parent: pulumi.Resource,
) -> aws.ec2.LaunchTemplate:
    """A template for EKS, which adds image, cluster and instance profile. `reserved`: its nodes come from the pool's
    reservation. `security_group_ids`: all of them, where they are not the cluster's own group alone. `place`: where
    nodes with an image that is not EKS's join."""
    pool = eks.pool
    # A renamed pool keeps its template as it is: a new version of it would replace the nodes.
    tags = {**tags, "Name": f"{cluster_name}-{eks.origin}", "gpuyard.dev/pool": eks.origin}
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
        # Of a capacity block EKS wants market, reservation and type here (EKS user guide, "Capacity Blocks").
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
        # With interfaces, they name them.
        vpc_security_group_ids=security_group_ids if security_group_ids and not pool.interconnects else None,
        user_data=_user_data(eks, cluster_name, place),
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags=tags)
            for kind in ("instance", "volume", "network-interface")
        ],
        tags=tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


@dataclass(frozen=True)
class Place:
    """The cluster as its nodes see it: `endpoint`, `certificate` (base64) and `service_cidr`."""

    endpoint: pulumi.Input[str]
    certificate: pulumi.Input[str]
    service_cidr: pulumi.Input[str]


def _user_data(eks: EksPool, cluster_name: str, place: Place | None) -> pulumi.Input[str] | None:
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
    found = pulumi.Output.all(place.endpoint, place.certificate, place.service_cidr)
    pods = eks.pods_per_node
    return found.apply(
        lambda at: text(user_data.Join(cluster_name, at[0], at[1], at[2], pool.labels, taints, pods)) or ""
    )


def _disks(eks: EksPool) -> list[aws.ec2.LaunchTemplateBlockDeviceMappingArgs]:
    # AL2023 has everything on its root device; Bottlerocket keeps images and pods on a second one, and the first is as
    # large as its image.
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
    return (system if bottlerocket else []) + [
        aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
            device_name=device,
            ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                volume_type="gp3",
                volume_size=eks.pool.disk_gib,
                encrypted="true",
                delete_on_termination="true",
                # Ten-gigabyte GPU images: the most that gp3 gives without a bill for IOPS is 125 MiB/s.
                throughput=500 if eks.pool.gpus else 125,
                iops=3000,
            ),
        )
    ]


def _interfaces(
    eks: EksPool, security_group_ids: list[pulumi.Input[str]]
) -> list[aws.ec2.LaunchTemplateNetworkInterfaceArgs] | None:
    """One EFA interface on each network card that has EFA; None leaves the one plain interface to EC2.

    The first card's carries IP traffic too (`efa`, or `interface` where that card has no EFA); the others are
    `efa-only` and take no address from the subnet. Source: EC2 user guide, "Maximize network bandwidth on instances
    with multiple network cards"; terraform-aws-eks and eksctl lay them out the same way.
    """
    count = eks.pool.interconnects
    if not count:
        return None
    machine = find(AWS, eks.pool.machine_types[0])
    plain_first = machine is not None and machine.network_cards > count
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
