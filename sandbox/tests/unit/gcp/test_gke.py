"""Clusters of GKE: their parts, Google's refusals, and replacements."""

from __future__ import annotations

import pytest

from sandbox.gcp import groups
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.gcp.stage import CLUSTER, POOL, PROJECT, cluster_props, cpu_pool, fleet

KEY = f"gke-{PROJECT}-us-central1-yard"


def test_a_cluster_is_a_control_plane(cloud, cluster, network):
    outputs = cloud.made[cluster][3]
    assert cluster == f"projects/{PROJECT}/locations/us-central1/clusters/yard"
    assert cloud.planes.started == {KEY: "1.35"}
    assert outputs["endpoint"] == "127.0.0.1:6443", "programs put https:// before it"
    assert outputs["masterAuth"]["clusterCaCertificate"] == "Q0E="
    assert outputs["masterVersion"].startswith("1.35.")
    assert outputs["workloadIdentityConfig"] == {"workloadPool": f"{PROJECT}.svc.id.goog"}
    assert outputs["nodeLocations"] == ["us-central1-a", "us-central1-b", "us-central1-c"]
    assert outputs["effectiveLabels"] == {"team": "ml", "goog-pulumi-provisioned": "true"}
    body = cloud.store.get("container.clusters", cluster)
    assert body["monitoringConfig"] == {
        "componentConfig": {"enableComponents": ["SYSTEM_COMPONENTS", "DCGM"]},
        "managedPrometheusConfig": {"enabled": True},
    }
    assert body["ipAllocationPolicy"]["useIpAliases"] is True
    assert cloud.store.select(groups.POOLS) == [], "the default pool is removed"
    assert [made["metadata"]["name"] for made in cloud.planes.objects] == [
        "computeclasses.cloud.google.com",
        "provisioningrequests.autoscaling.x-k8s.io",
        "clusterrules.monitoring.googleapis.com",
        "podmonitorings.monitoring.googleapis.com",
        "clusterpodmonitorings.monitoring.googleapis.com",
    ]
    with pytest.raises(ProviderError, match="resourceInUseByAnotherResource"):
        cloud.delete(network)
    cloud.delete(cluster)
    assert cloud.planes.stopped == [KEY] and cloud.store.select("container.clusters") == []


def test_a_cluster_without_managed_prometheus_has_none_of_its_kinds(cloud, network, subnetwork):
    off = {"enableComponents": ["SYSTEM_COMPONENTS"], "managedPrometheus": {"enabled": False}}
    cloud.create(CLUSTER, cluster_props(network, subnetwork, monitoringConfig=off))
    assert [made["metadata"]["name"] for made in cloud.planes.objects] == [
        "computeclasses.cloud.google.com",
        "provisioningrequests.autoscaling.x-k8s.io",
    ]


def test_the_default_pool_is_kept_unless_it_is_removed(cloud, network, subnetwork):
    cloud.create(CLUSTER, cluster_props(network, subnetwork, removeDefaultNodePool=False))
    assert [group.desired for group in fleet(cloud).groups()] == [3], "one node in each of three zones"


def test_deletion_protection_is_on_unless_it_is_turned_off(cloud, network, subnetwork):
    props = {key: value for key, value in cluster_props(network, subnetwork).items() if key != "deletionProtection"}
    id, _ = cloud.create(CLUSTER, props)
    with pytest.raises(ProviderError, match="Cannot destroy cluster because deletion_protection is set to true"):
        cloud.delete(id)
    assert cloud.planes.started, "a refused deletion stops nothing"
    assert cloud.diff(id, deletionProtection=False).replaces == []
    cloud.update(id, deletionProtection=False)
    cloud.delete(id)


def test_a_control_plane_that_does_not_start_leaves_no_cluster(cloud, network, subnetwork):
    cloud.planes.broken = True
    with pytest.raises(RuntimeError):
        cloud.create(CLUSTER, cluster_props(network, subnetwork))
    assert cloud.store.select("container.clusters") == [] and cloud.planes.stopped == [KEY]
    cloud.planes.broken = False
    cloud.create(CLUSTER, cluster_props(network, subnetwork))


def test_a_cluster_from_a_killed_create_is_recreated(cloud, cluster, network, subnetwork):
    cloud.store.update("container.clusters", cluster, lambda body: {**body, "status": "PROVISIONING"})
    assert cloud.read(cluster) is None
    cloud.create(CLUSTER, cluster_props(network, subnetwork))
    assert cloud.read(cluster) is not None
    with pytest.raises(ProviderError, match="409"):
        cloud.create(CLUSTER, cluster_props(network, subnetwork))


