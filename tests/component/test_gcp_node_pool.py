"""Pools of GKE nodes: what the node pools of each rung say, and the class that puts them in order."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.gcp.compute_class import GkeComputeClass
from components.gcp.node_pool import GkeNodePool
from components.gcp.pool_spec import GkeNodePoolSpec, resolve
from components.pools import NodePoolSpec
from components.taints import tolerations
from tests.component.stage import GCP_ZONES, GKE_CPU, GKE_GPU, gcp_options, pool
from tests.recorder import run
from tests.recording import Recording, Resource

POOL = "gcp:container/nodePool:NodePool"
ZONE = GCP_ZONES[0]


def node_pool(spec: NodePoolSpec | GkeNodePoolSpec, name: str = "gpu-workers", **args: Any) -> Recording:
    """A recorded GkeNodePool."""
    defaults = {
        "pool": spec,
        "zones": GCP_ZONES,
        "location": "us-central1",
        "cluster": "train",
        "kubernetes_version": "1.35",
        "node_service_account": "nodes@gpuyard-project.iam.gserviceaccount.com",
    }
    return run(lambda: GkeNodePool(name, {**defaults, **args}, gcp_options()))  # type: ignore[typeddict-item]


def made(spec: NodePoolSpec | GkeNodePoolSpec) -> dict[str, Any]:
    """Inputs of the only node pool of a spec."""
    return node_pool(spec).one(POOL).inputs


def config(spec: NodePoolSpec | GkeNodePoolSpec) -> dict[str, Any]:
    """Its nodes' config."""
    return made(spec)["nodeConfig"]


def rungs(spec: NodePoolSpec | GkeNodePoolSpec) -> dict[str, Resource]:
    """Node pool by name."""
    return {found.name: found for found in node_pool(spec).all(POOL)}


# -- the guide's pools ------------------------------------------------------------------------------------------------


def test_cpu_workers_have_the_guides_size() -> None:
    """seed row S02: 2..20 on GKE, resized by GKE's own autoscaler."""
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


def test_an_attached_accelerator_makes_the_guides_machine_on_google_cloud() -> None:
    """seed row S03: n1-standard-8 with a V100 is the guide's p3.2xlarge."""
    spec = pool(GKE_GPU, machine_types=["n1-standard-8"], accelerator={"type": "nvidia-tesla-v100", "count": 1})
    nodes = config(spec)
    assert nodes["machineType"] == "n1-standard-8" and nodes["diskType"] == "pd-balanced"
    accelerator = nodes["guestAccelerators"][0]
    assert (accelerator["type"], accelerator["count"]) == ("nvidia-tesla-v100", 1)


