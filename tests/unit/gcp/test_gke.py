"""Clusters, node pools and the machines that they become."""

from __future__ import annotations

import pytest

from sandbox.gcp import groups, machines
from sandbox.gcp.fleet import Fleet
from sandbox.plugins.provider import UNKNOWN, ProviderError
from tests.unit.gcp.stage import CLUSTER, POOL, PROJECT, cluster_props, cpu_pool, gpu_pool

SHARED = {"gpuSharingConfig": {"gpuSharingStrategy": "MPS", "maxSharedClientsPerGpu": 2}}
KEY = f"gke-{PROJECT}-us-central1-yard"


def fleet(cloud) -> Fleet:
    return Fleet(PROJECT, "us-central1", "yard", cloud.store)


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
        "clusterrules.monitoring.googleapis.com",
        "podmonitorings.monitoring.googleapis.com",
    ]
    with pytest.raises(ProviderError, match="resourceInUseByAnotherResource"):
        cloud.delete(network)
    cloud.delete(cluster)
    assert cloud.planes.stopped == [KEY] and cloud.store.select("container.clusters") == []


def test_a_cluster_without_managed_prometheus_has_none_of_its_kinds(cloud, network, subnetwork):
    off = {"enableComponents": ["SYSTEM_COMPONENTS"], "managedPrometheus": {"enabled": False}}
    cloud.create(CLUSTER, cluster_props(network, subnetwork, monitoringConfig=off))
    assert [made["metadata"]["name"] for made in cloud.planes.objects] == ["computeclasses.cloud.google.com"]


def test_a_default_pool_stays_unless_it_is_removed(cloud, network, subnetwork):
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


def test_a_cluster_whose_maker_was_killed_is_made_anew(cloud, cluster, network, subnetwork):
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


def test_a_control_plane_is_upgraded_and_never_moved_back(cloud, cluster):
    assert cloud.diff(cluster, minMasterVersion="1.36").replaces == []
    assert cloud.update(cluster, minMasterVersion="1.36")["masterVersion"].startswith("1.36.")
    assert cloud.planes.started == {KEY: "1.36"}
    assert cloud.update(cluster, minMasterVersion="1.34")["masterVersion"].startswith("1.36.")


def test_a_control_plane_skips_no_minor_and_leaves_no_node_three_behind(cloud, network, subnetwork):
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


def test_an_initial_count_is_per_zone_also_beside_totals(cloud, cluster):
    cloud.create(POOL, cpu_pool(cluster, initialNodeCount=1))
    assert fleet(cloud).groups()[0].desired == 3


def test_per_zone_counts_are_per_zone(cloud, cluster):
    cloud.create(POOL, cpu_pool(cluster, autoscaling={"minNodeCount": 1, "maxNodeCount": 5}))
    group = fleet(cloud).groups()[0]
    assert (group.min, group.max, group.desired) == (3, 15, 3)


def test_a_pool_without_autoscaling_is_as_large_as_it_says(cloud, cluster):
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
    """Seed row S03: the autoscaler knows label, taint and GPU of a pool that has no node."""
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


