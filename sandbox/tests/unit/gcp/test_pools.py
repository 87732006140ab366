"""Node pools that GKE's API refuses, and the labels and resources of their nodes."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cluster.cloud import NodeShape
from sandbox.gcp import groups
from sandbox.gcp.fleet import Fleet
from sandbox.tests.unit.gcp.stage import POOL, PROJECT, gpu_pool

CLUSTER = "projects/p/locations/us-central1/clusters/c"
NO_RESERVATION = {"reservationAffinity": {"consumeReservationType": "NO_RESERVATION"}}
FLEX = {"flexStart": True, **NO_RESERVATION}
NO_REPAIR = {"management": {"autoRepair": False}}


def h100(machine: str = "a3-highgpu-8g", **more: Any) -> dict[str, Any]:
    """A node config with 8 H100s."""
    return {"machineType": machine, "guestAccelerators": [{"type": "nvidia-h100-80gb", "count": 8}], **more}


def a100(**more: Any) -> dict[str, Any]:
    """A node config with one A100."""
    accelerator = {"type": "nvidia-tesla-a100", "count": 1, **more}
    return {"machineType": "a2-highgpu-1g", "guestAccelerators": [accelerator]}


def sysctl(name: str, value: str) -> dict[str, Any]:
    return {"linuxNodeConfig": {"sysctls": {name: value}}}


def sharing(strategy: str, clients: int) -> dict[str, Any]:
    return {"gpuSharingConfig": {"gpuSharingStrategy": strategy, "maxSharedClientsPerGpu": clients}}


def affinity(kind: str, **more: Any) -> dict[str, Any]:
    return {"reservationAffinity": {"consumeReservationType": kind, **more}}


COMPACT = {"placementPolicy": {"type": "COMPACT"}}
NAMED = {"key": "compute.googleapis.com/reservation-name", "values": ["l4s"]}


@pytest.mark.parametrize(
    ("config", "more", "path", "reason"),
    [
        (affinity("SPECIFIC_RESERVATION"), {}, "nodeConfig.reservationAffinity", "one reservation by its name"),
        (affinity("ANY_RESERVATION", **NAMED), {}, "nodeConfig.reservationAffinity", "SPECIFIC_RESERVATION only"),
        # xpk#434
        (
            {"spot": True, "hostMaintenancePolicy": {"maintenanceInterval": "PERIODIC"}},
            {},
            "nodeConfig.hostMaintenancePolicy",
            "preemptible be false",
        ),
        (sysctl("net.ipv4.ip_forward", "1"), {}, "nodeConfig.linuxNodeConfig.sysctls", "ip_forward is not supported"),
        (sysctl("net.core.somaxconn", "many"), {}, "nodeConfig.linuxNodeConfig.sysctls", "got 'many'"),
        ({"maxRunDuration": "10s"}, {}, "nodeConfig.maxRunDuration", "between 30s"),
        ({**FLEX, "maxRunDuration": "700000s"}, NO_REPAIR, "nodeConfig.maxRunDuration", "and 604800s"),
        ({"flexStart": True}, NO_REPAIR, "nodeConfig.reservationAffinity", "must be NO_RESERVATION"),
        ({}, {"queuedProvisioning": {"enabled": True}}, "nodeConfig.reservationAffinity", "must be NO_RESERVATION"),
        (FLEX, {**NO_REPAIR, "upgradeSettings": {"maxSurge": 1}}, "upgradeSettings.strategy", "SHORT_LIVED"),
        ({}, {"upgradeSettings": {"strategy": "SURGE"}}, "upgradeSettings", "greater than 0"),
        ({}, {"upgradeSettings": {"maxSurge": -1}}, "upgradeSettings.maxSurge", "negative"),
        (
            {},
            {
                "upgradeSettings": {
                    "strategy": "BLUE_GREEN",
                    "blueGreenSettings": {"standardRolloutPolicy": {"batchPercentage": 25.0}},
                }
            },
            "upgradeSettings.blueGreenSettings.standardRolloutPolicy.batchPercentage",
            "(0.0, 1.0]",
        ),
        (
            {"kubeletConfig": {"shutdownGracePeriodSeconds": 30}},
            {},
            "nodeConfig.kubeletConfig.shutdownGracePeriodSeconds",
            "Spot VMs",
        ),
        (
            {"spot": True, "kubeletConfig": {"shutdownGracePeriodSeconds": 60}},
            {},
            "nodeConfig.kubeletConfig.shutdownGracePeriodSeconds",
            "0, 30, 120",
        ),
        (a100(gpuPartitionSize="1g.10gb"), {}, "nodeConfig.guestAccelerators[0].gpuPartitionSize", "1g.5gb"),
        (
            a100(**sharing("TIME_SHARING", 49)),
            {},
            "nodeConfig.guestAccelerators[0].gpuSharingConfig.maxSharedClientsPerGpu",
            "between 2 and 48",
        ),
        (
            a100(gpuPartitionSize="1g.5gb", **sharing("MPS", 2)),
            {},
            "nodeConfig.guestAccelerators[0].gpuSharingConfig",
            "not supported on partitioned",
        ),
        (
            {"machineType": "h3-standard-88", "guestAccelerators": None, "spot": True},
            {},
            "nodeConfig.spot",
            "not available as Spot",
        ),
        (
            {"machineType": "n2-standard-8", "guestAccelerators": None, **FLEX},
            NO_REPAIR,
            "nodeConfig.flexStart",
            "not available as flex-start",
        ),
        (h100("a3-edgegpu-8g", **FLEX), NO_REPAIR, "nodeConfig.flexStart", "not available as flex-start"),
        (
            {"machineType": "a4-highgpu-8g", "guestAccelerators": [{"type": "nvidia-b200", "count": 8}]},
            {"nodeLocations": ["us-central1-b"]},
            "nodeConfig.machineType",
            "not available on demand",
        ),
        ({"diskType": "hyperdisk-balanced"}, {}, "nodeConfig.diskType", "boot disk of g2-standard-8"),
        (
            {"ephemeralStorageLocalSsdConfig": {"localSsdCount": 2}},
            {},
            "nodeConfig.ephemeralStorageLocalSsdConfig.localSsdCount",
            "g2-standard-8 takes 1, not 2",
        ),
        (
            h100(localNvmeSsdBlockConfig={"localSsdCount": 8}),
            {},
            "nodeConfig.localNvmeSsdBlockConfig.localSsdCount",
            "takes 16, not 8",
        ),
        (
            h100(localNvmeSsdBlockConfig={"localSsdCount": 16}, ephemeralStorageLocalSsdConfig={"localSsdCount": 16}),
            {},
            "nodeConfig.localNvmeSsdBlockConfig",
            "conflicts",
        ),
        (
            {},
            {"networkConfig": {"acceleratorNetworkProfile": "auto"}},
            "networkConfig.acceleratorNetworkProfile",
            "no interfaces",
        ),
        (
            {"machineType": "n1-standard-8", "guestAccelerators": [{"type": "nvidia-tesla-t4", "count": 1}]},
            COMPACT,
            "placementPolicy",
            "does not support compact placement",
        ),
        (h100(**FLEX), {**COMPACT, **NO_REPAIR}, "placementPolicy", "as flex-start"),
        (
            h100(),
            {**COMPACT, "autoscaling": {"totalMaxNodeCount": 96}, "upgradeSettings": {"maxSurge": 1}},
            "placementPolicy",
            "at most 96 nodes",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pool_that_google_would_refuse(cloud, config, more, path, reason):
    failures = cloud.failures(POOL, gpu_pool(CLUSTER, config, **more))
    assert [item for item in failures if item.property == path and reason in item.reason], failures


@pytest.mark.parametrize(
    ("config", "more"),
    [
        (affinity("SPECIFIC_RESERVATION", **NAMED), {}),
        (affinity("ANY_RESERVATION_THEN_FAIL"), {}),
        ({**FLEX, "maxRunDuration": "604800s"}, NO_REPAIR),
        (FLEX, {**NO_REPAIR, "queuedProvisioning": {"enabled": True}}),
        ({}, {"upgradeSettings": {"strategy": "SURGE", "maxSurge": 0, "maxUnavailable": 1}}),
        (a100(gpuPartitionSize="1g.5gb", **sharing("TIME_SHARING", 48)), {}),
        (h100(ephemeralStorageLocalSsdConfig={"localSsdCount": 16}), COMPACT),
        (h100(), {"networkConfig": {"acceleratorNetworkProfile": "auto"}}),
        ({"spot": True, "kubeletConfig": {"shutdownGracePeriodSeconds": 120}}, {}),
    ],
)
def test_a_pool_that_google_would_accept(cloud, config, more):
    assert cloud.failures(POOL, gpu_pool(CLUSTER, config, **more)) == []


def shape(cloud, cluster: str, config: dict[str, Any], **more: Any) -> NodeShape:
    """The node that the autoscaler expects in a pool without nodes."""
    cloud.create(POOL, gpu_pool(cluster, config, **more))
    (group,) = Fleet(PROJECT, "us-central1", "yard", cloud.store).groups()
    return group.template


def test_a_partitioned_and_shared_gpu_counts_once_for_each_that_may_use_it(cloud, cluster):
    template = shape(cloud, cluster, a100(gpuPartitionSize="2g.10gb", **sharing("TIME_SHARING", 4)))
    assert template.resources["nvidia.com/gpu"] == "12"
    assert template.labels["cloud.google.com/gke-gpu-partition-size"] == "2g.10gb"
    assert template.labels["cloud.google.com/gke-max-shared-clients-per-gpu"] == "4"


def test_nodes_have_labels_for_their_capacity_type_and_run_duration(cloud, cluster):
    template = shape(cloud, cluster, {**FLEX, "maxRunDuration": "3600s"}, **NO_REPAIR)
    labels = template.labels
    assert labels["cloud.google.com/gke-flex-start"] == "true"
    assert labels["cloud.google.com/gke-provisioning"] == "flex-start"
    assert labels["cloud.google.com/gke-max-run-duration-seconds"] == "3600"
    assert "cloud.google.com/gke-spot" not in labels


def test_nodes_have_labels_for_their_reservation_and_network(cloud, cluster):
    values = ["projects/owner/reservations/h100s/reservationBlocks/b"]
    template = shape(
        cloud,
        cluster,
        h100(**affinity("SPECIFIC_RESERVATION", **{**NAMED, "values": values})),
        networkConfig={"acceleratorNetworkProfile": "auto"},
    )
    assert template.labels["cloud.google.com/reservation-name"] == "h100s"
    assert template.labels["gke.networks.io/accelerator-network-profile"] == "auto"


def test_pools_with_queued_provisioning_are_tainted_and_do_not_scale_for_plain_pods(cloud, cluster):
    cloud.create(POOL, gpu_pool(cluster, FLEX, **NO_REPAIR, queuedProvisioning={"enabled": True}))
    (group,) = Fleet(PROJECT, "us-central1", "yard", cloud.store).groups()
    assert ("cloud.google.com/gke-queued", "true") in [(taint.key, taint.value) for taint in group.template.taints]
    assert group.queued


@pytest.mark.parametrize(("behaviour", "tainted"), [({}, True), ({"architectureTaintBehavior": "NONE"}, False)])
def test_arm_nodes_are_tainted_unless_the_pool_disables_it(cloud, cluster, behaviour, tainted):
    config = {"machineType": "c4a-standard-8", "guestAccelerators": None, "taintConfig": behaviour or None}
    taints = [taint.key for taint in shape(cloud, cluster, config).taints]
    assert ("kubernetes.io/arch" in taints) is tainted


@pytest.mark.parametrize(
    ("config", "ssds"),
    [
        (h100(ephemeralStorageLocalSsdConfig={"localSsdCount": 16}), 16),
        (h100(), 16),
        (h100(localNvmeSsdBlockConfig={"localSsdCount": 16}), 0),
        ({"ephemeralStorageLocalSsdConfig": {"localSsdCount": 1}}, 1),
        ({}, 0),
    ],
)
def test_local_disks_back_the_pods_storage_unless_they_are_block_devices(cloud, cluster, config, ssds):
    """Seed row S10."""
    template = shape(cloud, cluster, config)
    boot = (100 * 0.9 - 41) * 1024
    local = (ssds * 375 * 1000**3 / 1024**3 * 0.9 - {1: 50}.get(ssds, 100)) * 1024
    assert template.resources["ephemeral-storage"] == f"{int(local if ssds else boot)}Mi"
    assert ("cloud.google.com/gke-ephemeral-storage-local-ssd" in template.labels) is bool(ssds)


def test_nodes_have_labels_for_their_volume_types_and_gpu_driver(cloud, cluster):
    off = {"gpuDriverInstallationConfig": {"gpuDriverVersion": "INSTALLATION_DISABLED"}}
    template = shape(cloud, cluster, a100(**off))
    assert template.labels["disk-type.gke.io/hyperdisk-ml"] == "true"
    assert "disk-type.gke.io/hyperdisk-balanced" not in template.labels
    assert template.labels["cloud.google.com/gke-gpu-driver-version"] == "autoinstall-disabled"


@pytest.mark.parametrize("labels", [{}, {"gke-no-default-nvidia-gpu-device-plugin": "true"}])
def test_a_label_disables_gkes_device_plugin_and_driver(cloud, cluster, labels):
    """NVIDIA/aicr#2047: the label disables the driver that GKE installs, not only the plugin."""
    cloud.create(POOL, gpu_pool(cluster, {**a100(), "labels": labels}, initialNodeCount=1))
    for machine in Fleet(PROJECT, "us-central1", "yard", cloud.store).machines():
        assert machine.gpu_ready_by == ("device-plugin" if labels else "cloud")
        break
    else:
        pytest.fail("no machine")