def test_the_gpu_taint_is_the_one_that_gke_would_set_itself() -> None:
    """seed row S07: nvidia.com/gpu=present:NoSchedule, for any other value collides with GKE's."""
    assert config(GKE_GPU)["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]


def test_a_gpu_node_holds_the_guides_ephemeral_storage() -> None:
    """seed row S10: 100Gi fit on the boot disk beside the system."""
    assert config(GKE_GPU)["diskSizeGb"] >= 200


def test_nodes_prove_what_they_boot_and_show_no_credentials() -> None:
    """Secure boot, Workload Identity instead of the node's account, no open kubelet, one image for all."""
    nodes = config(GKE_CPU)
    assert nodes["shieldedInstanceConfig"] == {"enableSecureBoot": True, "enableIntegrityMonitoring": True}
    assert nodes["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
    assert nodes["kubeletConfig"] == {"insecureKubeletReadonlyPortEnabled": "FALSE", "cpuCfsQuota": True}
    assert nodes["metadata"] == {"disable-legacy-endpoints": "true"}
    assert nodes["serviceAccount"].startswith("nodes@") and nodes["gvnic"] == {"enabled": True}
    assert nodes["imageType"] == "COS_CONTAINERD"


def test_images_are_streamed_unless_the_pool_says_otherwise() -> None:
    assert config(GKE_GPU)["gcfsConfig"] == {"enabled": True}
    assert config(pool(GKE_GPU, image_streaming=False))["gcfsConfig"] == {"enabled": False}


def test_arm_nodes_are_not_tainted_as_they_are_not_on_eks() -> None:
    assert config(pool(GKE_CPU, machine_types=["c4a-standard-8"]))["taintConfig"] == {
        "architectureTaintBehavior": "NONE"
    }
    assert config(GKE_CPU).get("taintConfig") is None


def test_the_limits_count_each_zone_when_the_pool_says_so() -> None:
    """The total is what networks, bills and checks go by."""
    spec = pool(GKE_CPU, per_zone=True, zones=GCP_ZONES, min=1, max=5)
    found = made(spec)
    assert found["autoscaling"] == {"minNodeCount": 1, "maxNodeCount": 5, "locationPolicy": "BALANCED"}
    assert found["initialNodeCount"] == 1
    assert (resolve("p", spec).pool.min, resolve("p", spec).pool.max) == (2, 10)  # type: ignore[arg-type]


def test_nodes_are_where_the_cluster_is_and_bear_its_labels_for_the_bill() -> None:
    """The account decides what nodes may do, not the scopes of their tokens."""
    found = node_pool(GKE_CPU, "cpu-workers", tags={"team": "ml"}).one(POOL).inputs
    assert (found["location"], found["cluster"]) == ("us-central1", "train")
    assert found["nodeConfig"]["resourceLabels"] == {"team": "ml", "gpuyard-pool": "cpu-workers"}
    assert found["nodeConfig"]["oauthScopes"] == ["https://www.googleapis.com/auth/cloud-platform"]


def test_nodes_that_are_hard_to_get_are_taken_wherever_they_are() -> None:
    for capacity in ("spot", "reserved"):
        assert made(pool(GKE_CPU, capacity=[capacity]))["autoscaling"]["locationPolicy"] == "ANY"


def test_an_ai_zone_is_for_the_gpu_pools_that_name_it() -> None:
    """field case G7."""
    zones = [*GCP_ZONES, "us-central1-ai1a"]
    assert node_pool(GKE_CPU, zones=zones).one(POOL).inputs["nodeLocations"] == GCP_ZONES
    assert node_pool(GKE_GPU, zones=zones).one(POOL).inputs["nodeLocations"] == GCP_ZONES
    train = pool(GKE_GPU, machine_types=["a4-highgpu-8g"], zones=zones[-1:], capacity=["spot"])
    assert node_pool(train, zones=zones).one(POOL).inputs["nodeLocations"] == zones[-1:]


def test_a_pool_never_starts_with_more_nodes_than_it_may_have() -> None:
    """The count at the start is per zone: one in each of two zones would be more than one."""
    assert made(pool(GKE_CPU, min=1, max=1))["initialNodeCount"] == 0
    assert made(pool(GKE_CPU, min=3, max=3))["initialNodeCount"] == 1


@pytest.mark.parametrize(
    ("zones", "least", "each"), [(1, 1, 1), (2, 1, 0), (3, 1, 0), (3, 2, 0), (3, 4, 1), (3, 6, 2), (2, 5, 2)]
)
def test_a_pool_starts_with_no_more_nodes_than_its_minimum(zones: int, least: int, each: int) -> None:
    """field case G4: `min: 1` bought a GPU node in every zone, and `min: 4` six of them in three."""
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
def test_a_machine_boots_from_a_disk_that_its_series_takes(machine_type: str, disk: str) -> None:
    assert config(pool(GKE_CPU, machine_types=[machine_type]))["diskType"] == disk


def test_series_without_on_demand_boot_from_hyperdisks() -> None:
    for machine_type in ("a3-ultragpu-8g", "a4-highgpu-8g"):
        assert (
            config(pool(GKE_GPU, machine_types=[machine_type], capacity=["spot"]))["diskType"] == "hyperdisk-balanced"
        )


def test_another_boot_disk_may_be_chosen() -> None:
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
def test_local_disks_become_the_pods_storage_where_a_machine_has_them_or_is_given_them(
    machine_type: str, changes: dict[str, Any], ephemeral: int | None, block: int | None
) -> None:
    """seed row S10: what comes with a machine and is not wanted so stays a block device, for GKE would use it."""
    spec = pool(GKE_GPU, machine_types=[machine_type], **changes)
    nodes = config(spec)
    count = {"localSsdCount": ephemeral} if ephemeral else None
    assert nodes.get("ephemeralStorageLocalSsdConfig") == count
    assert nodes.get("localNvmeSsdBlockConfig") == ({"localSsdCount": block} if block else None)
    assert resolve("p", spec).pool.scratch_gb == (ephemeral or 0) * 375  # type: ignore[arg-type]


# -- drivers and sharing ----------------------------------------------------------------------------------------------


def test_the_driver_is_always_said() -> None:
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
def test_gpus_are_shared_in_turns_by_mps_or_in_partitions(
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
    assert resolve("p", spec).gpu_resources == shown  # type: ignore[arg-type]


# -- interconnect and placement ---------------------------------------------------------------------------------------


def interconnected(machine_type: str, **changes: Any) -> NodePoolSpec:
    return pool(GKE_GPU, **{"machine_types": [machine_type], "interconnect": True, "zones": [ZONE], **changes})


@pytest.mark.parametrize(
    ("machine_type", "interfaces"),
    [("a3-highgpu-8g", 4), ("a3-megagpu-8g", 8), ("a3-ultragpu-8g", 8), ("a4-highgpu-8g", 8)],
)
def test_gke_makes_the_networks_of_every_interface_for_gpudirect(machine_type: str, interfaces: int) -> None:
    """seed row S06: no VPC of ours per interface; pods get them by DRA."""
    spec = interconnected(machine_type, capacity=["spot"], max=4)
    found = made(spec)
    assert found["networkConfig"] == {"enablePrivateNodes": True, "acceleratorNetworkProfile": "auto"}
    assert found["nodeConfig"]["labels"]["gpuyard.dev/interconnect"] == "gpudirect"
    assert found["placementPolicy"] == {"type": "COMPACT"}
    assert resolve("p", spec).pool.interconnects == interfaces  # type: ignore[arg-type]


PROFILE, DRANET = "gke.networks.io/accelerator-network-profile", "cloud.google.com/gke-networking-dra-driver"


@pytest.mark.parametrize(
    ("machine_type", "dranet"),
    [("a3-highgpu-8g", False), ("a3-megagpu-8g", False), ("a3-ultragpu-8g", True), ("a4-highgpu-8g", True)],
)
def test_a_pool_with_interconnect_bears_the_label_that_gke_would_add(machine_type: str, dranet: bool) -> None:
    """field cases G1 and G2: GKE writes the profile's label into the pool's config; its DRANET driver is for the series
    with RDMA alone, and excludes the multi-networking by which the others reach their interfaces."""
    labels = config(interconnected(machine_type, capacity=["spot"], max=4))["labels"]
    assert labels[PROFILE] == "auto"
    assert (DRANET in labels) is dranet


def test_a_pool_without_interconnect_has_the_clusters_network_alone() -> None:
    found = made(pool(GKE_GPU, machine_types=["a3-highgpu-8g"]))
    assert found["networkConfig"] == {"enablePrivateNodes": True} and found.get("placementPolicy") is None
    assert not {PROFILE, DRANET} & found["nodeConfig"]["labels"].keys()


def test_neither_a_reservation_nor_flex_start_gets_a_place_by_itself() -> None:
    """A reservation has its place already; flex-start takes one only under a workload policy."""
    ladder = ["reserved", "flex", "spot"]
    found = rungs(interconnected("a4-highgpu-8g", capacity=ladder, max=4))
    placed = {name: each.inputs.get("placementPolicy") for name, each in found.items()}
    assert placed == {
        "gpu-workers-reserved": None,
        "gpu-workers-flex": None,
        "gpu-workers-spot": {"type": "COMPACT"},
    }
    named = rungs(interconnected("a4-highgpu-8g", capacity=ladder, max=4, placement_policy="close"))
    assert len(named) == 3
    for each in named.values():
        assert each.inputs["placementPolicy"] == {"type": "COMPACT", "policyName": "close"}


def test_a_ladder_that_asks_for_one_place_gets_it_on_every_rung_but_the_reserved() -> None:
    spec = pool(GKE_GPU, zones=[ZONE], placement=True, capacity=["reserved", "spot", "on_demand"])
    placed = {name: each.inputs.get("placementPolicy") for name, each in rungs(spec).items()}
    compact = {"type": "COMPACT"}
    assert placed == {"gpu-workers-reserved": None, "gpu-workers-spot": compact, "gpu-workers": compact}


# -- capacity ---------------------------------------------------------------------------------------------------------

LADDER = ["reserved", "flex", "spot", "on_demand"]


def test_a_ladder_makes_a_pool_for_each_rung_and_the_last_one_holds_the_minimum() -> None:
    """seed row S12: the same names as on EKS."""
    found = rungs(pool(GKE_GPU, capacity=LADDER, min=1))
    sizes = {name: each.inputs["autoscaling"]["totalMinNodeCount"] for name, each in found.items()}
    assert sizes == {"gpu-workers-reserved": 0, "gpu-workers-flex": 0, "gpu-workers-spot": 0, "gpu-workers": 1}
    assert {each.inputs["autoscaling"]["totalMaxNodeCount"] for each in found.values()} == {10}
    assert {name: each.inputs["nodeConfig"]["spot"] for name, each in found.items()} == {
        "gpu-workers-reserved": False,
        "gpu-workers-flex": False,
        "gpu-workers-spot": True,
        "gpu-workers": False,
    }


def test_another_rung_leaves_the_names_and_the_capacity_of_those_that_are_there() -> None:
    """Only label and taint of the class come, which GKE changes in place."""
    before = rungs(pool(GKE_GPU, capacity=["on_demand"]))["gpu-workers"].inputs
    after = rungs(pool(GKE_GPU, capacity=["reserved", "on_demand"]))["gpu-workers"].inputs
    changed = {key for key in before["nodeConfig"] if before["nodeConfig"][key] != after["nodeConfig"][key]}
    assert changed == {"labels", "taints"}
    assert {key: value for key, value in before.items() if key != "nodeConfig"} == {
        key: value for key, value in after.items() if key != "nodeConfig"
    }


def test_flex_start_is_neither_repaired_nor_surged_nor_reserved() -> None:
    """The API refuses each of them; it sets the strategy SHORT_LIVED by itself."""
    found = made(pool(GKE_GPU, capacity=["flex"], max_run_seconds=86400))
    assert found["nodeConfig"]["flexStart"] is True and found["nodeConfig"]["maxRunDuration"] == "86400s"
    assert found["nodeConfig"]["reservationAffinity"] == {"consumeReservationType": "NO_RESERVATION"}
    assert found["management"] == {"autoRepair": False, "autoUpgrade": True}
    assert found.get("upgradeSettings") is None and found.get("queuedProvisioning") is None
    assert found["initialNodeCount"] == 0 and found["autoscaling"]["locationPolicy"] == "ANY"


def test_queued_provisioning_is_flex_start_that_pods_select_by_its_label() -> None:
    """GKE taints the nodes by itself, and does not label them."""
    found = made(pool(GKE_GPU, capacity=["flex"], queued=True))
    assert found["queuedProvisioning"] == {"enabled": True} and found["nodeConfig"]["flexStart"] is True
    assert found["nodeConfig"]["labels"]["cloud.google.com/gke-queued"] == "true"
    assert [taint["key"] for taint in found["nodeConfig"]["taints"]] == ["nvidia.com/gpu"]


@pytest.mark.parametrize(
    ("reservation", "affinity"),
    [
        (None, {"consumeReservationType": "ANY_RESERVATION_THEN_FAIL"}),
        ({"name": "h100"}, ["h100"]),
        ({"name": "h100", "project": "owner-1"}, ["projects/owner-1/reservations/h100"]),
        (
            {"name": "h100", "project": "owner-1", "block": "b-1"},
            ["projects/owner-1/reservations/h100/reservationBlocks/b-1"],
        ),
        ({"name": "h100", "block": "b-1"}, ["h100/reservationBlocks/b-1"]),
    ],
)
def test_a_reservation_is_drawn_on_by_the_reserved_rung_alone_and_never_bought_instead(
    reservation: dict[str, str] | None, affinity: Any
) -> None:
    changes = {"reservation": reservation, "zones": [ZONE]} if reservation else {}
    found = rungs(pool(GKE_GPU, capacity=["reserved", "spot", "on_demand"], **changes))
    if isinstance(affinity, list):
        affinity = {
            "consumeReservationType": "SPECIFIC_RESERVATION",
            "key": "compute.googleapis.com/reservation-name",
            "values": affinity,
        }
    assert {name: each.inputs["nodeConfig"].get("reservationAffinity") for name, each in found.items()} == {
        "gpu-workers-reserved": affinity,
        "gpu-workers-spot": None,
        "gpu-workers": None,
    }


def test_spot_nodes_may_give_their_pods_more_time_to_end() -> None:
    found = rungs(pool(GKE_GPU, capacity=["spot", "on_demand"], spot_grace_seconds=120))
    assert found["gpu-workers-spot"].inputs["nodeConfig"]["kubeletConfig"]["shutdownGracePeriodSeconds"] == 120
    assert "shutdownGracePeriodSeconds" not in found["gpu-workers"].inputs["nodeConfig"]["kubeletConfig"]


# -- the order of the rungs -------------------------------------------------------------------------------------------


def test_spot_h100s_leave_restart_and_maintenance_of_their_hosts_to_google() -> None:
    """xpk#434, cluster-toolkit#4058: spot nodes of A3 Mega with a maintenance interval end in a pool in ERROR."""
    spec: Any = interconnected("a3-megagpu-8g", capacity=["spot"])
    assert config(spec)["spot"] is True and not {"hostMaintenancePolicy", "preemptible"} & config(spec).keys()


def test_the_rungs_of_a_ladder_bear_label_and_taint_of_their_class() -> None:
    """Without both, GKE's autoscaler calls the pool misconfigured and never scales it up."""
    for found in rungs(pool(GKE_GPU, capacity=LADDER)).values():
        nodes = found.inputs["nodeConfig"]
        assert nodes["labels"]["cloud.google.com/compute-class"] == "gpu-workers"
        assert {"key": "cloud.google.com/compute-class", "value": "gpu-workers", "effect": "NO_SCHEDULE"} in nodes[
            "taints"
        ]
        assert {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"} in nodes["taints"]


def test_a_pool_of_one_rung_has_no_class_and_no_taint_of_one() -> None:
    nodes = config(pool(GKE_GPU, capacity=["spot"]))
    assert "cloud.google.com/compute-class" not in nodes["labels"]
    assert [taint["key"] for taint in nodes["taints"]] == ["nvidia.com/gpu"]


def test_what_runs_on_a_pool_tolerates_its_class_without_naming_it() -> None:
    resolved = resolve("gpu-workers", pool(GKE_GPU, capacity=LADDER))  # type: ignore[arg-type]
    assert tolerations(resolved.pool.taints) == [
        {"key": "cloud.google.com/compute-class", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
    ]


def test_the_class_names_the_node_pools_in_the_order_of_the_ladder_and_makes_none() -> None:
    """Physical names: those that the cloud gave, best rung first."""

    def program() -> None:
        options = gcp_options()
        args: Any = {
            "pool": pool(GKE_GPU, capacity=LADDER),
            "zones": GCP_ZONES,
            "location": "us-central1",
            "cluster": "train",
            "node_service_account": "nodes@gpuyard-project.iam.gserviceaccount.com",
        }
        pools = GkeNodePool("gpu-workers", args, options)
        order = GkeComputeClass("gpu-workers", {"node_pool_names": pools.node_pool_names}, options)
        pulumi.export("class", order.class_name)

    recording = run(program)
    found = recording.one("kubernetes:cloud.google.com/v1:ComputeClass")
    names = {each.name: each.outputs["name"] for each in recording.all(POOL)}
    rungs = ("gpu-workers-reserved", "gpu-workers-flex", "gpu-workers-spot", "gpu-workers")
    assert found.inputs["spec"] == {
        "priorities": [{"nodepools": [names[rung]]} for rung in rungs],
        "nodePoolAutoCreation": {"enabled": False},
        "activeMigration": {"optimizeRulePriority": False},
        "whenUnsatisfiable": "DoNotScaleUp",
    }
    assert found.inputs["metadata"]["name"] == recording.exports["class"] == "gpu-workers"
    for each in recording.all(POOL):
        assert recording.must_outlive(each, found), each


# -- upgrades and repair ----------------------------------------------------------------------------------------------


def test_an_upgrade_adds_a_cpu_node_first_and_takes_a_gpu_node_away_first() -> None:
    """A spare GPU is seldom to be had, and a reservation has none."""
    fewer = {"strategy": "SURGE", "maxSurge": 0, "maxUnavailable": 1}
    assert made(GKE_CPU)["upgradeSettings"] == {"strategy": "SURGE", "maxSurge": 1, "maxUnavailable": 0}
    assert made(GKE_GPU)["upgradeSettings"] == fewer
    for ladder in (["reserved"], ["reserved", "on_demand"]):
        found = rungs(pool(GKE_CPU, capacity=ladder))
        assert [each.inputs["upgradeSettings"] for each in found.values()] == [fewer] * len(ladder)
    wider = made(pool(GKE_GPU, upgrade={"max_surge": 2}))["upgradeSettings"]
    assert wider == {"strategy": "SURGE", "maxSurge": 2, "maxUnavailable": 1}


def test_blue_and_green_nodes_leave_time_for_the_way_back() -> None:
    upgrade = {"strategy": "blue_green", "batch_percentage": 25, "batch_soak_seconds": 60, "soak_seconds": 7200}
    assert made(pool(GKE_CPU, upgrade=upgrade))["upgradeSettings"] == {
        "strategy": "BLUE_GREEN",
        "blueGreenSettings": {
            "standardRolloutPolicy": {"batchPercentage": 0.25, "batchSoakDuration": "60s"},
            "nodePoolSoakDuration": "7200s",
        },
    }


def test_blue_nodes_stay_an_hour_unless_the_pool_says_otherwise() -> None:
    assert made(pool(GKE_CPU, upgrade={"strategy": "blue_green"}))["upgradeSettings"]["blueGreenSettings"] == {
        "standardRolloutPolicy": {"batchPercentage": 0.1, "batchSoakDuration": "0s"},
        "nodePoolSoakDuration": "3600s",
    }


@pytest.mark.parametrize(
    ("changes", "hours"),
    [
        ({"max": 10}, 10),
        ({"max": 16, "upgrade": {"max_surge": 0, "max_unavailable": 1}}, 16),
        ({"max": 1000, "upgrade": {"max_surge": 20, "max_unavailable": 0}}, 50),
        ({"upgrade": {"strategy": "blue_green", "soak_seconds": 604800}}, 168 + 10),
        ({"upgrade": {"strategy": "blue_green", "batch_percentage": 5, "batch_soak_seconds": 3600}}, 2 * 20 + 1),
    ],
)
def test_pulumi_waits_as_long_as_gke_may_need(changes: dict[str, Any], hours: int) -> None:
    """field case G3: the provider gives up after two hours; GKE gives a node's pods one, and a soak up to a week."""
    given = node_pool(pool(GKE_GPU, **changes)).one(POOL).options["customTimeouts"]
    assert given.create == given.delete == "120m"
    minutes = int(given.update.removesuffix("m"))
    assert hours * 60 + 120 <= minutes <= 2 * (hours * 60 + 120), "no shorter than GKE, and no limit at all neither"


def test_a_reserved_pools_machines_go_before_their_reservation_is_asked_again() -> None:
    """field case G6: its replacement wants the machines that the old one holds; the others leave no gap."""
    found = rungs(pool(GKE_GPU, capacity=["reserved", "spot", "on_demand"]))
    first = {name: bool(each.options.get("deleteBeforeReplace")) for name, each in found.items()}
    assert first == {"gpu-workers-reserved": True, "gpu-workers-spot": False, "gpu-workers": False}


def test_broken_nodes_are_renewed_unless_the_pool_says_otherwise() -> None:
    assert made(GKE_GPU)["management"] == {"autoRepair": True, "autoUpgrade": True}
    assert made(pool(GKE_GPU, node_repair=False))["management"] == {"autoRepair": False, "autoUpgrade": True}


def test_a_mistake_is_told_before_anything_is_made() -> None:
    """A library user's, told without the stack's config."""
    with pytest.raises(pulumi.RunError, match="GkeNodePool gpu-workers: one value cannot work"):
        node_pool(pool(GKE_GPU, capacity=["flex"], min=1))
