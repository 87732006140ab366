"""The network on Google Cloud: what the components ask the SDK for, and what they refuse."""

from __future__ import annotations

from datetime import date
from typing import Any

import pulumi
import pytest

from components import checks
from components.gcp import addresses
from components.gcp.cluster import GkeCluster
from components.gcp.existing_network import GcpExistingNetwork
from components.gcp.network import GcpNetwork
from components.gcp.services import REQUIRED, GcpServices
from recording.recorder import run
from recording.recording import Recording
from recording.stacks import record, recorded, settings
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, gcp_options, pool
from tests.config.test_errors import changed, parse, told
from tests.refused import Refused


def network(**args: Any) -> Recording:
    """A recorded GcpNetwork called `net`."""
    defaults = {"region": "us-central1", "cidr": "10.0.0.0/20", "zones": GCP_ZONES}
    return run(lambda: GcpNetwork("net", {**defaults, **args}, gcp_options()))  # type: ignore[typeddict-item]


def cluster_in(net: GcpNetwork | GcpExistingNetwork, options: pulumi.ResourceOptions) -> None:
    """A cluster in that network."""
    GkeCluster(
        "c",
        {
            "cluster_name": "train",
            "version": "1.35",
            "project": "gpuyard-project",
            "location": "us-central1",
            "zones": GCP_ZONES,
            "network_id": net.network_id,
            "subnetwork_id": net.subnetwork_id,
        },
        options,
    )


class TestNetwork:
    def test_pods_and_services_have_ranges_of_their_own_and_nodes_a_way_out(self) -> None:
        """seed row S01: a VPC-native network."""
        made = network()
        subnet = made.one("Subnetwork").inputs
        assert subnet["privateIpGoogleAccess"] is True
        ranges = {found["rangeName"]: found["ipCidrRange"] for found in subnet["secondaryIpRanges"]}
        assert set(ranges) == {"pods", "services"}
        assert made.one("RouterNat").inputs["natIpAllocateOption"] == "AUTO_ONLY"
        assert made.one("Network").inputs["autoCreateSubnetworks"] is False
        assert not network(nat="none").all("RouterNat")

    def test_all_of_it_is_in_one_region_and_one_vpc_and_pods_get_out_as_well(self) -> None:
        made = network(region="europe-west4", zones=["europe-west4-a"])
        vpc, subnet, router, nat = (made.one(kind) for kind in ("Network", "Subnetwork", "Router", "RouterNat"))
        assert subnet.inputs["network"] == router.inputs["network"] == vpc.id
        assert {found.inputs["region"] for found in (subnet, router, nat)} == {"europe-west4"}
        (out,) = nat.inputs["subnetworks"]
        assert out == {"name": subnet.id, "sourceIpRangesToNats": ["ALL_IP_RANGES"]}

    def test_a_node_that_opens_many_connections_gets_more_ports_and_failures_are_logged(self) -> None:
        # terraform-kubestack#212: endpoint-independent mapping dropped connections of nodes with many of them.
        nat = network().one("RouterNat").inputs
        assert nat["enableDynamicPortAllocation"] is True and nat["enableEndpointIndependentMapping"] is False
        assert nat["minPortsPerVm"] < nat["maxPortsPerVm"]
        assert nat["logConfig"] == {"enable": True, "filter": "ERRORS_ONLY"}

    def test_traffic_is_logged_by_choice(self) -> None:
        assert "logConfig" not in network().one("Subnetwork").inputs
        log = network(flow_log_percent=25).one("Subnetwork").inputs["logConfig"]
        assert log["flowSampling"] == 0.25 and log["metadata"] == "INCLUDE_ALL_METADATA"

    def test_no_firewall_rule_is_ours(self) -> None:
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
    def test_what_cannot_work_is_refused_before_anything_is_made(
        self, args: dict[str, Any], path: str, words: str
    ) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            network(**args)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text and "one value" in text, text

    def test_without_nat_only_google_is_reached_and_that_is_said(self) -> None:
        config = changed(
            "dev-gke", {"gpuyard:network/nat": "none", "gpuyard:cluster/publicAccessCidrs": ["8.8.8.0/24"]}
        )
        (said,) = parse("dev-gke", config).warnings(date(2026, 11, 23))
        assert said.startswith("network.nat:") and "Artifact Registry" in said


