"""Every setting of network, cluster and storage on Google Cloud against Google's discovery documents."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from recording.recording import Recording
from recording.stacks import record, settings
from sandbox.gcp.provider import GcpProvider
from tests.component.existing_gcp_network import network_lookups
from tests.component.stage import GCP_ZONES
from tests.config.test_errors import changed
from tests.contract.test_gcp import refusals

EXCLUSIONS = {"launch": {"first": "2026-12-20", "last": "2027-01-03"}, "audit": {
    "first": "2027-03-01", "last": "2027-08-31", "scope": "nodes"}}  # fmt: skip
OTHERS = {"network": "shared", "subnetwork": "gpus", "hostProject": "host-project", "grant": True}
BUCKETS = {
    "data": {"bucket": "acme-data", "prefix": "train/images", "namespace": "ml"},
    "runs": {"bucket": "acme-runs", "writable": True, "namespace": "ml", "serviceAccount": "trainer"},
}
CHOICES: dict[str, dict[str, Any]] = {
    "flow logs": {"network/flowLogPercent": 50},
    "no nat": {"network/nat": "none"},
    "many nodes": {
        "nodePools/cpu-workers/max": 1000,
        "nodePools/gpu-workers/max": 200,
        "network/cidr": "10.0.0.0/18",
        "network/podsCidr": "100.64.0.0/13",
    },
    "an existing network": {"network": {"zones": GCP_ZONES, "existing": OTHERS}},
    "zonal": {"cluster/location": "us-central1-a"},
    "few pods": {"cluster/podsPerNode": 32},
    "private": {"cluster/publicAccessCidrs": [], "cluster/privateAccessCidrs": ["10.20.0.0/16"]},
    "dns": {"cluster/publicAccessCidrs": [], "cluster/dnsEndpoint": True},
    "windows": {"cluster/maintenance": {"days": ["WE", "SU"], "start": "22:00", "hours": 8, "hold": "minor"}},
    "exclusions": {"cluster/maintenance": {"exclusions": EXCLUSIONS}},
    "nothing held": {"cluster/maintenance": {"hold": "nothing"}},
    "rapid": {"cluster/releaseChannel": "RAPID", "cluster/version": "1.37"},
    "extended": {"cluster/releaseChannel": "EXTENDED"},
    "own key": {"cluster/secretsKey": "new"},
    "a key": {"cluster/secretsKey": "projects/k/locations/us-central1/keyRings/r/cryptoKeys/k"},
    "all logs": {"cluster/logTypes": ["SYSTEM_COMPONENTS", "WORKLOADS", "APISERVER", "SCHEDULER", "KCP_HPA"]},
    "no logs": {"cluster/logTypes": []},
    "all metrics": {"cluster/metricTypes": ["SYSTEM_COMPONENTS", "JOBSET", "APISERVER", "CONTROLLER_MANAGER"]},
    "own exporter": {"cluster/managedDcgm": False},
    "multishare": {"storage": {"filestoreTier": "enterprise", "filestoreMultishare": True}},
    "filestore": {"storage": {"filestore": {"namespace": "ml", "zone": "us-central1-a", "sizeGib": 2560}}},
    "regional filestore": {"storage": {"filestore": {"namespace": "ml", "tier": "regional", "sizeGib": 12800}}},
    "hdd": {"storage": {"filestore": {"namespace": "ml", "tier": "standard", "zone": "us-central1-b"}}},
    "buckets": {"storage": {"buckets": BUCKETS}},
    "protected": {
        "deletionProtection": True,
        "storage": {"filestore": {"zone": "us-central1-a", "namespace": "ml"}},
        "cluster/secretsKey": "new",
    },
    # field case G10, security case M16
    "settings": {
        "network/furtherPodsCidrs": {"pods-2": "100.64.0.0/16"},
        "cluster/autoscalingProfile": "optimize_utilization",
        "cluster/gatewayApi": "standard",
        "cluster/dns": "cloud_dns",
        "cluster/binaryAuthorization": True,
        "cluster/groupsDomain": "example.com",
        "nodePools/cpu-workers/machineTypes": ["c3-standard-88"],
        "nodePools/cpu-workers/hugePages": {"twoMib": 4096, "oneGib": 2},
        "nodePools/cpu-workers/sysctls": {"net.core.somaxconn": "4096"},
        "nodePools/cpu-workers/cpuManager": "static",
        "nodePools/gpu-workers/podsRange": "pods-2",
        "nodePools/gpu-workers/podsPerNode": 32,
        "nodePools/gpu-workers/secondaryBootDisk": {"image": "projects/p/global/images/models"},
    },
}


@pytest.fixture(scope="module")
def provider() -> GcpProvider:
    made = GcpProvider()
    made.configure({"project": "my-project", "region": "us-central1"})
    return made


@functools.cache
def chosen(choice: str) -> Recording:
    """The development stack with this setting."""
    config = changed("dev-gke", {f"gpuyard:{path}": value for path, value in CHOICES[choice].items()})
    return record(config, "dev-gke", outputs=network_lookups())


@pytest.mark.parametrize("choice", CHOICES)
def test_every_setting_is_valid_for_googles_api(provider: GcpProvider, choice: str) -> None:
    """seed rows S01, S10 and S11"""
    resources = [found for found in chosen(choice).resources.values() if found.package == "gcp"]
    assert len(resources) > 10
    assert [reason for found in resources for reason in refusals(provider, found)] == []


@pytest.mark.parametrize("choice", CHOICES)
def test_every_setting_changes_the_resources(choice: str) -> None:
    """No key of the file is ignored."""
    usual = record(settings("dev-gke"), "dev-gke")
    made = chosen(choice)

    def inputs(of: Recording) -> dict[str, Any]:
        return {str(found): (found.inputs, found.options) for found in of.resources.values() if found.custom}

    assert inputs(made) != inputs(usual)


@pytest.mark.parametrize("choice", CHOICES)
def test_roles_are_granted_to_known_members_and_are_not_basic(choice: str) -> None:
    made = chosen(choice)
    members = [found for found in made.resources.values() if found.type.rpartition(":")[2].endswith("IAMMember")]
    assert members
    for found in members:
        kind = found.inputs["member"].split(":")[0]
        assert kind in ("serviceAccount", "principal", "principalSet"), found
        assert found.inputs["role"] not in ("roles/owner", "roles/editor", "roles/viewer"), found


@pytest.mark.parametrize("choice", CHOICES)
def test_every_resource_has_a_parent_and_an_explicit_provider(choice: str) -> None:
    assert [str(found) for found in chosen(choice).orphans()] == []
    assert chosen(choice).without_provider() == []


@pytest.mark.parametrize("choice", CHOICES)
def test_every_setting_keeps_the_order_of_a_destroy(choice: str) -> None:
    """seed row S01: node pools are deleted before the cluster, and it before its network, roles and key."""
    made = chosen(choice)
    cluster = made.one("gcp:container/cluster:Cluster")
    for pool in made.all("gcp:container/nodePool:NodePool"):
        assert made.must_outlive(cluster, pool), pool
    kinds = ("Network", "Subnetwork", "CryptoKey", "CryptoKeyIAMMember", "SubnetworkIAMMember", "Service")
    for found in (each for kind in kinds for each in made.all(kind)):
        if not found.type.startswith("kubernetes:"):
            assert made.must_outlive(found, cluster), found
    for found in made.all("gcp:filestore/instance:Instance"):
        assert made.must_outlive(found, made.one("PersistentVolume", "filestore-volume"))
        if made.all("Network"):
            assert made.must_outlive(made.one("Network"), found)
