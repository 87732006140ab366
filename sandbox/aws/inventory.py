"""The objects in the simulated account: counts for `status`, ids for the check that nothing remains.

Not counted: objects that AWS creates in every account (the default VPC with its parts, AWS's own policies and keys)
and objects that are deleted with their owner (a VPC's main route table, ACL and default security group). An object
that is declared to outlive its cluster is counted, but is not a leftover.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import jmespath

from sandbox.aws import disks, server, session

# noun: (service, operation, JMESPath of the ids; `default` means the ids of default VPCs)
_LISTED: dict[str, tuple[str, str, str]] = {
    "eks cluster": ("eks", "list_clusters", "clusters[]"),
    "auto scaling group": ("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups[].AutoScalingGroupName"),
    "instance": (
        "ec2",
        "describe_instances",
        "Reservations[].Instances[] | [?State.Name!='terminated'].InstanceId",
    ),
    "volume": ("ec2", "describe_volumes", "Volumes[].VolumeId"),
    "classic load balancer": (
        "elb",
        "describe_load_balancers",
        "LoadBalancerDescriptions[].LoadBalancerName",
    ),
    "load balancer": ("elbv2", "describe_load_balancers", "LoadBalancers[].LoadBalancerName"),
    "launch template": ("ec2", "describe_launch_templates", "LaunchTemplates[].LaunchTemplateId"),
    "placement group": ("ec2", "describe_placement_groups", "PlacementGroups[].GroupName"),
    "nat gateway": ("ec2", "describe_nat_gateways", "NatGateways[?State!='deleted'].NatGatewayId"),
    "elastic ip": ("ec2", "describe_addresses", "Addresses[].AllocationId"),
    "vpc endpoint": ("ec2", "describe_vpc_endpoints", "VpcEndpoints[?State!='deleted'].VpcEndpointId"),
    "network interface": ("ec2", "describe_network_interfaces", "NetworkInterfaces[].NetworkInterfaceId"),
    "flow log": ("ec2", "describe_flow_logs", "FlowLogs[].FlowLogId"),
    "lustre file system": ("fsx", "describe_file_systems", "FileSystems[].FileSystemId"),
    "efs file system": ("efs", "describe_file_systems", "FileSystems[].FileSystemId"),
    "kms alias": ("kms", "list_aliases", "Aliases[?!starts_with(AliasName, 'alias/aws/')].AliasName"),
    "log group": ("logs", "describe_log_groups", "logGroups[].logGroupName"),
}
_GLOBAL: dict[str, tuple[str, str, str]] = {
    "iam role": ("iam", "list_roles", "Roles[?!starts_with(Path, '/aws-service-role/')].RoleName"),
    "iam instance profile": ("iam", "list_instance_profiles", "InstanceProfiles[].InstanceProfileName"),
    "iam oidc provider": ("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList[].Arn"),
    "s3 bucket": ("s3", "list_buckets", "Buckets[].Name"),
}


def leftovers(region: str | None = None) -> list[str]:
    """Every object that still exists, as `noun id`, in one region or in all regions in use."""
    found = [*map(_regional, [region] if region else regions_in_use()), _worldwide()]
    there = [f"{noun} {identity}" for each in found for noun, ids in sorted(each.items()) for identity in ids]
    meant = kept(region)
    return [each for each in there if each not in meant]


def kept(region: str | None = None) -> list[str]:
    """Volumes that are declared to outlive their cluster: their reclaim policy is Retain."""
    wanted = [{"Name": "tag-key", "Values": [disks.KEPT]}]
    regions = [region] if region else regions_in_use()
    found = (_search("ec2", "describe_volumes", "Volumes[].VolumeId", each, Filters=wanted) for each in regions)
    return [f"volume {identity}" for ids in found for identity in ids]


def unprotect(clusters: Collection[str]) -> None:
    """Lifts EKS's deletion protection of these clusters, wherever they are."""
    for region in regions_in_use():
        eks = session.client("eks", region)
        for name in set(_search("eks", "list_clusters", "clusters", region)) & set(clusters):
            if eks.describe_cluster(name=name)["cluster"].get("deletionProtection"):
                eks.update_cluster_config(name=name, deletionProtection=False)
                eks.get_waiter("cluster_active").wait(name=name, WaiterConfig={"Delay": 1})


def inventory(region: str | None = None) -> dict[str, int]:
    """Number of objects by noun, in one region or in all regions in use."""
    counts: dict[str, int] = {}
    regions = [region] if region else regions_in_use()
    for found in (*map(_regional, regions), _worldwide()):
        for noun, ids in found.items():
            if ids:
                counts[noun] = counts.get(noun, 0) + len(ids)
    return dict(sorted(counts.items()))


def regions_in_use() -> list[str]:
    """Regions that have received any request."""
    return list((server.health() or {}).get("regions", []))


def _search(service: str, operation: str, path: str, region: str, **params: Any) -> list[str]:
    client = session.client(service, region)
    if client.can_paginate(operation):
        pages = client.get_paginator(operation).paginate(**params)
        return [identity for page in pages for identity in jmespath.search(path, page) or []]
    return jmespath.search(path, getattr(client, operation)(**params)) or []


def _worldwide() -> dict[str, list[str]]:
    found = {noun: _search(*where, "us-east-1") for noun, where in _GLOBAL.items()}
    found["iam policy"] = _search("iam", "list_policies", "Policies[].Arn", "us-east-1", Scope="Local")
    return found


def _regional(region: str) -> dict[str, list[str]]:
    found = {noun: _search(*where, region) for noun, where in _LISTED.items()}
    default = set(_search("ec2", "describe_vpcs", "Vpcs[?IsDefault].VpcId", region))

    def outside(operation: str, path: str, wanted: Callable[[dict[str, Any]], bool], key: str) -> list[str]:
        found: Any = _search("ec2", operation, path, region)
        return [each[key] for each in found if each.get("VpcId") not in default and wanted(each)]

    found["vpc"] = outside("describe_vpcs", "Vpcs[]", lambda _: True, "VpcId")
    found["subnet"] = outside("describe_subnets", "Subnets[]", lambda _: True, "SubnetId")
    found["security group"] = outside(
        "describe_security_groups", "SecurityGroups[]", lambda group: group["GroupName"] != "default", "GroupId"
    )
    found["route table"] = outside(
        "describe_route_tables",
        "RouteTables[]",
        lambda table: not any(each.get("Main") for each in table["Associations"]),
        "RouteTableId",
    )
    gateways: Any = _search("ec2", "describe_internet_gateways", "InternetGateways[]", region)
    found["internet gateway"] = [
        each["InternetGatewayId"]
        for each in gateways
        if not {attachment["VpcId"] for attachment in each.get("Attachments", [])} & default
    ]
    kms = session.client("kms", region)
    of_aws = set(_search("kms", "list_aliases", "Aliases[?starts_with(AliasName, 'alias/aws/')].TargetKeyId", region))
    keys = [each for each in _search("kms", "list_keys", "Keys[].KeyId", region) if each not in of_aws]
    states = {each: kms.describe_key(KeyId=each)["KeyMetadata"]["KeyState"] for each in keys}
    found["kms key"] = [key for key, state in states.items() if state != "PendingDeletion"]
    return found
