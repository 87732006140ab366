"""Load balancers in a VPC, with the behavior that moto lacks.

Each has a network interface with its security groups in each of its subnets, so that these cannot be deleted while it
exists. The interfaces of an internet-facing one have public addresses.
"""

from __future__ import annotations

from typing import Any

from moto.ec2.models import ec2_backends
from moto.elb.models import ELBBackend
from moto.elbv2.models import ELBv2Backend

_REQUESTER = "amazon-elb"


def created(original: Any, backend: Any, name: str, *args: Any, **kwargs: Any) -> Any:
    """CreateLoadBalancer, classic or not."""
    made = original(backend, name, *args, **kwargs)
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    for subnet in made.subnets:
        interface = ec2.create_network_interface(
            ec2.get_subnet(getattr(subnet, "id", subnet)), [], group_ids=list(made.security_groups or [])
        )
        interface.description = _description(made)
        interface.requester_managed, interface.requester_id = True, _REQUESTER
        interface.status = "in-use"
        interface.faces_internet = made.scheme != "internal"  # type: ignore[attr-defined]
    return made


def deleted(original: Any, backend: Any, key: str) -> Any:
    """DeleteLoadBalancer; `key` is a name or an ARN."""
    found = backend.load_balancers.get(key)
    answer = original(backend, key)
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    for interface in list(ec2.enis.values()):
        if found is not None and interface.description == _description(found):
            ec2.enis.pop(interface.id)
    return answer


def maps_addresses(ec2: Any, vpc_id: str) -> bool:
    """Whether a load balancer has public addresses in that VPC."""
    return any(
        getattr(interface, "faces_internet", False) and interface.subnet.vpc_id == vpc_id
        for interface in ec2.enis.values()
    )


def _description(made: Any) -> str:
    """The description in AWS's format: `ELB name`, `ELB net/name/1234…`."""
    arn = getattr(made, "arn", "")
    return f"ELB {arn.partition(':loadbalancer/')[2] or made.name}"


CHANGES = (
    (ELBBackend, "create_load_balancer", created),
    (ELBBackend, "delete_load_balancer", deleted),
    (ELBv2Backend, "create_load_balancer", created),
    (ELBv2Backend, "delete_load_balancer", deleted),
)
"""Wrappers of moto's functions; see extension.py."""
