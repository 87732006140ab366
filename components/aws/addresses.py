"""The addresses of a VPC: the block of each subnet, and whether the node pools at their maximum fit into it.

This module does not call AWS. It assumes the worst case: every pool, and every rung of its ladder, at `max`, every node
full of pods. Not counted: pods on the host's network (they need no address), nodes beyond `max` during an update, and
blocks that single addresses have fragmented.
"""

import ipaddress
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .. import checks, hardware, pool_checks, pools
from ..checks import Problem
from ..pools import NodePoolSpec, Pool

# Address plan: eight equal blocks. Zones a to g each have one; the eighth is split into the public subnets. A zone's
# block depends on its letter and not on its position in the list, so adding a zone does not move the others.
ZONE_LETTERS = "abcdefg"
_BLOCK_BITS = 3
_PUBLIC_BITS = 6
# AWS: networks and subnets of /16 to /28 (VPC guide, "VPC CIDR blocks"). A public subnet's prefix is six bits longer
# than the network's.
PREFIXES = (16, 28 - _PUBLIC_BITS)
# Pods may have more: a network larger than /16 is added to the VPC in parts of /16, and a zone's block is at most one.
PODS_PREFIXES = (16 - _BLOCK_BITS, 22)
# EKS's range of Services, which is one of _RFC1918 (EKS API reference, KubernetesNetworkConfigRequest).
_SERVICES_PREFIXES = (12, 24)

# AWS reserves the first four addresses of a subnet and the last (VPC guide, "Subnet CIDR blocks").
_KEPT_BY_AWS = 5
# EKS requires six addresses in each subnet and recommends 16 for its own interfaces (EKS guide, "VPC and subnets").
_CONTROL_PLANE = 16
_MOUNT_TARGET = 1

# Pods of a managed node: 110 below 30 vCPU, else 250 (EKS guide, "Assign more addresses to nodes with prefixes"),
# unless its interfaces have room for fewer.
_PODS_OF_SMALL, _PODS_OF_LARGE, _LARGE_VCPU = 110, 250, 30
# Types on Xen support no prefixes (EKS guide, "Assign more addresses to nodes with prefixes": Nitro only).
_XEN = ("c1", "c3", "c4", "d2", "g3", "g3s", "h1", "i2", "i3", "m1", "m2")
_XEN += ("m3", "m4", "p2", "p3", "r3", "r4", "t1", "t2", "x1", "x1e")
# The VPC CNI allocates addresses in prefixes of /28 and keeps one free (WARM_PREFIX_TARGET, set in `EksCluster`).
_PREFIX_SIZE, _WARM_PREFIXES = 16, 1

_RFC1918 = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
# Ranges that AWS reserves, and those that are not addresses of hosts.
_NEVER = ("198.19.0.0/16", "169.254.0.0/16", "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3")
# Ranges that a VPC may have: private addresses, and those of RFC 6598 and RFC 2544, which the internet does not route.
_OURS = (*_RFC1918, *map(ipaddress.IPv4Network, ("100.64.0.0/10", "198.18.0.0/16")))
# Docker's default bridge: a machine with Docker cannot reach a VPC with these addresses (EKS user guide, "VPC and
# subnet requirements").
_DOCKER = ipaddress.IPv4Network("172.17.0.0/16")
# RFC 6598 space can be added to any VPC; two candidates, so that at least one does not overlap.
_FOR_PODS = ("100.64.0.0", "100.96.0.0")


@dataclass(frozen=True)
class Need:
    """Addresses that a zone needs."""

    nodes: int
    """Single addresses in the subnet of the nodes."""
    pods: int
    """Addresses for pods: their prefixes, and the interface that has them."""


@dataclass(frozen=True)
class Room:
    """Addresses that a zone has."""

    nodes: int
    """In the subnet of the nodes."""
    pods: int = 0
    """In subnets for pods."""
    shared: bool = True
    """Whether pods use addresses of the nodes' subnet as well."""

    def holds(self, need: Need) -> bool:
        """Whether there is enough of each."""
        if self.shared:
            return need.nodes <= self.nodes and need.nodes + need.pods <= self.nodes + self.pods
        return need.nodes <= self.nodes and need.pods <= self.pods


def blocks(cidr: str) -> dict[str, str]:
    """Subnet name (`private-a`, `public-a`, …) → its network."""
    *privates, last = ipaddress.IPv4Network(cidr).subnets(prefixlen_diff=_BLOCK_BITS)
    publics = last.subnets(prefixlen_diff=_PUBLIC_BITS - _BLOCK_BITS)
    found = {f"private-{letter}": str(block) for letter, block in zip(ZONE_LETTERS, privates)}
    found.update({f"public-{letter}": str(block) for letter, block in zip(ZONE_LETTERS, publics)})
    return found


def pod_blocks(pods_cidr: str) -> dict[str, str]:
    """Zone letter → network of its pods, by the plan of `blocks`."""
    found = ipaddress.IPv4Network(pods_cidr).subnets(prefixlen_diff=_BLOCK_BITS)
    return {letter: str(block) for letter, block in zip(ZONE_LETTERS, found)}


