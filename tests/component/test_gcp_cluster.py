"""The cluster on Google Cloud and the rights of what runs in it."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pulumi
import pytest

from components.gcp.cluster import GkeCluster, problems
from components.gcp.identity import WorkloadIdentity
from components.versions import GKE_CHANNELS, GKE_VERSION
from tests.component.stage import GCP_ZONES, gcp_options
from tests.config.test_errors import changed, parse
from tests.recorder import run
from tests.recording import Recording
from tests.stacks import record, recorded, settings

CLUSTER = "gcp:container/cluster:Cluster"
DEFAULTS: dict[str, Any] = {
    "cluster_name": "train",
    "version": "1.35",
    "project": "gpuyard-project",
    "location": "us-central1",
    "zones": GCP_ZONES,
    "network_id": "net",
    "subnetwork_id": "sub",
}


def cluster(preview: bool = False, **args: Any) -> Recording:
    """A recorded GkeCluster called `c` with the physical name `train`; its outputs are exported."""

    def program() -> None:
        made = GkeCluster("c", {**DEFAULTS, **args}, gcp_options())  # type: ignore[typeddict-item]
        for key in ("cluster_name", "endpoint", "kubeconfig", "connect_command", "workload_pool"):
            pulumi.export(key, getattr(made, key))

    return run(program, preview=preview)


def inputs(**args: Any) -> dict[str, Any]:
    """What the SDK is asked for."""
    return cluster(**args).one(CLUSTER).inputs


class TestCluster:
    def test_a_name_of_forty_characters_is_taken_and_its_account_fits(self) -> None:
        """reliability case R15: GKE's longest; ids of service accounts have 30 characters."""
        name = "a" * 39 + "b"
        made = cluster(cluster_name=name)
        assert made.one(CLUSTER).inputs["name"] == name
        account = made.one("gcp:serviceaccount/account:Account").inputs["accountId"]
        assert re.fullmatch(r"[a-z][-a-z0-9]{4,28}[a-z0-9]", account)

    def test_disks_are_encrypted_with_a_key_that_is_there_once_compute_engine_may_use_it(self) -> None:
        """security case M16: boot disks and disks of claims; never a key that goes with the environment."""
        config = changed("dev-gke", {"gpuyard:cluster/disksKey": KEY})
        made = record(config, "dev-gke")
        assert {each.inputs["nodeConfig"]["bootDiskKmsKey"] for each in made.all("NodePool")} == {KEY}
        classes = {each.inputs["metadata"]["name"]: each.inputs["parameters"] for each in made.all("StorageClass")}
        for name in ("block", "block-fast"):
            assert classes[name]["disk-encryption-kms-key"] == KEY
        member = made.one("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember")
        assert member.inputs["member"].endswith("@compute-system.iam.gserviceaccount.com")
        for pool in made.all("NodePool"):
            assert made.must_outlive(member, pool)
        assert made.all("CryptoKey") == []

    def test_both_keys_ask_for_googles_agents_once(self) -> None:
        """security case M16."""
        made = cluster(secrets_key="new", disks_key=KEY)
        assert len(made.all("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember")) == 2
        assert len(made.all("gcp:projects/serviceIdentity:ServiceIdentity")) == 1

    def test_ai_zones_are_left_to_the_pools_that_name_them(self) -> None:
        """field case G7."""
        assert inputs(zones=[*GCP_ZONES, "us-central1-ai1a"])["nodeLocations"] == GCP_ZONES

    def test_it_is_vpc_native_private_and_has_no_default_pool(self) -> None:
        """seed row S01: a GKE cluster from a component."""
        made = inputs()
        assert made["networkingMode"] == "VPC_NATIVE" and made["datapathProvider"] == "ADVANCED_DATAPATH"
        assert made["privateClusterConfig"]["enablePrivateNodes"] is True
        assert made["removeDefaultNodePool"] is True and made["initialNodeCount"] == 1
        assert made["workloadIdentityConfig"] == {"workloadPool": "gpuyard-project.svc.id.goog"}
        assert made["deletionProtection"] is True and made["enableShieldedNodes"] is True
        assert made["costManagementConfig"] == {"enabled": True}

    def test_it_uses_the_ranges_that_it_is_told_and_large_load_balancers(self) -> None:
        usual = inputs()["ipAllocationPolicy"]
        assert usual == {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"}
        told = inputs(pods_range="gke-pods", services_range="gke-services")["ipAllocationPolicy"]
        assert told == {"clusterSecondaryRangeName": "gke-pods", "servicesSecondaryRangeName": "gke-services"}
        assert inputs()["enableL4IlbSubsetting"] is True, "250 nodes are not many"

    def test_nobody_who_is_not_known_has_a_right_in_it(self) -> None:
        assert set(inputs()["rbacBindingConfig"].values()) == {False}
        nodes = inputs()["nodePoolDefaults"]["nodeConfigDefaults"]
        assert nodes["insecureKubeletReadonlyPortEnabled"] == "FALSE"

    def test_the_first_machines_which_go_at_once_are_like_the_others(self) -> None:
        config = inputs()["nodeConfig"]
        assert config["shieldedInstanceConfig"]["enableSecureBoot"] is True
        assert config["serviceAccount"].startswith("train-nodes@")
        assert cluster().one(CLUSTER).options["ignoreChanges"] == ["nodeConfig"]

    def test_the_managed_dcgm_and_the_storage_drivers_are_switched_on(self) -> None:
        """seed rows S05, S11 and S18: on GKE the device plugin, the drivers and DCGM are Google's own."""
        made = inputs()
        assert made["monitoringConfig"]["managedPrometheus"] == {"enabled": True}
        addons = made["addonsConfig"]
        for driver in ("gcePersistentDisk", "gcpFilestore", "gcsFuse"):
            assert addons[f"{driver}CsiDriverConfig"] == {"enabled": True}

    @pytest.mark.parametrize("managed", [True, False])
    def test_googles_exporter_is_there_once_or_not_at_all(self, managed: bool) -> None:
        """seed row S18: two exporters count every GPU twice."""
        components = inputs(managed_dcgm=managed)["monitoringConfig"]["enableComponents"]
        assert components.count("DCGM") == managed
        # Alerts and dashboards ask for the state of pods and of what makes them, and for the kubelet's measures.
        assert {"SYSTEM_COMPONENTS", "POD", "DEPLOYMENT", "STATEFULSET", "HPA", "CADVISOR", "KUBELET"} < set(components)
        assert not {"APISERVER", "SCHEDULER", "CONTROLLER_MANAGER"} & set(components), "billed by the sample"
        assert len(components) > 5, "an empty list is no monitoring at all"
        own = inputs(managed_dcgm=managed, metric_types=["SYSTEM_COMPONENTS"])["monitoringConfig"]["enableComponents"]
        assert own == ["SYSTEM_COMPONENTS", *(["DCGM"] if managed else [])]

    def test_logs_are_those_that_are_wanted_and_none_is_a_choice(self) -> None:
        assert inputs()["loggingConfig"]["enableComponents"] == ["SYSTEM_COMPONENTS", "WORKLOADS"]
        assert inputs(log_types=[])["loggingConfig"]["enableComponents"] == []

    @pytest.mark.parametrize("location", ["us-central1", "us-central1-a"])
    def test_a_regional_cluster_names_its_zones_and_a_zonal_one_the_others(self, location: str) -> None:
        made = inputs(location=location)
        assert made["location"] == location
        assert made["nodeLocations"] == [zone for zone in GCP_ZONES if zone != location]

    def test_the_stacks_pools_are_where_its_cluster_is(self) -> None:
        config = changed("dev-gke", {"gpuyard:cluster/location": "us-central1-b"})
        made = record(config, "dev-gke")
        places = {found.inputs["location"] for found in made.all("gcp:container/nodePool:NodePool")}
        assert {made.one(CLUSTER).inputs["location"]} == places == {"us-central1-b"}

    def test_the_version_is_a_floor_that_a_person_raises(self) -> None:
        """A change of the version upgrades the control plane, and one that Google made is no change."""
        made = cluster().one(CLUSTER)
        assert made.inputs["minMasterVersion"] == "1.35"
        assert "minMasterVersion" not in made.options["ignoreChanges"]
        assert GKE_VERSION in GKE_CHANNELS["REGULAR"]

    def test_pods_per_node_are_asked_for_only_where_they_are_chosen(self) -> None:
        """It is fixed with the cluster: a default that is written down later must not replace it."""
        assert "defaultMaxPodsPerNode" not in inputs()
        assert inputs(pods_per_node=64)["defaultMaxPodsPerNode"] == 64

    def test_images_are_streamed_and_gpudirects_networks_allowed_by_choice(self) -> None:
        assert inputs()["nodePoolDefaults"]["nodeConfigDefaults"]["gcfsConfig"] == {"enabled": True}
        without = inputs(image_streaming=False)["nodePoolDefaults"]["nodeConfigDefaults"]
        assert without["gcfsConfig"] == {"enabled": False}
        assert inputs()["enableMultiNetworking"] is False
        assert inputs(multi_networking=True)["enableMultiNetworking"] is True

    @pytest.mark.parametrize(("pools", "streamed"), [(["cpu-workers"], True), (["cpu-workers", "gpu-workers"], False)])
    def test_the_stack_streams_images_as_long_as_a_pool_does(self, pools: list[str], streamed: bool) -> None:
        without = {f"gpuyard:nodePools/{name}/imageStreaming": False for name in pools}
        made = record(changed("dev-gke", without), "dev-gke")
        defaults = made.one(CLUSTER).inputs["nodePoolDefaults"]["nodeConfigDefaults"]
        assert defaults["gcfsConfig"] == {"enabled": streamed}
        roles = {found.inputs["role"] for found in made.all("gcp:projects/iAMMember:IAMMember")}
        assert ("roles/serviceusage.serviceUsageConsumer" in roles) is streamed

    def test_the_stack_allows_several_networks_once_a_pool_has_an_interconnect(self) -> None:
        assert recorded("dev-gke").one(CLUSTER).inputs["enableMultiNetworking"] is False
        train = {
            "machineTypes": ["a3-ultragpu-8g"], "min": 0, "max": 4, "interconnect": True, "capacity": ["spot"],
            "zones": ["us-central1-b"],
        }  # fmt: skip
        made = record(changed("dev-gke", {"gpuyard:nodePools/train": train}), "dev-gke")
        assert made.one(CLUSTER).inputs["enableMultiNetworking"] is True


class TestNodeAccount:
    def test_nodes_run_as_an_account_of_their_own_that_has_its_roles_before_the_cluster(self) -> None:
        made = cluster()
        members = made.all("gcp:projects/iAMMember:IAMMember")
        assert {found.inputs["role"] for found in members} == {
            "roles/container.defaultNodeServiceAccount",
            "roles/artifactregistry.reader",
            "roles/serviceusage.serviceUsageConsumer",
        }
        for member in members:
            assert member.inputs["member"] == "serviceAccount:train-nodes@gpuyard-project.iam.gserviceaccount.com"
            assert made.must_outlive(member, made.one(CLUSTER))

    def test_without_image_streaming_nobody_uses_the_projects_quota(self) -> None:
        roles = {found.inputs["role"] for found in cluster(image_streaming=False).all("IAMMember")}
        assert "roles/serviceusage.serviceUsageConsumer" not in roles

    def test_its_name_fits_however_long_the_clusters_is(self) -> None:
        account = cluster(cluster_name="a-cluster-whose-name-is-rather-long").one("Account").inputs["accountId"]
        assert re.fullmatch(r"[a-z][-a-z0-9]{4,28}[a-z0-9]", account)


OFFICE, SITE = "203.0.114.0/24", "10.20.0.0/16"


class TestControlPlane:
    def test_it_is_private_unless_somebody_is_named(self) -> None:
        made = inputs()
        assert made["privateClusterConfig"]["enablePrivateEndpoint"] is True
        assert made["masterAuthorizedNetworksConfig"]["cidrBlocks"] == []
        assert made["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"] is False

    def test_those_who_are_named_come_and_nobody_else(self) -> None:
        made = inputs(public_access_cidrs=[OFFICE], private_access_cidrs=[SITE])
        assert made["privateClusterConfig"]["enablePrivateEndpoint"] is False
        networks = made["masterAuthorizedNetworksConfig"]
        assert [found["cidrBlock"] for found in networks["cidrBlocks"]] == [OFFICE, SITE]
        assert networks["privateEndpointEnforcementEnabled"] is True, "the VPC is not let in as a whole"
        assert networks["gcpPublicCidrsAccessEnabled"] is False, "nor is everybody on Google Cloud"

    def test_a_site_that_is_connected_elsewhere_reaches_the_private_endpoint(self) -> None:
        for private in ([], [SITE]):
            made = inputs(private_access_cidrs=private)["privateClusterConfig"]
            assert made["enablePrivateEndpoint"] is True
            assert made["masterGlobalAccessConfig"] == {"enabled": bool(private)}

    def test_the_kubeconfig_is_a_secret_and_logs_in_by_googles_plugin(self) -> None:
        made = cluster()
        assert "kubeconfig" in made.secret_exports
        config = json.loads(made.exports["kubeconfig"])
        plugin = config["users"][0]["user"]["exec"]
        assert plugin["command"] == "gke-gcloud-auth-plugin"
        assert plugin["provideClusterInfo"] is True, "as gcloud writes it"
        assert config["clusters"][0]["cluster"] == {
            "server": "https://203.0.113.10",
            "certificate-authority-data": "Q0E=",
        }
        assert made.exports["connect_command"].endswith("--project gpuyard-project")

    def test_the_dns_endpoint_is_one_that_the_world_trusts(self) -> None:
        """The cluster's own authority did not sign its certificate: naming it would fail every call."""
        made = cluster(dns_endpoint=True)
        ways = made.one(CLUSTER).inputs["controlPlaneEndpointsConfig"]
        assert ways["dnsEndpointConfig"]["allowExternalTraffic"] is True
        assert made.one(CLUSTER).inputs["privateClusterConfig"]["enablePrivateEndpoint"] is True
        server = "https://gke-0123456789ab.us-central1.gke.goog"
        assert json.loads(made.exports["kubeconfig"])["clusters"][0]["cluster"] == {"server": server}
        assert made.exports["endpoint"] == server
        assert made.exports["connect_command"].endswith(" --dns-endpoint")
        assert "kubeconfig" in made.secret_exports

    def test_an_endpoint_that_nobody_reaches_is_said(self) -> None:
        closed = {"gpuyard:cluster/publicAccessCidrs": []}
        (said,) = parse("dev-gke", changed("dev-gke", closed)).warnings(date(2026, 11, 23))
        assert said.startswith("cluster.publicAccessCidrs: nobody") and "dnsEndpoint" in said
        for way in ({"gpuyard:cluster/dnsEndpoint": True}, {"gpuyard:cluster/privateAccessCidrs": [SITE]}):
            assert not list(parse("dev-gke", changed("dev-gke", {**closed, **way})).warnings(date(2026, 11, 23)))


class TestMaintenance:
    def policy(self, **times: Any) -> dict[str, Any]:
        return inputs(maintenance=times)["maintenancePolicy"]

    def test_a_training_cluster_keeps_its_nodes_and_its_minor_version_until_support_ends(self) -> None:
        for made in (inputs()["maintenancePolicy"], self.policy()):
            (held,) = made["maintenanceExclusions"]
            assert held["exclusionOptions"] == {
                "scope": "NO_MINOR_OR_NODE_UPGRADES",
                "endTimeBehavior": "UNTIL_END_OF_SUPPORT",
            }
            assert "endTime" not in held, "one of the two, never both"

    def test_what_is_held_began_long_before_any_version_that_ends(self) -> None:
        """cluster-toolkit#6063: the end that GKE works out, that of the version's support, must come after the start:
        with the day of creation as the start, a version past its support makes no cluster."""
        (held,) = self.policy()["maintenanceExclusions"]
        assert date.fromisoformat(held["startTime"][:10]) < date(2026, 8, 3), "the end of 1.33"

    @pytest.mark.parametrize(("hold", "scope"), [("minor", "NO_MINOR_UPGRADES"), ("nothing", None)])
    def test_less_is_held_by_choice(self, hold: str, scope: str | None) -> None:
        found = [each["exclusionOptions"]["scope"] for each in self.policy(hold=hold).get("maintenanceExclusions", [])]
        assert found == ([scope] if scope else [])

    @pytest.mark.parametrize(
        ("times", "start", "end", "rule"),
        [
            ({}, "2025-12-06T02:00:00Z", "2025-12-06T08:00:00Z", "FREQ=WEEKLY;BYDAY=SA,SU"),
            ({"days": ["SU", "WE"], "start": "22:30", "hours": 8}, "2025-12-03T22:30:00Z", "2025-12-04T06:30:00Z",
             "FREQ=WEEKLY;BYDAY=WE,SU"),
            ({"days": ["MO"], "start": "00:00", "hours": 24}, "2025-12-01T00:00:00Z", "2025-12-02T00:00:00Z",
             "FREQ=WEEKLY;BYDAY=MO"),
        ],
    )  # fmt: skip
    def test_windows_open_on_their_days_and_past_midnight_too(
        self, times: dict[str, Any], start: str, end: str, rule: str
    ) -> None:
        window = self.policy(**times)["recurringWindow"]
        assert (window["startTime"], window["endTime"], window["recurrence"]) == (start, end, rule)
        assert date.fromisoformat(start[:10]).strftime("%a").upper()[:2] in rule, "it begins on one of its days"

    def test_a_rest_lasts_through_its_last_day(self) -> None:
        rests = {"launch": {"first": "2026-12-20", "last": "2027-01-03"}, "audit": {
            "first": "2027-03-01", "last": "2027-08-31", "scope": "nodes"}}  # fmt: skip
        audit, launch, _ = self.policy(rests=rests)["maintenanceExclusions"]
        assert (launch["startTime"], launch["endTime"]) == ("2026-12-20T00:00:00Z", "2027-01-04T00:00:00Z")
        assert launch["exclusionOptions"] == {"scope": "NO_UPGRADES"}
        assert audit["exclusionOptions"] == {"scope": "NO_MINOR_OR_NODE_UPGRADES"}

    @pytest.mark.parametrize(
        ("times", "path", "words"),
        [
            ({"days": ["Sunday"]}, "days[0]", "MO, TU, WE"),
            ({"days": ["SA", "SA"]}, "days[1]", "named twice"),
            ({"start": "2 am"}, "start", "HH:MM"),
            ({"start": "24:00"}, "start", "HH:MM"),
            ({"hours": 3}, "hours", "4 to 24"),
            ({"hours": 25}, "hours", "4 to 24"),
            ({"hours": 5}, "hours", "write hours: 6"),
            ({"days": ["SU"]}, "hours", "write hours: 12"),
            ({"days": []}, "days", "name a day"),
            ({"hold": "all"}, "hold", "nodes, minor, nothing"),
            ({"rests": {"Christmas": {"first": "2026-12-20", "last": "2027-01-03"}}}, "rests.Christmas", "rename"),
            ({"rests": {"x": {"first": "20.12.2026", "last": "2027-01-03"}}}, "rests.x.first", "YYYY-MM-DD"),
            ({"rests": {"x": {"first": "2027-01-04", "last": "2027-01-03"}}}, "rests.x.last", "swap them"),
            ({"rests": {"x": {"first": "2027-01-01", "last": "2027-04-01"}}}, "rests.x.last", "write 2027-03-31"),
            ({"rests": {"x": {"first": "2027-01-01", "last": "2027-02-01", "scope": "pods"}}}, "rests.x.scope", "all"),
            (
                {"rests": {f"x{n}": {"first": f"202{n}-01-01", "last": f"202{n}-02-01"} for n in range(6, 10)}},
                "rests",
                "scope: nodes",
            ),
            (
                {"rests": {f"x{n}": {"first": f"20{n}-01-01", "last": f"20{n}-02-01", "scope": "minor"}
                           for n in range(27, 47)}},
                "rests",
                "19 beside what is held",
            ),
        ],
    )  # fmt: skip
    def test_times_that_google_does_not_take_are_refused(self, times: dict[str, Any], path: str, words: str) -> None:
        (found,) = problems({**DEFAULTS, "maintenance": times})  # type: ignore[typeddict-item]
        assert found.path == f"maintenance.{path}" and words in f"{found.allowed} {found.fix} {found.wrong}", found

    def test_the_longest_rest_is_taken(self) -> None:
        longest = {"x": {"first": "2027-01-01", "last": "2027-03-31"}}
        assert not list(problems({**DEFAULTS, "maintenance": {"rests": longest}}))  # type: ignore[typeddict-item]


KEY = "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/secrets"


class TestSecrets:
    def test_secrets_have_no_key_of_their_own_unless_it_is_chosen(self) -> None:
        """Left out, the provider keeps what was there: a cluster encrypted with a key that is then destroyed."""
        assert inputs()["databaseEncryption"] == {"state": "DECRYPTED"} and not cluster().all("CryptoKey")

    @pytest.mark.parametrize("preview", [True, False])
    def test_a_new_key_rotates_and_gke_may_use_it_before_the_cluster_is(self, preview: bool) -> None:
        made = cluster(preview, secrets_key="new", tags={"team": "vision"})
        key, user = made.one("CryptoKey"), made.one("CryptoKeyIAMMember")
        assert key.inputs["rotationPeriod"] == "7776000s" and key.inputs["labels"] == {"team": "vision"}
        assert key.options["protect"] is True
        assert key.inputs["destroyScheduledDuration"] == "2592000s", "30 days to think again"
        if not preview:
            assert key.inputs["keyRing"] == made.one("KeyRing").id
        assert user.inputs["role"] == "roles/cloudkms.cryptoKeyEncrypterDecrypter"
        assert made.one("KeyRing").inputs["location"] == "us-central1"
        # terraform-provider-google#1214: a ring outlives its environment; the next one gets another name.
        assert "name" not in made.one("KeyRing").inputs and "name" not in made.one("CryptoKey").inputs
        for first in (key, user):
            assert made.must_outlive(first, made.one(CLUSTER)), first
        if not preview:
            assert user.inputs["member"] == (
                "serviceAccount:service-123456@container-engine-robot.iam.gserviceaccount.com"
            )
            assert made.one(CLUSTER).inputs["databaseEncryption"] == {"state": "ENCRYPTED", "keyName": key.id}

    def test_a_zonal_cluster_has_its_key_in_the_region(self) -> None:
        assert cluster(secrets_key="new", location="us-central1-a").one("KeyRing").inputs["location"] == "us-central1"

    def test_a_key_of_somebodys_own_is_used_and_not_made(self) -> None:
        made = cluster(secrets_key=KEY, deletion_protection=False)
        assert not made.all("CryptoKey") and not made.all("KeyRing")
        assert made.one("CryptoKeyIAMMember").inputs["cryptoKeyId"] == KEY
        assert made.one(CLUSTER).inputs["databaseEncryption"]["keyName"] == KEY


class TestRefusals:
    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"cluster_name": "Train"}, "name", "lower-case"),
            ({"cluster_name": "train-"}, "name", "rename"),
            ({"cluster_name": "t" * 41}, "name", "1 to 40"),
            ({"version": "1.12"}, "version", "1.35"),
            ({"project": "123456789012"}, "project", "not the number"),
            ({"metric_types": []}, "metric_types", "managedDcgm: false"),
            ({"version": "1.37"}, "version", "write one of them, or releaseChannel: RAPID"),
            ({"version": "1.36", "release_channel": "STABLE"}, "version", "1.34, 1.35"),
            ({"release_channel": "rapid"}, "release_channel", "write RAPID"),
            ({"location": "us-east1"}, "location", "us-central1 (regional)"),
            ({"location": "us-central1-f"}, "location", "write us-central1"),
            ({"pods_per_node": 7}, "pods_per_node", "8 to 256"),
            ({"public_access_cidrs": ["everyone"]}, "public_access_cidrs[0]", "IPv4"),
            ({"public_access_cidrs": [SITE]}, "public_access_cidrs[0]", "write it under privateAccessCidrs"),
            ({"private_access_cidrs": [OFFICE]}, "private_access_cidrs[0]", "write it under publicAccessCidrs"),
            (
                {"private_access_cidrs": [f"10.0.{n}.0/24" for n in range(51)]},
                "public_access_cidrs",
                "dnsEndpoint",
            ),
            ({"log_types": ["SYSTEM_COMPONENTS", "AUDIT"]}, "log_types[1]", "WORKLOADS"),
            ({"log_types": ["WORKLOADS"]}, "log_types", "add SYSTEM_COMPONENTS"),
            ({"metric_types": ["SYSTEM_COMPONENTS", "DCGM"]}, "metric_types[1]", "managedDcgm"),
            ({"secrets_key": "secrets"}, "secrets_key", "new, or projects/"),
            ({"disks_key": "new"}, "disks_key", "projects/PROJECT"),
            ({"disks_key": KEY.replace("us-central1", "global")}, "disks_key", "lies in global"),
            ({"groups_domain": "gke-security-groups@example.com"}, "groups_domain", "such as example.com"),
            ({"autoscaling_profile": "fast"}, "autoscaling_profile", "balanced, optimize_utilization"),
            ({"gateway_api": "experimental"}, "gateway_api", "disabled, standard"),
            ({"dns": "core_dns"}, "dns", "kube_dns, cloud_dns"),
            ({"secrets_key": KEY.replace("us-central1", "global")}, "secrets_key", "lies in global"),
            ({"tags": {"Team": "vision"}}, "tags.Team", "write team"),
            ({"tags": {"team": "Vision ML"}}, "tags.team", "write vision-ml"),
        ],
    )
    def test_what_cannot_work_is_refused_before_anything_is_made(
        self, args: dict[str, Any], path: str, words: str
    ) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            cluster(**args)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text and "one value" in text, text


