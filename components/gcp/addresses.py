"""The addresses of a GKE cluster: the sizes of its ranges, and whether the node pools at their maximum fit into them.

This module does not call Google. It assumes the worst case: every group (rung) of every pool at `max`, with the nodes
that an upgrade adds. Each node takes one address of the subnetwork and a block of the range for pods, even without
pods. Not counted are internal load balancers, and the separate VPCs of GPUDirect's interfaces. Sources: GKE's "About
flexible Pod CIDR" (blocks of nodes) and "VPC-native clusters" (sizes of ranges).
"""

import contextlib
import ipaddress
from collections.abc import Iterator, Mapping, Sequence

from ..checks import Problem
from . import pool_checks
from .pool_checks import PODS_PER_NODE_RANGE
from .pool_spec import GkeNodePoolSpec, GkePool, resolve

PODS_PER_NODE = 110
"""GKE's default number of pods per node."""

CIDR_PREFIXES = (8, 29)
PODS_PREFIXES = (9, 24)
SERVICES_PREFIXES = (16, 27)

# Google reserves the first two and the last two addresses of a subnetwork; the control plane has one.
_KEPT = 4
_CONTROL_PLANE = 1

# Candidates for the pods' range if another range overlaps the default one; the first free one is used. None overlaps
# the other defaults.
_OTHER_PODS = ("10.128.0.0/13", "100.64.0.0/14")
# Further ranges (RFC 6598: not routed anywhere else).
_ELSEWHERE = "100.64.0.0/10"

Needs = Sequence[tuple[int, int]]
"""Users of a range: (number of nodes, pods on each)."""

# VPC, "Prohibited IPv4 subnet ranges".
_PROHIBITED = {
    "0.0.0.0/8": "this network",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local addresses and the metadata server",
    "199.36.153.4/30": "Private Google Access",
    "199.36.153.8/30": "Private Google Access",
    "224.0.0.0/4": "multicast",
    "255.255.255.255/32": "broadcasts",
}


def block(pods_per_node: int = PODS_PER_NODE) -> int:
    """Addresses of the range for pods that a node takes: twice its pods, rounded up to a power of two."""
    return 1 << (2 * pods_per_node - 1).bit_length()


def range_problems(path: str, cidr: str) -> Iterator[Problem]:
    """`cidr` overlaps a range that a subnetwork cannot have. A text that is not a CIDR is reported elsewhere."""
    with contextlib.suppress(ValueError):
        for prohibited, use in _PROHIBITED.items():
            if _overlaps(cidr, prohibited):
                yield Problem(
                    path, cidr, f"overlaps {prohibited}, which is reserved for {use}",
                    "private addresses, such as 10.0.0.0/8", "choose another network",
                )  # fmt: skip
                return


def valid_pools(specs: Mapping[str, GkeNodePoolSpec], zones: list[str]) -> dict[str, GkePool]:
    """Resolves the pools that have no problems; the problems of the others are reported elsewhere."""
    return {
        name: resolve(name, spec) for name, spec in specs.items() if not list(pool_checks.problems(name, spec, zones))
    }


def nodes(found: Mapping[str, GkePool]) -> int:
    """How many nodes can exist at once."""
    return sum(len(made.pool.rungs) * _group(made) for made in found.values())


def _group(made: GkePool) -> int:
    """Nodes of one group. Flex-start nodes are never upgraded in place; counting them in the same way is harmless."""
    upgrade = made.upgrade
    if upgrade["strategy"] == "blue_green":
        return 2 * made.pool.max
    return made.pool.max + upgrade["max_surge"]


def needs(found: Mapping[str, GkePool], pods_per_node: int) -> dict[str, list[tuple[int, int]]]:
    """What the pools at their maximum take, by the name of their range; '' is the cluster's range."""
    taken: dict[str, list[tuple[int, int]]] = {"": []}
    for made in found.values():
        each = made.spec.get("pods_per_node", pods_per_node)
        taken.setdefault(made.spec.get("pods_range", ""), []).append((len(made.pool.rungs) * _group(made), each))
    return taken


def free_pods(usual: str, taken: Sequence[str] = ()) -> str:
    """The range for pods of an environment that names none: the default, or another one if that is `taken`. It does not
    depend on the pools: a range in use can neither move nor grow, and a change of `max` must not require another
    range."""
    free = (each for each in (usual, *_OTHER_PODS) if not any(_touches(each, other) for other in taken))
    return next(free, usual)