def pod_networks(pods_cidr: str, zones: list[str]) -> dict[str, str]:
    """Zone → secondary network of the VPC for the zone's pods: `pods_cidr`, or the /16 of it that contains the zone's
    block. Each counts against the VPC's five networks (quota L-83CA0A9D, which can be raised)."""
    whole, mine = ipaddress.IPv4Network(pods_cidr), pod_blocks(pods_cidr)
    if whole.prefixlen >= 16:
        return {zone: str(whole) for zone in zones}
    return {zone: str(ipaddress.IPv4Network(mine[zone[-1]]).supernet(new_prefix=16)) for zone in zones}


def vpc(cidr: str) -> str:
    """Why `cidr` cannot be a VPC's primary network; empty if it can. AWS would accept public ranges, but then the
    internet's hosts with these addresses could not be reached."""
    network = ipaddress.IPv4Network(cidr)
    if network.overlaps(_DOCKER):
        return "the range of Docker's bridge: machines with Docker cannot reach it"
    if not any(network.subnet_of(each) for each in _OURS):
        kept = next((each for each in _NEVER if network.overlaps(ipaddress.IPv4Network(each))), "")
        return (
            f"part of {kept}, which AWS reserves" if kept else "public addresses, which belong to hosts on the internet"
        )
    return ""


def association(cidr: str, pods_cidr: str) -> str:
    """Why AWS refuses `pods_cidr` in a VPC of `cidr`, or why these addresses are not suitable; empty if they are.

    Source: VPC guide, "IPv4 CIDR block association restrictions"."""
    primary, secondary = ipaddress.IPv4Network(cidr), ipaddress.IPv4Network(pods_cidr)
    if primary.overlaps(secondary):
        return f"overlaps `cidr` = {cidr}"
    own = next((each for each in _RFC1918 if primary.overlaps(each)), None)
    restricted = [*_NEVER, *(str(each) for each in _RFC1918 if each != own)]
    if own == _RFC1918[1]:
        restricted.append("172.31.0.0/16")
    if primary.overlaps(ipaddress.IPv4Network("10.0.0.0/15")):
        restricted.append("10.0.0.0/16")
    for network in restricted:
        if secondary.overlaps(ipaddress.IPv4Network(network)):
            return f"AWS does not accept addresses of {network} in a VPC of {cidr}"
    return vpc(pods_cidr)


def services_problems(cidr: str) -> Iterator[Problem]:
    """What is wrong with the range of a cluster's Services."""
    wrong = list(checks.cidr("service_cidr", cidr, *_SERVICES_PREFIXES))
    yield from wrong
    if not wrong and not any(ipaddress.IPv4Network(cidr).subnet_of(each) for each in _RFC1918):
        yield Problem(
            "service_cidr", cidr, "EKS accepts private networks only",
            "in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16", "write 172.20.0.0/16",
        )  # fmt: skip


def valid_pools(specs: Mapping[str, NodePoolSpec], zones: list[str]) -> dict[str, Pool]:
    """Resolves the pools that have no problems; the problems of the others are reported elsewhere."""
    return {
        name: pools.resolve(hardware.AWS, name, spec)
        for name, spec in specs.items()
        if not list(pool_checks.problems(hardware.AWS, name, spec, zones))
    }


def pods_per_node(machine: hardware.MachineType) -> int:
    """Pods that EKS allows on a node of a managed group, with prefix delegation."""
    rule = _PODS_OF_SMALL if machine.vcpu < _LARGE_VCPU else _PODS_OF_LARGE
    if not prefixes(machine):
        return min(rule, machine.max_pods)
    # `max_pods` is two pods on the host's network, and one for each slot, which can have a prefix instead.
    return min(rule, (machine.max_pods - 2) * _PREFIX_SIZE + 2)


def prefixes(machine: hardware.MachineType) -> bool:
    """Whether the machine's network interfaces support prefixes instead of single addresses."""
    family, _, size = machine.name.partition(".")
    return family not in _XEN or size == "metal"


def of_pool(pool: Pool, zones: list[str], most: int = pools.MAX_NODES) -> dict[str, Need]:
    """What a pool needs in each of its zones at `max` (at `most`, if that is less).

    A node needs one address for itself and one for the interface of its pods; EFA-only interfaces have none. With
    several machine types, the lowest number of pods applies to all."""
    own = list(pool.zones) or zones
    slots = math.ceil(min(map(pods_per_node, pool.machines)) / _PREFIX_SIZE) + _WARM_PREFIXES
    nodes = math.ceil(min(pool.max, most) / len(own)) * len(pool.capacity)
    return {zone: Need(nodes, nodes * (slots * _PREFIX_SIZE + 1)) for zone in own}


def of_zones(
    found: Mapping[str, Pool], zones: list[str], endpoints: int = 0, most: int = pools.MAX_NODES
) -> dict[str, Need]:
    """What each zone needs: all pools, EKS's interfaces, a mount target, and the interface `endpoints`."""
    others = _CONTROL_PLANE + _MOUNT_TARGET + endpoints
    needs = [of_pool(pool, zones, most) for pool in found.values()]
    return {
        zone: Need(
            others + sum(need[zone].nodes for need in needs if zone in need),
            sum(need[zone].pods for need in needs if zone in need),
        )
        for zone in zones
    }