def test_reserved_pools_are_cheapest_then_spot_and_machines_report_their_capacity_type(cloud, cluster):
    reserved = affinity("ANY_RESERVATION_THEN_FAIL")
    cloud.create(POOL, gpu_pool(cluster, reserved, name="r"))
    cloud.create(POOL, gpu_pool(cluster, {"spot": True}, name="s"))
    cloud.create(POOL, gpu_pool(cluster, FLEX, name="f", **NO_REPAIR))
    fleet = Fleet(PROJECT, "us-central1", "yard", cloud.store)
    found = {group.id[-1]: group for group in fleet.groups()}
    assert found["r"].priority > found["s"].priority > found["f"].priority
    assert {key: group.details["capacity"] for key, group in found.items()} == {
        "r": "reserved",
        "s": "spot",
        "f": "flex",
    }
    for group in found.values():
        fleet.set_desired(group.id, 1)
    models = {
        body["name"].split("-")[2]: body["scheduling"]["provisioningModel"]
        for _, _, body in cloud.store.select(groups.INSTANCES)
    }
    assert models == {"r": "STANDARD", "s": "SPOT", "f": "FLEX_START"}


def test_a_changed_kubelet_or_image_streaming_replaces_the_nodes(cloud, cluster):
    id, _ = cloud.create(POOL, gpu_pool(cluster, initialNodeCount=1))
    fleet = Fleet(PROJECT, "us-central1", "yard", cloud.store)
    before = fleet.machines()[0].id
    config = cloud.made[id][2]["nodeConfig"]
    cloud.update(id, nodeConfig={**config, "gcfsConfig": {"enabled": True}})
    assert fleet.machines()[0].id != before