class TestAddresses:
    @pytest.mark.parametrize(
        ("pods", "block"),
        [(8, 16), (9, 32), (16, 32), (32, 64), (64, 128), (65, 256), (110, 256), (128, 256), (256, 512)],
    )
    def test_a_node_takes_twice_its_pods_rounded_up(self, pods: int, block: int) -> None:
        """GKE, "About flexible Pod CIDR": 8 pods a /28 … 110 pods a /24, 256 pods a /23."""
        assert addresses.block(pods) == block

    def test_ranges_hold_exactly_what_they_have_room_for(self) -> None:
        """Of 32 addresses Google keeps four and the control plane one; 4,096 are 16 blocks of 256."""
        assert not addresses.too_few_addresses("10.0.0.0/27", 27) and addresses.too_few_addresses("10.0.0.0/27", 28)
        assert not addresses.too_few_blocks("10.64.0.0/20", [(16, 110)])
        assert addresses.too_few_blocks("10.64.0.0/20", [(17, 110)])

    def test_every_rung_at_its_maximum_counts_with_the_nodes_that_an_upgrade_adds(self) -> None:
        def nodes(**changes: Any) -> int:
            return addresses.nodes(addresses.sound({"p": pool(GKE_CPU, **changes)}, GCP_ZONES))

        assert nodes() == 20 + 1
        assert nodes(capacity=["spot", "on_demand"]) == 2 * (20 + 1)
        assert nodes(per_zone=True, zones=GCP_ZONES) == 2 * 20 + 1
        assert nodes(upgrade={"strategy": "blue_green"}) == 40
        assert nodes(upgrade={"max_surge": 4}) == 24
        assert nodes(max=0) == 0, "a pool that is wrong as such is told elsewhere"
        assert addresses.nodes(addresses.sound({"gpu": GKE_GPU}, GCP_ZONES)) == 10, "no spare GPU is bought"

    @pytest.mark.parametrize(
        ("taken", "range"),
        [
            ([], "10.64.0.0/14"),
            (["10.64.0.0/20"], "10.128.0.0/13"),
            (["10.0.0.0/8"], "100.64.0.0/14"),
            (["no network", "10.0.0.0/20"], "10.64.0.0/14"),
        ],
    )
    def test_a_range_that_is_taken_is_not_chosen(self, taken: list[str], range: str) -> None:
        assert addresses.default_pods(taken) == range

    def test_the_stack_chooses_a_range_beside_those_that_are_written_down(self) -> None:
        for path, value in (("cidr", "10.64.0.0/20"), ("servicesCidr", "10.66.0.0/20")):
            made = record(changed("dev-gke", {f"gpuyard:network/{path}": value}), "dev-gke")
            ranges = made.one("Subnetwork").inputs["secondaryIpRanges"]
            assert {found["rangeName"]: found["ipCidrRange"] for found in ranges}["pods"] == "10.128.0.0/13"

    @pytest.mark.parametrize(
        ("changes", "path", "words"),
        [
            (
                {"cidr": "10.0.0.0/27"},
                "cidr",
                ["have 31 nodes, and it holds 27", "`cidr: 10.0.0.0/26` (it grows in place)"],
            ),
            ({"podsCidr": "10.64.0.0/20"}, "podsCidr", ["it holds 16", "write `podsCidr: 10.64.0.0/19` before"]),
            ({"podsCidr": "10.64.0.0/20"}, "podsCidr", ["or `podsPerNode: 64` before the cluster is created"]),
            # The network around it holds the services.
            ({"podsCidr": "10.68.16.0/20"}, "podsCidr", ["write `podsCidr: 100.64.0.0/19`"]),
        ],
    )
    def test_ranges_that_are_too_small_are_refused_with_the_size_that_fits(
        self, changes: dict[str, str], path: str, words: list[str]
    ) -> None:
        """The stack's 20 CPU nodes, one more while they are upgraded, and 10 GPU nodes."""
        (found,) = told("dev-gke", {f"gpuyard:network/{key}": value for key, value in changes.items()})
        assert found.path == f"gpuyard:network.{path}"
        for word in words:
            assert word in f"{found.wrong} {found.fix}", found

    @pytest.mark.parametrize(("cidr", "fewer"), [("10.64.0.0/20", 64), ("10.64.0.0/21", 32), ("10.64.0.0/22", 16)])
    def test_every_way_that_the_fix_names_holds(self, cidr: str, fewer: int) -> None:
        small = {"gpuyard:network/podsCidr": cidr}
        (found,) = told("dev-gke", small)
        assert f"`podsPerNode: {fewer}`" in found.fix
        parse("dev-gke", changed("dev-gke", {**small, "gpuyard:cluster/podsPerNode": fewer}))
        larger = found.fix.split("write `podsCidr: ")[1].split("`")[0]
        parse("dev-gke", changed("dev-gke", {"gpuyard:network/podsCidr": larger}))

    def test_a_range_that_holds_no_node_of_eight_pods_has_no_way_out_by_fewer_pods(self) -> None:
        assert "podsPerNode" not in told("dev-gke", {"gpuyard:network/podsCidr": "10.64.0.0/24"})[0].fix