def rooms(cidr: str, pods_cidr: str | None, zones: list[str]) -> dict[str, Room]:
    """What each zone has by the plan. With `pods_cidr`, pods use no addresses of the nodes."""
    room = Room(_share(cidr), _share(pods_cidr) if pods_cidr else 0, shared=pods_cidr is None)
    return dict.fromkeys(zones, room)


def _share(network: str) -> int:
    return usable(f"0.0.0.0/{ipaddress.IPv4Network(network).prefixlen + _BLOCK_BITS}")


def usable(block: str) -> int:
    """Addresses of a subnet that can be used."""
    return ipaddress.IPv4Network(block).num_addresses - _KEPT_BY_AWS


def shortage(needs: Mapping[str, Need], has: Mapping[str, Room]) -> str:
    """A text that lists the zones that are too small; empty if everything fits."""
    parts = []
    for zone, need in needs.items():
        room = has[zone]
        if room.holds(need):
            continue
        if room.shared:
            parts.append(f"{zone} needs {need.nodes + need.pods:,} and has {room.nodes + room.pods:,}")
        else:
            asked = [("nodes", need.nodes, room.nodes), ("pods", need.pods, room.pods)]
            parts += [f"{zone} needs {n:,} for {what} and has {r:,}" for what, n, r in asked if n > r]
    return "; ".join(parts)


def problems(
    cidr: str, pods_cidr: str | None, zones: list[str], found: Mapping[str, Pool], endpoints: int = 0
) -> Iterator[Problem]:
    """The pools at their maximum do not fit into the network. `cidr`, `pods_cidr` and `zones` have no other problem."""
    needs, has = of_zones(found, zones, endpoints), rooms(cidr, pods_cidr, zones)
    short = shortage(needs, has)
    if not short:
        return
    few = [zone for zone, need in needs.items() if need.nodes > has[zone].nodes]
    path, value = ("pods_cidr", pods_cidr) if pods_cidr and not few else ("cidr", cidr)
    yield Problem(
        path, value, f"the pools at their maximum need more addresses than the network has: {short}",
        "networks with room for every pool at `max` with all its pods", _fix(cidr, pods_cidr, zones, found, endpoints),
    )  # fmt: skip


def _fix(cidr: str, pods_cidr: str | None, zones: list[str], found: Mapping[str, Pool], endpoints: int) -> str:
    def fit(networks: Iterable[tuple[str, str | None]], most: int = pools.MAX_NODES) -> tuple[str, str | None] | None:
        needs = of_zones(found, zones, endpoints, most)
        return next((each for each in networks if not shortage(needs, rooms(*each, zones))), None)

    ways = []
    if larger := fit((each, pods_cidr) for each in _larger(cidr, PREFIXES[0]) if _joins(each, pods_cidr)):
        ways.append(f"write `cidr: {larger[0]}` before the network is created")
    if apart := fit((cidr, each) for each in for_pods(cidr, pods_cidr)):
        ways.append(f"write `pods_cidr: {apart[1]}`")
    if ways:
        return ", or ".join(ways)

    both = [(a, b) for a in [cidr, *_larger(cidr, PREFIXES[0])] for b in for_pods(a, pods_cidr)]
    if two := fit(both):
        return f"write `cidr: {two[0]}` and `pods_cidr: {two[1]}` before the network is created"
    # No network is large enough: find the largest maximum for which one is.
    fewest, most = 0, max(pool.max for pool in found.values())
    while most - fewest > 1:
        middle = (fewest + most) // 2
        fewest, most = (middle, most) if fit(both, middle) else (fewest, middle)
    chosen = fit(both, fewest)
    if not fewest or chosen is None:
        return "remove pools"
    networks = f"`pods_cidr: {chosen[1]}`" if chosen[0] == cidr else f"`cidr: {chosen[0]}` and `pods_cidr: {chosen[1]}`"
    return f"use more zones for the pools, or lower `max` to {fewest} wherever it is more and write {networks}"


def _larger(network: str, shortest: int) -> Iterator[str]:
    """The networks around this one, smallest first."""
    inner = ipaddress.IPv4Network(network)
    return (str(inner.supernet(new_prefix=prefix)) for prefix in range(inner.prefixlen - 1, shortest - 1, -1))


def _joins(cidr: str, pods_cidr: str | None) -> bool:
    return pods_cidr is None or not association(cidr, pods_cidr)


def for_pods(cidr: str, pods_cidr: str | None) -> Iterator[str]:
    """Networks for pods that the VPC accepts, smallest first: those around the present one, then those of RFC 6598."""
    prefixes = range(16, PODS_PREFIXES[0] - 1, -1)
    known = list(_larger(pods_cidr, PODS_PREFIXES[0])) if pods_cidr else []
    for network in [*known, *(f"{first}/{prefix}" for prefix in prefixes for first in _FOR_PODS)]:
        if _joins(cidr, network):
            yield network
