"""Running node pools: GKE's additions to them, the time of an update, and the size of a reservation."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp import groups
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.gcp.stage import POOL, gpu_pool

PROFILE = "gke.networks.io/accelerator-network-profile"
H200 = {
    "machineType": "a3-ultragpu-8g",
    "guestAccelerators": [{"type": "nvidia-h200-141gb", "count": 8}],
    "spot": True,
}
RESERVED = {
    "reservationAffinity": {
        "consumeReservationType": "SPECIFIC_RESERVATION",
        "key": "compute.googleapis.com/reservation-name",
        "values": ["l4s"],
    }
}


def interconnected(cluster: str, **labels: str) -> dict[str, Any]:
    return gpu_pool(
        cluster,
        {**H200, "labels": labels},
        nodeLocations=["us-central1-b"],
        networkConfig={"acceleratorNetworkProfile": "auto"},
    )


def drift(cloud: Any, id: str) -> list[str]:
    """The changes of an `up` after a refresh, with an unchanged program."""
    token, _, program, _ = cloud.made[id]
    _, inputs, outputs = cloud.read(id)
    return cloud.provider.diff(token, "urn::x", id, inputs, outputs, program).changes


def test_gke_adds_the_label_of_the_network_profile_to_the_pool(cloud, cluster):
    """field case G1: a program that omits it removes it at each `up`, and pods that select it fit on no node."""
    id, _ = cloud.create(POOL, interconnected(cluster, team="ml"))
    assert cloud.store.get(groups.POOLS, id)["config"]["labels"] == {"team": "ml", PROFILE: "auto"}
    assert drift(cloud, id) == [f'nodeConfig.labels["{PROFILE}"]']


def test_a_program_that_sets_the_label_sees_no_drift(cloud, cluster):
    """field case G1."""
    id, _ = cloud.create(POOL, interconnected(cluster, team="ml", **{PROFILE: "auto"}))
    assert drift(cloud, id) == []


def test_the_machines_labels_that_gke_adds_are_hidden_by_the_provider(cloud, cluster):
    """field case G1: one of the fields that GKE fills in; the program's own labels are compared anyway."""
    id, _ = cloud.create(POOL, gpu_pool(cluster, {"resourceLabels": {"team": "ml"}}))
    stored = cloud.store.get(groups.POOLS, id)["config"]["resourceLabels"]
    assert stored == {
        "team": "ml",
        "goog-gke-node-pool-provisioning-model": "on-demand",
        "goog-gke-accelerator-type": "nvidia-l4",
    }
    assert drift(cloud, id) == []


@pytest.mark.parametrize("key", ["node-role.kubernetes.io/gpu", "kubernetes.io/team", "cloud.google.com/gke-spot"])
def test_labels_of_gke_and_kubernetes_are_refused(cloud, cluster, key):
    """field case G5."""
    failures = cloud.failures(POOL, gpu_pool(cluster, {"labels": {key: "true"}}))
    assert any(key in failure.reason for failure in failures), failures


@pytest.mark.parametrize(
    "key", ["gke-nvidia-gpu-dra-driver", "gke-dpv2-unified-cni", "gke-nodepool-group-name", "gke-smt-disabled"]
)
def test_user_labels_in_googles_domain_are_accepted(cloud, cluster, key):
    """field case G5."""
    assert not cloud.failures(POOL, gpu_pool(cluster, {"labels": {f"cloud.google.com/{key}": "true"}}))


@pytest.mark.parametrize(
    ("settings", "nodes"),
    [
        ({"strategy": "SURGE", "maxSurge": 0, "maxUnavailable": 1}, 16),
        (
            {
                "strategy": "BLUE_GREEN",
                "blueGreenSettings": {
                    "standardRolloutPolicy": {"batchPercentage": 1.0, "batchSoakDuration": "0s"},
                    "nodePoolSoakDuration": "604800s",
                },
            },
            1,
        ),
    ],
)
def test_an_update_that_takes_longer_than_the_timeout_fails(cloud, cluster, settings, nodes):
    """field case G3: sixteen GPU nodes one at a time, or a soak of a week, with a timeout of two hours."""
    scaling = {"minNodeCount": 0, "maxNodeCount": 20}
    props = gpu_pool(cluster, upgradeSettings=settings, initialNodeCount=nodes, autoscaling=scaling)
    id, _ = cloud.create(POOL, props)
    config = cloud.made[id][2]["nodeConfig"]
    with pytest.raises(ProviderError, match=r"timeout while waiting for state to become 'DONE'.*120m0s") as refused:
        cloud.update(id, nodeConfig={**config, "diskSizeGb": 300})
    assert refused.value.partial, "the engine keeps the pool"
    cloud.update(id, timeout=8 * 24 * 3600, nodeConfig={**config, "diskSizeGb": 400})


def test_a_reservation_limits_the_machines(cloud, cluster):
    """field case G6: the replacement of a pool needs the machines that the old pool still has."""
    full = {"autoscaling": {"totalMinNodeCount": 4, "totalMaxNodeCount": 4}, "initialNodeCount": 4}
    first, _ = cloud.create(POOL, gpu_pool(cluster, RESERVED, name="first", **full))
    with pytest.raises(ProviderError, match=r"reservation \[l4s\] does not have available resources"):
        cloud.create(POOL, gpu_pool(cluster, RESERVED, name="second", **full))
    cloud.store.delete(groups.POOLS, f"{cluster}/nodePools/second")
    cloud.delete(first)
    second, _ = cloud.create(POOL, gpu_pool(cluster, RESERVED, name="second", **full))
    assert sum(groups.sizes(cloud.store, second).values()) == 4


def test_pools_that_share_a_reservation_each_have_a_part_of_it(cloud, cluster):
    """field case G6."""
    full = {"autoscaling": {"totalMinNodeCount": 4, "totalMaxNodeCount": 4}, "initialNodeCount": 4}
    for name in ("train", "serve"):
        labels = {"labels": {"gpuyard.dev/pool": name}}
        cloud.create(POOL, gpu_pool(cluster, {**RESERVED, **labels}, name=name, **full))
