"""The library on Google Cloud: what each component asks the SDK for."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.gcp.cluster import GkeCluster
from components.gcp.network import GcpNetwork
from components.gcp.storage import GcpStorage
from tests.component.stage import GCP_ZONES, gcp_options
from tests.recorder import run
from tests.recording import Recording


def network(**args: Any) -> Recording:
    """A recorded GcpNetwork called `net`."""
    defaults = {"region": "us-central1", "cidr": "10.0.0.0/20", "zones": GCP_ZONES}
    return run(lambda: GcpNetwork("net", {**defaults, **args}, gcp_options()))  # type: ignore[typeddict-item]


def cluster(**args: Any) -> Recording:
    """A recorded GkeCluster called `c` with the physical name `train`; its outputs are exported."""

    def program() -> None:
        defaults = {
            "cluster_name": "train",
            "version": "1.35",
            "project": "gpuyard-project",
            "location": "us-central1",
            "zones": GCP_ZONES,
            "network_id": "net",
            "subnetwork_id": "sub",
        }
        made = GkeCluster("c", {**defaults, **args}, gcp_options())  # type: ignore[typeddict-item]
        for key in ("cluster_name", "endpoint", "kubeconfig", "connect_command"):
            pulumi.export(key, getattr(made, key))

    return run(program)


def test_pods_and_services_have_ranges_of_their_own_and_nodes_a_way_out() -> None:
    """seed row S01: a VPC-native network."""
    made = network()
    ranges = {r["rangeName"]: r["ipCidrRange"] for r in made.one("Subnetwork").inputs["secondaryIpRanges"]}
    assert set(ranges) == {"pods", "services"}
    assert made.one("RouterNat").inputs["natIpAllocateOption"] == "AUTO_ONLY"
    assert made.one("Network").inputs["autoCreateSubnetworks"] is False
    assert not network(nat="none").all("RouterNat")


def test_the_cluster_is_vpc_native_private_and_has_no_default_pool() -> None:
    """seed row S01: a GKE cluster from a component."""
    inputs = cluster().one("gcp:container/cluster:Cluster").inputs
    assert inputs["networkingMode"] == "VPC_NATIVE" and inputs["datapathProvider"] == "ADVANCED_DATAPATH"
    assert inputs["privateClusterConfig"]["enablePrivateNodes"] is True
    assert inputs["privateClusterConfig"]["enablePrivateEndpoint"] is True
    assert inputs["removeDefaultNodePool"] is True
    assert inputs["workloadIdentityConfig"] == {"workloadPool": "gpuyard-project.svc.id.goog"}
    assert inputs["deletionProtection"] is True


def test_the_managed_dcgm_and_the_storage_drivers_are_switched_on() -> None:
    """seed rows S05, S11 and S18: on GKE the device plugin, the drivers and DCGM are Google's own."""
    inputs = cluster().one("gcp:container/cluster:Cluster").inputs
    assert "DCGM" in inputs["monitoringConfig"]["enableComponents"]
    assert inputs["monitoringConfig"]["managedPrometheus"] == {"enabled": True}
    addons = inputs["addonsConfig"]
    assert addons["gcePersistentDiskCsiDriverConfig"] == {"enabled": True}
    assert addons["gcpFilestoreCsiDriverConfig"] == {"enabled": True}


def test_the_kubeconfig_is_a_secret_and_logs_in_by_googles_plugin() -> None:
    made = cluster()
    assert "kubeconfig" in made.secret_exports
    user = json.loads(made.exports["kubeconfig"])["users"][0]["user"]["exec"]
    assert user["command"] == "gke-gcloud-auth-plugin"


def test_nodes_run_as_an_account_of_their_own_that_has_its_role_before_the_cluster() -> None:
    made = cluster()
    member = made.one("gcp:projects/iAMMember:IAMMember")
    assert member.inputs["role"] == "roles/container.defaultNodeServiceAccount"
    assert made.must_outlive(member, made.one("gcp:container/cluster:Cluster"))


@pytest.mark.parametrize("name", ["block", "block-fast", "shared"])
def test_the_storage_classes_have_the_same_names_and_promises_as_on_aws(name: str) -> None:
    """seed row S11: persistent disks for one pod, Filestore for many."""
    made = run(lambda: GcpStorage("storage", {"network_id": "projects/p/global/networks/net"}, gcp_options()))
    found = next(f.inputs for f in made.all("StorageClass") if f.inputs["metadata"]["name"] == name)
    driver = "filestore.csi.storage.gke.io" if name == "shared" else "pd.csi.storage.gke.io"
    assert found["provisioner"] == driver
    assert found["reclaimPolicy"] == ("Delete" if name == "block" else "Retain")
    if name == "shared":
        assert found["parameters"] == {"tier": "zonal", "network": "net"}
