"""Behavior of the sandbox's Google Cloud for networks, clusters and permissions beyond storing them."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from components.gcp.control_plane import kubeconfig as written
from sandbox.cluster import control_plane
from sandbox.gcp import gke
from sandbox.gcp.store import leftovers
from sandbox.plugins import kubeconfig
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.gcp.stage import CLUSTER, NETWORK, PROJECT, SUBNETWORK, cluster_props

SUBNET_MEMBER = "gcp:compute/subnetworkIAMMember:SubnetworkIAMMember"
BUCKET_MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
IDENTITY = "gcp:projects/serviceIdentity:ServiceIdentity"
MACHINES = "gcp:compute/getMachineTypes:getMachineTypes"
POOL = f"iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/{PROJECT}.svc.id.goog"
POD = f"principal://{POOL}/subject/ns/a/sa/b"


def firewalls(cloud: Any) -> dict[str, Any]:
    return {name.rsplit("/", 1)[-1]: body for _, name, body in cloud.store.select("compute.firewalls")}


class TestFirewallRulesOfGke:
    def test_they_are_created_and_deleted_with_the_cluster(self, cloud, cluster, network, subnetwork) -> None:
        rules = firewalls(cloud)
        assert {name.rsplit("-", 1)[-1] for name in rules} == {"all", "vms", "inkubelet", "exkubelet"}
        assert {name.rsplit("-", 2)[0] for name in rules} == {"gke-yard"}
        by_role = {name.rsplit("-", 1)[-1]: rule for name, rule in rules.items()}
        assert by_role["all"]["sourceRanges"] == ["10.4.0.0/14"] and by_role["vms"]["sourceRanges"] == ["10.0.0.0/20"]
        assert "denied" in by_role["exkubelet"], "the kubelet's port without a login is shut"
        cloud.delete(cluster)
        assert firewalls(cloud) == {}
        cloud.delete(subnetwork)
        cloud.delete(network)
        assert leftovers() == []

    def test_the_network_of_a_failed_cluster_is_not_deleted(self, cloud, cluster, network, subnetwork) -> None:
        """A network is not deleted while GKE's firewall rules or endpoint groups are left in it."""
        rule = next(name for _, name, _ in cloud.store.select("compute.firewalls"))
        with cloud.store.transaction() as db:
            db.execute("UPDATE objects SET owner_collection = '', owner_name = '' WHERE name = ?", (rule,))
        cloud.delete(cluster)
        cloud.delete(subnetwork)
        with pytest.raises(ProviderError, match="resourceInUseByAnotherResource"):
            cloud.delete(network)
        assert any(rule in left for left in leftovers())

    def test_a_cluster_of_a_shared_network_has_them_in_the_host_project(self, cloud) -> None:
        network, _ = cloud.create(
            NETWORK, {"name": "shared", "autoCreateSubnetworks": False, "project": "host-project"}
        )
        ranges = [{"rangeName": n, "ipCidrRange": c} for n, c in (("pods", "10.4.0.0/14"), ("services", "10.8.0.0/20"))]
        subnet, _ = cloud.create(
            SUBNETWORK,
            {
                "name": "gpus", "network": network, "ipCidrRange": "10.0.0.0/20", "project": "host-project",
                "secondaryIpRanges": ranges,
            },
        )  # fmt: skip
        cloud.create(CLUSTER, cluster_props(network, subnet))
        names = [name for _, name, _ in cloud.store.select("compute.firewalls")]
        assert names and all(name.startswith("projects/host-project/") for name in names)


class TestRangesInUse:
    RANGES = (("pods", "10.4.0.0/14"), ("services", "10.8.0.0/20"))

    def change(self, cloud: Any, subnetwork: str, *ranges: tuple[str, str]) -> Any:
        named = [{"rangeName": name, "ipCidrRange": cidr} for name, cidr in ranges]
        return cloud.update(subnetwork, secondaryIpRanges=named)

    @pytest.mark.parametrize("ranges", [(("pods", "10.16.0.0/14"), RANGES[1]), (RANGES[0],)])
    def test_the_ranges_of_a_cluster_cannot_be_changed_or_removed(
        self, cloud, cluster, subnetwork, ranges: Any
    ) -> None:
        with pytest.raises(ProviderError, match=r"Secondary range '(pods|services)' .* in use by cluster .*/yard"):
            self.change(cloud, subnetwork, *ranges)
        cloud.delete(cluster)
        self.change(cloud, subnetwork, *ranges)

    def test_ranges_can_be_added_and_the_nodes_range_can_grow(self, cloud, cluster, subnetwork) -> None:
        self.change(cloud, subnetwork, *self.RANGES, ("more", "10.32.0.0/16"))
        assert cloud.update(subnetwork, ipCidrRange="10.0.0.0/19")["ipCidrRange"] == "10.0.0.0/19"


