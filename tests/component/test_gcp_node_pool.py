"""Pools of GKE nodes: their sizes, disks, drivers, and how GPUs are shared."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components import cluster_pools
from components.gcp.node_pool import GkeNodePool
from components.gcp.pool_spec import resolve
from components.pools import NodePoolSpec
from recording.recorder import run
from tests.component.gke_pools import POOL, config, made, node_pool
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, gcp_options, pool

# -- the guide's pools ------------------------------------------------------------------------------------------------


def test_cpu_workers_have_the_guides_size() -> None:
    """seed row S02: 2..20 on GKE, resized by the autoscaler of GKE."""
    found = node_pool(GKE_CPU, "cpu-workers").one(POOL, "cpu-workers")
    assert found.inputs["autoscaling"] == {
        "totalMinNodeCount": 2,
        "totalMaxNodeCount": 20,
        "locationPolicy": "BALANCED",
    }
    assert found.inputs["nodeLocations"] == GCP_ZONES
    assert found.options["ignoreChanges"] == ["initialNodeCount", "nodeCount"]
    assert not found.inputs["nodeConfig"].get("taints")


def test_gpu_workers_scale_from_zero_to_ten_with_driver_label_and_accelerator() -> None:
    """seed rows S03 and S05: 0..10, label workload=gpu-training, the driver installed by Google."""
    found = made(GKE_GPU)
    assert found["autoscaling"] == {"totalMinNodeCount": 0, "totalMaxNodeCount": 10, "locationPolicy": "ANY"}
    assert found["initialNodeCount"] == 0
    nodes = found["nodeConfig"]
    assert nodes["labels"]["workload"] == "gpu-training"
    assert nodes["labels"]["gpuyard.dev/pool"] == "gpu-workers"
    assert nodes["guestAccelerators"] == [
        {"type": "nvidia-l4", "count": 1, "gpuDriverInstallationConfig": {"gpuDriverVersion": "DEFAULT"}}
    ]


def test_n1_with_an_attached_v100_is_the_guides_machine() -> None:
    """seed row S03: n1-standard-8 with a V100 is the guide's p3.2xlarge."""
    spec = pool(GKE_GPU, machine_types=["n1-standard-8"], accelerator={"type": "nvidia-tesla-v100", "count": 1})
    nodes = config(spec)
    assert nodes["machineType"] == "n1-standard-8" and nodes["diskType"] == "pd-balanced"
    accelerator = nodes["guestAccelerators"][0]
    assert (accelerator["type"], accelerator["count"]) == ("nvidia-tesla-v100", 1)


