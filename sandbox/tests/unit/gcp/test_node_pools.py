"""Node pools of GKE and their machines."""

from __future__ import annotations

import pytest

from sandbox.gcp import groups
from sandbox.plugins.provider import UNKNOWN, ProviderError
from sandbox.tests.unit.gcp.stage import POOL, PROJECT, cpu_pool, fleet, gpu_pool

SHARED = {"gpuSharingConfig": {"gpuSharingStrategy": "MPS", "maxSharedClientsPerGpu": 2}}


def test_a_cpu_pool_in_totals_spreads_over_zones(cloud, cluster):
    id, outputs = cloud.create(POOL, cpu_pool(cluster))
    assert id == f"{cluster}/nodePools/cpu"
    group = fleet(cloud).groups()[0]
    assert (group.pool, group.min, group.max, group.desired, group.autoscaled) == ("cpu-workers", 2, 20, 2, True)
    assert group.details["sizes"] == {"us-central1-a": 1, "us-central1-b": 1, "us-central1-c": 0}
    assert len(outputs["instanceGroupUrls"]) == 3 and "/instanceGroupManagers/" in outputs["instanceGroupUrls"][0]
    machine = fleet(cloud).machines()[0]
    assert machine.provider_id == f"gce://{PROJECT}/{machine.node.zone}/{machine.node_name}"
    assert machine.node.labels["kubernetes.io/hostname"] == machine.node_name
    assert machine.node.labels["cloud.google.com/gke-nodepool"] == "cpu"
    assert machine.node.labels["node.kubernetes.io/instance-type"] == "n2-standard-8"
    assert machine.node.labels["topology.kubernetes.io/region"] == "us-central1"
    assert machine.gpus == 0 and not machine.node.taints and not machine.spot
    # 8 cores less 60 + 10 + 5 + 5 + 4 × 2.5 millicores; 32 GiB less 25 %, 20 %, 10 % and 6 % of 1000 MiB each, and 100.
    assert machine.node.resources["cpu"] == "7910m"
    assert machine.node.resources["memory"] == f"{32768 - 1000 - 800 - 800 - 1006 - 100}Mi"
    # 100 GiB less 10 % and less 6 GiB + 35 %.
    assert machine.node.resources["ephemeral-storage"] == f"{((90 - 41) * 1024)}Mi"
    assert "nvidia.com/gpu" not in machine.node.resources


def test_an_initial_count_is_per_zone_even_with_total_limits(cloud, cluster):
    cloud.create(POOL, cpu_pool(cluster, initialNodeCount=1))
    assert fleet(cloud).groups()[0].desired == 3


def test_per_zone_counts_are_per_zone(cloud, cluster):
    cloud.create(POOL, cpu_pool(cluster, autoscaling={"minNodeCount": 1, "maxNodeCount": 5}))
    group = fleet(cloud).groups()[0]
    assert (group.min, group.max, group.desired) == (3, 15, 3)


def test_a_pool_without_autoscaling_has_its_node_count(cloud, cluster):
    props = {**cpu_pool(cluster), "nodeCount": 2}
    del props["autoscaling"]
    id, _outputs = cloud.create(POOL, props)
    group = fleet(cloud).groups()[0]
    assert (group.min, group.max, group.desired, group.autoscaled) == (6, 6, 6, False)
    assert cloud.read(id)[2]["nodeCount"] == 2
    assert cloud.diff(id, nodeCount=1).replaces == []
    cloud.update(id, nodeCount=1)
    assert fleet(cloud).groups()[0].desired == 3
    with pytest.raises(Exception, match="no autoscaling"):
        fleet(cloud).set_desired(id, 4)


def test_a_gpu_pool_at_zero_shows_its_template(cloud, cluster):
    """Seed row S03: the autoscaler knows label, taint and GPU of a pool without nodes."""
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
    cloud.create(POOL, gpu_pool(cluster, {"taints": [taint]}))
    group = fleet(cloud).groups()[0]
    assert (group.pool, group.min, group.max, group.desired) == ("gpu-workers", 0, 10, 0)
    assert fleet(cloud).machines() == []
    template = group.template
    assert template.resources["nvidia.com/gpu"] == "1"
    assert template.labels["workload"] == "gpu-training"
    assert template.labels["cloud.google.com/gke-accelerator"] == "nvidia-l4"
    assert [(t.key, t.value, t.effect) for t in template.taints] == [("nvidia.com/gpu", "present", "NoSchedule")]
    assert fleet(cloud).may_act()


