"""Addresses of a VPC: the plan, the blocks that AWS accepts, and whether pools fit at their maximum."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components import hardware
from components.aws import addresses
from components.aws.addresses import Need, Room
from components.checks import Problem
from components.pools import NodePoolSpec
from sandbox.aws import machine_types, node_shape
from tests.component.stage import AWS_ZONES, GUIDE_CPU, GUIDE_GPU, pool

ZONES = [f"us-east-1{letter}" for letter in "abcdefg"]
P5 = pool(GUIDE_GPU, machine_types=["p5.48xlarge"])


def machine(name: str) -> hardware.MachineType:
    found = hardware.find(hardware.AWS, name)
    assert found is not None
    return found


def needs(spec: NodePoolSpec, zones: list[str] = AWS_ZONES) -> dict[str, Need]:
    (found,) = addresses.valid_pools({"pool": spec}, zones).values()
    return addresses.of_pool(found, zones)


def problems(
    cidr: str, pods_cidr: str | None, zones: list[str], specs: dict[str, NodePoolSpec], endpoints: int = 0
) -> list[Problem]:
    return list(addresses.problems(cidr, pods_cidr, zones, addresses.valid_pools(specs, zones), endpoints))


class TestPlan:
    def test_the_pod_block_of_a_zone_follows_from_its_letter(self) -> None:
        blocks = addresses.pod_blocks("100.64.0.0/16")
        assert blocks["b"] == "100.64.32.0/19" and set(blocks) == set("abcdefg")
        networks = [ipaddress.IPv4Network(block) for block in blocks.values()]
        assert not any(one.overlaps(other) for index, one in enumerate(networks) for other in networks[:index])

    @pytest.mark.parametrize(
        ("pods_cidr", "joined"),
        [
            ("100.64.0.0/20", ["100.64.0.0/20"]),
            ("100.64.0.0/16", ["100.64.0.0/16"]),
            ("100.64.0.0/15", ["100.64.0.0/16", "100.65.0.0/16"]),
            ("100.64.0.0/13", ["100.64.0.0/16", "100.70.0.0/16"]),
        ],
    )
    def test_only_used_parts_of_the_pod_network_join_the_vpc_as_slash_16_or_smaller(
        self, pods_cidr: str, joined: list[str]
    ) -> None:
        zones = ["us-east-1a", "us-east-1g"]
        networks = addresses.pod_networks(pods_cidr, zones)
        assert list(dict.fromkeys(networks.values())) == joined
        for zone, block in addresses.pod_blocks(pods_cidr).items():
            if f"us-east-1{zone}" in zones:
                whole = ipaddress.IPv4Network(networks[f"us-east-1{zone}"])
                assert ipaddress.IPv4Network(block).subnet_of(whole)

    @pytest.mark.parametrize(
        ("cidr", "pods_cidr", "allowed"),
        [
            ("10.0.0.0/16", "100.64.0.0/16", True),
            ("10.0.0.0/16", "10.1.0.0/16", True),
            ("10.0.0.0/16", "11.0.0.0/16", False),  # public addresses
            ("10.0.0.0/16", "10.0.128.0/20", False),  # overlaps
            ("10.1.0.0/16", "10.0.0.0/16", False),  # restricted by AWS if the VPC is in 10.0.0.0/15
            ("10.2.0.0/16", "10.0.0.0/16", True),
            ("10.0.0.0/16", "172.16.0.0/16", False),
            ("10.0.0.0/16", "192.168.0.0/17", False),
            ("10.0.0.0/16", "198.19.0.0/16", False),
            ("10.0.0.0/16", "169.254.0.0/17", False),
            ("10.0.0.0/16", "224.0.0.0/16", False),
            ("172.16.0.0/16", "172.30.0.0/16", True),
            ("172.16.0.0/16", "172.31.0.0/16", False),
            ("192.168.0.0/20", "192.168.128.0/17", True),
            ("100.64.0.0/16", "100.96.0.0/16", True),
            ("100.64.0.0/16", "10.0.0.0/16", False),
        ],
    )
    def test_secondary_blocks_that_aws_accepts(self, cidr: str, pods_cidr: str, allowed: bool) -> None:
        """VPC guide, "IPv4 CIDR block association restrictions"."""
        assert (addresses.association(cidr, pods_cidr) == "") is allowed


class TestNeed:
    @pytest.mark.parametrize(
        ("name", "pods"),
        [("m5.2xlarge", 110), ("m5.4xlarge", 110), ("m5.8xlarge", 250), ("p5.48xlarge", 250), ("t3.nano", 34)],
    )
    def test_the_pod_limit_of_a_node_follows_from_its_vcpus_and_prefixes(self, name: str, pods: int) -> None:
        assert addresses.pods_per_node(machine(name)) == pods

    def test_only_nitro_machine_types_support_prefixes(self) -> None:
        """amazon-eks-ami#2045: the number is correct for every type that EC2 describes."""
        for name in hardware.names(hardware.AWS):
            machine, facts = hardware.find(hardware.AWS, name), machine_types.find(name)
            if machine is not None and facts is not None:
                nitro = facts.get("Hypervisor") == "nitro" or bool(facts.get("BareMetal"))
                assert addresses.prefixes(machine) is nitro, name
                assert addresses.pods_per_node(machine) == node_shape.max_pods(facts, prefixes=True), name

    def test_a_nodes_addresses_are_its_interfaces_and_prefixes_with_one_spare(self) -> None:
        # 110 pods: seven prefixes of 16, one warm. 250: sixteen, one warm.
        assert needs(pool(GUIDE_CPU, max=2)) == dict.fromkeys(AWS_ZONES, Need(1, 8 * 16 + 1))
        assert needs(pool(P5, max=1, zones=["us-east-1a"])) == {"us-east-1a": Need(1, 17 * 16 + 1)}

    def test_nodes_are_counted_in_the_pools_zones_only(self) -> None:
        zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
        found = needs(pool(GUIDE_CPU, max=10), zones)
        assert {zone: need.nodes for zone, need in found.items()} == dict.fromkeys(zones, 4)
        found = needs(pool(GUIDE_CPU, max=10, zones=["us-east-1b"]), zones)
        assert {zone: need.nodes for zone, need in found.items()} == {"us-east-1b": 10}

    def test_each_capacity_type_is_counted_at_the_maximum(self) -> None:
        one = needs(pool(GUIDE_CPU, max=10))["us-east-1a"]
        two = needs(pool(GUIDE_CPU, max=10, capacity=["spot", "on_demand"]))["us-east-1a"]
        assert two == Need(2 * one.nodes, 2 * one.pods)

    def test_efa_interfaces_use_no_addresses(self) -> None:
        spec = pool(P5, max=4, zones=["us-east-1a"])
        assert needs(pool(spec, interconnect=True)) == needs(spec)

    def test_with_several_machine_types_the_lowest_pod_limit_counts(self) -> None:
        both = pool(GUIDE_CPU, machine_types=["m5.2xlarge", "m5.8xlarge"], max=2)
        assert needs(both) == needs(pool(GUIDE_CPU, max=2))

    def test_eks_efs_and_endpoints_use_addresses_in_addition_to_the_nodes(self) -> None:
        found = addresses.of_zones(addresses.valid_pools({"cpu": pool(GUIDE_CPU, max=2)}, AWS_ZONES), AWS_ZONES, 3)
        assert found["us-east-1a"] == Need(1 + 16 + 1 + 3, 129)

    def test_an_invalid_pool_is_not_counted(self) -> None:
        wrong: dict[str, Any] = {
            "unknown": pool(GUIDE_CPU, machine_types=["m5.hugely"]),
            "none": pool(GUIDE_CPU, machine_types=[]),
            "size": pool(GUIDE_CPU, max=0),
            "zone": pool(GUIDE_CPU, zones=["us-west-2a"]),
            "right": GUIDE_CPU,
        }
        assert set(addresses.valid_pools(wrong, AWS_ZONES)) == {"right"}