OWNED: dict[str, Any] = {
    "project": "gpuyard-project",
    "region": "us-central1",
    "zones": GCP_ZONES,
    "network": "shared",
    "subnetwork": "gpus",
}
NET, SUB = "gcp:compute/getNetwork:getNetwork", "gcp:compute/getSubnetwork:getSubnetwork"


def says(**subnetwork: Any) -> dict[str, Any]:
    """What Google says of the network and its subnetwork."""

    def subnet(args: dict[str, Any]) -> dict[str, Any]:
        usual = {
            "network": f"https://www.googleapis.com/compute/v1/projects/{args['project']}/global/networks/shared",
            "ipCidrRange": "10.0.0.0/20",
            "privateIpGoogleAccess": True,
            "secondaryIpRanges": [
                {"rangeName": "pods", "ipCidrRange": "10.64.0.0/14"},
                {"rangeName": "services", "ipCidrRange": "10.68.0.0/20"},
            ],
        }
        return {**args, "id": "x", **usual, **subnetwork}

    return {NET: lambda args: {**args, "id": "x"}, SUB: subnet}


def existing(answers: dict[str, Any] | None = None, preview: bool = False, **args: Any) -> Recording:
    """A recorded GcpExistingNetwork called `net`; its outputs are exported."""

    def program() -> None:
        made = GcpExistingNetwork("net", {**OWNED, **args}, gcp_options())  # type: ignore[typeddict-item]
        for key in ("network_id", "subnetwork_id", "pods_range", "services_range"):
            pulumi.export(key, getattr(made, key))

    return run(program, outputs=answers or says(), preview=preview)


