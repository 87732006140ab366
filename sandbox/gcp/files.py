"""Filestore instances of claims, as GKE's driver creates them (gcp-filestore-csi-driver, pkg/csi_driver): one for each.

An instance is peered with its VPC, which cannot be deleted before it. Not simulated: shares of a common instance
(multishare), backups, and the file system itself.
"""

from __future__ import annotations

import json
import math

from sandbox.cluster.api import Object
from sandbox.cluster.quantity import parse
from sandbox.gcp import machines
from sandbox.gcp.claimed import Claimed, labels
from sandbox.gcp.store import KEPT, Body
from sandbox.gcp.table import full_name, number, timestamp

INSTANCES = "file.instances"
_TIERS = {"standard": "BASIC_HDD", "premium": "BASIC_SSD"}
_REGIONAL = ("regional", "enterprise")
_SHARE = "vol1"
_LEAST_GIB = 1024


class Files(Claimed):
    """The instances of one GKE cluster (the protocol of sandbox/cluster/volumes.py)."""

    driver = "filestore.csi.storage.gke.io"

    def make(self, volume: Object, parameters: dict[str, str], zone: str) -> str:
        """Creates the instance of a PersistentVolume, unless an interrupted attempt did, and returns its handle."""
        short, claim = volume["metadata"]["name"], volume["spec"]["claimRef"]
        tier = parameters.get("tier", "standard")
        region = machines.region_of(self._location)
        place = region if tier in _REGIONAL else zone or machines.ZONES[region][0]
        name = f"projects/{self._project}/locations/{place}/instances/{short}"
        network = full_name("compute.networks", parameters.get("network", "default"), {"project": self._project})
        gib = max(_LEAST_GIB, math.ceil(parse(volume["spec"]["capacity"]["storage"]) / 2**30))
        body: Body = {
            "name": name,
            "tier": _TIERS.get(tier, tier.upper()),
            "state": "READY",
            "fileShares": [{"name": _SHARE, "capacityGb": str(gib), "nfsExportOptions": _exports(parameters)}],
            "networks": [{"network": network, "modes": ["MODE_IPV4"], "ipAddresses": ["10.255.251.2"]}],
            "labels": {
                **labels(parameters),
                "storage_gke_io_created-by": self.driver.replace(".", "_"),
                "kubernetes_io_created-for_pvc_name": claim["name"],
                "kubernetes_io_created-for_pvc_namespace": claim["namespace"],
            },
            "createTime": timestamp(),
            "_sandbox": {"id": number(name), KEPT: volume["spec"]["persistentVolumeReclaimPolicy"] != "Delete"},
        }
        if not self._store.find(INSTANCES, name):
            self._store.insert(INSTANCES, name, body, references=[("compute.networks", network)])
        return f"modeInstance/{place}/{short}/{_SHARE}"

    def remove(self, handle: str) -> None:
        """Deletes the instance; does nothing if it does not exist."""
        _, place, short, _ = handle.split("/")
        self._delete(INSTANCES, f"projects/{self._project}/locations/{place}/instances/{short}")


def _exports(parameters: dict[str, str]) -> list[Body]:
    return json.loads(parameters.get("nfs-export-options-on-create") or "[]")