class TestRoom:
    def test_aws_reserves_five_addresses_in_each_subnet(self) -> None:
        assert addresses.rooms("10.0.0.0/16", None, ["us-east-1a"]) == {"us-east-1a": Room(2**13 - 5)}
        block = ipaddress.IPv4Network(addresses.blocks("10.0.0.0/16")["private-a"])
        assert block.num_addresses == 2**13
        apart = addresses.rooms("10.0.0.0/16", "100.64.0.0/16", ["us-east-1a"])
        assert apart == {"us-east-1a": Room(2**13 - 5, 2**13 - 5, shared=False)}

    @pytest.mark.parametrize(
        ("room", "need", "held"),
        [
            (Room(100), Need(40, 60), True),
            (Room(100), Need(41, 60), False),
            (Room(100, 50), Need(41, 60), True),
            (Room(40, 150), Need(41, 0), False),
            (Room(100, 50, shared=False), Need(40, 51), False),
            (Room(40, 50, shared=False), Need(40, 50), True),
            (Room(39, 50, shared=False), Need(40, 50), False),
        ],
    )
    def test_pods_use_node_addresses_only_if_allowed(self, room: Room, need: Need, held: bool) -> None:
        assert room.holds(need) is held

    def test_the_guides_pools_fit_into_the_default_network(self) -> None:
        assert problems("10.0.0.0/16", None, AWS_ZONES, {"cpu": GUIDE_CPU, "gpu": GUIDE_GPU}) == []

    def test_the_error_shows_need_and_space_of_each_zone_and_the_smallest_sufficient_network(self) -> None:
        (found,) = problems("10.0.0.0/20", None, AWS_ZONES, {"cpu": GUIDE_CPU, "gpu": GUIDE_GPU})
        # ten and five nodes in each zone, 17 addresses of others
        assert (found.path, found.value) == ("cidr", "10.0.0.0/20")
        assert "us-east-1a needs 1,967 and has 507; us-east-1b needs 1,967 and has 507" in found.wrong
        assert "`cidr: 10.0.0.0/18` before the network is created, or write `pods_cidr: 100.64.0.0/16`" in found.fix

    def test_a_pod_network_that_is_too_small_is_reported_at_its_path(self) -> None:
        (found,) = problems("10.0.0.0/16", "100.64.0.0/20", AWS_ZONES, {"cpu": GUIDE_CPU})
        assert (found.path, found.value) == ("pods_cidr", "100.64.0.0/20")
        assert found.fix == "write `pods_cidr: 100.64.0.0/18`"

    def test_a_larger_network_is_not_proposed_if_aws_does_not_allow_it(self) -> None:
        (found,) = problems("10.2.0.0/16", "10.3.0.0/20", AWS_ZONES, {"cpu": pool(GUIDE_CPU, max=200)})
        assert found.fix == "write `pods_cidr: 100.64.0.0/15`"

    def test_pools_too_large_for_any_network_are_reported_with_the_largest_maximum(self) -> None:
        spec = pool(P5, max=1000, zones=["us-east-1a"])
        (found,) = problems("10.0.0.0/16", None, AWS_ZONES, {"gpu": spec, "cpu": GUIDE_CPU})
        most = int(re.findall(r"lower `max` to (\d+)", found.fix)[0])
        assert "use more zones for the pools" in found.fix
        for size, fits in ((most, True), (most + 1, False)):
            specs = {"gpu": pool(spec, max=size), "cpu": GUIDE_CPU}
            assert (problems("10.0.0.0/16", "100.64.0.0/13", AWS_ZONES, specs) == []) is fits


