"""The library on Google Cloud: what each component asks the SDK for."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.gcp.cluster import GkeCluster
from components.gcp.network import GcpNetwork
from components.gcp.node_pool import GkeNodePool
from components.gcp.storage import GcpStorage
from components.pools import NodePoolSpec
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, gcp_options, pool
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


def node_pool(spec: NodePoolSpec, name: str = "gpu-workers", **args: Any) -> Recording:
    """A recorded GkeNodePool."""
    defaults = {
        "pool": spec,
        "zones": GCP_ZONES,
        "location": "us-central1",
        "cluster": "train",
        "node_service_account": "nodes@gpuyard-project.iam.gserviceaccount.com",
    }
    return run(lambda: GkeNodePool(name, {**defaults, **args}, gcp_options()))  # type: ignore[typeddict-item]


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


def test_cpu_workers_have_the_guides_size() -> None:
    """seed row S02: 2..20 on GKE, resized by GKE's own autoscaler."""
    made = node_pool(GKE_CPU, "cpu-workers").one("gcp:container/nodePool:NodePool", "cpu-workers")
    assert made.inputs["autoscaling"]["totalMinNodeCount"] == 2
    assert made.inputs["autoscaling"]["totalMaxNodeCount"] == 20
    assert made.options["ignoreChanges"] == ["initialNodeCount", "nodeCount"]
    assert not made.inputs["nodeConfig"].get("taints")


def test_gpu_workers_scale_from_zero_to_ten_with_driver_label_and_accelerator() -> None:
    """seed rows S03 and S05: 0..10, label workload=gpu-training, the driver installed by Google."""
    made = node_pool(GKE_GPU).one("NodePool").inputs
    assert made["autoscaling"]["totalMinNodeCount"] == 0 and made["autoscaling"]["totalMaxNodeCount"] == 10
    assert made["initialNodeCount"] == 0
    config = made["nodeConfig"]
    assert config["labels"]["workload"] == "gpu-training"
    assert config["labels"]["gpuyard.dev/pool"] == "gpu-workers"
    accelerator = config["guestAccelerators"][0]
    assert (accelerator["type"], accelerator["count"]) == ("nvidia-l4", 1)
    assert accelerator["gpuDriverInstallationConfig"]["gpuDriverVersion"]


def test_an_attached_accelerator_makes_the_guides_machine_on_google_cloud() -> None:
    """seed row S03: n1-standard-8 with a V100 is the guide's p3.2xlarge."""
    spec = pool(GKE_GPU, machine_types=["n1-standard-8"], accelerator={"type": "nvidia-tesla-v100", "count": 1})
    accelerator = node_pool(spec).one("NodePool").inputs["nodeConfig"]["guestAccelerators"][0]
    assert (accelerator["type"], accelerator["count"]) == ("nvidia-tesla-v100", 1)


def test_the_gpu_taint_is_the_one_that_gke_would_set_itself() -> None:
    """seed row S07: nvidia.com/gpu=present:NoSchedule, for any other value collides with GKE's."""
    taints = node_pool(GKE_GPU).one("NodePool").inputs["nodeConfig"]["taints"]
    assert taints == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]


def test_a_gpu_node_holds_the_guides_ephemeral_storage() -> None:
    """seed row S10: 100Gi fit on the boot disk beside the system."""
    config = node_pool(GKE_GPU).one("NodePool").inputs["nodeConfig"]
    assert config["diskSizeGb"] >= 120


def test_a_ladder_makes_a_pool_for_each_rung() -> None:
    made = node_pool(pool(GKE_GPU, capacity=["spot", "on_demand"], min=1))
    spot = {
        found.inputs["nodeConfig"]["spot"]: found.inputs["autoscaling"]["totalMinNodeCount"]
        for found in made.all("NodePool")
    }
    assert spot == {True: 0, False: 1}


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
