"""VPCs, subnets, tags, endpoints and flow logs."""

from __future__ import annotations

from typing import Any

from sandbox.aws.api import AwsError, Recorder
from sandbox.aws.session import ACCOUNT
from sandbox.aws.table import Call, Row, Scope, Tags


def ec2_tags(resource_type: str) -> Tags:
    """EC2's tags: set at the creation, changed by CreateTags and DeleteTags."""
    return Tags(
        member="TagSpecifications",
        resource_type=resource_type,
        write=Call("CreateTags", fixed={"Resources": ["{id}"], "Tags": []}),
        remove=Call("DeleteTags", fixed={"Resources": ["{id}"], "Tags": []}),
    )


def arn(kind: str, identifier: str = "{id}") -> str:
    """A JMESPath literal of an EC2 ARN (EC2 does not return ARNs)."""
    return f"'arn:aws:ec2:{{region}}:{ACCOUNT}:{kind}/{identifier}'"


def _vpc_attribute(name: str) -> tuple[Call, Call]:
    member = name[:1].upper() + name[1:]
    change = Call("ModifyVpcAttribute", {name: f"{member}.Value"}, {"VpcId": "{id}"}, when=(name,))
    look = Call(
        "DescribeVpcAttribute", fixed={"VpcId": "{id}", "Attribute": name}, answer=f"{member}.Value", gives={name: "@"}
    )
    return change, look


_SUPPORT, _SEE_SUPPORT = _vpc_attribute("enableDnsSupport")
_HOSTNAMES, _SEE_HOSTNAMES = _vpc_attribute("enableDnsHostnames")
_VPC_FILTER = {"Name": "vpc-id", "Values": ["{id}"]}


def _subnet_attribute(name: str) -> Call:
    member = name[:1].upper() + name[1:]
    return Call("ModifySubnetAttribute", {name: f"{member}.Value"}, {"SubnetId": "{id}"}, when=(name,))


_SUBNET_ATTRIBUTES = tuple(map(_subnet_attribute, ("mapPublicIpOnLaunch", "assignIpv6AddressOnCreation")))


def _change_endpoint(scope: Scope) -> None:
    """ModifyVpcEndpoint takes the items to add and the items to remove."""
    params: dict = {}
    for name, member in (
        ("routeTableIds", "RouteTableIds"),
        ("subnetIds", "SubnetIds"),
        ("securityGroupIds", "SecurityGroupIds"),
    ):
        old, new = set(scope.olds.get(name) or []), set(scope.inputs.get(name) or [])
        if new - old:
            params[f"Add{member}"] = sorted(new - old)
        if old - new:
            params[f"Remove{member}"] = sorted(old - new)
    if scope.changed("policy") and scope.inputs.get("policy"):
        params["PolicyDocument"] = scope.inputs["policy"]
    if scope.changed("privateDnsEnabled"):
        params["PrivateDnsEnabled"] = bool(scope.inputs.get("privateDnsEnabled"))
    if params:
        scope.api.call("ec2", "ModifyVpcEndpoint", {"VpcEndpointId": scope.id, **params})


def _tag(scope: Scope) -> dict[str, Any]:
    """One tag of a resource that another program owns."""
    pair = {"Key": scope.inputs["key"], "Value": scope.inputs["value"]}
    scope.api.call("ec2", "CreateTags", {"Resources": [scope.inputs["resourceId"]], "Tags": [pair]})
    return {}


def _tagged(scope: Scope) -> dict[str, Any] | None:
    filters = [
        {"Name": "resource-id", "Values": [scope.inputs["resourceId"]]},
        {"Name": "key", "Values": [scope.inputs["key"]]},
    ]
    for each in scope.api.call("ec2", "DescribeTags", {"Filters": filters})["Tags"]:
        return {"resourceId": each["ResourceId"], "key": each["Key"], "value": each["Value"]}
    return None


def _untag(scope: Scope) -> None:
    pair = {"Key": scope.inputs["key"], "Value": scope.inputs["value"]}
    scope.api.call("ec2", "DeleteTags", {"Resources": [scope.inputs["resourceId"]], "Tags": [pair]})