def test_the_gpu_taint_is_the_one_that_gke_sets() -> None:
    """seed row S07: nvidia.com/gpu=present:NoSchedule, because any other value conflicts with GKE's."""
    assert config(GKE_GPU)["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]


def test_a_gke_gpu_node_has_the_guides_ephemeral_storage() -> None:
    """seed row S10: 100Gi fit on the boot disk in addition to the system."""
    assert config(GKE_GPU)["diskSizeGb"] >= 200


def test_nodes_have_secure_boot_and_workload_metadata() -> None:
    """Secure boot, Workload Identity instead of the node's account, no open kubelet port, one image type."""
    nodes = config(GKE_CPU)
    assert nodes["shieldedInstanceConfig"] == {"enableSecureBoot": True, "enableIntegrityMonitoring": True}
    assert nodes["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
    assert nodes["kubeletConfig"] == {"insecureKubeletReadonlyPortEnabled": "FALSE", "cpuCfsQuota": True}
    assert nodes["metadata"] == {"disable-legacy-endpoints": "true"}
    assert nodes["serviceAccount"].startswith("nodes@") and nodes["gvnic"] == {"enabled": True}
    assert nodes["imageType"] == "COS_CONTAINERD"


def test_image_streaming_is_on_by_default() -> None:
    assert config(GKE_GPU)["gcfsConfig"] == {"enabled": True}
    assert config(pool(GKE_GPU, image_streaming=False))["gcfsConfig"] == {"enabled": False}


def test_arm_nodes_have_no_architecture_taint() -> None:
    assert config(pool(GKE_CPU, machine_types=["c4a-standard-8"]))["taintConfig"] == {
        "architectureTaintBehavior": "NONE"
    }
    assert config(GKE_CPU).get("taintConfig") is None


def test_limits_by_zone_are_an_option() -> None:
    """Networks, costs and checks use the total."""
    spec = pool(GKE_CPU, per_zone=True, zones=GCP_ZONES, min=1, max=5)
    found = made(spec)
    assert found["autoscaling"] == {"minNodeCount": 1, "maxNodeCount": 5, "locationPolicy": "BALANCED"}
    assert found["initialNodeCount"] == 1
    assert (resolve("p", spec).pool.min, resolve("p", spec).pool.max) == (2, 10)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("location", "zones", "wrong"),
    [
        ("us-central1", ["us-central1-a", "us-east1-b"], r"zones\[1\] = 'us-east1-b': not a zone of us-central1"),
        ("us-central1-a", ["us-east1-b"], "location = 'us-central1-a': neither the region of `zones` nor a zone of it"),
        ("us-central1", ["us-central1-d"], r"zones\[0\] = 'us-central1-d': us-central1 has no such zone"),
        ("us-central1", ["us-central1-a", "us-central1-ai1a"], ""),
        # A control plane in one zone has nodes in all zones of its region (GKE, node pools: `locations`).
        ("us-central1-a", ["us-central1-b", "us-central1-c"], ""),
        (pulumi.Output.from_input("us-east1"), ["us-central1-a", "us-east1-b"], "not a zone of us-central1"),
    ],
)
def test_zones_are_in_the_region_of_the_cluster(location: pulumi.Input[str], zones: list[str], wrong: str) -> None:
    if wrong:
        with pytest.raises(pulumi.RunError, match=wrong):
            node_pool(GKE_CPU, location=location, zones=zones)
    else:
        found = node_pool(GKE_CPU, location=location, zones=zones).one(POOL).inputs
        assert found["nodeLocations"] == [zone for zone in zones if "-ai" not in zone]


def test_nodes_have_the_clusters_location_and_labels() -> None:
    """The roles of the account limit the nodes, not the scopes of their tokens."""
    found = node_pool(GKE_CPU, "cpu-workers", tags={"team": "ml"}).one(POOL).inputs
    assert (found["location"], found["cluster"]) == ("us-central1", "train")
    assert found["nodeConfig"]["resourceLabels"] == {"team": "ml", "gpuyard-pool": "cpu-workers"}
    assert found["nodeConfig"]["oauthScopes"] == ["https://www.googleapis.com/auth/cloud-platform"]


def test_scarce_capacity_uses_any_zone() -> None:
    for capacity in ("spot", "reserved"):
        assert made(pool(GKE_CPU, capacity=[capacity]))["autoscaling"]["locationPolicy"] == "ANY"


def test_an_ai_zone_is_used_only_by_gpu_pools_that_name_it() -> None:
    """field case G7."""
    zones = [*GCP_ZONES, "us-central1-ai1a"]
    assert node_pool(GKE_CPU, zones=zones).one(POOL).inputs["nodeLocations"] == GCP_ZONES
    assert node_pool(GKE_GPU, zones=zones).one(POOL).inputs["nodeLocations"] == GCP_ZONES
    train = pool(GKE_GPU, machine_types=["a4-highgpu-8g"], zones=zones[-1:], capacity=["spot"])
    assert node_pool(train, zones=zones).one(POOL).inputs["nodeLocations"] == zones[-1:]


def test_a_pool_never_starts_with_more_nodes_than_it_may_have() -> None:
    """The initial count is per zone, so one in each of two zones would exceed a maximum of one."""
    assert made(pool(GKE_CPU, min=1, max=1))["initialNodeCount"] == 0
    assert made(pool(GKE_CPU, min=3, max=3))["initialNodeCount"] == 1


@pytest.mark.parametrize(
    ("zones", "least", "each"), [(1, 1, 1), (2, 1, 0), (3, 1, 0), (3, 2, 0), (3, 4, 1), (3, 6, 2), (2, 5, 2)]
)
def test_a_pool_starts_with_no_more_nodes_than_its_minimum(zones: int, least: int, each: int) -> None:
    """field case G4: without this, `min: 1` created a GPU node in every zone, and `min: 4` six of them in three
    zones."""
    names = ["us-central1-a", "us-central1-b", "us-central1-c"][:zones]
    for spec in (GKE_GPU, GKE_CPU):
        found = node_pool(pool(spec, min=least, max=20), zones=names).one(POOL).inputs
        assert found["initialNodeCount"] == each and each * zones <= least
        assert found["autoscaling"]["totalMinNodeCount"] == least


# -- disks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("machine_type", "disk"),
    [
        ("n1-standard-8", "pd-balanced"),
        ("g2-standard-8", "pd-balanced"),
        ("a2-highgpu-1g", "pd-balanced"),
        ("a3-highgpu-8g", "pd-balanced"),
        ("c3-standard-8", "pd-balanced"),
        ("g4-standard-48", "hyperdisk-balanced"),
        ("n4-standard-8", "hyperdisk-balanced"),
        ("n4d-standard-8", "hyperdisk-balanced"),
        ("c4d-standard-8", "hyperdisk-balanced"),
        ("h4d-standard-192", "hyperdisk-balanced"),
    ],
)
def test_the_boot_disk_has_a_type_that_the_series_supports(machine_type: str, disk: str) -> None:
    assert config(pool(GKE_CPU, machine_types=[machine_type]))["diskType"] == disk


