"""Claims get volumes if the class's CSI driver is installed, and pods with claims run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.controller import Controller
from sandbox.tests.cluster.conftest import Pods, wait

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


@pytest.fixture
def classes(api: Api) -> Iterator[None]:
    """gp3 for one pod's fast volume, efs for shared data, and a class whose driver is not installed."""
    made = {
        "gp3": {"provisioner": "ebs.csi.aws.com", "volumeBindingMode": "WaitForFirstConsumer"},
        "efs": {"provisioner": "efs.csi.aws.com", "reclaimPolicy": "Retain"},
        "lustre": {"provisioner": "fsx.csi.aws.com"},
    }
    for name, body in made.items():
        api.create(CLASSES, {"metadata": {"name": name}, **body})
    yield
    for name in made:
        api.delete(f"{CLASSES}/{name}")


def claim(api: Api, namespace: str, name: str, storage_class: str, mode: str) -> str:
    path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims"
    spec = {"storageClassName": storage_class, "accessModes": [mode], "resources": {"requests": {"storage": "500Gi"}}}
    api.create(path, {"metadata": {"name": name}, "spec": spec})
    return f"{path}/{name}"


def using(name: str) -> Object:
    mount = {"name": "data", "mountPath": "/data"}
    return {
        "containers": [{"name": "main", "image": "a", "volumeMounts": [mount]}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
    }


def volume_of(api: Api, path: str) -> Object:
    found = wait(lambda: (c := api.request("GET", path))["status"].get("phase") == "Bound" and c, "a bound claim")
    return api.request("GET", f"/api/v1/persistentvolumes/{found['spec']['volumeName']}")


def test_a_fast_volume_is_created_in_its_pods_zone_and_deleted_with_its_claim(
    api: Api, controllers: Controller, pods: Pods, classes: None
) -> None:
    """seed row S11: EBS, one pod, bound only when the pod is placed; reclaim policy Delete."""
    path = claim(api, pods.namespace, "scratch", "gp3", "ReadWriteOnce")
    pods.make("user", using("scratch"))
    pods.running("user")
    volume = volume_of(api, path)
    term = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]
    assert term["values"] == ["us-east-1a"]
    api.delete(f"{pods.path}/user")
    api.delete(path)
    wait(lambda: api.get(f"/api/v1/persistentvolumes/{volume['metadata']['name']}") is None, "the end of the volume")


def test_shared_data_outlives_its_claim(api: Api, controllers: Controller, pods: Pods, classes: None) -> None:
    """seed row S11: EFS is shared between pods; Retain keeps a dataset when its claim is deleted."""
    path = claim(api, pods.namespace, "dataset", "efs", "ReadWriteMany")
    for name in ("one", "two"):
        pods.make(name, using("dataset"))
        pods.running(name)
    volume = volume_of(api, path)
    for name in ("one", "two"):
        api.delete(f"{pods.path}/{name}")
    api.delete(path)
    own = f"/api/v1/persistentvolumes/{volume['metadata']['name']}"
    wait(lambda: api.request("GET", own)["status"]["phase"] == "Released", "the release")
    api.delete(own)


def test_a_claim_whose_driver_is_missing_stays_pending(
    api: Api, controllers: Controller, pods: Pods, classes: None
) -> None:
    """seed row S11: a storage class alone creates no volume."""
    path = claim(api, pods.namespace, "nowhere", "lustre", "ReadWriteMany")
    pods.make("user", using("nowhere"))
    assert "unbound" in pods.unschedulable("user")
    assert api.request("GET", path)["status"]["phase"] == "Pending"


def test_a_block_device_is_not_shared(api: Api, controllers: Controller, pods: Pods, classes: None) -> None:
    """seed row S11: the driver refuses ReadWriteMany on EBS, and an event of the claim gives the reason."""
    claim(api, pods.namespace, "shared", "gp3", "ReadWriteMany")
    pods.make("user", using("shared"))
    events = wait(lambda: pods.events("shared", "ProvisioningFailed"), "the refusal")
    assert "does not support access mode ReadWriteMany" in events[0]


def test_a_driver_is_removed_with_its_addon_and_a_charts_own_driver_stays(api: Api, controllers: Controller) -> None:
    """Removing an add-on removes its driver; a CSIDriver object of another program is kept."""
    drivers = "/apis/storage.k8s.io/v1/csidrivers"
    api.create(drivers, {"metadata": {"name": "own.example.org"}, "spec": {"attachRequired": False}})
    controllers.volumes.install({"efs.csi.aws.com"})
    assert {d["metadata"]["name"] for d in api.list(drivers)} == {"efs.csi.aws.com", "own.example.org"}
    controllers.volumes.install({"efs.csi.aws.com", "ebs.csi.aws.com"})
    api.delete(f"{drivers}/own.example.org")


