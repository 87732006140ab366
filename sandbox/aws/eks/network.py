"""A cluster's network: checks its subnets and security groups, and creates what EKS creates in the VPC."""

from __future__ import annotations

import ipaddress
import uuid
from typing import Any

from moto.core.exceptions import ServiceException

from sandbox.aws.eks.backend import Backend, EksError, invalid

# EKS user guide, "VPC and subnet requirements": ids of zones without control planes.
_NO_CONTROL_PLANE = ("use1-az3", "usw1-az2", "cac1-az3")
# EKS user guide, "Service quotas": this quota cannot be raised.
_MOST_CIDRS = 40


def subnets(backend: Backend, ids: list[str]) -> list[Any]:
    """The subnets, all of them in one VPC."""
    ec2 = backend.other("ec2")
    try:
        found = [ec2.get_subnet(each) for each in ids]
    except ServiceException as error:
        raise invalid(str(error.message)) from None
    if len({each.vpc_id for each in found}) > 1:
        raise invalid("Subnets specified must belong to the same VPC")
    return found


def vpc_config(backend: Backend, given: dict[str, Any]) -> dict[str, Any]:
    found = subnets(backend, given.get("subnetIds") or [])
    if not found:
        raise invalid("The subnetIds must have at least two subnets in different Availability Zones")
    if len({each.availability_zone for each in found}) < 2:
        raise invalid("Subnets specified must be in at least two different AZs")
    for each in found:
        if each._availability_zone.zone_id in _NO_CONTROL_PLANE:
            raise EksError(
                "UnsupportedAvailabilityZoneException",
                f"Cannot create cluster because {each.availability_zone}, the targeted availability zone, does not "
                "currently have sufficient capacity to support the cluster. Retry and choose from other availability "
                "zones.",
            )
    public, private = given.get("endpointPublicAccess", True), given.get("endpointPrivateAccess", False)
    if not public and not private:
        raise invalid("Private and public endpoint access cannot be false")
    _check_groups(backend, given.get("securityGroupIds") or [], found[0].vpc_id)
    _check_cidrs(given.get("publicAccessCidrs") or [])
    return {
        "subnetIds": [each.id for each in found],
        "securityGroupIds": list(given.get("securityGroupIds") or []),
        "vpcId": found[0].vpc_id,
        "endpointPublicAccess": public,
        "endpointPrivateAccess": private,
        "publicAccessCidrs": list(given.get("publicAccessCidrs") or (["0.0.0.0/0"] if public else [])),
    }


def _check_cidrs(cidrs: list[str]) -> None:
    """Accepts only public IPv4 networks, and at most 40: private, shared and documentation ranges are refused."""
    invalid_ones, reserved = [], []
    for each in cidrs:
        try:
            if not ipaddress.IPv4Network(each).is_global:
                reserved.append(each)
        except ValueError:
            invalid_ones.append(each)
    if invalid_ones:
        raise invalid(f"The following CIDRs are invalid in publicAccessCidrs: [{', '.join(invalid_ones)}]")
    if reserved:
        raise invalid(f"The following CIDRs are not allowed in publicAccessCidrs: [{', '.join(reserved)}]")
    if len(cidrs) > _MOST_CIDRS:
        raise invalid(f"publicAccessCidrs takes {_MOST_CIDRS} CIDR blocks at most, got {len(cidrs)}")


def _check_groups(backend: Backend, ids: list[str], vpc_id: str) -> None:
    for each in ids:
        group = backend.other("ec2").get_security_group_from_id(each)
        if group is None or group.vpc_id != vpc_id:
            raise invalid(
                f"Security group(s) [{each}] are not in the same VPC as the subnets. Please specify a valid group."
            )


def service_network(backend: Backend, given: dict[str, Any], vpc_id: str) -> dict[str, Any]:
    vpc = backend.other("ec2").get_vpc(vpc_id)
    default = "172.20.0.0/16" if vpc.cidr_block.startswith("10.") else "10.100.0.0/16"
    balancing = given.get("elasticLoadBalancing") or {"enabled": False}
    network = {"ipFamily": given.get("ipFamily", "ipv4"), "elasticLoadBalancing": balancing}
    if network["ipFamily"] == "ipv4":
        network["serviceIpv4Cidr"] = given.get("serviceIpv4Cidr") or default
        _check_services(
            network["serviceIpv4Cidr"], [each["cidr_block"] for each in vpc.get_cidr_block_association_set()]
        )
    return network


def _check_services(cidr: str, blocks: list[str]) -> None:
    """EKS API reference, KubernetesNetworkConfigRequest: a private block of /12 to /24 that does not overlap the
    VPC."""
    try:
        services = ipaddress.IPv4Network(cidr)
    except ValueError:
        raise invalid(f"The specified service CIDR {cidr} is not a valid CIDR block.") from None
    private = any(
        services.subnet_of(ipaddress.IPv4Network(each)) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")
    )
    if not private or not 12 <= services.prefixlen <= 24:
        raise invalid(f"The specified service CIDR {cidr} must be a private block between /12 and /24.")
    if any(services.overlaps(ipaddress.IPv4Network(block)) for block in blocks):
        raise invalid(f"The specified service CIDR {cidr} overlaps a CIDR block of the VPC.")


def make_parts(backend: Backend, name: str, vpc: dict[str, Any]) -> tuple[str, list[str]]:
    """The cluster security group and the control plane's network interfaces that EKS makes in the account."""
    ec2 = backend.other("ec2")
    group = ec2.create_security_group(
        f"eks-cluster-sg-{name}-{uuid.uuid4().int % 10**10}",
        "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, "
        "as well as any managed workloads.",
        vpc["vpcId"],
        {"aws:eks:cluster-name": name, f"kubernetes.io/cluster/{name}": "owned", "Name": f"eks-cluster-sg-{name}"},
    )
    ec2.authorize_security_group_ingress(group.id, "-1", None, None, [], [{"GroupId": group.id}])
    interfaces = [
        ec2.create_network_interface(
            ec2.get_subnet(each),
            None,
            group_ids=[group.id, *vpc["securityGroupIds"]],
            description=f"Amazon EKS {name}",
        ).id
        for each in vpc["subnetIds"][:2]
    ]
    return group.id, interfaces