def test_series_without_on_demand_use_hyperdisk_boot_disks() -> None:
    for machine_type in ("a3-ultragpu-8g", "a4-highgpu-8g"):
        assert (
            config(pool(GKE_GPU, machine_types=[machine_type], capacity=["spot"]))["diskType"] == "hyperdisk-balanced"
        )


def test_the_boot_disk_type_can_be_set() -> None:
    assert config(pool(GKE_GPU, disk_type="pd-ssd"))["diskType"] == "pd-ssd"


@pytest.mark.parametrize(
    ("machine_type", "changes", "ephemeral", "block"),
    [
        ("a3-highgpu-8g", {}, 16, None),
        ("a3-highgpu-8g", {"scratch": False}, None, 16),
        ("a3-highgpu-8g-nolssd", {}, None, None),
        ("a2-ultragpu-2g", {}, 2, None),
        ("g2-standard-8", {}, None, None),
        ("g2-standard-48", {"scratch": True}, 4, None),
        ("a2-highgpu-1g", {"scratch": True}, 1, None),
        ("a2-highgpu-1g", {"scratch": True, "local_ssds": 4}, 4, None),
        ("a2-highgpu-1g", {"local_ssds": 4}, 4, None),
        ("g4-standard-48", {"scratch": True}, 4, None),
    ],
)
def test_local_ssds_are_the_pods_ephemeral_storage(
    machine_type: str, changes: dict[str, Any], ephemeral: int | None, block: int | None
) -> None:
    """seed row S10: local SSDs that are part of a machine but not used as storage stay block devices, otherwise GKE
    would use them."""
    spec = pool(GKE_GPU, machine_types=[machine_type], **changes)
    nodes = config(spec)
    count = {"localSsdCount": ephemeral} if ephemeral else None
    assert nodes.get("ephemeralStorageLocalSsdConfig") == count
    assert nodes.get("localNvmeSsdBlockConfig") == ({"localSsdCount": block} if block else None)
    assert resolve("p", spec).pool.scratch_gb == (ephemeral or 0) * 375  # type: ignore[arg-type]


# -- drivers and sharing ----------------------------------------------------------------------------------------------


def test_the_driver_installation_is_always_set() -> None:
    """seed row S05"""

    def driver(spec: NodePoolSpec) -> str:
        return config(spec)["guestAccelerators"][0]["gpuDriverInstallationConfig"]["gpuDriverVersion"]

    assert driver(GKE_GPU) == "DEFAULT"
    assert driver(pool(GKE_GPU, driver="latest")) == "LATEST"
    assert driver(pool(GKE_GPU, driver="disabled")) == "INSTALLATION_DISABLED"
    assert driver(pool(GKE_GPU, machine_types=["g4-standard-48"])) == "LATEST"


@pytest.mark.parametrize(
    ("machine_type", "changes", "shown"),
    [
        ("g2-standard-8", {"sharing": {"strategy": "time_sharing", "clients": 4}}, 4),
        ("g2-standard-24", {"sharing": {"strategy": "mps", "clients": 8}}, 16),
        ("a2-highgpu-1g", {"partition": "1g.5gb"}, 7),
        ("a3-highgpu-8g", {"partition": "1g.20gb", "sharing": {"strategy": "time_sharing", "clients": 2}}, 64),
        ("g2-standard-24", {}, 2),
    ],
)
def test_gpus_are_shared_by_time_slicing_mps_or_partitions(
    machine_type: str, changes: dict[str, Any], shown: int
) -> None:
    spec = pool(GKE_GPU, machine_types=[machine_type], **changes)
    accelerator = config(spec)["guestAccelerators"][0]
    assert accelerator.get("gpuPartitionSize") == changes.get("partition")
    sharing = changes.get("sharing")
    assert accelerator.get("gpuSharingConfig") == (
        {"gpuSharingStrategy": sharing["strategy"].upper(), "maxSharedClientsPerGpu": sharing["clients"]}
        if sharing
        else None
    )
    resolved = resolve("p", spec).pool  # type: ignore[arg-type]
    assert resolved.gpu_resources == shown
    assert cluster_pools.of(resolved)["gpus"] == (1 if sharing else shown), "what a runtime's pods request"


def test_a_mistake_is_reported_before_anything_is_created() -> None:
    """A mistake of a library user, reported without a stack's config."""
    with pytest.raises(pulumi.RunError, match="GkeNodePool gpu-workers: one value cannot work"):
        node_pool(pool(GKE_GPU, capacity=["flex"], min=1))


def test_the_node_pools_are_a_map_by_name_like_the_node_groups_of_eks() -> None:
    names: list[str] = []

    def program() -> None:
        spec = pool(GKE_GPU, capacity=["spot", "on_demand"])
        args: Any = {"pool": spec, "zones": GCP_ZONES, "location": "us-central1", "cluster": "c"}
        names.extend(GkeNodePool("gpu", {**args, "node_service_account": "n@x.iam"}, gcp_options()).node_pools)

    run(program)
    assert names == ["gpu-spot", "gpu"]