def test_an_existing_volume_is_bound_by_the_claim_that_names_it(api: Api, controllers: Controller, pods: Pods) -> None:
    """seed row S11: an existing file system or bucket, with a class name for which there is no StorageClass."""
    volumes = "/api/v1/persistentvolumes"
    source = {"driver": "fsx.csi.aws.com", "volumeHandle": "fs-1"}
    spec = {"capacity": {"storage": "1200Gi"}, "accessModes": ["ReadWriteMany"], "storageClassName": "lustre"}
    keep = {"persistentVolumeReclaimPolicy": "Retain", "csi": source}
    api.create(volumes, {"metadata": {"name": "lustre"}, "spec": {**spec, **keep}})
    path = f"/api/v1/namespaces/{pods.namespace}/persistentvolumeclaims"
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1200Gi"}}}
    for name, wants in (("by-name", {"volumeName": "lustre"}), ("second", {})):
        body = {"metadata": {"name": name}, "spec": {**wanted, "storageClassName": "lustre", **wants}}
        api.create(path, body)
        if wants:
            assert volume_of(api, f"{path}/{name}")["metadata"]["name"] == "lustre"
    pods.make("reader", using("by-name"))
    pods.running("reader")
    pods.make("waiting", using("second"))
    assert "unbound" in pods.unschedulable("waiting")
    for each in ("reader", "waiting"):
        api.delete(f"{pods.path}/{each}")
    api.delete(f"{path}/by-name")
    wait(lambda: api.request("GET", f"{volumes}/lustre")["status"]["phase"] == "Released", "the release")
    api.delete(f"{volumes}/lustre")


def test_a_snapshot_is_taken_with_the_default_class_and_restored_once_it_is_ready(
    api: Api, controllers: Controller, pods: Pods, classes: None
) -> None:
    """The snapshot controller installs the kinds; a claim waits for its source snapshot."""
    group = "snapshot.storage.k8s.io/v1"
    root = f"/apis/{group}"
    assert api.get(f"{root}/volumesnapshotclasses") is None
    controllers.snapshots.install(True)
    wait(lambda: api.get(f"{root}/volumesnapshotclasses"), "the kinds")
    default = {"name": "block", "annotations": {"snapshot.storage.kubernetes.io/is-default-class": "true"}}
    body = {"apiVersion": group, "kind": "VolumeSnapshotClass", "metadata": default, "driver": "ebs.csi.aws.com"}
    with pytest.raises(ApiError, match="deletionPolicy: Required value"):
        api.create(f"{root}/volumesnapshotclasses", body)
    api.create(f"{root}/volumesnapshotclasses", {**body, "deletionPolicy": "Retain"})

    claims = f"/api/v1/namespaces/{pods.namespace}/persistentvolumeclaims"
    origin = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "before"}
    for name, source in (("data", {}), ("copy", {"dataSource": origin})):
        size = {"resources": {"requests": {"storage": "500Gi"}}}
        spec = {"storageClassName": "gp3", "accessModes": ["ReadWriteOnce"], **size, **source}
        api.create(claims, {"metadata": {"name": name}, "spec": spec})
        pods.make(name, using(name))
    pods.running("data")
    wait(lambda: pods.events("copy", "ProvisioningFailed"), "the claim that waits for its snapshot")

    snapshots = f"{root}/namespaces/{pods.namespace}/volumesnapshots"
    wanted = {"metadata": {"name": "before"}, "spec": {"source": {"persistentVolumeClaimName": "data"}}}
    api.create(snapshots, {"apiVersion": group, "kind": "VolumeSnapshot", **wanted})
    status = wait(lambda: api.request("GET", f"{snapshots}/before").get("status"), "the snapshot")
    assert status["readyToUse"] is True and status["restoreSize"] == "500Gi"
    content = api.request("GET", f"{root}/volumesnapshotcontents/{status['boundVolumeSnapshotContentName']}")
    assert (content["spec"]["driver"], content["spec"]["deletionPolicy"]) == ("ebs.csi.aws.com", "Retain")
    pods.running("copy")
    for name in ("data", "copy"):
        api.delete(f"{pods.path}/{name}")
        api.delete(f"{claims}/{name}")
