"""Claims get volumes where the class's CSI driver is there, and pods with claims run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.cluster.api import Api, Object
from sandbox.cluster.controller import Controller
from tests.cluster.conftest import Pods, wait

CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


@pytest.fixture
def classes(api: Api) -> Iterator[None]:
    """gp3 for one pod's fast volume, efs for shared data, and a class whose driver nobody installed."""
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


def test_a_fast_volume_is_made_where_its_pod_lands_and_goes_with_its_claim(
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
    """seed row S11: EFS is shared between pods; Retain keeps a dataset when its claim goes."""
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
    """seed row S11: a storage class alone gives no volume."""
    path = claim(api, pods.namespace, "nowhere", "lustre", "ReadWriteMany")
    pods.make("user", using("nowhere"))
    assert "unbound" in pods.unschedulable("user")
    assert api.request("GET", path)["status"]["phase"] == "Pending"


def test_a_block_device_is_not_shared(api: Api, controllers: Controller, pods: Pods, classes: None) -> None:
    """seed row S11: ReadWriteMany on EBS is refused by the driver, and the claim says so."""
    claim(api, pods.namespace, "shared", "gp3", "ReadWriteMany")
    pods.make("user", using("shared"))
    events = wait(lambda: pods.events("shared", "ProvisioningFailed"), "the refusal")
    assert "does not support access mode ReadWriteMany" in events[0]


def test_a_driver_goes_with_its_addon_and_a_charts_own_stays(api: Api, controllers: Controller) -> None:
    """An add-on that is removed takes its driver with it; a CSIDriver object of somebody else is left alone."""
    drivers = "/apis/storage.k8s.io/v1/csidrivers"
    api.create(drivers, {"metadata": {"name": "own.example.org"}, "spec": {"attachRequired": False}})
    controllers.volumes.install({"efs.csi.aws.com"})
    assert {d["metadata"]["name"] for d in api.list(drivers)} == {"efs.csi.aws.com", "own.example.org"}
    controllers.volumes.install({"efs.csi.aws.com", "ebs.csi.aws.com"})
    api.delete(f"{drivers}/own.example.org")