@pytest.mark.parametrize(
    ("more", "path", "reason"),
    [
        ({"initialNodeCount": None}, "initialNodeCount", "greater than zero"),
        ({"location": "us-central1-z"}, "location", "us-central1-f"),
        ({"nodeLocations": ["us-central9-a"]}, "nodeLocations", "does not exist"),
        ({"name": "yard" * 11}, "name", "1-40"),
        ({"minMasterVersion": "1.29"}, "minMasterVersion", "unsupported in release channel REGULAR; offered are: 1.36"),
        ({"releaseChannel": {"channel": "NIGHTLY"}}, "releaseChannel.channel", "Must be one of"),
        ({"datapathProvider": "EBPF"}, "datapathProvider", "Must be one of"),
        (
            {"workloadIdentityConfig": {"workloadPool": "other.svc.id.goog"}},
            "workloadIdentityConfig.workloadPool",
            "must be",
        ),
        (
            {"privateClusterConfig": {"masterIpv4CidrBlock": "172.16.0.0/24"}},
            "privateClusterConfig.masterIpv4CidrBlock",
            "/28",
        ),
        (
            {"ipAllocationPolicy": {"clusterSecondaryRangeName": "pods", "clusterIpv4CidrBlock": "/14"}},
            "ipAllocationPolicy.clusterIpv4CidrBlock",
            "conflicts",
        ),
        ({"monitoringConfig": {"enableComponents": ["GPU"]}}, "monitoringConfig.enableComponents[0]", "Must be one of"),
        ({"monitoringConfig": {"enableComponent": ["DCGM"]}}, "monitoringConfig.enableComponent", "did you mean"),
        ({"enableAutopilot": True}, "enableAutopilot", "not simulated"),
        ({"dataplaneOptimizationMode": "X"}, "dataplaneOptimizationMode", 'Unknown name "dataplaneOptimizationMode"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_cluster_that_google_would_refuse(cloud, more, path, reason):
    failures = cloud.failures(CLUSTER, cluster_props("n", "s", **more))
    found = [item for item in failures if (item.property or "networkConfig").startswith(path) and reason in item.reason]
    assert found or [item for item in failures if reason in item.reason and path == "dataplaneOptimizationMode"], (
        failures
    )


def test_a_cluster_needs_its_subnetworks_ranges(cloud, network, subnetwork):
    policy = {"clusterSecondaryRangeName": "podz"}
    with pytest.raises(ProviderError, match="Pod secondary range 'podz' does not exist"):
        cloud.create(CLUSTER, cluster_props(network, subnetwork, ipAllocationPolicy=policy))
    with pytest.raises(ProviderError, match="Error 404"):
        cloud.create(CLUSTER, cluster_props(network, "nowhere"))


def test_a_control_plane_is_upgraded_and_never_downgraded(cloud, cluster):
    assert cloud.diff(cluster, minMasterVersion="1.36").replaces == []
    assert cloud.update(cluster, minMasterVersion="1.36")["masterVersion"].startswith("1.36.")
    assert cloud.planes.started == {KEY: "1.36"}
    assert cloud.update(cluster, minMasterVersion="1.34")["masterVersion"].startswith("1.36.")


def test_a_control_plane_upgrade_obeys_the_version_skew(cloud, network, subnetwork):
    """reliability case R3: GKE's own rules."""
    id, _ = cloud.create(CLUSTER, cluster_props(network, subnetwork, minMasterVersion="1.34"))
    cloud.create(POOL, cpu_pool(id))
    with pytest.raises(ProviderError, match="more than a minor version"):
        cloud.update(id, minMasterVersion="1.36")
    for version in ("1.35", "1.36"):
        cloud.update(id, minMasterVersion=version)
    assert {machine.kubelet for machine in fleet(cloud).machines()} == {"v1.34.9-gke.1000000"}
    with pytest.raises(ProviderError, match="more than 2 minor versions behind"):
        cloud.update(id, minMasterVersion="1.37", releaseChannel={"channel": "RAPID"})


@pytest.mark.parametrize(
    ("news", "replaces"),
    [
        ({"description": "x"}, ["description"]),
        ({"initialNodeCount": 2}, ["initialNodeCount"]),
        ({"ipAllocationPolicy": {"clusterSecondaryRangeName": "services"}}, ["ipAllocationPolicy"]),
        ({"datapathProvider": "ADVANCED_DATAPATH"}, ["datapathProvider"]),
        ({"resourceLabels": {"team": "ops"}}, []),
        ({"monitoringConfig": {"enableComponents": ["SYSTEM_COMPONENTS"]}}, []),
        ({"addonsConfig": {"gcpFilestoreCsiDriverConfig": {"enabled": True}}}, []),
    ],
    ids=lambda value: next(iter(value), "none") if isinstance(value, dict) else "",
)
def test_what_replaces_a_cluster(cloud, cluster, news, replaces):
    diff = cloud.diff(cluster, **news)
    assert diff.changes and {path.split(".")[0] for path in diff.replaces} == set(replaces)
