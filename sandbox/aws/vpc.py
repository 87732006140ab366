"""Behavior of EC2 for a VPC's secondary networks, gateways and endpoints that moto lacks.

A network can join a VPC only where AWS allows it, and can leave it only if it is empty. A VPC has at most one internet
gateway. An interface endpoint has one network interface with its security groups in each of its subnets, and its
private DNS name is unique in the VPC. A route table has one gateway endpoint of each service.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from moto.ec2.exceptions import InvalidRouteError
from moto.ec2.models import EC2Backend

from sandbox.aws.placement_groups import Ec2Error

_PRIVATE = [ipaddress.IPv4Network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]


def joined(original: Any, ec2: Any, vpc_id: str, cidr_block: str, amazon_provided_ipv6_cidr_block: Any = False) -> Any:
    """AssociateVpcCidrBlock."""
    if not amazon_provided_ipv6_cidr_block:
        network = ipaddress.IPv4Network(cidr_block)
        if not 16 <= network.prefixlen <= 28:
            raise Ec2Error("InvalidVpc.Range", f"The CIDR '{cidr_block}' is invalid.")
        for present in _networks(ec2.get_vpc(vpc_id)):
            if present.overlaps(network):
                raise Ec2Error("InvalidVpc.Range", f"The CIDR '{cidr_block}' conflicts with {present} of the VPC.")
            if any(network.overlaps(each) for each in _restricted(present)):
                raise Ec2Error(
                    "InvalidVpc.Range",
                    f"The CIDR '{cidr_block}' is restricted. Use a CIDR from the same private address range as the "
                    "current VPC CIDR, or use a publicly-routable CIDR. For additional restrictions, see "
                    "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html",
                )
    return original(ec2, vpc_id, cidr_block, amazon_provided_ipv6_cidr_block)


def _networks(vpc: Any) -> Iterator[ipaddress.IPv4Network]:
    for each in vpc.get_cidr_block_association_set():
        if each["cidr_block_state"]["state"] == "associated":
            yield ipaddress.IPv4Network(each["cidr_block"])


def _restricted(present: ipaddress.IPv4Network) -> list[ipaddress.IPv4Network]:
    """Ranges that cannot join a VPC with such a network (VPC guide, "IPv4 CIDR block association restrictions")."""
    own = next((each for each in _PRIVATE if present.overlaps(each)), None)
    found = [each for each in _PRIVATE if each != own]
    found += [ipaddress.IPv4Network("198.19.0.0/16"), ipaddress.IPv4Network("169.254.0.0/16")]
    if own == _PRIVATE[1]:
        found.append(ipaddress.IPv4Network("172.31.0.0/16"))
    if present.overlaps(ipaddress.IPv4Network("10.0.0.0/15")):
        found.append(ipaddress.IPv4Network("10.0.0.0/16"))
    return found


def disassociate_range(original: Any, ec2: Any, association_id: str) -> Any:
    """DisassociateVpcCidrBlock."""
    for vpc in list(ec2.vpcs.values()):
        found = vpc._cidr_block_association_set.get(association_id)
        if found is None or "." not in found["cidr_block"]:
            continue
        network = ipaddress.IPv4Network(found["cidr_block"])
        # moto itself refuses this for the primary network's id.
        if str(network) != vpc.cidr_block and any(
            subnet.vpc_id == vpc.id and subnet.cidr.overlaps(network)
            for zone in ec2.subnets.values()
            for subnet in zone.values()
        ):
            raise Ec2Error(
                "InvalidCidrBlock.InUse", f"The vpc {vpc.id} currently has a subnet within CIDR block {network}"
            )
    try:
        return original(ec2, association_id)
    except InvalidRouteError:  # a table that was created at the same time has no route to it
        return {**found_in(ec2, association_id), "cidr_block_state": {"state": "disassociating"}}


def found_in(ec2: Any, association_id: str) -> dict[str, Any]:
    """A network's association with a VPC."""
    for vpc in ec2.vpcs.values():
        if association_id in vpc._cidr_block_association_set:
            return {**vpc._cidr_block_association_set[association_id], "vpc_id": vpc.id}
    return {}


