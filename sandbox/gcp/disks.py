"""Disks of claims, as GKE's persistent disk driver creates them (gcp-compute-persistent-disk-csi-driver,
pkg/parameters, pkg/gce-cloud-provider): named after their volume, with the labels that GKE sets on them.

They are never attached to a machine and hold no data. Not simulated: regional disks, storage pools, keys.
"""

from __future__ import annotations

import json
import math

from components import hardware
from sandbox.cluster.api import Object
from sandbox.cluster.quantity import parse
from sandbox.gcp import groups
from sandbox.gcp.claimed import Claimed, labels
from sandbox.gcp.store import KEPT, Body
from sandbox.gcp.table import number, timestamp

DISKS = "compute.disks"
_HYPERDISK = "hyperdisk-"


class Disks(Claimed):
    """The disks of one GKE cluster (the protocol of sandbox/cluster/volumes.py)."""

    driver = "pd.csi.storage.gke.io"

    def make(self, volume: Object, parameters: dict[str, str], zone: str) -> str:
        """Creates the disk of a PersistentVolume, unless an interrupted attempt did, and returns its handle."""
        short, claim = volume["metadata"]["name"], volume["spec"]["claimRef"]
        name = f"projects/{self._project}/zones/{zone}/disks/{short}"
        kind = self._kind(parameters, zone)
        message = {
            "kubernetes.io/created-for/pv/name": short,
            "kubernetes.io/created-for/pvc/name": claim["name"],
            "kubernetes.io/created-for/pvc/namespace": claim["namespace"],
            "storage.gke.io/created-by": self.driver,
        }
        body: Body = {
            "name": short,
            "zone": zone,
            "sizeGb": str(math.ceil(parse(volume["spec"]["capacity"]["storage"]) / 2**30)),
            "type": f"projects/{self._project}/zones/{zone}/diskTypes/{kind}",
            "status": "READY",
            "description": json.dumps(message),
            "labels": {
                **labels(parameters),
                "goog-gke-volume": "",
                "goog-k8s-cluster-name": self._cluster,
                "goog-k8s-cluster-location": self._location,
            },
            "id": number(name),
            "selfLink": f"https://www.googleapis.com/compute/v1/{name}",
            "creationTimestamp": timestamp(),
            "_sandbox": {"id": number(name), KEPT: volume["spec"]["persistentVolumeReclaimPolicy"] != "Delete"},
        }
        if kind.startswith(_HYPERDISK):  # a persistent disk's rates follow from its size
            if iops := parameters.get("provisioned-iops-on-create"):
                body["provisionedIops"] = iops
            if throughput := parameters.get("provisioned-throughput-on-create"):
                body["provisionedThroughput"] = str(math.ceil(parse(throughput) / 2**20))
        if not self._store.find(DISKS, name):
            self._store.insert(DISKS, name, body)
        return name

    def remove(self, handle: str) -> None:
        """Deletes the disk; does nothing if it does not exist."""
        self._delete(DISKS, handle)

    def _kind(self, parameters: dict[str, str], zone: str) -> str:
        """The type of the disk; for `dynamic` the one that machines in the zone support."""
        kind = parameters.get("type", "pd-standard")
        if kind != "dynamic":
            return kind
        cluster = f"projects/{self._project}/locations/{self._location}/clusters/{self._cluster}"
        pools = [body for _, _, body in self._store.select(groups.POOLS, under=cluster) if zone in body["locations"]]
        found = [hardware.find(hardware.GCP, body["config"]["machineType"]) for body in pools]
        persistent = any(machine and parameters["pd-type"] in machine.disks for machine in found)
        return parameters["pd-type" if persistent else "hyperdisk-type"]
