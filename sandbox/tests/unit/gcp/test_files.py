"""Filestore instances of claims: they are where Google's driver creates them, and block the deletion of their
network."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.gcp.files import INSTANCES, Files
from sandbox.gcp.store import kept, leftovers
from sandbox.plugins.provider import ProviderError
from sandbox.tests.unit.gcp.stage import PROJECT

CLAIM = {"name": "data", "namespace": "training"}


def volume(reclaim: str = "Retain", size: str = "100Gi") -> dict[str, Any]:
    spec = {"persistentVolumeReclaimPolicy": reclaim, "capacity": {"storage": size}, "claimRef": CLAIM}
    return {"metadata": {"name": "pvc-1"}, "spec": spec}


@pytest.fixture
def files(cloud, cluster) -> Files:
    return Files(PROJECT, "us-central1", "yard", cloud.store)


def test_a_network_is_not_deleted_before_its_peered_instances(cloud, cluster, files, network, subnetwork):
    """field case G8: the deletion of the VPC is refused, as at Google, until the instance is gone."""
    handle = files.make(volume(), {"tier": "zonal", "network": "net"}, "")
    cloud.delete(cluster)
    cloud.delete(subnetwork)
    with pytest.raises(ProviderError, match=r"already being used by .*instances/pvc-1.*resourceInUseByAnotherResource"):
        cloud.delete(network)
    files.remove(handle)
    files.remove(handle)
    cloud.delete(network)


def test_an_instance_has_at_least_one_tib_and_the_drivers_labels(cloud, files):
    exports = '[{"accessMode":"READ_WRITE","ipRanges":["10.0.0.0/20"],"squashMode":"NO_ROOT_SQUASH"}]'
    parameters = {"tier": "zonal", "network": "net", "nfs-export-options-on-create": exports}
    assert files.make(volume(), parameters, "") == "modeInstance/us-central1-a/pvc-1/vol1"
    ((_, name, body),) = cloud.store.select(INSTANCES)
    assert name == f"projects/{PROJECT}/locations/us-central1-a/instances/pvc-1" and body["tier"] == "ZONAL"
    (share,) = body["fileShares"]
    assert share["capacityGb"] == "1024" and share["nfsExportOptions"][0]["ipRanges"] == ["10.0.0.0/20"]
    assert body["labels"]["kubernetes_io_created-for_pvc_namespace"] == "training"


def test_an_instance_with_reclaim_policy_retain_is_not_a_leftover(cloud, files):
    files.make(volume(), {"network": "net"}, "")
    assert any("pvc-1" in each for each in kept()) and not any("pvc-1" in each for each in leftovers())


def test_regional_tiers_are_created_in_the_region(files):
    assert files.make(volume(), {"tier": "enterprise", "network": "net"}, "") == "modeInstance/us-central1/pvc-1/vol1"