class TestExistingNetwork:
    def test_nothing_is_made_in_a_network_of_somebody_else(self) -> None:
        made = existing(pods_range="pods")
        assert [found for found in made.resources.values() if found.package == "gcp"] == []
        assert made.exports == {
            "network_id": "projects/gpuyard-project/global/networks/shared",
            "subnetwork_id": "projects/gpuyard-project/regions/us-central1/subnetworks/gpus",
            "pods_range": "pods",
            "services_range": "services",
        }

    def test_a_shared_network_is_looked_up_where_its_owner_has_it(self) -> None:
        made = existing(host_project="host-project")
        assert {call.args["project"] for call in made.invokes} == {"host-project"}
        assert made.exports["subnetwork_id"].startswith("projects/host-project/regions/us-central1/")

    @pytest.mark.parametrize("preview", [True, False])
    def test_gkes_agents_get_their_roles_in_the_host_project_by_choice_and_before_the_cluster(
        self, preview: bool
    ) -> None:
        def program() -> None:
            options = gcp_options()
            args = {**OWNED, "host_project": "host-project", "grant": True}
            net = GcpExistingNetwork("net", args, options)  # type: ignore[arg-type]
            cluster_in(net, options)

        made = run(program, outputs=says(), preview=preview)
        cluster = made.one("gcp:container/cluster:Cluster")
        users = made.all("SubnetworkIAMMember")
        (host,) = [found for found in made.all("gcp:projects/iAMMember:IAMMember") if "host-agent" in found.name]
        assert {found.inputs["role"] for found in users} == {"roles/compute.networkUser"}
        assert host.inputs["role"] == "roles/container.hostServiceAgentUser"
        for found in (*users, host):
            assert found.inputs["project"] == "host-project" and made.must_outlive(found, cluster), found
        if not preview:
            assert {found.inputs["member"] for found in users} == {
                "serviceAccount:service-123456@container-engine-robot.iam.gserviceaccount.com",
                "serviceAccount:123456@cloudservices.gserviceaccount.com",
            }

    def test_who_uses_it_waits_for_the_apis(self) -> None:
        """Without the stack's own order: a program that imports the library."""

        def program() -> None:
            options = gcp_options()
            on = GcpServices("services", {"services": ["container.googleapis.com"]}, options)
            net = GcpExistingNetwork("net", {**OWNED, "services": on.services}, options)  # type: ignore[typeddict-item]
            cluster_in(net, options)

        made = run(program, outputs=says())
        assert made.must_outlive(made.one("gcp:projects/service:Service"), made.one("gcp:container/cluster:Cluster"))

    def test_roles_that_come_later_do_not_show_the_cluster_as_one_to_be_replaced(self) -> None:
        """At preview the roles are not made yet: a network that is unknown because of them would be another one."""
        made = existing(preview=True, host_project="host-project", grant=True)
        assert made.exports["network_id"] == "projects/host-project/global/networks/shared"
        assert made.exports["subnetwork_id"] == "projects/host-project/regions/us-central1/subnetworks/gpus"

    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"network": "projects/p/global/networks/shared"}, "network", "without a path"),
            ({"subnetwork": "GPUs"}, "subnetwork", "networks subnets list"),
            ({"host_project": "123"}, "host_project", "6 to 30"),
            ({"project": "123"}, "project", "not a valid project id"),
            ({"grant": True}, "grant", "`host_project`"),
            ({"services_range": "pods"}, "services_range", "the same as `pods_range`"),
            ({"further_pods_ranges": ["pods"]}, "further_pods_ranges[0]", "each range once"),
            ({"further_pods_ranges": ["more", "more"]}, "further_pods_ranges[1]", "each range once"),
            ({"zones": ["us-east1-b"]}, "zones[0]", "not a zone of us-central1"),
        ],
    )
    def test_what_cannot_be_is_refused_before_anyone_is_asked(
        self, args: dict[str, Any], path: str, words: str
    ) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            existing(**args)
        assert f"  {path} = " in str(caught.value) and words in str(caught.value), caught.value

    @pytest.mark.parametrize(
        ("answer", "args", "path", "words"),
        [
            ({"network": "x/other"}, {}, "subnetwork", "is in other"),
            ({"privateIpGoogleAccess": False}, {}, "subnetwork", "--enable-private-ip-google-access"),
            ({"secondaryIpRanges": []}, {}, "pods_range", "it has none"),
            ({}, {"pods_range": "gke-pods"}, "pods_range", "pods, services"),
            ({"ipCidrRange": "10.0.0.0/28"}, {"node_pools": {"cpu": GKE_CPU}}, "subnetwork", "expand-ip-range"),
            (
                {"secondaryIpRanges": [{"rangeName": n, "ipCidrRange": "10.4.0.0/20"} for n in ("pods", "services")]},
                {"node_pools": {"cpu": GKE_CPU}},
                "pods_range",
                "it holds 16",
            ),
            ({}, {"node_pools": {"cpu": {**GKE_CPU, "pods_range": "more"}}}, "further_pods_ranges", "add more"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("preview", [True, False])
    def test_what_google_says_is_looked_at_before_anything_is_made(
        self, answer: dict[str, Any], args: dict[str, Any], path: str, words: str, preview: bool
    ) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            existing(says(**answer), preview, **args)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text, text

    @pytest.mark.parametrize(("token", "path"), [(NET, "network"), (SUB, "subnetwork")])
    def test_what_cannot_be_looked_at_is_said_in_googles_words(self, token: str, path: str) -> None:
        def gone(args: dict[str, Any]) -> dict[str, Any]:
            raise Refused("Error 403: Required 'compute.subnetworks.get' permission, forbidden")

        with pytest.raises(pulumi.RunError, match=rf"{path} = .*cannot be read: .*forbidden"):
            existing({**says(), token: gone})

    @pytest.mark.parametrize(("said", "read"), [("", "ValueError"), ("first\nlast \n", "last")])
    def test_of_what_google_says_the_last_line_is_told(self, said: str, read: str) -> None:
        assert checks.last_line(ValueError(said)) == read

    def test_the_stack_takes_it_and_its_filestore_is_reached_through_the_host_project(self) -> None:
        config = settings("dev-gke")
        owned = {"network": "shared", "subnetwork": "gpus", "hostProject": "host-project", "podsRange": "pods"}
        config["gpuyard:network"] = {"zones": GCP_ZONES, "existing": owned}
        made = record(config, "dev-gke", outputs=says())
        cluster = made.one("gcp:container/cluster:Cluster")
        assert cluster.inputs["subnetwork"] == "projects/host-project/regions/us-central1/subnetworks/gpus"
        assert cluster.inputs["ipAllocationPolicy"]["clusterSecondaryRangeName"] == "pods"
        for service in made.all("gcp:projects/service:Service"):
            assert made.must_outlive(service, cluster)
        shared = made.one("StorageClass", "storage-shared").inputs["parameters"]
        assert shared["connect-mode"] == "PRIVATE_SERVICE_ACCESS"
        assert shared["network"] == "projects/host-project/global/networks/shared"


class TestServices:
    @pytest.mark.parametrize("owned", [False, True])
    def test_nothing_is_made_before_its_api_is_on(self, owned: bool) -> None:
        """In a new project accounts, roles and keys fail where they are made side by side with it."""
        config = changed("dev-gke", {"gpuyard:cluster/secretsKey": "new"})
        if owned:
            given = {"network": "shared", "subnetwork": "gpus", "hostProject": "host-project", "grant": True}
            config["gpuyard:network"] = {"zones": GCP_ZONES, "existing": given}
        made = record(config, "dev-gke", outputs=says())
        services = made.all("gcp:projects/service:Service")
        others = [found for found in made.resources.values() if found.package == "gcp" and found not in services]
        assert len(services) > 5 and len(others) > 8
        for found in others:
            for service in services:
                assert made.must_outlive(service, found), (service, found)

    def test_apis_are_switched_on_and_never_off(self) -> None:
        made = run(lambda: GcpServices("services", {"services": list(REQUIRED)}, gcp_options()))
        found = {service.inputs["service"]: service.inputs for service in made.all("gcp:projects/service:Service")}
        assert set(found) == set(REQUIRED)
        assert {inputs["disableOnDestroy"] for inputs in found.values()} == {False}

    def test_keys_are_an_api_of_those_who_have_one(self) -> None:
        def names(**cluster: Any) -> set[str]:
            made = record(changed("dev-gke", {f"gpuyard:cluster/{k}": v for k, v in cluster.items()}), "dev-gke")
            return {found.name for found in made.all("gcp:projects/service:Service")}

        assert names(secretsKey="new") - names() == {"services-cloudkms"}

    @pytest.mark.parametrize(
        ("services", "words"),
        [(["container"], "container.googleapis.com"), (["file.googleapis.com"] * 2, "named twice")],
    )
    def test_what_is_no_api_is_refused(self, services: list[str], words: str) -> None:
        with pytest.raises(pulumi.RunError, match=words):
            run(lambda: GcpServices("services", {"services": services}, gcp_options()))


def test_the_network_outlives_the_cluster_and_the_nodes_way_out_outlives_the_nodes() -> None:
    """seed row S01"""
    made = recorded("dev-gke")
    nat = made.one("RouterNat")
    for found in made.all("gcp:container/nodePool:NodePool"):
        assert made.must_outlive(nat, found), found
    assert made.must_outlive(made.one("Subnetwork"), made.one("gcp:container/cluster:Cluster"))