def _create_flow_log(scope: Scope) -> dict:
    kinds = {"vpcId": "VPC", "subnetId": "Subnet", "eniId": "NetworkInterface"}
    (name, kind), *_ = [(n, k) for n, k in kinds.items() if scope.inputs.get(n)] or [("vpcId", "VPC")]
    params: dict = {"ResourceIds": [scope.inputs.get(name)], "ResourceType": kind}
    for prop, member in (
        ("trafficType", "TrafficType"),
        ("logDestinationType", "LogDestinationType"),
        ("logDestination", "LogDestination"),
        ("iamRoleArn", "DeliverLogsPermissionArn"),
        ("logFormat", "LogFormat"),
        ("maxAggregationInterval", "MaxAggregationInterval"),
        ("destinationOptions", "DestinationOptions"),
    ):
        if scope.inputs.get(prop) is not None:
            value = scope.inputs[prop]
            params[member] = int(value) if prop == "maxAggregationInterval" else value
    if isinstance(params.get("DestinationOptions"), dict):
        params["DestinationOptions"] = {k[:1].upper() + k[1:]: v for k, v in params["DestinationOptions"].items()}
    if scope.tags:
        pairs = [{"Key": key, "Value": value} for key, value in scope.tags.items()]
        params["TagSpecifications"] = [{"ResourceType": "vpc-flow-log", "Tags": pairs}]
    answer = scope.api.call("ec2", "CreateFlowLogs", params)
    if (failed := answer.get("Unsuccessful")) and not isinstance(scope.api, Recorder):
        raise AwsError(failed[0]["Error"]["Code"], failed[0]["Error"]["Message"], "CreateFlowLogs")
    return {"FlowLogId": answer["FlowLogIds"][0]}


