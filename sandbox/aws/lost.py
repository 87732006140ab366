"""Finds objects whose creation got no answer and whose id AWS chooses, by the tags in their request."""

from __future__ import annotations

from collections.abc import Mapping

import jmespath

from sandbox.aws import session
from sandbox.aws.table import Row

_LISTED = {
    "aws:ec2/vpc:Vpc": ("describe_vpcs", "Vpcs[].[VpcId, Tags]"),
    "aws:ec2/subnet:Subnet": ("describe_subnets", "Subnets[].[SubnetId, Tags]"),
    "aws:ec2/internetGateway:InternetGateway": (
        "describe_internet_gateways",
        "InternetGateways[].[InternetGatewayId, Tags]",
    ),
    "aws:ec2/eip:Eip": ("describe_addresses", "Addresses[].[AllocationId, Tags]"),
    "aws:ec2/natGateway:NatGateway": (
        "describe_nat_gateways",
        "NatGateways[?State!='deleted'].[NatGatewayId, Tags]",
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (
        "describe_vpc_endpoints",
        "VpcEndpoints[?State!='deleted'].[VpcEndpointId, Tags]",
    ),
    "aws:ec2/flowLog:FlowLog": ("describe_flow_logs", "FlowLogs[].[FlowLogId, Tags]"),
    "aws:ec2/routeTable:RouteTable": ("describe_route_tables", "RouteTables[].[RouteTableId, Tags]"),
    "aws:ec2/securityGroup:SecurityGroup": ("describe_security_groups", "SecurityGroups[].[GroupId, Tags]"),
    "aws:ec2/launchTemplate:LaunchTemplate": (
        "describe_launch_templates",
        "LaunchTemplates[].[LaunchTemplateId, Tags]",
    ),
    "aws:efs/fileSystem:FileSystem": ("describe_file_systems", "FileSystems[].[FileSystemId, Tags]"),
    "aws:fsx/lustreFileSystem:LustreFileSystem": ("describe_file_systems", "FileSystems[].[FileSystemId, Tags]"),
}
"""Type → operation, and JMESPath of the pairs of id and tags in its answer. A type that is in neither table is deleted
with another object."""

_ASKED = {
    "aws:kms/key:Key": ("list_keys", {}, "Keys[].KeyId", "list_resource_tags", "KeyId"),
    "aws:iam/policy:Policy": ("list_policies", {"Scope": "Local"}, "Policies[].Arn", "list_policy_tags", "PolicyArn"),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": (
        "list_open_id_connect_providers",
        {},
        "OpenIDConnectProviderList[].Arn",
        "list_open_id_connect_provider_tags",
        "OpenIDConnectProviderArn",
    ),
}
"""For lists without tags: the operation with its parameters, the path of the ids, the operation that returns an
object's tags, and its parameter for the id."""

FOUND = frozenset({*_LISTED, *_ASKED})
"""The types whose lost objects can be found."""


def ids(row: Row, region: str, tags: Mapping[str, str]) -> list[str]:
    """Ids of the objects of this type with all these tags; empty without tags, which identify them."""
    wanted = set(tags.items())
    return [id for id, has in _tagged(row, region).items() if wanted <= set(has.items())] if wanted else []


def _tagged(row: Row, region: str) -> dict[str, dict[str, str]]:
    """id → tags of every object of the type."""
    client = session.client(row.service, region)
    if row.token in _LISTED:
        operation, path = _LISTED[row.token]
        pairs = jmespath.search(path, getattr(client, operation)())
    elif row.token in _ASKED:
        operation, params, path, tell, name = _ASKED[row.token]
        found = jmespath.search(path, getattr(client, operation)(**params))
        pairs = [(id, getattr(client, tell)(**{name: id})["Tags"]) for id in found]
    else:
        return {}
    return {
        id: {tag.get("Key", tag.get("TagKey")): tag.get("Value", tag.get("TagValue")) for tag in tags or []}
        for id, tags in pairs
    }