def test_gke_taints_a_gpu_pool_only_if_there_are_other_pools(cloud, cluster):
    """GKE taints GPU nodes automatically only if the cluster has other nodes."""
    first, _ = cloud.create(POOL, gpu_pool(cluster, name="alone"))
    assert fleet(cloud).groups()[0].template.taints == ()
    cloud.create(POOL, cpu_pool(cluster))
    second, outputs = cloud.create(POOL, gpu_pool(cluster, name="second"))
    taints = {group.id: [(t.key, t.value) for t in group.template.taints] for group in fleet(cloud).groups()}
    assert taints[second] == [("nvidia.com/gpu", "present")] and taints[first] == []
    assert "taints" not in outputs["nodeConfig"], "a program that sets no taint sees no drift"
    own = {"taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]}
    third, _ = cloud.create(POOL, gpu_pool(cluster, own, name="own"))
    group = next(group for group in fleet(cloud).groups() if group.id == third)
    assert [(t.key, t.value) for t in group.template.taints] == [("nvidia.com/gpu", "true")]


def test_gpu_machines_and_their_device_plugins(cloud, cluster):
    id, _ = cloud.create(POOL, gpu_pool(cluster, {"spot": True}))
    fleet(cloud).set_desired(id, 1)
    (machine,) = fleet(cloud).machines()
    assert (machine.gpus, machine.gpu_ready_by, machine.spot, machine.pool) == (1, "cloud", True, "gpu-workers")
    assert machine.node.labels["cloud.google.com/gke-spot"] == "true"
    assert machine.node.labels["cloud.google.com/gke-provisioning"] == "spot"
    assert "nvidia.com/gpu" not in machine.node.resources
    assert not machine.node.taints, "GKE puts no taint on spot nodes automatically"
    off = {"gpuDriverInstallationConfig": {"gpuDriverVersion": "INSTALLATION_DISABLED"}}
    accelerators = [{"type": "nvidia-l4", "count": 1, **off}]
    cloud.create(POOL, gpu_pool(cluster, {"guestAccelerators": accelerators}, name="own", initialNodeCount=1))
    own = next(item for item in fleet(cloud).machines() if item.group.endswith("/own"))
    assert own.gpu_ready_by == "device-plugin"


def test_shared_gpus_count_once_per_client(cloud, cluster):
    sharing = {"gpuSharingStrategy": "TIME_SHARING", "maxSharedClientsPerGpu": 4}
    config = {"guestAccelerators": [{"type": "nvidia-l4", "count": 1, "gpuSharingConfig": sharing}]}
    cloud.create(POOL, gpu_pool(cluster, config))
    template = fleet(cloud).groups()[0].template
    assert template.resources["nvidia.com/gpu"] == "4"
    assert template.labels["cloud.google.com/gke-gpu-sharing-strategy"] == "time-sharing"


@pytest.mark.parametrize(
    ("config", "more", "path", "reason"),
    [
        ({"machineType": "p3.2xlarge"}, {}, "nodeConfig.machineType", "does not exist"),
        ({"machineType": "n2-standard-7"}, {}, "nodeConfig.machineType", "does not exist"),
        (
            {"guestAccelerators": [{"type": "nvidia-tesla-v100", "count": 1}]},
            {},
            "nodeConfig.guestAccelerators",
            "comes with",
        ),
        (
            {"guestAccelerators": [{"type": "nvidia-l4", "count": 2}]},
            {},
            "nodeConfig.guestAccelerators",
            "1 x nvidia-l4",
        ),
        (
            {"guestAccelerators": [{"type": "nvidia-gtx", "count": 1}]},
            {},
            "nodeConfig.guestAccelerators",
            "does not exist",
        ),
        ({"machineType": "n2-standard-8"}, {}, "nodeConfig.guestAccelerators", "cannot be attached"),
        ({"machineType": "n1-standard-8"}, {}, "nodeConfig.guestAccelerators", "cannot be attached"),
        (
            {"machineType": "n1-standard-16", "guestAccelerators": [{"type": "nvidia-tesla-v100", "count": 1}]},
            {},
            "nodeConfig.guestAccelerators",
            "too many vCPUs",
        ),
        (
            {"machineType": "n1-standard-8", "guestAccelerators": [{"type": "nvidia-tesla-v100", "count": 3}]},
            {},
            "nodeConfig.guestAccelerators",
            "one of 1, 2, 4, 8",
        ),
        ({}, {"nodeLocations": ["us-central1-f"]}, "nodeConfig.guestAccelerators", "It is in: us-central1-a"),
        ({"spot": True, "preemptible": True}, {}, "nodeConfig.preemptible", "together"),
        (
            {"spot": True, "reservationAffinity": {"consumeReservationType": "SPECIFIC_RESERVATION"}},
            {},
            "nodeConfig.reservationAffinity",
            "cannot consume",
        ),
        ({"spot": True, "flexStart": True}, {"management": {"autoRepair": False}}, "nodeConfig.flexStart", "spot"),
        ({"flexStart": True}, {}, "management.autoRepair", "must be false"),
        (
            {"taints": [{"key": "a", "value": "b", "effect": "NoSchedule"}]},
            {},
            "nodeConfig.taints[0].effect",
            "NO_SCHEDULE",
        ),
        ({"gvnic": {"enabled": "yes"}}, {}, "nodeConfig.gvnic.enabled", "a boolean"),
        ({"lables": {}}, {}, "nodeConfig.lables", "did you mean labels"),
        (
            {
                "guestAccelerators": [
                    {"type": "nvidia-l4", "count": 1, "gpuDriverInstallationConfig": {"gpuDriverVersion": "NEW"}}
                ]
            },
            {},
            "nodeConfig.guestAccelerators[0].gpuDriverInstallationConfig.gpuDriverVersion",
            "Must be one of",
        ),
        ({}, {"autoscaling": {"minNodeCount": 5, "maxNodeCount": 2}}, "autoscaling.minNodeCount", "greater than"),
        ({}, {"autoscaling": {"minNodeCount": 0, "maxNodeCount": 0}}, "autoscaling.maxNodeCount", "greater than zero"),
        ({}, {"autoscaling": {"minNodeCount": 0, "totalMaxNodeCount": 2}}, "autoscaling.totalMaxNodeCount", "in total"),
        (
            {},
            {"autoscaling": {"maxNodeCount": 2, "locationPolicy": "NONE"}},
            "autoscaling.locationPolicy",
            "Must be one of",
        ),
        ({}, {"nodeCount": 1, "initialNodeCount": 1}, "nodeCount", "Cannot set both"),
        ({}, {"nodeLocations": ["us-central1-z"]}, "nodeLocations", "does not exist"),
        (
            {},
            {"placementPolicy": {"type": "COMPACT"}, "nodeLocations": ["us-central1-a", "us-central1-b"]},
            "placementPolicy",
            "one zone",
        ),
        (
            {},
            {"queuedProvisioning": {"enabled": True}, "autoscaling": {"minNodeCount": 1, "maxNodeCount": 2}},
            "autoscaling",
            "minimum of 0",
        ),
        ({"maxRunDuration": "1h"}, {}, "nodeConfig.maxRunDuration", "seconds with the unit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_pool_that_google_would_refuse(cloud, config, more, path, reason):
    failures = cloud.failures(POOL, gpu_pool("projects/p/locations/us-central1/clusters/c", config, **more))
    assert [item for item in failures if item.property == path and reason in item.reason], failures


def test_an_accelerator_missing_from_the_clusters_zones_is_refused_at_the_update(cloud, cluster):
    """A preview does not know the zones of a pool that names none."""
    props = gpu_pool(
        cluster,
        {
            "machineType": "a3-ultragpu-8g",
            "spot": True,
            "guestAccelerators": [{"type": "nvidia-h200-141gb", "count": 8}],
        },
    )
    del props["nodeLocations"]
    with pytest.raises(ProviderError, match=r"Error creating NodePool: .*not available in zone us-central1-a"):
        cloud.create(POOL, props)
    assert cloud.store.select(groups.POOLS) == []


def test_unknown_parts_of_a_pool_are_checked_at_the_update(cloud):
    props = gpu_pool(UNKNOWN, {"machineType": UNKNOWN, "guestAccelerators": UNKNOWN}, autoscaling=UNKNOWN)  # type: ignore[arg-type]
    assert cloud.failures(POOL, {**props, "nodeLocations": UNKNOWN}) == []


@pytest.mark.parametrize(
    ("news", "replaces"),
    [
        ({"autoscaling": {"minNodeCount": 1, "maxNodeCount": 4}}, False),
        ({"nodeConfig": {"labels": {"x": "y"}}}, False),
        ({"nodeConfig": {"taints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}]}}, False),
        ({"nodeConfig": {"machineType": "g2-standard-12"}}, False),
        ({"nodeConfig": {"diskSizeGb": 200}}, False),
        ({"nodeConfig": {"spot": True}}, True),
        ({"nodeConfig": {"metadata": {"a": "b"}}}, True),
        ({"nodeConfig": {"oauthScopes": ["https://www.googleapis.com/auth/cloud-platform"]}}, True),
        ({"nodeConfig": {"guestAccelerators": [{"type": "nvidia-l4", "count": 1, **SHARED}]}}, True),
        ({"placementPolicy": {"type": "COMPACT"}}, True),
        ({"initialNodeCount": 1}, True),
        ({"maxPodsPerNode": 32}, True),
        ({"networkConfig": {"podRange": "pods"}}, True),
        ({"networkConfig": {"enablePrivateNodes": True}}, False),
    ],
    ids=str,
)
def test_what_replaces_a_pool(cloud, cluster, news, replaces):
    id, _ = cloud.create(POOL, gpu_pool(cluster))
    config = cloud.made[id][2]["nodeConfig"]
    if "nodeConfig" in news:
        news = {"nodeConfig": {**config, **news["nodeConfig"]}}
    diff = cloud.diff(id, **news)
    assert diff.changes and bool(diff.replaces) is replaces, diff


def test_labels_and_taints_change_on_running_nodes(cloud, cluster):
    id, _ = cloud.create(POOL, gpu_pool(cluster, initialNodeCount=1))
    before = fleet(cloud).machines()[0]
    config = cloud.made[id][2]["nodeConfig"]
    taint = {"key": "team", "value": "ml", "effect": "NO_EXECUTE"}
    cloud.update(id, nodeConfig={**config, "labels": {"a": "b"}, "taints": [taint]})
    after = fleet(cloud).machines()[0]
    assert after.id == before.id
    assert after.node.labels["a"] == "b" and "workload" not in after.node.labels
    assert [(t.key, t.effect) for t in after.node.taints] == [("team", "NoExecute")]


def test_another_machine_type_replaces_the_machines_in_place(cloud, cluster):
    id, _ = cloud.create(POOL, gpu_pool(cluster, initialNodeCount=2))
    before = {machine.id for machine in fleet(cloud).machines()}
    config = cloud.made[id][2]["nodeConfig"]
    cloud.update(id, nodeConfig={**config, "machineType": "g2-standard-12"})
    after = fleet(cloud).machines()
    assert len(after) == 2 and not before & {machine.id for machine in after}
    assert {machine.node.machine_type for machine in after} == {"g2-standard-12"}


def test_a_higher_minimum_adds_nodes_and_a_lower_maximum_removes_none(cloud, cluster):
    """reliability case R4"""
    id, _ = cloud.create(POOL, gpu_pool(cluster))
    cloud.update(id, autoscaling={"minNodeCount": 2, "maxNodeCount": 4})
    assert fleet(cloud).groups()[0].desired == 2
    fleet(cloud).set_desired(id, 4)
    cloud.update(id, autoscaling={"minNodeCount": 0, "maxNodeCount": 3})
    assert fleet(cloud).groups()[0].desired == 4, "a lower maximum takes no node in use away"
    assert cloud.diff(id).changes == [], "the autoscaler's size is no drift"


def test_a_pool_changes_its_zones(cloud, cluster):
    id, _ = cloud.create(POOL, cpu_pool(cluster, autoscaling={"minNodeCount": 1, "maxNodeCount": 3}))
    outputs = cloud.update(id, nodeLocations=["us-central1-a", "us-central1-f"])
    assert {machine.node.zone for machine in fleet(cloud).machines()} == {"us-central1-a", "us-central1-f"}
    assert len(outputs["instanceGroupUrls"]) == 2


def test_an_imported_pool_changes_nothing(cloud, cluster):
    id, _ = cloud.create(POOL, gpu_pool(cluster, {"taints": [{"key": "k", "value": "v", "effect": "NO_SCHEDULE"}]}))
    taken = cloud.take(POOL, id)
    assert taken is not None
    _, inputs, outputs = taken
    checked, failures = cloud.check(POOL, inputs)
    assert not failures
    assert inputs["autoscaling"] == {"minNodeCount": 0, "maxNodeCount": 10}
    assert inputs["nodeConfig"]["guestAccelerators"] == [{"type": "nvidia-l4", "count": 1}]
    assert cloud.provider.diff(POOL, "u::x", id, inputs, outputs, checked).changes == []


def test_deleting_a_pool_deletes_its_machines(cloud, cluster):
    id, _ = cloud.create(POOL, cpu_pool(cluster))
    cloud.delete(id)
    assert fleet(cloud).machines() == [] and cloud.store.select(groups.GROUPS) == []


def test_deleting_a_cluster_deletes_its_pools(cloud, cluster):
    cloud.create(POOL, cpu_pool(cluster))
    cloud.delete(cluster)
    assert {collection for collection, _, _ in cloud.store.select()} == {"compute.networks", "compute.subnetworks"}


def test_a_pool_needs_a_cluster_and_a_free_name(cloud, cluster):
    with pytest.raises(ProviderError, match=r"Error creating NodePool: .*Error 404: Not found: .*clusters/none"):
        cloud.create(POOL, cpu_pool("none"))
    cloud.create(POOL, cpu_pool(cluster))
    with pytest.raises(ProviderError, match="409"):
        cloud.create(POOL, cpu_pool("yard", location="us-central1"))


def test_a_pool_whose_nodes_do_not_start_is_kept_by_the_engine(cloud, cluster):
    cloud.planes.ready = False
    with pytest.raises(ProviderError, match="0 of 2 nodes of pool 'cpu' became ready") as caught:
        cloud.create(POOL, cpu_pool(cluster))
    assert caught.value.partial and caught.value.partial[0] == f"{cluster}/nodePools/cpu"


def test_a_gpu_pool_whose_first_node_failed_needs_no_change_afterwards(cloud, cluster):
    """k8s-config-connector#228: the taint that GKE adds to a declared one was a change that could not be applied while
    the zone had no machine. The library declares GKE's own taint, unchanged."""
    cloud.create(POOL, cpu_pool(cluster))
    taint = {"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}
    props = gpu_pool(cluster, {"taints": [taint]}, initialNodeCount=1)
    cloud.planes.ready = False
    with pytest.raises(ProviderError, match="became ready") as caught:
        cloud.create(POOL, props)
    assert caught.value.partial is not None
    id, _ = caught.value.partial
    found = cloud.store.get(groups.POOLS, id)
    assert found["config"]["taints"] == [taint] and found["_sandbox"]["gke_taints"] == []


def test_nodes_may_not_be_newer_than_the_control_plane(cloud, cluster):
    with pytest.raises(ProviderError, match="must not be greater than the master version"):
        cloud.create(POOL, cpu_pool(cluster, version="1.36"))
    _, outputs = cloud.create(POOL, cpu_pool(cluster, version="1.34"))
    assert outputs["version"].startswith("1.34.")
