"""Volumes for claims: what CSI drivers' provisioners do. Disks are created in the simulated cloud; so are file systems
on Google Cloud, where each claim has an instance. A driver is available if the cluster has its CSIDriver object.
`install` creates that object for the drivers that the cloud runs (EKS: the add-on; GKE: always); a chart that installs
its own driver works as well. A claim of a class whose driver is missing stays Pending, as in a real cluster. Kubernetes
itself binds a claim that names an existing volume. Sizes are not checked against any quota; resizing is not simulated.
Snapshots: snapshots.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sandbox.cluster import snapshots
from sandbox.cluster.api import Api, Object
from sandbox.cluster.event import Events

ZONAL = {"ebs.csi.aws.com", "pd.csi.storage.gke.io"}
"""Drivers whose volumes are block devices in one zone: nodes in other zones cannot use them, and two nodes cannot write
to one."""

PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
ZONE = "topology.kubernetes.io/zone"
OURS = {"app.kubernetes.io/managed-by": "gpuyard-sandbox"}

_DRIVERS = "/apis/storage.k8s.io/v1/csidrivers"


class Refused(Exception):
    """The cloud, or an organization's policy, refuses to create the disk."""


class Disks(Protocol):
    """The cloud's side of one driver's volumes."""

    driver: str

    def make(self, volume: Object, parameters: dict[str, str], zone: str) -> str:
        """Creates a PersistentVolume's disk once; returns its handle. `parameters`: of the class. Raises Refused."""
        ...

    def remove(self, handle: str) -> None:
        """Deletes the disk; does nothing if it does not exist."""
        ...


class Volumes:
    """Provisions and deletes persistent volumes, one `sync` after the other."""

    def __init__(self, api: Api, events: Events, disks: Sequence[Disks] = ()) -> None:
        self._api = api
        self._events = events
        self._disks = {each.driver: each for each in disks}

    def install(self, drivers: set[str]) -> None:
        """Creates missing CSIDriver objects and deletes those that are not in `drivers`; objects of other programs are
        kept."""
        there = {d["metadata"]["name"]: d for d in self._api.list(_DRIVERS)}
        for driver in sorted(drivers - {*there}):
            self._api.create(
                _DRIVERS,
                {
                    "apiVersion": "storage.k8s.io/v1",
                    "kind": "CSIDriver",
                    "metadata": {"name": driver, "labels": OURS},
                    "spec": {"attachRequired": driver in ZONAL, "fsGroupPolicy": "ReadWriteOnceWithFSType"},
                },
            )
        for driver in sorted({*there} - drivers):
            if OURS.items() <= (there[driver]["metadata"].get("labels") or {}).items():
                self._api.delete(f"{_DRIVERS}/{driver}")

    def sync(self, nodes: Sequence[Object]) -> None:
        """One round over the pending claims and the released volumes."""
        claims = self._api.list("/api/v1/persistentvolumeclaims")
        waiting = [c for c in claims if c["status"].get("phase") == "Pending" and not c["spec"].get("volumeName")]
        volumes = self._api.list("/api/v1/persistentvolumes")
        released = [v for v in volumes if v["status"].get("phase") == "Released" and _deletable(v)]
        if not waiting and not released:
            return
        drivers = {driver["metadata"]["name"] for driver in self._api.list(_DRIVERS)}
        classes = {c["metadata"]["name"]: c for c in self._api.list("/apis/storage.k8s.io/v1/storageclasses")}
        for claim in waiting:
            storage_class = classes.get(claim["spec"].get("storageClassName") or "")
            if storage_class and storage_class["provisioner"] in drivers:
                self._provision(claim, storage_class, nodes)
        for volume in released:
            if (driver := volume["metadata"]["annotations"][PROVISIONED_BY]) in drivers:
                if made := self._disks.get(driver):
                    made.remove(volume["spec"]["csi"]["volumeHandle"])
                self._api.delete(f"/api/v1/persistentvolumes/{volume['metadata']['name']}")

    def _provision(self, claim: Object, storage_class: Object, nodes: Sequence[Object]) -> None:
        driver, spec, meta = storage_class["provisioner"], claim["spec"], claim["metadata"]
        selected = (meta.get("annotations") or {}).get(SELECTED_NODE)
        if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not selected:
            return
        if not snapshots.ready(self._api, claim):
            name = spec["dataSource"]["name"]
            message = f"error getting handle for DataSource Type VolumeSnapshot by Name {name}: it is not ready"
            self._events.warn(claim, "ProvisioningFailed", message, component=driver)
            return
        if driver in ZONAL and spec.get("volumeMode") != "Block" and "ReadWriteMany" in spec["accessModes"]:
            message = f"failed to provision volume with StorageClass {storage_class['metadata']['name']!r}: "
            message += f"{driver} does not support access mode ReadWriteMany for file system volumes"
            self._events.warn(claim, "ProvisioningFailed", message, component=driver)
            return
        volume: Object = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"pvc-{meta['uid']}", "annotations": {PROVISIONED_BY: driver}},
            "spec": {
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "accessModes": spec["accessModes"],
                "volumeMode": spec.get("volumeMode", "Filesystem"),
                "storageClassName": storage_class["metadata"]["name"],
                "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
                "mountOptions": storage_class.get("mountOptions") or [],
                "csi": {"driver": driver, "volumeHandle": f"sandbox-{meta['uid']}"},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": meta["namespace"],
                    "name": meta["name"],
                    "uid": meta["uid"],
                },
            },
        }
        zone = _zone(selected, nodes) if driver in ZONAL else ""
        if zone:
            wanted = {"matchExpressions": [{"key": ZONE, "operator": "In", "values": [zone]}]}
            volume["spec"]["nodeAffinity"] = {"required": {"nodeSelectorTerms": [wanted]}}
        if made := self._disks.get(driver):
            try:
                handle = made.make(volume, storage_class.get("parameters") or {}, zone)
            except Refused as error:
                name = storage_class["metadata"]["name"]
                message = f"failed to provision volume with StorageClass {name!r}: {error}"
                self._events.warn(claim, "ProvisioningFailed", message, component=driver)
                return
            volume["spec"]["csi"]["volumeHandle"] = handle
        self._api.create("/api/v1/persistentvolumes", volume)


def _deletable(volume: Object) -> bool:
    by = (volume["metadata"].get("annotations") or {}).get(PROVISIONED_BY)
    deleted = volume["metadata"].get("deletionTimestamp")
    return bool(by) and not deleted and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"


def _zone(selected: str | None, nodes: Sequence[Object]) -> str:
    """The zone of the node that the scheduler chose, or any zone that has a node."""
    zones = {n["metadata"]["name"]: (n["metadata"].get("labels") or {}).get(ZONE, "") for n in nodes}
    return zones.get(selected or "") or next((zone for zone in sorted(zones.values()) if zone), "")