def room_problems(
    cidr: str,
    pods_cidr: str,
    services_cidr: str,
    found: Mapping[str, GkePool],
    pods_per_node: int,
    further: Mapping[str, str] | None = None,
) -> Iterator[Problem]:
    """The pools at their maximum do not fit into the ranges, which are valid, as is `pods_per_node`. `further`: further
    ranges for pods, by name."""
    count = nodes(found)
    if short := too_few_addresses(cidr, count):
        larger = next((each for each in _around(cidr) if not too_few_addresses(each, count)), None)
        free = larger is not None and not _overlaps(larger, pods_cidr) and not _overlaps(larger, services_cidr)
        yield Problem(
            "cidr", cidr, short, "a network with an address for every node of every pool at `max`",
            f"write `cidr: {larger}` (it grows in place), or lower `max`"
            if free
            else "lower `max`, or move `pods_cidr`",
        )  # fmt: skip
    wanted = needs(found, pods_per_node)
    for name, range in {"": pods_cidr, **(further or {})}.items():
        if short := too_few_blocks(range, wanted.get(name, [])):
            yield Problem(
                f"further_pods_cidrs.{name}" if name else "pods_cidr", range, short,
                "a range with a block for every node of every pool at `max`",
                _fix(cidr, range, services_cidr, wanted[name], name),
            )  # fmt: skip


def too_few_addresses(cidr: str, count: int) -> str:
    """Why a subnetwork does not hold `count` nodes; empty if it does."""
    usable = _size(cidr) - _KEPT - _CONTROL_PLANE
    return "" if count <= usable else f"the pools at their maximum have {count:,} nodes, and it holds {usable:,}"


def too_few_blocks(pods_cidr: str, wanted: Needs) -> str:
    """Why a range for pods does not hold such nodes; empty if it does."""
    if sum(count * block(each) for count, each in wanted) <= _size(pods_cidr):
        return ""
    count, kinds = sum(count for count, _ in wanted), {each for _, each in wanted}
    if len(kinds) > 1:
        taken = sum(count * block(each) for count, each in wanted)
        return (
            f"the pools at their maximum have {count:,} nodes and take {taken:,} addresses; it has {_size(pods_cidr):,}"
        )
    each = kinds.pop()
    return (
        f"the pools at their maximum have {count:,} nodes; with {block(each)} addresses each for {each} pods it holds "
        f"{_size(pods_cidr) // block(each):,}"
    )


def _fix(cidr: str, pods_cidr: str, services_cidr: str, wanted: Needs, name: str) -> str:
    ways, count, most = [], sum(count for count, _ in wanted), max(each for _, each in wanted)
    places = [*_around(pods_cidr), *_inside(_ELSEWHERE)]
    free = (each for each in places if not (_overlaps(each, cidr) or _overlaps(each, services_cidr)))
    if larger := next((each for each in free if not too_few_blocks(each, wanted)), None):
        key = f"further_pods_cidrs.{name}" if name else "pods_cidr"
        ways.append(f"write `{key}: {larger}` before the network is created")
    # The largest power of two that leaves every node a block; half of it are pods.
    share = _size(pods_cidr) // count
    fewer = 1 << (share.bit_length() - 2) if share > 1 else 0
    if PODS_PER_NODE_RANGE[0] <= fewer < most:
        ways.append(f"`pods_per_node: {fewer}` before the cluster is created")
    in_use = "if the range is in use: a new pool whose `pods_range` is a further range of the network"
    return ", or ".join([*ways, in_use, "lower `max`"])


def _around(network: str) -> Iterator[str]:
    """The networks that contain this one, smallest first."""
    inner = ipaddress.IPv4Network(network)
    return (str(inner.supernet(new_prefix=prefix)) for prefix in range(inner.prefixlen - 1, PODS_PREFIXES[0] - 1, -1))


def _inside(network: str) -> Iterator[str]:
    """The networks that begin at the same address, smallest first."""
    outer = ipaddress.IPv4Network(network)
    return (f"{outer.network_address}/{prefix}" for prefix in range(PODS_PREFIXES[1], outer.prefixlen - 1, -1))


def _overlaps(one: str, other: str) -> bool:
    return ipaddress.IPv4Network(one).overlaps(ipaddress.IPv4Network(other))


def _touches(one: str, other: str) -> bool:
    """Whether they overlap; a text that is not a CIDR overlaps nothing."""
    with contextlib.suppress(ValueError):
        return _overlaps(one, other)
    return False


def _size(network: str) -> int:
    return ipaddress.IPv4Network(network).num_addresses
