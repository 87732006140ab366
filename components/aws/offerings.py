"""Whether the zones can have the control plane and offer the pools' machine types. EC2 is asked at preview, before
anything is created.

Non-goals: free capacity, which only EC2 knows, and the quotas of the account.
"""

from collections.abc import Iterator, Mapping

import pulumi
import pulumi_aws as aws

from .. import hardware
from ..checks import Problem
from ..pools import machines
from .pool_spec import EksNodePoolSpec

Offerings = Mapping[str, frozenset[str]]

# Zones, by the ids that are the same for all accounts, in which EKS puts no control plane; they can have nodes (EKS
# user guide, "VPC and subnet requirements").
NO_CONTROL_PLANE = ("use1-az3", "usw1-az2", "cac1-az3")
CONTROL_PLANE_ZONES = 2
"""How many of the network's zones have the control plane: the first ones, and the fewest that EKS accepts."""


def look_up(pools: Mapping[str, EksNodePoolSpec], provider: pulumi.ProviderResource) -> Offerings:
    """Machine type → zones of the provider's region that offer it, for the pools' types and their possible
    replacements. One call, whatever the number of pools."""
    known = [machine for pool in pools.values() for machine in machines(hardware.AWS, pool)]
    wanted = {name for machine in known for name in _candidates(machine)}
    found = aws.ec2.get_instance_type_offerings(
        location_type="availability-zone",
        filters=[aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=sorted(wanted))],
        opts=pulumi.InvokeOptions(provider=provider),
    )
    offered: dict[str, frozenset[str]] = dict.fromkeys(wanted, frozenset())
    for name, zone in zip(found.instance_types, found.locations):
        offered[name] |= {zone}
    return offered


def zone_ids(provider: pulumi.ProviderResource) -> Mapping[str, str]:
    """Zone → its id, in the provider's region as this account sees it: the names differ between accounts."""
    found = aws.get_availability_zones(opts=pulumi.InvokeOptions(provider=provider))
    return dict(zip(found.names, found.zone_ids))


def zone_problems(zones: list[str], ids: Mapping[str, str]) -> Iterator[Problem]:
    """Zones that this account does not have, and those of the first two in which EKS puts no control plane."""
    able = [zone for zone, zone_id in ids.items() if zone_id not in NO_CONTROL_PLANE]
    for index, zone in enumerate(zones):
        if zone not in ids:
            yield Problem(
                f"zones[{index}]", zone, "this account does not have the zone", ", ".join(sorted(ids)), "choose another"
            )
        elif zone not in able and index < CONTROL_PLANE_ZONES:
            free = [other for other in zones[CONTROL_PLANE_ZONES:] if other in able]
            other = next(iter(free or [other for other in sorted(able) if other not in zones]), "another zone")
            yield Problem(
                f"zones[{index}]", zone,
                f"{ids[zone]}, where EKS puts no control plane; the first two zones are those of the control plane",
                f"as the first two: {', '.join(sorted(able))}",
                f"write {other} in its place" + (f", and {zone} at the end" if free else ""),
            )  # fmt: skip


def problems(pools: Mapping[str, EksNodePoolSpec], zones: list[str], offered: Offerings) -> Iterator[Problem]:
    """Pools with a type that none of their zones offers, or in a zone that offers none of their types. Withdrawn types
    that the pool accepts are not checked. `zones`: the network's."""
    for name, pool in pools.items():
        wanted = [machine for machine in machines(hardware.AWS, pool) if machine.offered]
        if not wanted:
            continue
        own = pool.get("zones") or zones
        for index, machine in enumerate(wanted):
            there = offered[machine.name]
            if not there.intersection(own):
                yield _nowhere(f"{name}.machine_types[{index}]", machine, own, offered)
        without = [zone for zone in own if not any(zone in offered[machine.name] for machine in wanted)]
        with_it = [zone for zone in own if zone not in without]
        if without and with_it:
            yield Problem(
                f"{name}.zones", pool.get("zones", []),
                f"{', '.join(without)} does not offer {' or '.join(machine.name for machine in wanted)}",
                f"zones that do: {', '.join(with_it)}", f"write `zones: [{', '.join(with_it)}]`",
            )  # fmt: skip


def _nowhere(path: str, machine: hardware.MachineType, own: list[str], offered: Offerings) -> Problem:
    elsewhere = sorted(offered[machine.name])
    near = [other for other in _candidates(machine)[1:] if offered.get(other, frozenset()).intersection(own)][:3]
    allowed = f"similar types that {', '.join(own)} offer: {', '.join(near) or 'none'}"
    if elsewhere:
        fix = f"use one of these zones: {', '.join(elsewhere)}"
    else:
        fix = f"write {near[0]}, or choose another region" if near else "choose another region"
    where = ", ".join(own) if elsewhere else f"this region ({own[0][:-1]})"
    return Problem(path, machine.name, f"not offered in {where}", allowed, fix)


def _candidates(machine: hardware.MachineType) -> list[str]:
    return [machine.name, *(name for name in hardware.successors(machine, 12) if name != machine.name)]
