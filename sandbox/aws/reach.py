"""Whether the sandbox's caller reaches the API server of an EKS cluster: routes are simulated, packets are not.

From the internet, the public endpoint answers the networks on its list. From private addresses, the private endpoint
answers those that a rule admits to one of the control plane's security groups (EKS user guide, "Cluster API server
endpoint"). The caller and its address: `sandbox/caller.py`.
"""

from __future__ import annotations

import ipaddress
from typing import Any

from components import checks
from sandbox import caller
from sandbox.aws import server, session
from sandbox.cluster import key as keys

_HTTPS = 443
_ANY_PUBLIC_ADDRESS = "198.51.100.7"
"""An address on the internet (RFC 5737), used with an endpoint that is open to every address."""


def blocked(key: str) -> str:
    """Why the API server of the cluster with this key cannot be reached, as a client reports it; empty if it can."""
    cloud, *place = keys.parts(key)
    if cloud != "eks" or server.endpoint() is None:
        return ""
    region, name = place
    eks = session.client("eks", region)
    try:
        found = eks.describe_cluster(name=name)["cluster"]
    except eks.exceptions.ResourceNotFoundException:
        return ""
    vpc, ec2 = found["resourcesVpcConfig"], session.client("ec2", region)
    network = ec2.describe_vpcs(VpcIds=[vpc["vpcId"]])["Vpcs"][0]["CidrBlock"]
    address = caller.load().address or _expected(vpc, network)
    here = ipaddress.IPv4Address(address)
    # A VPC may also contain RFC 6598 addresses.
    if not checks.public(f"{here}/32") and address != _ANY_PUBLIC_ADDRESS:
        groups = [vpc["clusterSecurityGroupId"], *vpc["securityGroupIds"]]
        rules = ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
        allowed = vpc["endpointPrivateAccess"] and any(
            _admits(rule, here) for group in rules for rule in group["IpPermissions"]
        )
        target = str(ipaddress.IPv4Network(network)[5])
    else:
        allowed = vpc["endpointPublicAccess"] and _within(here, vpc["publicAccessCidrs"])
        target = found.get("endpoint", "").removeprefix("https://").partition(":")[0]
    return "" if allowed else f"dial tcp {target}:{_HTTPS}: i/o timeout (the sandbox calls from {address})"


def _expected(vpc: dict[str, Any], network: str) -> str:
    """An address that the stack's file allows: on the internet, or else in the VPC."""
    if not vpc["endpointPublicAccess"]:
        return str(ipaddress.IPv4Network(network)[10])
    first = ipaddress.IPv4Network(vpc["publicAccessCidrs"][0])
    return _ANY_PUBLIC_ADDRESS if first.prefixlen == 0 else str(first[0])


def _within(address: ipaddress.IPv4Address, networks: list[str]) -> bool:
    return any(address in ipaddress.IPv4Network(network) for network in networks)


def _admits(rule: dict[str, Any], address: ipaddress.IPv4Address) -> bool:
    every = rule["IpProtocol"] == "-1"
    https = rule["IpProtocol"] in ("tcp", "6") and rule.get("FromPort", 0) <= _HTTPS <= rule.get("ToPort", 65535)
    return (every or https) and _within(address, [each["CidrIp"] for each in rule["IpRanges"]])
