"""The data sources of pulumi-aws about networks: VPCs, subnets, security groups, route tables."""

from __future__ import annotations

from typing import Any

from sandbox.aws.api import Api, Props, from_api
from sandbox.aws.session import ACCOUNT
from sandbox.plugins.provider import ProviderError


def ec2_filters(args: Props) -> list[Props]:
    found = [{"Name": each["name"], "Values": each["values"]} for each in args.get("filters") or []]
    found += [{"Name": f"tag:{key}", "Values": [value]} for key, value in (args.get("tags") or {}).items()]
    return found


def vpc(api: Api, args: Props) -> Props:
    params: Props = {"VpcIds": [args["id"]]} if args.get("id") else {}
    filters = ec2_filters(args)
    for name, key in (("cidrBlock", "cidr"), ("state", "state"), ("dhcpOptionsId", "dhcp-options-id")):
        if args.get(name):
            filters.append({"Name": key, "Values": [args[name]]})
    if args.get("default"):
        filters.append({"Name": "is-default", "Values": ["true"]})
    if filters:
        params["Filters"] = filters
    found = api.call("ec2", "DescribeVpcs", params)["Vpcs"]
    vpc = _one(found, "EC2 VPC")
    identity = vpc["VpcId"]

    def attribute(name: str) -> bool:
        params = {"VpcId": identity, "Attribute": name}
        return api.call("ec2", "DescribeVpcAttribute", params)[name[:1].upper() + name[1:]]["Value"]

    main = [{"Name": "vpc-id", "Values": [identity]}, {"Name": "association.main", "Values": ["true"]}]
    tables = api.call("ec2", "DescribeRouteTables", {"Filters": main})["RouteTables"]
    blocks = vpc.get("CidrBlockAssociationSet", [])
    return {
        "id": identity,
        "region": api.region,
        "arn": f"arn:aws:ec2:{api.region}:{ACCOUNT}:vpc/{identity}",
        "cidrBlock": vpc["CidrBlock"],
        "cidrBlockAssociations": [
            {"associationId": b["AssociationId"], "cidrBlock": b["CidrBlock"], "state": b["CidrBlockState"]["State"]}
            for b in blocks
        ],
        "default": vpc.get("IsDefault", False),
        "dhcpOptionsId": vpc.get("DhcpOptionsId"),
        "enableDnsHostnames": attribute("enableDnsHostnames"),
        "enableDnsSupport": attribute("enableDnsSupport"),
        "enableNetworkAddressUsageMetrics": False,
        "instanceTenancy": vpc.get("InstanceTenancy"),
        "mainRouteTableId": tables[0]["RouteTableId"] if tables else "",
        "ownerId": vpc.get("OwnerId", ACCOUNT),
        "state": vpc["State"],
        "tags": from_api(vpc.get("Tags") or []) or {},
    }


def _one(found: list[Any], what: str) -> Any:
    if len(found) != 1:
        problem = "no matching" if not found else "multiple"
        raise ProviderError(f"{problem} {what} found; use additional constraints to reduce matches to a single {what}")
    return found[0]


def subnets(api: Api, args: Props) -> Props:
    filters = ec2_filters(args)
    found = api.call("ec2", "DescribeSubnets", {"Filters": filters} if filters else {})["Subnets"]
    return {"id": api.region, "region": api.region, "ids": [each["SubnetId"] for each in found]}


def subnet(api: Api, args: Props) -> Props:
    params: Props = {"SubnetIds": [args["id"]]} if args.get("id") else {}
    filters = ec2_filters(args)
    for name, key in (("vpcId", "vpc-id"), ("cidrBlock", "cidr-block"), ("availabilityZone", "availability-zone")):
        if args.get(name):
            filters.append({"Name": key, "Values": [args[name]]})
    if filters:
        params["Filters"] = filters
    subnet = _one(api.call("ec2", "DescribeSubnets", params)["Subnets"], "EC2 Subnet")
    shown = from_api({key: value for key, value in subnet.items() if key != "Tags"})
    keys = (
        "availabilityZone",
        "availabilityZoneId",
        "cidrBlock",
        "defaultForAz",
        "mapPublicIpOnLaunch",
        "ownerId",
        "vpcId",
    )
    return {
        **{key: shown.get(key) for key in (*keys, "state", "assignIpv6AddressOnCreation")},
        "id": subnet["SubnetId"],
        "region": api.region,
        "arn": f"arn:aws:ec2:{api.region}:{ACCOUNT}:subnet/{subnet['SubnetId']}",
        "availableIpAddressCount": subnet["AvailableIpAddressCount"],
        "tags": from_api(subnet.get("Tags") or []) or {},
    }


def security_groups(api: Api, args: Props) -> Props:
    filters = ec2_filters(args)
    found = api.call("ec2", "DescribeSecurityGroups", {"Filters": filters} if filters else {})["SecurityGroups"]
    ids = [each["GroupId"] for each in found]
    return {
        "id": api.region,
        "region": api.region,
        "arns": [f"arn:aws:ec2:{api.region}:{ACCOUNT}:security-group/{each}" for each in ids],
        "ids": ids,
        "vpcIds": [each["VpcId"] for each in found],
    }


def route_table(api: Api, args: Props) -> Props:
    filters = ec2_filters(args)
    for name, key in (("subnetId", "association.subnet-id"), ("vpcId", "vpc-id"), ("routeTableId", "route-table-id")):
        if args.get(name):
            filters.append({"Name": key, "Values": [args[name]]})
    table = _one(api.call("ec2", "DescribeRouteTables", {"Filters": filters})["RouteTables"], "EC2 Route Table")
    targets = ("GatewayId", "NatGatewayId", "TransitGatewayId", "NetworkInterfaceId", "VpcPeeringConnectionId")
    routes = [
        {
            "cidrBlock": route.get("DestinationCidrBlock", ""),
            **{f"{key[:1].lower()}{key[1:]}": route.get(key, "") for key in targets},
        }
        for route in table.get("Routes", [])
        if route.get("DestinationCidrBlock") and route.get("GatewayId") != "local"
    ]
    return {
        "id": table["RouteTableId"],
        "region": api.region,
        "routeTableId": table["RouteTableId"],
        "vpcId": table["VpcId"],
        "routes": routes,
        "tags": from_api(table.get("Tags") or []) or {},
    }
