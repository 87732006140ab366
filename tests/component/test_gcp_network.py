"""The network on Google Cloud: the inputs that the SDK gets, and what is refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pulumi
import pytest

from components.gcp.network import GcpNetwork
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import recorded
from tests.component.stage import GCP_ZONES, gcp_options
from tests.config.test_errors import changed, parse


def network(**args: Any) -> Recording:
    """A recorded GcpNetwork called `net`."""
    defaults = {"region": "us-central1", "cidr": "10.0.0.0/20", "zones": GCP_ZONES}
    return run(lambda: GcpNetwork("net", {**defaults, **args}, gcp_options()))  # type: ignore[typeddict-item]


class TestNetwork:
    def test_pods_and_services_have_separate_ranges_and_nodes_have_nat(self) -> None:
        """seed row S01: a VPC-native network."""
        made = network()
        subnet = made.one("Subnetwork").inputs
        assert subnet["privateIpGoogleAccess"] is True
        ranges = {found["rangeName"]: found["ipCidrRange"] for found in subnet["secondaryIpRanges"]}
        assert set(ranges) == {"pods", "services"}
        assert made.one("RouterNat").inputs["natIpAllocateOption"] == "AUTO_ONLY"
        assert made.one("Network").inputs["autoCreateSubnetworks"] is False
        assert not network(nat="none").all("RouterNat")

    def test_all_resources_are_in_one_region_and_nat_covers_pods(self) -> None:
        made = network(region="europe-west4", zones=["europe-west4-a"])
        vpc, subnet, router, nat = (made.one(kind) for kind in ("Network", "Subnetwork", "Router", "RouterNat"))
        assert subnet.inputs["network"] == router.inputs["network"] == vpc.id
        assert {found.inputs["region"] for found in (subnet, router, nat)} == {"europe-west4"}
        (out,) = nat.inputs["subnetworks"]
        assert out == {"name": subnet.id, "sourceIpRangesToNats": ["ALL_IP_RANGES"]}

    def test_nat_allocates_ports_dynamically_and_logs_failures(self) -> None:
        # terraform-kubestack#212: endpoint-independent mapping dropped connections of nodes with many of them.
        nat = network().one("RouterNat").inputs
        assert nat["enableDynamicPortAllocation"] is True and nat["enableEndpointIndependentMapping"] is False
        assert nat["minPortsPerVm"] < nat["maxPortsPerVm"]
        assert nat["logConfig"] == {"enable": True, "filter": "ERRORS_ONLY"}

    def test_flow_logs_are_an_option(self) -> None:
        assert "logConfig" not in network().one("Subnetwork").inputs
        log = network(flow_log_percent=25).one("Subnetwork").inputs["logConfig"]
        assert log["flowSampling"] == 0.25 and log["metadata"] == "INCLUDE_ALL_METADATA"

    def test_no_firewall_rule_is_created(self) -> None:
        assert network().all("Firewall") == []

    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"nat": "per_zone"}, "nat", "belongs to a region"),
            ({"nat": "Single"}, "nat", "write single"),
            ({"cidr": "10.0.0.1/20"}, "cidr", "write 10.0.0.0/20"),
            ({"pods_cidr": "10.4.0.0/25"}, "pods_cidr", "/9 to /24"),
            ({"services_cidr": "10.9.0.0/15"}, "services_cidr", "write 10.8.0.0/15"),
            ({"services_cidr": "10.8.0.0/15"}, "services_cidr", "/16 to /27"),
            ({"services_cidr": "10.64.0.0/20"}, "services_cidr", "overlaps pods_cidr"),
            ({"cidr": "0.0.0.0/8"}, "cidr", "overlaps 0.0.0.0/8, which is reserved for this network"),
            (
                {"cidr": "199.36.152.0/21"},
                "cidr",
                "overlaps 199.36.153.4/30, which is reserved for Private Google Access",
            ),
            ({"zones": ["us-central1-a", "us-central1-aia"]}, "zones[1]", "not a zone of us-central1"),
            ({"zones": ["us-central1-ai1a"]}, "zones", "only AI zones"),
            ({"further_pods_cidrs": {"pods": "10.80.0.0/16"}}, "further_pods_cidrs.pods", "rename the range"),
            ({"further_pods_cidrs": {"Two": "10.80.0.0/16"}}, "further_pods_cidrs.Two", "rename the range"),
            ({"further_pods_cidrs": {"two": "10.64.0.0/16"}}, "further_pods_cidrs.two", "overlaps pods_cidr"),
            ({"further_pods_cidrs": {"two": "10.80.0.0/25"}}, "further_pods_cidrs.two", "/9 to /24"),
            ({"zones": ["us-central1-a", "us-east1-b"]}, "zones[1]", "not a zone of us-central1"),
            ({"zones": []}, "zones", "one or more standard zones"),
            ({"flow_log_percent": 101}, "flow_log_percent", "0 (no log) to 100"),
        ],
    )
    def test_invalid_arguments_are_refused_before_anything_is_created(
        self, args: dict[str, Any], path: str, words: str
    ) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            network(**args)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text and "one value" in text, text

    def test_without_nat_a_warning_names_the_reachable_registries(self) -> None:
        config = changed(
            "dev-gke", {"gpuyard:network/nat": "none", "gpuyard:cluster/publicAccessCidrs": ["8.8.8.0/24"]}
        )
        (message,) = parse("dev-gke", config).warnings(date(2026, 11, 23))
        assert message.startswith("network.nat:") and "Artifact Registry" in message


def test_the_network_outlives_the_cluster_and_nat_outlives_the_nodes() -> None:
    """seed row S01"""
    made = recorded("dev-gke")
    nat = made.one("RouterNat")
    for found in made.all("gcp:container/nodePool:NodePool"):
        assert made.must_outlive(nat, found), found
    assert made.must_outlive(made.one("Subnetwork"), made.one("gcp:container/cluster:Cluster"))