class TestDnsEndpoint:
    @pytest.fixture
    def plane(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        key = f"gke-{PROJECT}-us-central1-yard"
        found = SimpleNamespace(key=key, ca_data="Q0E=", endpoint="https://127.0.0.1:6443")
        monkeypatch.setattr(control_plane, "get", lambda asked: found if asked == key else None)
        monkeypatch.setattr(control_plane, "find", lambda server: found if server == found.endpoint else None)
        return found

    def open(self, cloud: Any, network: str, subnetwork: str, allowed: bool) -> tuple[str, str]:
        ways = {"dnsEndpointConfig": {"allowExternalTraffic": allowed}}
        id, outputs = cloud.create(CLUSTER, cluster_props(network, subnetwork, controlPlaneEndpointsConfig=ways))
        return id, outputs["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"]

    def reached(self, server: str, authority: str = "") -> Any:
        return kubeconfig.find(kubeconfig.parse(written("yard", server, authority)))

    def test_an_open_endpoint_reaches_the_cluster(self, cloud, network, subnetwork, plane) -> None:
        id, name = self.open(cloud, network, subnetwork, allowed=True)
        assert name.startswith("gke-") and name.endswith(".us-central1.gke.goog")
        assert self.reached(f"https://{name}") is plane
        assert self.reached("https://gke-000000000000.us-central1.gke.goog") is None
        assert cloud.read(id) == (id, cloud.made[id][2], cloud.made[id][3]), "and is no drift"

    def test_a_closed_endpoint_reaches_no_cluster(self, cloud, network, subnetwork, plane) -> None:
        _, name = self.open(cloud, network, subnetwork, allowed=False)
        assert self.reached(f"https://{name}") is None

    def test_its_certificate_is_not_signed_by_the_clusters_ca(self, cloud, network, subnetwork, plane) -> None:
        _, name = self.open(cloud, network, subnetwork, allowed=True)
        with pytest.raises(ProviderError, match=r"x509.*public certificate"):
            self.reached(f"https://{name}", "Q0E=")
        assert self.reached(plane.endpoint, "Q0E=") is plane
        with pytest.raises(ProviderError, match="x509"):
            self.reached(plane.endpoint)

    def test_the_login_is_checked_as_at_other_endpoints(self, cloud, network, subnetwork, plane) -> None:
        _, name = self.open(cloud, network, subnetwork, allowed=True)
        config = json.loads(written("yard", f"https://{name}", ""))
        config["users"][0]["user"] = {}
        with pytest.raises(ProviderError, match="no credentials"):
            kubeconfig.find(kubeconfig.parse(config))


WEEK = {"recurringWindow": {"startTime": "2025-12-06T02:00:00Z", "endTime": "2025-12-06T08:00:00Z",
                            "recurrence": "FREQ=WEEKLY;BYDAY=SA"}}  # fmt: skip


def rest(last: str | None, behaviour: str | None = None, scope: str = "NO_UPGRADES", name: str = "x") -> dict[str, Any]:
    """An exclusion that starts on 2027-01-01."""
    options = {"scope": scope} | ({"endTimeBehavior": behaviour} if behaviour else {})
    end = {"endTime": f"{last}T00:00:00Z"} if last else {}
    return {"exclusionName": name, "startTime": "2027-01-01T00:00:00Z", **end, "exclusionOptions": options}


class TestMaintenance:
    @pytest.mark.parametrize(
        ("exclusions", "reason"),
        [
            ([rest("2027-02-01", "UNTIL_END_OF_SUPPORT", "NO_MINOR_UPGRADES")], "exactly one of endTime"),
            ([rest(None)], "exactly one of endTime"),
            ([rest(None, "UNTIL_END_OF_SUPPORT")], "cannot last until the end of support"),
            ([rest("2027-04-02")], "90 days at most"),
            ([rest("2027-02-01", name=f"x{n}") for n in range(4)], "at most 3 exclusions"),
            ([rest("2027-02-01", scope="NO_FUN")], "Must be one of: NO_UPGRADES"),
            # terraform-provider-google#20556
            ([rest("2099-01-01", scope="NO_MINOR_UPGRADES")], "before the end of support"),
        ],
    )
    def test_exclusions_that_google_would_refuse(self, cloud, exclusions: list[Any], reason: str) -> None:
        props = cluster_props("net", "sub", maintenancePolicy={**WEEK, "maintenanceExclusions": exclusions})
        assert [found for found in cloud.failures(CLUSTER, props) if reason in found.reason]

    def test_valid_exclusions_are_returned_unchanged(self, cloud, network, subnetwork) -> None:
        exclusions = [rest("2027-04-01"), rest(None, "UNTIL_END_OF_SUPPORT", "NO_MINOR_OR_NODE_UPGRADES", "hold")]
        policy = {**WEEK, "maintenanceExclusions": exclusions}
        id, outputs = cloud.create(CLUSTER, cluster_props(network, subnetwork, maintenancePolicy=policy))
        assert outputs["maintenancePolicy"] == policy
        assert cloud.diff(id, maintenancePolicy={**policy, "maintenanceExclusions": exclusions[:1]}).replaces == []


def test_the_kubelets_read_only_port_is_a_string_for_the_provider_and_a_boolean_for_the_api(
    cloud, network, subnetwork
) -> None:
    defaults = {"nodeConfigDefaults": {"insecureKubeletReadonlyPortEnabled": "FALSE"}}
    id, outputs = cloud.create(CLUSTER, cluster_props(network, subnetwork, nodePoolDefaults=defaults))
    body = cloud.store.get(gke.CLUSTERS, id)["nodePoolDefaults"]["nodeConfigDefaults"]
    assert body == {"nodeKubeletConfig": {"insecureKubeletReadonlyPortEnabled": False}}
    assert outputs["nodePoolDefaults"] == defaults


class TestRights:
    def test_a_role_on_a_subnetwork_is_part_of_its_policy(self, cloud, network, subnetwork) -> None:
        props = {"subnetwork": "nodes", "role": "roles/compute.networkUser", "member": "user:a@b.c"}
        id, _ = cloud.create(SUBNET_MEMBER, props)
        assert id == f"{subnetwork}/roles/compute.networkUser/user:a@b.c"
        assert cloud.store.get("iam.policies", subnetwork)["bindings"][0]["members"] == ["user:a@b.c"]
        assert cloud.diff(id, role="roles/viewer").replaces == ["role"]
        assert cloud.read(id)
        cloud.delete(id)
        assert cloud.store.find("iam.policies", subnetwork) is None
        with pytest.raises(ProviderError, match="was not found"):
            cloud.create(SUBNET_MEMBER, {**props, "subnetwork": "elsewhere"})

    @pytest.mark.parametrize("member", [POD, f"principalSet://{POOL}/namespace/a"])
    def test_the_identity_pool_exists_after_the_first_cluster(self, cloud, network, subnetwork, member: str) -> None:
        props = {"project": PROJECT, "role": "roles/pubsub.subscriber", "member": member}
        with pytest.raises(ProviderError, match=r"Identity Pool does not exist \(ml-sandbox"):
            cloud.create("gcp:projects/iAMMember:IAMMember", props)
        cloud.create(CLUSTER, cluster_props(network, subnetwork))
        id, _ = cloud.create("gcp:projects/iAMMember:IAMMember", props)
        assert cloud.take("gcp:projects/iAMMember:IAMMember", id), "found again by its id"

    def test_an_existing_bucket_may_be_outside_the_sandbox(self, cloud, cluster) -> None:
        """The sandbox knows only the bucket's name; a destroy leaves no binding on it."""
        condition = {"title": "below train/", "expression": "true"}
        props = {"bucket": "acme-data", "role": "roles/storage.objectViewer", "member": POD, "condition": condition}
        id, _ = cloud.create(BUCKET_MEMBER, props)
        assert cloud.diff(id, condition={**condition, "title": "y"}).replaces == ["condition.title"]
        cloud.delete(id)
        assert not [left for left in leftovers() if left.startswith("iam.")]

    def test_the_agent_of_a_service_is_created_once_and_kept(self, cloud) -> None:
        _, outputs = cloud.create(IDENTITY, {"service": "container.googleapis.com"})
        number = cloud.provider.invoke("gcp:organizations/getProject:getProject", {})["number"]
        email = f"service-{number}@container-engine-robot.iam.gserviceaccount.com"
        assert (outputs["email"], outputs["member"]) == (email, f"serviceAccount:{email}")
        id, again = cloud.create(IDENTITY, {"service": "container.googleapis.com"}, "twice")
        assert again == outputs
        cloud.delete(id)
        assert leftovers() == [] and cloud.store.select("serviceusage.identities")


def test_machine_types_can_be_filtered_by_several_names(cloud) -> None:
    wanted = '(name = "g2-standard-8") OR (name = "n2-standard-8") OR (name = "g2-standard-9")'
    for zone, names in (("us-central1-a", {"g2-standard-8", "n2-standard-8"}), ("us-central1-f", {"n2-standard-8"})):
        found = cloud.provider.invoke(MACHINES, {"zone": zone, "filter": wanted})
        assert {item["name"] for item in found["machineTypes"]} == names
    both = cloud.provider.invoke(MACHINES, {"zone": "us-central1-a", "filter": f"{wanted} OR (guestCpus >= 9999)"})
    assert len(both["machineTypes"]) == 2
