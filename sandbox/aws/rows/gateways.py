"""Internet gateways, NAT gateways and Elastic IP addresses."""

from __future__ import annotations

from sandbox.aws.rows.network import arn, ec2_tags
from sandbox.aws.table import Call, Row, Scope


def _attach_gateway(scope: Scope) -> None:
    """An internet gateway moves from one VPC to another in place."""
    old, new = scope.olds.get("vpcId"), scope.inputs.get("vpcId")
    if old == new:
        return
    if old:
        scope.api.call("ec2", "DetachInternetGateway", {"InternetGatewayId": scope.id, "VpcId": old})
    if new:
        scope.api.call("ec2", "AttachInternetGateway", {"InternetGatewayId": scope.id, "VpcId": new})


def _detach_gateway(scope: Scope) -> None:
    found = scope.api.call("ec2", "DescribeInternetGateways", {"InternetGatewayIds": [scope.id]})
    for gateway in found["InternetGateways"]:
        for attachment in gateway.get("Attachments", []):
            vpc = attachment["VpcId"]
            scope.api.call("ec2", "DetachInternetGateway", {"InternetGatewayId": scope.id, "VpcId": vpc})


ROWS = [
    Row(
        token="aws:ec2/internetGateway:InternetGateway",
        service="ec2",
        id="{InternetGatewayId}",
        create=(Call("CreateInternetGateway", answer="InternetGateway"), _attach_gateway),
        read=(
            Call(
                "DescribeInternetGateways",
                fixed={"InternetGatewayIds": ["{id}"]},
                answer="InternetGateways[0]",
                gives={"arn": arn("internet-gateway"), "ownerId": "OwnerId", "vpcId": "Attachments[0].VpcId"},
            ),
        ),
        update=(_attach_gateway,),
        delete=(_detach_gateway, Call("DeleteInternetGateway", fixed={"InternetGatewayId": "{id}"})),
        tags=ec2_tags("internet-gateway"),
    ),
    Row(
        token="aws:ec2/eip:Eip",
        service="ec2",
        id="{AllocationId}",
        create=(
            Call(
                "AllocateAddress",
                {
                    "domain": "Domain",
                    "address": "Address",
                    "publicIpv4Pool": "PublicIpv4Pool",
                    "networkBorderGroup": "NetworkBorderGroup",
                },
            ),
            Call("AssociateAddress", {"instance": "InstanceId"}, {"AllocationId": "{id}"}, when=("instance",)),
            Call(
                "AssociateAddress",
                {"networkInterface": "NetworkInterfaceId"},
                {"AllocationId": "{id}"},
                when=("networkInterface",),
            ),
        ),
        read=(
            Call(
                "DescribeAddresses",
                fixed={"AllocationIds": ["{id}"]},
                answer="Addresses[0]",
                gives={
                    "arn": arn("elastic-ip"),
                    "allocationId": "AllocationId",
                    "associationId": "AssociationId",
                    "publicIp": "PublicIp",
                    "privateIp": "PrivateIpAddress",
                    "domain": "Domain",
                    "networkInterface": "NetworkInterfaceId",
                    "instance": "InstanceId",
                },
            ),
        ),
        delete=(Call("ReleaseAddress", fixed={"AllocationId": "{id}"}),),
        replaces=frozenset(
            {"domain", "address", "publicIpv4Pool", "networkBorderGroup", "instance", "networkInterface"}
        ),
        defaults={"domain": "vpc"},
        tags=ec2_tags("elastic-ip"),
    ),
    Row(
        token="aws:ec2/natGateway:NatGateway",
        service="ec2",
        id="{NatGatewayId}",
        create=(
            Call(
                "CreateNatGateway",
                {
                    "subnetId": "SubnetId",
                    "allocationId": "AllocationId",
                    "connectivityType": "ConnectivityType",
                    "privateIp": "PrivateIpAddress",
                },
                answer="NatGateway",
            ),
        ),
        read=(
            Call(
                "DescribeNatGateways",
                fixed={"NatGatewayIds": ["{id}"]},
                answer="NatGateways[?State!='deleted'] | [0]",
                gives={
                    "publicIp": "NatGatewayAddresses[0].PublicIp",
                    "privateIp": "NatGatewayAddresses[0].PrivateIp",
                    "networkInterfaceId": "NatGatewayAddresses[0].NetworkInterfaceId",
                    "allocationId": "NatGatewayAddresses[0].AllocationId",
                },
            ),
        ),
        delete=(Call("DeleteNatGateway", fixed={"NatGatewayId": "{id}"}),),
        replaces=frozenset({"subnetId", "allocationId", "connectivityType", "privateIp"}),
        defaults={"connectivityType": "public"},
        tags=ec2_tags("natgateway"),
        await_gone=True,
    ),
]
