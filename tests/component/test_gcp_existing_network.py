"""An existing network on Google Cloud: what the component reads, what it refuses, and the roles that it grants."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components import checks
from components.gcp.existing_network import GcpExistingNetwork
from components.gcp.services import GcpServices
from recording.recorder import run
from recording.stacks import record, settings
from tests.component.existing_gcp_network import NET, OWNED, SUB, cluster_in, existing, network_lookups
from tests.component.stage import GCP_ZONES, GKE_CPU, gcp_options
from tests.failing_lookup import LookupFailed


class TestExistingNetwork:
    def test_nothing_is_created_in_an_existing_network(self) -> None:
        made = existing(pods_range="pods")
        assert [found for found in made.resources.values() if found.package == "gcp"] == []
        assert made.exports == {
            "network_id": "projects/gpuyard-project/global/networks/shared",
            "subnetwork_id": "projects/gpuyard-project/regions/us-central1/subnetworks/gpus",
            "pods_range": "pods",
            "services_range": "services",
        }

    def test_a_shared_network_is_looked_up_in_the_host_project(self) -> None:
        made = existing(host_project="host-project")
        assert {call.args["project"] for call in made.invokes} == {"host-project"}
        assert made.exports["subnetwork_id"].startswith("projects/host-project/regions/us-central1/")

    @pytest.mark.parametrize("preview", [True, False])
    def test_roles_of_gkes_agents_in_the_host_project_are_an_option_and_precede_the_cluster(
        self, preview: bool
    ) -> None:
        def program() -> None:
            options = gcp_options()
            args = {**OWNED, "host_project": "host-project", "grant": True}
            net = GcpExistingNetwork("net", args, options)  # type: ignore[arg-type]
            cluster_in(net, options)

        made = run(program, outputs=network_lookups(), preview=preview)
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

    def test_dependants_of_the_network_wait_for_the_apis(self) -> None:
        """In a program that imports the library, without the order of the stack."""

        def program() -> None:
            options = gcp_options()
            on = GcpServices("services", {"services": ["container.googleapis.com"]}, options)
            net = GcpExistingNetwork("net", {**OWNED, "services": on.services}, options)  # type: ignore[typeddict-item]
            cluster_in(net, options)

        made = run(program, outputs=network_lookups())
        assert made.must_outlive(made.one("gcp:projects/service:Service"), made.one("gcp:container/cluster:Cluster"))

    def test_new_roles_do_not_make_the_networks_outputs_unknown(self) -> None:
        """At preview the roles do not exist yet; if they made the network unknown, the cluster would show as
        replaced."""
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
            ({"node_pools": {"cpu": {**GKE_CPU, "max": 0}}}, "node_pools.cpu.max", "outside the range"),
            ({"node_pools": {"cpu": {**GKE_CPU, "driver": "new"}}}, "node_pools.cpu.driver", "has no GPU"),
            ({"node_pools": {"cpu": {**GKE_CPU, "zones": ["us-east1-b"]}}}, "node_pools.cpu.zones[0]", "not a zone"),
        ],
    )
    def test_invalid_arguments_are_refused_without_a_lookup(self, args: dict[str, Any], path: str, words: str) -> None:
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
    def test_an_unsuitable_network_is_refused_before_anything_is_created(
        self, answer: dict[str, Any], args: dict[str, Any], path: str, words: str, preview: bool
    ) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            existing(network_lookups(**answer), preview, **args)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text, text

    @pytest.mark.parametrize(("token", "path"), [(NET, "network"), (SUB, "subnetwork")])
    def test_a_failed_lookup_is_reported_with_the_message_of_google(self, token: str, path: str) -> None:
        def gone(args: dict[str, Any]) -> dict[str, Any]:
            raise LookupFailed("Error 403: Required 'compute.subnetworks.get' permission, forbidden")

        with pytest.raises(pulumi.RunError, match=rf"{path} = .*cannot be read: .*forbidden"):
            existing({**network_lookups(), token: gone})

    @pytest.mark.parametrize(("message", "read"), [("", "ValueError"), ("first\nlast \n", "last")])
    def test_the_last_line_of_a_lookups_error_is_reported(self, message: str, read: str) -> None:
        assert checks.last_line(ValueError(message)) == read

    def test_the_stack_uses_the_existing_network_for_cluster_and_filestore(self) -> None:
        config = settings("dev-gke")
        owned = {"network": "shared", "subnetwork": "gpus", "hostProject": "host-project", "podsRange": "pods"}
        config["gpuyard:network"] = {"zones": GCP_ZONES, "existing": owned}
        made = record(config, "dev-gke", outputs=network_lookups())
        cluster = made.one("gcp:container/cluster:Cluster")
        assert cluster.inputs["subnetwork"] == "projects/host-project/regions/us-central1/subnetworks/gpus"
        assert cluster.inputs["ipAllocationPolicy"]["clusterSecondaryRangeName"] == "pods"
        for service in made.all("gcp:projects/service:Service"):
            assert made.must_outlive(service, cluster)
        shared = made.one("StorageClass", "storage-shared").inputs["parameters"]
        assert shared["connect-mode"] == "PRIVATE_SERVICE_ACCESS"
        assert shared["network"] == "projects/host-project/global/networks/shared"
