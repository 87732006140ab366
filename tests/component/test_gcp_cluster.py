"""The cluster on Google Cloud, its control plane and the account of its nodes."""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any

import pulumi
import pytest

from components.versions import GKE_CHANNELS, GKE_VERSION
from recording.stacks import record, recorded, settings
from tests.component.gke_cluster import CLUSTER, KEY, cluster, inputs
from tests.component.stage import GCP_ZONES
from tests.config.test_errors import changed, parse


class TestCluster:
    def test_a_cluster_name_of_forty_characters_is_accepted(self) -> None:
        """reliability case R15: the longest name that GKE accepts; ids of service accounts have at most 30
        characters."""
        name = "a" * 39 + "b"
        made = cluster(cluster_name=name)
        assert made.one(CLUSTER).inputs["name"] == name
        account = made.one("gcp:serviceaccount/account:Account").inputs["accountId"]
        assert re.fullmatch(r"[a-z][-a-z0-9]{4,28}[a-z0-9]", account)

    def test_disks_are_encrypted_with_a_key_that_compute_engine_can_use(self) -> None:
        """security case M16: boot disks and disks of claims; the key is never deleted with the environment."""
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

    def test_both_keys_create_the_service_agents_once(self) -> None:
        """security case M16."""
        made = cluster(secrets_key="new", disks_key=KEY)
        assert len(made.all("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember")) == 2
        assert len(made.all("gcp:projects/serviceIdentity:ServiceIdentity")) == 1

    def test_ai_zones_are_used_only_by_pools_that_name_them(self) -> None:
        """field case G7."""
        assert inputs(zones=[*GCP_ZONES, "us-central1-ai1a"])["nodeLocations"] == GCP_ZONES

    def test_the_cluster_is_vpc_native_private_and_has_no_default_pool(self) -> None:
        """seed row S01: a GKE cluster from a component."""
        made = inputs()
        assert made["networkingMode"] == "VPC_NATIVE" and made["datapathProvider"] == "ADVANCED_DATAPATH"
        assert made["privateClusterConfig"]["enablePrivateNodes"] is True
        assert made["removeDefaultNodePool"] is True and made["initialNodeCount"] == 1
        assert made["workloadIdentityConfig"] == {"workloadPool": "gpuyard-project.svc.id.goog"}
        assert made["deletionProtection"] is True and made["enableShieldedNodes"] is True
        assert made["costManagementConfig"] == {"enabled": True}

    def test_the_cluster_uses_the_configured_ranges_and_load_balancer_subsetting(self) -> None:
        usual = inputs()["ipAllocationPolicy"]
        assert usual == {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"}
        named = inputs(pods_range="gke-pods", services_range="gke-services")["ipAllocationPolicy"]
        assert named == {"clusterSecondaryRangeName": "gke-pods", "servicesSecondaryRangeName": "gke-services"}
        assert inputs()["enableL4IlbSubsetting"] is True, "250 nodes are not many"

    def test_anonymous_bindings_and_the_open_kubelet_port_are_off(self) -> None:
        assert set(inputs()["rbacBindingConfig"].values()) == {False}
        nodes = inputs()["nodePoolDefaults"]["nodeConfigDefaults"]
        assert nodes["insecureKubeletReadonlyPortEnabled"] == "FALSE"

    def test_the_default_pool_has_the_settings_of_other_nodes(self) -> None:
        config = inputs()["nodeConfig"]
        assert config["shieldedInstanceConfig"]["enableSecureBoot"] is True
        assert config["serviceAccount"].startswith("train-nodes@")
        assert cluster().one(CLUSTER).options["ignoreChanges"] == ["nodeConfig"]

    def test_managed_dcgm_and_storage_drivers_are_enabled(self) -> None:
        """seed rows S05, S11 and S18: on GKE Google provides the device plugin, the drivers and DCGM."""
        made = inputs()
        assert made["monitoringConfig"]["managedPrometheus"] == {"enabled": True}
        addons = made["addonsConfig"]
        for driver in ("gcePersistentDisk", "gcpFilestore", "gcsFuse"):
            assert addons[f"{driver}CsiDriverConfig"] == {"enabled": True}

    @pytest.mark.parametrize("managed", [True, False])
    def test_managed_dcgm_is_enabled_at_most_once(self, managed: bool) -> None:
        """seed row S18: two exporters count every GPU twice."""
        components = inputs(managed_dcgm=managed)["monitoringConfig"]["enableComponents"]
        assert components.count("DCGM") == managed
        # Alerts and dashboards use the state of pods and of the objects that create them, and the kubelet's metrics.
        assert {"SYSTEM_COMPONENTS", "POD", "DEPLOYMENT", "STATEFULSET", "HPA", "CADVISOR", "KUBELET"} < set(components)
        assert not {"APISERVER", "SCHEDULER", "CONTROLLER_MANAGER"} & set(components), "billed by the sample"
        assert len(components) > 5, "an empty list is no monitoring at all"
        own = inputs(managed_dcgm=managed, metric_types=["SYSTEM_COMPONENTS"])["monitoringConfig"]["enableComponents"]
        assert own == ["SYSTEM_COMPONENTS", *(["DCGM"] if managed else [])]

    def test_logs_are_configurable_and_can_be_off(self) -> None:
        assert inputs()["loggingConfig"]["enableComponents"] == ["SYSTEM_COMPONENTS", "WORKLOADS"]
        assert inputs(log_types=[])["loggingConfig"]["enableComponents"] == []

    @pytest.mark.parametrize("location", ["us-central1", "us-central1-a"])
    def test_node_locations_of_regional_and_zonal_clusters(self, location: str) -> None:
        made = inputs(location=location)
        assert made["location"] == location
        assert made["nodeLocations"] == [zone for zone in GCP_ZONES if zone != location]

    def test_zones_outside_the_region_are_refused(self) -> None:
        with pytest.raises(pulumi.RunError, match=r"zones\[1\] = 'us-east1-b': not a zone of us-central1"):
            cluster(zones=["us-central1-a", "us-east1-b"])

    def test_pools_of_the_stack_have_the_clusters_location(self) -> None:
        config = changed("dev-gke", {"gpuyard:cluster/location": "us-central1-b"})
        made = record(config, "dev-gke")
        places = {found.inputs["location"] for found in made.all("gcp:container/nodePool:NodePool")}
        assert {made.one(CLUSTER).inputs["location"]} == places == {"us-central1-b"}

    def test_the_version_is_a_minimum(self) -> None:
        """A change of the version upgrades the control plane; an upgrade by Google is not a change."""
        made = cluster().one(CLUSTER)
        assert made.inputs["minMasterVersion"] == "1.35"
        assert "minMasterVersion" not in made.options["ignoreChanges"]
        assert GKE_VERSION in GKE_CHANNELS["REGULAR"]

    def test_pods_per_node_are_set_only_if_configured(self) -> None:
        """It is immutable, so setting a default later must not replace the cluster."""
        assert "defaultMaxPodsPerNode" not in inputs()
        assert inputs(pods_per_node=64)["defaultMaxPodsPerNode"] == 64

    def test_image_streaming_and_multi_networking_are_options(self) -> None:
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
    def test_nodes_have_a_separate_service_account_whose_roles_precede_the_cluster(self) -> None:
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

    def test_the_role_for_service_usage_is_granted_only_with_image_streaming(self) -> None:
        roles = {found.inputs["role"] for found in cluster(image_streaming=False).all("IAMMember")}
        assert "roles/serviceusage.serviceUsageConsumer" not in roles

    def test_the_account_id_is_valid_for_long_cluster_names(self) -> None:
        account = cluster(cluster_name="a-cluster-whose-name-is-rather-long").one("Account").inputs["accountId"]
        assert re.fullmatch(r"[a-z][-a-z0-9]{4,28}[a-z0-9]", account)


OFFICE, SITE = "203.0.114.0/24", "10.20.0.0/16"


class TestControlPlane:
    def test_the_endpoint_is_private_by_default(self) -> None:
        made = inputs()
        assert made["privateClusterConfig"]["enablePrivateEndpoint"] is True
        assert made["masterAuthorizedNetworksConfig"]["cidrBlocks"] == []
        assert made["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"] is False

    def test_only_the_configured_networks_reach_the_endpoint(self) -> None:
        made = inputs(public_access_cidrs=[OFFICE], private_access_cidrs=[SITE])
        assert made["privateClusterConfig"]["enablePrivateEndpoint"] is False
        networks = made["masterAuthorizedNetworksConfig"]
        assert [found["cidrBlock"] for found in networks["cidrBlocks"]] == [OFFICE, SITE]
        assert networks["privateEndpointEnforcementEnabled"] is True, "access is not open to the whole VPC"
        assert networks["gcpPublicCidrsAccessEnabled"] is False, "access is not open to all of Google Cloud"

    def test_global_access_to_the_private_endpoint_is_an_option(self) -> None:
        for private in ([], [SITE]):
            made = inputs(private_access_cidrs=private)["privateClusterConfig"]
            assert made["enablePrivateEndpoint"] is True
            assert made["masterGlobalAccessConfig"] == {"enabled": bool(private)}

    def test_the_kubeconfig_is_a_secret_and_uses_the_gke_auth_plugin(self) -> None:
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

    def test_the_kubeconfig_of_the_dns_endpoint_has_no_certificate_authority(self) -> None:
        """The cluster's authority did not sign its certificate, so every call with that authority would fail."""
        made = cluster(dns_endpoint=True)
        ways = made.one(CLUSTER).inputs["controlPlaneEndpointsConfig"]
        assert ways["dnsEndpointConfig"]["allowExternalTraffic"] is True
        assert made.one(CLUSTER).inputs["privateClusterConfig"]["enablePrivateEndpoint"] is True
        server = "https://gke-0123456789ab.us-central1.gke.goog"
        assert json.loads(made.exports["kubeconfig"])["clusters"][0]["cluster"] == {"server": server}
        assert made.exports["endpoint"] == server
        assert made.exports["connect_command"].endswith(" --dns-endpoint")
        assert "kubeconfig" in made.secret_exports

    def test_an_unreachable_endpoint_gives_a_warning(self) -> None:
        closed = {"gpuyard:cluster/publicAccessCidrs": []}
        (message,) = parse("dev-gke", changed("dev-gke", closed)).warnings(date(2026, 11, 23))
        assert message.startswith("cluster.publicAccessCidrs: only the cluster's own") and "`dnsEndpoint`" in message
        for way in ({"gpuyard:cluster/dnsEndpoint": True}, {"gpuyard:cluster/privateAccessCidrs": [SITE]}):
            assert not list(parse("dev-gke", changed("dev-gke", {**closed, **way})).warnings(date(2026, 11, 23)))


class TestRefusals:
    @pytest.mark.parametrize(
        ("args", "path", "words"),
        [
            ({"cluster_name": "Train"}, "cluster_name", "lower-case"),
            ({"cluster_name": "train-"}, "cluster_name", "rename"),
            ({"cluster_name": "t" * 41}, "cluster_name", "1 to 40"),
            ({"version": "1.12"}, "version", "1.35"),
            ({"project": "123456789012"}, "project", "not the number"),
            ({"metric_types": []}, "metric_types", "`managed_dcgm: false`"),
            ({"version": "1.37"}, "version", "write one of them, or `release_channel: RAPID`"),
            ({"version": "1.36", "release_channel": "STABLE"}, "version", "1.34, 1.35"),
            ({"release_channel": "rapid"}, "release_channel", "write RAPID"),
            ({"zones": []}, "zones", "add a zone"),
            ({"zones": ["us-central1-ai1a"]}, "zones", "add a zone"),
            ({"location": "us-east1"}, "location", "us-central1 (regional)"),
            ({"location": "us-central1-f"}, "location", "write us-central1"),
            ({"pods_per_node": 7}, "pods_per_node", "8 to 256"),
            ({"public_access_cidrs": ["everyone"]}, "public_access_cidrs[0]", "IPv4"),
            ({"public_access_cidrs": [SITE]}, "public_access_cidrs[0]", "write it under `private_access_cidrs`"),
            ({"private_access_cidrs": [OFFICE]}, "private_access_cidrs[0]", "write it under `public_access_cidrs`"),
            (
                {"private_access_cidrs": [f"10.0.{n}.0/24" for n in range(51)]},
                "public_access_cidrs",
                "`dns_endpoint`",
            ),
            ({"log_types": ["SYSTEM_COMPONENTS", "AUDIT"]}, "log_types[1]", "WORKLOADS"),
            ({"log_types": ["WORKLOADS"]}, "log_types", "add SYSTEM_COMPONENTS"),
            ({"metric_types": ["SYSTEM_COMPONENTS", "DCGM"]}, "metric_types[1]", "`managed_dcgm: true`"),
            ({"secrets_key": "secrets"}, "secrets_key", "new, or projects/"),
            ({"disks_key": "new"}, "disks_key", "projects/PROJECT"),
            ({"disks_key": KEY.replace("us-central1", "global")}, "disks_key", "is in global"),
            ({"groups_domain": "gke-security-groups@example.com"}, "groups_domain", "such as example.com"),
            ({"autoscaling_profile": "fast"}, "autoscaling_profile", "balanced, optimize_utilization"),
            ({"gateway_api": "experimental"}, "gateway_api", "disabled, standard"),
            ({"dns": "core_dns"}, "dns", "kube_dns, cloud_dns"),
            ({"secrets_key": KEY.replace("us-central1", "global")}, "secrets_key", "is in global"),
            ({"tags": {"Team": "vision"}}, "tags.Team", "write team"),
            ({"tags": {"team": "Vision ML"}}, "tags.team", "write vision-ml"),
        ],
    )
    def test_invalid_arguments_are_refused_before_anything_is_created(
        self, args: dict[str, Any], path: str, words: str
    ) -> None:
        with pytest.raises(pulumi.RunError) as caught:
            cluster(**args)
        text = str(caught.value)
        assert f"  {path} = " in text and words in text and "one value" in text, text


def test_deletion_protection_covers_the_key() -> None:
    config = {**changed("dev-gke", {"gpuyard:cluster/secretsKey": "new"}), "gpuyard:deletionProtection": True}
    made = record(config, "dev-gke")
    assert made.one("CryptoKey").options["protect"] is True and made.one(CLUSTER).options["protect"] is True
    assert (
        not record({**config, "gpuyard:deletionProtection": False}, "dev-gke").one("CryptoKey").options.get("protect")
    )


def test_everything_the_stack_creates_has_its_labels() -> None:
    made = record({**settings("dev-gke"), "gpuyard:tags": {"team": "vision"}}, "dev-gke")
    assert made.one(CLUSTER).inputs["resourceLabels"] == {"gpuyard-stack": "gpuyard-dev-gke", "team": "vision"}