def endpoint(original: Any, ec2: Any, vpc_id: str, service_name: str, **given: Any) -> Any:
    """CreateVpcEndpoint."""
    interface = (given.get("endpoint_type") or "").lower() == "interface"
    if interface and given.get("private_dns_enabled"):
        vpc = ec2.get_vpc(vpc_id)
        if not all(str(each).lower() == "true" for each in (vpc.enable_dns_support, vpc.enable_dns_hostnames)):
            raise Ec2Error(
                "InvalidParameter",
                "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true "
                f"for {vpc_id}",
            )
        for other in ec2.vpc_end_points.values():
            alive = other.vpc_id == vpc_id and other.state not in ("deleted", "deleting")
            same = other.service_name == service_name and (other.vpc_endpoint_type or "").lower() == "interface"
            if alive and same and other.private_dns_enabled:
                raise Ec2Error(
                    "InvalidParameter",
                    "private-dns-enabled cannot be set because there is already a conflicting DNS domain for "
                    f"{service_name} in the VPC {vpc_id}",
                )
    if not interface:
        for other in ec2.vpc_end_points.values():
            both = set(given.get("route_table_ids") or []) & set(other.route_table_ids or [])
            if both and other.service_name == service_name and other.state not in ("deleted", "deleting"):
                raise Ec2Error(
                    "RouteAlreadyExists",
                    f"route table {min(both)} already has a route with destination-prefix-list-id "
                    f"{other.destination_prefix_list_id}",
                )
    made = original(ec2, vpc_id=vpc_id, service_name=service_name, **given)
    if interface:
        for each in made.network_interface_ids:  # moto creates them outside the subnets, with the default group
            ec2.enis.pop(each)
        made.network_interface_ids = []
        _place(ec2, made)
    return made


def deleted_endpoints(original: Any, ec2: Any, vpce_ids: list[str] | None = None) -> Any:
    """DeleteVpcEndpoints. A deleted endpoint no longer has a route: an existing route belongs to another endpoint."""
    found = [ec2.vpc_end_points[each] for each in vpce_ids or [] if each in ec2.vpc_end_points]
    return original(ec2, [each.id for each in found if each.state not in ("deleted", "deleting")])


def attached(original: Any, ec2: Any, internet_gateway_id: str, vpc_id: str) -> Any:
    """AttachInternetGateway."""
    if any(each.vpc is not None and each.vpc.id == vpc_id for each in ec2.internet_gateways.values()):
        raise Ec2Error("InvalidParameterValue", f"Network {vpc_id} already has an internet gateway attached")
    return original(ec2, internet_gateway_id, vpc_id)


def translating(original: Any, ec2: Any, subnet_id: str, allocation_id: str, *args: Any, **kwargs: Any) -> Any:
    """CreateNatGateway. moto also refuses an address with a gateway, but leaves an interface in the subnet."""
    for address in ec2.address_by_allocation([allocation_id]) if allocation_id else []:
        if address.association_id:
            raise Ec2Error("Resource.AlreadyAssociated", f"Elastic IP address [{allocation_id}] is already associated")
    return original(ec2, subnet_id, allocation_id, *args, **kwargs)


def changed_endpoint(original: Any, ec2: Any, vpc_id: str, *args: Any, **kwargs: Any) -> Any:
    """ModifyVpcEndpoint: a gateway endpoint has a route in exactly the given tables, an interface endpoint has
    interfaces in exactly the given subnets. (moto calls the endpoint's id `vpc_id`.)"""
    found = ec2.vpc_end_points.get(vpc_id)
    before = list(found.route_table_ids or []) if found else []
    answer = original(ec2, vpc_id, *args, **kwargs)
    after = list(found.route_table_ids or []) if found else []
    prefix_list = getattr(found, "destination_prefix_list_id", None)
    if prefix_list:
        for table in set(before) - set(after):
            ec2.delete_route(table, prefix_list)
        for table in set(after) - set(before):
            ec2.create_route(table, None, gateway_id=vpc_id, destination_prefix_list_id=prefix_list)
    elif (found.vpc_endpoint_type or "").lower() == "interface":
        _place(ec2, found)
    return answer


def _place(ec2: Any, made: Any) -> None:
    """Creates the endpoint's missing interfaces in its subnets, with its groups; keeps the existing ones."""
    there = {ec2.enis[each].subnet.id: each for each in made.network_interface_ids if each in ec2.enis}
    for subnet in set(there) - set(made.subnet_ids or []):
        ec2.enis.pop(there.pop(subnet))
    groups = list(made.security_group_ids)
    for subnet in made.subnet_ids or []:
        if subnet not in there:
            there[subnet] = ec2.create_network_interface(ec2.get_subnet(subnet), None, group_ids=groups).id
        ec2.modify_network_interface_attribute(there[subnet], groups)
    made.network_interface_ids = list(there.values())


CHANGES = (
    (EC2Backend, "associate_vpc_cidr_block", joined),
    (EC2Backend, "disassociate_vpc_cidr_block", disassociate_range),
    (EC2Backend, "create_vpc_endpoint", endpoint),
    (EC2Backend, "attach_internet_gateway", attached),
    (EC2Backend, "create_nat_gateway", translating),
    (EC2Backend, "modify_vpc_endpoint", changed_endpoint),
    (EC2Backend, "delete_vpc_endpoints", deleted_endpoints),
)
"""Wrappers of moto's functions; see extension.py."""
