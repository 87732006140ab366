"""Whether the zones of pools have the machine types: asked of EC2 at preview, before a cluster stands half-made.

Non-goals: capacity of the moment and quotas; nobody but EC2 knows the one, and the other is of the account.
"""

from collections.abc import Iterator, Mapping

import pulumi
import pulumi_aws as aws

from .. import hardware
from ..checks import Problem
from .pools import EksNodePoolSpec

Offerings = Mapping[str, frozenset[str]]


def look_up(pools: Mapping[str, EksNodePoolSpec], provider: pulumi.ProviderResource) -> Offerings:
    """Machine type → zones of the provider's region that offer it, for the pools' types and for what could replace
    them. One call, whatever the number of pools."""
    wanted = {name for pool in pools.values() for machine in _machines(pool) for name in _candidates(machine)}
    found = aws.ec2.get_instance_type_offerings(
        location_type="availability-zone",
        filters=[aws.ec2.GetInstanceTypeOfferingsFilterArgs(name="instance-type", values=sorted(wanted))],
        opts=pulumi.InvokeOptions(provider=provider),
    )
    offered: dict[str, frozenset[str]] = dict.fromkeys(wanted, frozenset())
    for name, zone in zip(found.instance_types, found.locations):
        offered[name] |= {zone}
    return offered


def problems(pools: Mapping[str, EksNodePoolSpec], zones: list[str], offered: Offerings) -> Iterator[Problem]:
    """Pools with a type that none of their zones offers, or in a zone that offers none of their types. Types that are
    withdrawn and accepted as such are left out. `zones`: the network's."""
    for name, pool in pools.items():
        machines = [machine for machine in _machines(pool) if machine.offered]
        if not machines:
            continue
        own = pool.get("zones") or zones
        for index, machine in enumerate(machines):
            there = offered[machine.name]
            if not there.intersection(own):
                yield _nowhere(f"{name}.machine_types[{index}]", machine, own, offered)
        without = [zone for zone in own if not any(zone in offered[machine.name] for machine in machines)]
        with_it = [zone for zone in own if zone not in without]
        if without and with_it:
            yield Problem(
                f"{name}.zones", pool.get("zones", []),
                f"{', '.join(without)} does not offer {' or '.join(machine.name for machine in machines)}",
                f"zones that do: {', '.join(with_it)}", f"write zones: [{', '.join(with_it)}]",
            )  # fmt: skip


def _nowhere(path: str, machine: hardware.MachineType, own: list[str], offered: Offerings) -> Problem:
    elsewhere = sorted(offered[machine.name])
    near = [other for other in _candidates(machine)[1:] if offered.get(other, frozenset()).intersection(own)][:3]
    allowed = f"of its kind, {', '.join(own)} have: {', '.join(near) or 'none'}"
    if elsewhere:
        fix = f"use the network's or another zone of these: {', '.join(elsewhere)}"
    else:
        fix = f"write {near[0]}, or choose another region" if near else "choose another region"
    where = ", ".join(own) if elsewhere else f"this region ({own[0][:-1]})"
    return Problem(path, machine.name, f"not offered in {where}", allowed, fix)


def _candidates(machine: hardware.MachineType) -> list[str]:
    return [machine.name, *(name for name in hardware.successors(machine, 12) if name != machine.name)]


def _machines(pool: EksNodePoolSpec) -> list[hardware.MachineType]:
    return [machine for name in pool["machine_types"] if (machine := hardware.find(hardware.AWS, name))]