def test_gke_taints_a_gpu_pool_only_beside_other_pools(cloud, cluster):
    """Facts, finding 4."""
    first, _ = cloud.create(POOL, gpu_pool(cluster, name="alone"))
    assert fleet(cloud).groups()[0].template.taints == ()
    cloud.create(POOL, cpu_pool(cluster))
    second, outputs = cloud.create(POOL, gpu_pool(cluster, name="beside"))
    taints = {group.id: [(t.key, t.value) for t in group.template.taints] for group in fleet(cloud).groups()}
    assert taints[second] == [("nvidia.com/gpu", "present")] and taints[first] == []
    assert "taints" not in outputs["nodeConfig"], "a program that sets no taint sees no drift"
    own = {"taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}]}
    third, _ = cloud.create(POOL, gpu_pool(cluster, own, name="own"))
    group = next(group for group in fleet(cloud).groups() if group.id == third)
    assert [(t.key, t.value) for t in group.template.taints] == [("nvidia.com/gpu", "true")]


def test_gpu_machines_and_who_readies_them(cloud, cluster):
    id, _ = cloud.create(POOL, gpu_pool(cluster, {"spot": True}))
    fleet(cloud).set_desired(id, 1)
    (machine,) = fleet(cloud).machines()
    assert (machine.gpus, machine.gpu_ready_by, machine.spot, machine.pool) == (1, "cloud", True, "gpu-workers")
    assert machine.node.labels["cloud.google.com/gke-spot"] == "true"
    assert machine.node.labels["cloud.google.com/gke-provisioning"] == "spot"
    assert "nvidia.com/gpu" not in machine.node.resources
    assert not machine.node.taints, "GKE puts no taint on spot nodes by itself"
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


def test_an_accelerator_that_the_clusters_zones_lack_is_refused_at_the_update(cloud, cluster):
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


def test_unknown_parts_of_a_pool_wait_for_the_update(cloud):
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


def test_labels_and_taints_change_on_living_nodes(cloud, cluster):
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


def test_a_higher_minimum_brings_nodes_and_a_lower_maximum_takes_none(cloud, cluster):
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


def test_a_deleted_pool_takes_its_machines(cloud, cluster):
    id, _ = cloud.create(POOL, cpu_pool(cluster))
    cloud.delete(id)
    assert fleet(cloud).machines() == [] and cloud.store.select(groups.GROUPS) == []


def test_a_deleted_cluster_takes_its_pools(cloud, cluster):
    cloud.create(POOL, cpu_pool(cluster))
    cloud.delete(cluster)
    assert {collection for collection, _, _ in cloud.store.select()} == {"compute.networks", "compute.subnetworks"}


def test_a_pool_needs_a_cluster_and_a_free_name(cloud, cluster):
    with pytest.raises(ProviderError, match=r"Error creating NodePool: .*Error 404: Not found: .*clusters/none"):
        cloud.create(POOL, cpu_pool("none"))
    cloud.create(POOL, cpu_pool(cluster))
    with pytest.raises(ProviderError, match="409"):
        cloud.create(POOL, cpu_pool("yard", location="us-central1"))


def test_a_pool_whose_nodes_do_not_come_is_kept_by_the_engine(cloud, cluster):
    cloud.planes.ready = False
    with pytest.raises(ProviderError, match="0 of 2 nodes of pool 'cpu' became ready") as caught:
        cloud.create(POOL, cpu_pool(cluster))
    assert caught.value.partial and caught.value.partial[0] == f"{cluster}/nodePools/cpu"


def test_a_gpu_pool_whose_first_node_did_not_come_needs_no_change_afterwards(cloud, cluster):
    """k8s-config-connector#228: the taint that GKE adds beside a declared one was a change that nothing could make
    while the zone had no machine. Ours declares GKE's own, as it is."""
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


def test_the_autoscaler_stays_between_the_limits(cloud, cluster):
    id, _ = cloud.create(POOL, cpu_pool(cluster))
    for size in (1, 21):
        with pytest.raises(Exception, match="is not between 2 and 20"):
            fleet(cloud).set_desired(id, size)
    fleet(cloud).set_desired(id, 7)
    assert fleet(cloud).groups()[0].details["sizes"] == {"us-central1-a": 3, "us-central1-b": 2, "us-central1-c": 2}
    fleet(cloud).set_desired(id, 2)
    assert sorted(fleet(cloud).groups()[0].details["sizes"].values()) == [0, 1, 1]


def test_any_fills_one_zone_before_the_next(cloud, cluster):
    scaling = {"minNodeCount": 0, "maxNodeCount": 3, "locationPolicy": "ANY"}
    id, _ = cloud.create(POOL, cpu_pool(cluster, autoscaling=scaling))
    fleet(cloud).set_desired(id, 4)
    assert fleet(cloud).groups()[0].details["sizes"] == {"us-central1-a": 3, "us-central1-b": 1, "us-central1-c": 0}


def test_scale_down_removes_the_machine_that_was_named(cloud, cluster):
    id, _ = cloud.create(POOL, cpu_pool(cluster))
    fleet(cloud).set_desired(id, 5)
    victim = fleet(cloud).machines()[1]
    fleet(cloud).remove(victim.id)
    left = fleet(cloud).machines()
    assert len(left) == 4 and victim.id not in [machine.id for machine in left]
    assert fleet(cloud).groups()[0].desired == 4


def test_a_reclaimed_machine_is_gone_first_and_made_again_later(cloud, cluster, monkeypatch):
    _id, _ = cloud.create(POOL, gpu_pool(cluster, {"spot": True}, initialNodeCount=1))
    victim = fleet(cloud).machines()[0]
    fleet(cloud).reclaim(victim.id)
    assert fleet(cloud).machines() == [] and fleet(cloud).groups()[0].desired == 1
    now = groups.time.time()
    monkeypatch.setattr(groups.time, "time", lambda: now + groups.REPAIR_SECONDS)
    (again,) = fleet(cloud).machines()
    assert again.id != victim.id and again.node_name != victim.node_name


@pytest.mark.parametrize(
    ("name", "cpus", "gib", "gpus"),
    [
        ("n1-standard-8", 8, 30, 0),
        ("n2-highmem-16", 16, 128, 0),
        ("e2-medium", 2, 4, 0),
        ("n2d-highcpu-32", 32, 32, 0),
        ("c3-standard-22", 22, 88, 0),
        ("g2-standard-24", 24, 96, 2),
        ("a2-highgpu-8g", 96, 680, 8),
        ("a2-ultragpu-1g", 12, 170, 1),
        ("a3-highgpu-8g", 208, 1872, 8),
        ("a3-ultragpu-8g", 224, 2952, 8),
        ("a4-highgpu-8g", 224, 3968, 8),
        ("g4-standard-48", 48, 180, 1),
        ("n2-custom-6-20480", 6, 20, 0),
    ],
)
def test_machine_types(name, cpus, gib, gpus):
    machine = machines.find(name)
    assert machine and (machine.cpus, machine.memory_mib, machine.gpus) == (cpus, gib * 1024, gpus)


@pytest.mark.parametrize("name", ["n1-standard-3", "n2-ultra-8", "x9-standard-4", "c2-highmem-8", "", "m5.2xlarge"])
def test_there_is_no_such_machine_type(name):
    assert machines.find(name) is None


def test_every_accelerator_has_zones_that_exist():
    for accelerator, zones in machines.ACCELERATORS.items():
        assert zones and all(map(machines.is_zone, zones)), accelerator
    assert {machine.accelerator for machine in machines.known()} - {""} <= machines.ACCELERATORS.keys()
    assert machines.ATTACHABLE.keys() <= machines.ACCELERATORS.keys()