def ways(fix: str) -> list[dict[str, Any]]:
    """The settings of each alternative in a fix."""
    found = []
    for way in fix.split(", or "):
        values = {
            "cidr": re.findall(r"\bcidr: ([\d./]+)", way),
            "pods_cidr": re.findall(r"\bpods_cidr: ([\d./]+)", way),
            "most": [int(each) for each in re.findall(r"lower `max` to (\d+)", way)],
        }
        if any(values.values()):
            found.append({key: each[0] for key, each in values.items() if each})
    return found


_types = st.sampled_from(["m5.2xlarge", "m5.8xlarge", "g6.2xlarge", "p5.48xlarge", "t3.medium"])
_specs = st.dictionaries(
    st.sampled_from(["one", "two", "three"]),
    st.builds(
        lambda type, most, zones, ladder: pool(
            GUIDE_CPU, machine_types=[type], min=0, max=most, zones=sorted(zones), capacity=ladder
        ),
        _types,
        st.integers(1, 1000),
        st.sets(st.sampled_from(ZONES[:3]), max_size=3),
        st.sampled_from([["on_demand"], ["spot", "on_demand"]]),
    ),
    min_size=1,
)
_cidrs = st.builds(
    lambda base, prefix: str(ipaddress.IPv4Network(f"{base}/{prefix}", strict=False)),
    st.sampled_from(["10.0.0.0", "10.77.16.0", "172.16.0.0", "192.168.240.0", "100.64.0.0"]),
    st.integers(16, 22),
)
_pods = st.none() | st.builds(
    lambda base, prefix: str(ipaddress.IPv4Network(f"{base}/{prefix}", strict=False)),
    st.sampled_from(["100.64.0.0", "100.96.128.0", "10.128.0.0", "172.20.0.0"]),
    st.integers(13, 22),
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(cidr=_cidrs, pods_cidr=_pods, specs=_specs, endpoints=st.integers(0, 14))
def test_every_proposed_fix_is_valid(
    cidr: str, pods_cidr: str | None, specs: dict[str, NodePoolSpec], endpoints: int
) -> None:
    zones = ZONES[:3]
    if pods_cidr and addresses.association(cidr, pods_cidr):
        pods_cidr = None
    for found in problems(cidr, pods_cidr, zones, specs, endpoints):
        named = ways(found.fix)
        assert named, found.fix
        for way in named:
            capped = {name: pool(spec, max=min(spec["max"], way.get("most", 1000))) for name, spec in specs.items()}
            new_cidr, new_pods = way.get("cidr", cidr), way.get("pods_cidr", pods_cidr)
            assert problems(new_cidr, new_pods, zones, capped, endpoints) == [], found.fix
            assert 16 <= ipaddress.IPv4Network(new_cidr).prefixlen <= 22
            if new_pods:
                assert addresses.association(new_cidr, new_pods) == ""
                assert 13 <= ipaddress.IPv4Network(new_pods).prefixlen <= 22


@settings(max_examples=50, deadline=None)
@given(cidr=_cidrs, specs=_specs)
def test_the_proposed_network_is_the_smallest(cidr: str, specs: dict[str, NodePoolSpec]) -> None:
    for found in problems(cidr, None, ZONES[:3], specs):
        for way in ways(found.fix):
            if set(way) == {"cidr"}:
                whole = ipaddress.IPv4Network(way["cidr"])
                halves = [half for half in whole.subnets() if half.overlaps(ipaddress.IPv4Network(cidr))]
                assert all(problems(str(half), None, ZONES[:3], specs) for half in halves)