def identity(preview: bool = False, **args: Any) -> Recording:
    """A recorded WorkloadIdentity called `id`, after a cluster."""

    def program() -> None:
        options = gcp_options()
        made = GkeCluster("c", DEFAULTS, options)  # type: ignore[arg-type]
        usual = {"project": "gpuyard-project", "cluster": made.cluster_name, "namespace": "ml"}
        given = WorkloadIdentity("id", {**usual, "service_account": "trainer", **args}, options)  # type: ignore[typeddict-item]
        pulumi.export("principal", given.principal)

    return run(program, preview=preview)


PRINCIPAL = (
    "principal://iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/gpuyard-project.svc.id.goog"
    "/subject/ns/ml/sa/trainer"
)


class TestWorkloadIdentity:
    def test_the_kubernetes_account_itself_has_the_roles_and_nobody_has_a_key(self) -> None:
        """The pool's name has the project's id, the principal its number."""
        made = identity(roles=["roles/pubsub.subscriber"], bucket_roles={"data": ["roles/storage.objectViewer"]})
        project = made.one("gcp:projects/iAMMember:IAMMember", "id-pubsub.subscriber")
        bucket = made.one("BucketIAMMember", "id-data-storage.objectViewer")
        assert project.inputs["member"] == bucket.inputs["member"] == PRINCIPAL == made.exports["principal"]
        assert bucket.inputs["bucket"] == "data"
        assert len(made.all("gcp:serviceaccount/account:Account")) == 1, "that of the nodes"
        assert not made.all("Key") and not made.all("gcp:serviceaccount/iAMMember:IAMMember")

    def test_a_role_that_comes_to_it_makes_no_other_of_it(self) -> None:
        """Unknown at preview, it would show what uses it as something to be replaced."""
        given: Any = {"project": "gpuyard-project", "cluster": "train", "namespace": "ml", "service_account": "trainer"}
        roles = {"roles": ["roles/pubsub.subscriber"], "bucket_roles": {"data": ["roles/storage.objectViewer"]}}

        def program() -> None:
            pulumi.export("who", WorkloadIdentity("id", {**given, **roles}, gcp_options()).principal)

        assert run(program, preview=True).exports["who"] == PRINCIPAL

    def test_it_waits_for_the_cluster_that_brings_the_identity_pool(self) -> None:
        made = identity(roles=["roles/pubsub.subscriber"])
        member = made.one("gcp:projects/iAMMember:IAMMember", "id-pubsub.subscriber")
        assert made.must_outlive(made.one(CLUSTER), member)

    def test_a_preview_of_a_new_project_asks_for_nothing(self) -> None:
        """Its APIs are not on yet, so the project's number cannot be looked up."""
        made = identity(preview=True, roles=["roles/pubsub.subscriber"])
        assert made.invokes == [] and len(made.all("gcp:projects/iAMMember:IAMMember")) == 4

    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"namespace": "ML"}, "namespace", "lower-case"),
            ({"service_account": "trainer@p.iam.gserviceaccount.com"}, "service_account", "not the e-mail address"),
            ({"roles": ["pubsub.subscriber"]}, "roles[0]", "write roles/pubsub.subscriber"),
            ({"roles": ["subscriber"]}, "roles[0]", "gcloud iam roles list"),
            ({"roles": ["roles/editor"]}, "roles[0]", "choose a narrower one"),
            ({"roles": ["roles/viewer"]}, "roles[0]", "basic role"),
            ({"bucket_roles": {"data": ["roles/owner"]}}, "bucket_roles.data[0]", "basic role"),
        ],
    )
    def test_what_is_too_wide_or_no_role_is_refused(self, args: dict[str, Any], path: str, words: str) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            identity(**args)
        assert f"  {path} = " in str(caught.value) and words in str(caught.value), caught.value


def test_deletion_protection_covers_the_key_as_well() -> None:
    config = {**changed("dev-gke", {"gpuyard:cluster/secretsKey": "new"}), "gpuyard:deletionProtection": True}
    made = record(config, "dev-gke")
    assert made.one("CryptoKey").options["protect"] is True and made.one(CLUSTER).options["protect"] is True
    assert (
        not record({**config, "gpuyard:deletionProtection": False}, "dev-gke").one("CryptoKey").options.get("protect")
    )


def test_everything_the_stack_makes_bears_its_labels() -> None:
    made = record({**settings("dev-gke"), "gpuyard:tags": {"team": "vision"}}, "dev-gke")
    assert made.one(CLUSTER).inputs["resourceLabels"] == {"gpuyard-stack": "gpuyard-dev-gke", "team": "vision"}
