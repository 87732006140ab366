"""Finds objects whose creation got no answer, where AWS chooses the id: by the tags that they were to have."""

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
"""Type → operation, and JMESPath of the pairs of id and tags in its answer. What is in neither table goes with another
object."""

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
"""Where a list has no tags: the operation with its parameters, the path of the ids, what tells an object's tags, and
the parameter that takes the id."""

FOUND = frozenset({*_LISTED, *_ASKED})
"""The types whose lost objects are found."""


def ids(row: Row, region: str, tags: Mapping[str, str]) -> list[str]:
    """Ids of the objects of this type with all these tags; none without tags, which distinguish them."""
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