ROWS = [
    Row(
        token="aws:ec2/vpc:Vpc",
        service="ec2",
        id="{VpcId}",
        create=(
            Call(
                "CreateVpc",
                {
                    "cidrBlock": "CidrBlock",
                    "instanceTenancy": "InstanceTenancy",
                    "assignGeneratedIpv6CidrBlock": "AmazonProvidedIpv6CidrBlock",
                },
                answer="Vpc",
            ),
            _SUPPORT,
            _HOSTNAMES,
        ),
        read=(
            Call(
                "DescribeVpcs",
                fixed={"VpcIds": ["{id}"]},
                answer="Vpcs[0]",
                gives={
                    "arn": arn("vpc"),
                    "ownerId": "OwnerId",
                    "dhcpOptionsId": "DhcpOptionsId",
                    "ipv6CidrBlock": "Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock",
                    "ipv6AssociationId": "Ipv6CidrBlockAssociationSet[0].AssociationId",
                },
            ),
            _SEE_SUPPORT,
            _SEE_HOSTNAMES,
            Call(
                "DescribeRouteTables",
                fixed={"Filters": [_VPC_FILTER, {"Name": "association.main", "Values": ["true"]}]},
                gives={
                    "mainRouteTableId": "RouteTables[0].RouteTableId",
                    "defaultRouteTableId": "RouteTables[0].RouteTableId",
                },
            ),
            Call(
                "DescribeSecurityGroups",
                fixed={"Filters": [_VPC_FILTER, {"Name": "group-name", "Values": ["default"]}]},
                gives={"defaultSecurityGroupId": "SecurityGroups[0].GroupId"},
            ),
            Call(
                "DescribeNetworkAcls",
                fixed={"Filters": [_VPC_FILTER, {"Name": "default", "Values": ["true"]}]},
                gives={"defaultNetworkAclId": "NetworkAcls[0].NetworkAclId"},
            ),
        ),
        update=(_SUPPORT, _HOSTNAMES),
        delete=(Call("DeleteVpc", fixed={"VpcId": "{id}"}),),
        replaces=frozenset({"cidrBlock", "instanceTenancy", "ipv4IpamPoolId", "ipv4NetmaskLength"}),
        defaults={"enableDnsSupport": True, "instanceTenancy": "default"},
        tags=ec2_tags("vpc"),
    ),
    Row(
        token="aws:ec2/vpcIpv4CidrBlockAssociation:VpcIpv4CidrBlockAssociation",
        service="ec2",
        id="{AssociationId}",
        create=(
            Call("AssociateVpcCidrBlock", {"vpcId": "VpcId", "cidrBlock": "CidrBlock"}, answer="CidrBlockAssociation"),
        ),
        read=(
            Call(
                "DescribeVpcs",
                fixed={"Filters": [{"Name": "cidr-block-association.association-id", "Values": ["{id}"]}]},
                answer="Vpcs[0].{VpcId: VpcId, Own: CidrBlockAssociationSet[?AssociationId=='{id}' && "
                "CidrBlockState.State=='associated'] | [0]} | [@][?Own] | [0]",
                gives={"vpcId": "VpcId", "cidrBlock": "Own.CidrBlock"},
            ),
        ),
        delete=(Call("DisassociateVpcCidrBlock", fixed={"AssociationId": "{id}"}),),
        replaces=frozenset({"vpcId", "cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength"}),
    ),
    Row(
        token="aws:ec2/tag:Tag",
        service="ec2",
        id="{resourceId},{key}",
        create=(_tag,),
        read=(_tagged,),
        update=(_tag,),
        delete=(_untag,),
        replaces=frozenset({"resourceId", "key"}),
    ),
    Row(
        token="aws:ec2/subnet:Subnet",
        service="ec2",
        id="{SubnetId}",
        create=(
            Call(
                "CreateSubnet",
                {
                    "vpcId": "VpcId",
                    "cidrBlock": "CidrBlock",
                    "availabilityZone": "AvailabilityZone",
                    "availabilityZoneId": "AvailabilityZoneId",
                    "ipv6CidrBlock": "Ipv6CidrBlock",
                },
                answer="Subnet",
            ),
            *_SUBNET_ATTRIBUTES,
        ),
        read=(
            Call(
                "DescribeSubnets",
                fixed={"SubnetIds": ["{id}"]},
                answer="Subnets[0]",
                gives={
                    "arn": arn("subnet"),
                    "ownerId": "OwnerId",
                    "mapPublicIpOnLaunch": "MapPublicIpOnLaunch",
                    "assignIpv6AddressOnCreation": "AssignIpv6AddressOnCreation",
                },
            ),
        ),
        update=_SUBNET_ATTRIBUTES,
        delete=(Call("DeleteSubnet", fixed={"SubnetId": "{id}"}),),
        replaces=frozenset(
            {"vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId", "outpostArn", "ipv6Native"}
        ),
        tags=ec2_tags("subnet"),
    ),
    Row(
        token="aws:ec2/vpcEndpoint:VpcEndpoint",
        service="ec2",
        id="{VpcEndpointId}",
        create=(
            Call(
                "CreateVpcEndpoint",
                {
                    "vpcId": "VpcId",
                    "serviceName": "ServiceName",
                    "vpcEndpointType": "VpcEndpointType",
                    "policy": "PolicyDocument",
                    "routeTableIds": "RouteTableIds",
                    "subnetIds": "SubnetIds",
                    "securityGroupIds": "SecurityGroupIds",
                    "privateDnsEnabled": "PrivateDnsEnabled",
                    "ipAddressType": "IpAddressType",
                },
                answer="VpcEndpoint",
            ),
        ),
        read=(
            Call(
                "DescribeVpcEndpoints",
                fixed={"VpcEndpointIds": ["{id}"]},
                answer="VpcEndpoints[?State!='deleted'] | [0]",
                gives={
                    "arn": arn("vpc-endpoint"),
                    "state": "State",
                    "ownerId": "OwnerId",
                    "networkInterfaceIds": "NetworkInterfaceIds",
                    "dnsEntries": "DnsEntries",
                    "requesterManaged": "RequesterManaged",
                    "securityGroupIds": "Groups[].GroupId",
                },
            ),
        ),
        update=(_change_endpoint,),
        delete=(Call("DeleteVpcEndpoints", fixed={"VpcEndpointIds": ["{id}"]}),),
        replaces=frozenset({"vpcId", "serviceName", "vpcEndpointType", "serviceRegion"}),
        defaults={"vpcEndpointType": "Gateway"},
        json=frozenset({"policy"}),
        tags=ec2_tags("vpc-endpoint"),
        await_gone=True,
    ),
    Row(
        token="aws:ec2/flowLog:FlowLog",
        service="ec2",
        id="{FlowLogId}",
        create=(_create_flow_log,),
        read=(
            Call(
                "DescribeFlowLogs",
                fixed={"FlowLogIds": ["{id}"]},
                answer="FlowLogs[0]",
                gives={
                    "arn": arn("vpc-flow-log"),
                    "trafficType": "TrafficType",
                    "logDestinationType": "LogDestinationType",
                    "logDestination": "LogDestination",
                    "maxAggregationInterval": "MaxAggregationInterval",
                },
            ),
        ),
        delete=(Call("DeleteFlowLogs", fixed={"FlowLogIds": ["{id}"]}),),
        replaces=frozenset(
            {
                *("vpcId", "subnetId", "eniId", "trafficType", "logDestinationType", "logDestination", "iamRoleArn"),
                *("logFormat", "maxAggregationInterval", "destinationOptions"),
            }
        ),
        defaults={"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600},
        tags=ec2_tags("vpc-flow-log"),
    ),
]
