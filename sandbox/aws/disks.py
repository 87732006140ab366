"""EBS volumes of claims, as the EBS CSI driver creates them (aws-ebs-csi-driver, docs/parameters.md and tagging.md).

They are never attached to an instance and hold no data.
"""

from __future__ import annotations

import json
import math
from typing import Any

import botocore.exceptions

from sandbox.aws import session
from sandbox.cluster.api import Object
from sandbox.cluster.quantity import parse
from sandbox.cluster.volumes import Refused
from sandbox.plugins import faults

KEPT = "sandbox/kept"
"""Tag of volumes whose reclaim policy was Retain at their creation. The real driver does not have it."""

_NAME = "CSIVolumeName"


class Disks:
    """The volumes of one EKS cluster (the protocol of sandbox/cluster/volumes.py)."""

    driver = "ebs.csi.aws.com"

    def __init__(self, region: str, cluster: str) -> None:
        self._cluster, self._region = cluster, region

    @property
    def _ec2(self) -> Any:
        return session.client("ec2", self._region)

    def make(self, volume: Object, parameters: dict[str, str], zone: str) -> str:
        """Creates the EBS volume of a PersistentVolume, unless an interrupted attempt did, and returns its id."""
        name, claim = volume["metadata"]["name"], volume["spec"]["claimRef"]
        wanted = [{"Name": f"tag:{_NAME}", "Values": [name]}]
        for found in self._ec2.describe_volumes(Filters=wanted)["Volumes"]:
            return found["VolumeId"]
        tags = {
            _NAME: name,
            "ebs.csi.aws.com/cluster": "true",
            f"kubernetes.io/cluster/{self._cluster}": "owned",
            "kubernetes.io/created-for/pv/name": name,
            "kubernetes.io/created-for/pvc/name": claim["name"],
            "kubernetes.io/created-for/pvc/namespace": claim["namespace"],
            "Name": f"{self._cluster}-dynamic-{name}",
        }
        tags |= self._extra_tags()
        if volume["spec"]["persistentVolumeReclaimPolicy"] != "Delete":
            tags[KEPT] = "true"
        size = math.ceil(parse(volume["spec"]["capacity"]["storage"]) / 2**30)
        kind, encrypted = parameters.get("type", "gp3"), parameters.get("encrypted") == "true"
        more = performance(kind, size, int(parameters.get("iops", 0)), int(parameters.get("throughput", 0)))
        if why := faults.refused(f"aws:ebs/volume:Volume::{claim['name']}", tags, encrypted):
            raise Refused(why)
        return self._ec2.create_volume(
            AvailabilityZone=zone,
            Size=size,
            VolumeType=kind,
            Encrypted=encrypted,
            TagSpecifications=[
                {"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
            **more,
        )["VolumeId"]

    def _extra_tags(self) -> dict[str, str]:
        """Tags that the driver's add-on is configured to set on every volume (`controller.extraVolumeTags`)."""
        eks = session.client("eks", self._region)
        try:
            addon = eks.describe_addon(clusterName=self._cluster, addonName="aws-ebs-csi-driver")["addon"]
        except eks.exceptions.ResourceNotFoundException:
            return {}
        settings = json.loads(addon.get("configurationValues") or "{}")
        return {**settings.get("controller", {}).get("extraVolumeTags", {})}

    def remove(self, handle: str) -> None:
        """Deletes the volume; does nothing if it does not exist."""
        try:
            self._ec2.delete_volume(VolumeId=handle)
        except botocore.exceptions.ClientError as error:
            if not error.response["Error"]["Code"].startswith("InvalidVolume"):
                raise


# gp3: IOPS included in any volume, and the maximum per GiB; MiB/s included in any volume, and the maximum per IOPS.
_GP3_IOPS, _GP3_IOPS_PER_GIB = 3000, 500
_GP3_THROUGHPUT, _GP3_THROUGHPUT_PER_IOPS = 125, 0.25
_BAD = "InvalidParameterCombination"


def performance(kind: str, size: int, iops: int, throughput: int) -> dict[str, Any]:
    """The values that the driver requests, or EC2's refusal. The driver caps IOPS by the size, unless that is below the
    minimum, and never the throughput (aws-ebs-csi-driver 1.64, pkg/cloud, capIOPS; EBS user guide, "General Purpose
    SSD")."""
    if kind != "gp3":
        return {"Iops": iops} if iops else {}
    most = size * _GP3_IOPS_PER_GIB
    if iops > most >= _GP3_IOPS:
        iops = most
    if iops > max(most, _GP3_IOPS):
        raise Refused(f"{_BAD}: Iops to volume size ratio of {iops / size:.0f} is too high; maximum is 500")
    granted = iops or _GP3_IOPS
    if throughput > granted * _GP3_THROUGHPUT_PER_IOPS:
        ratio = throughput / granted
        raise Refused(f"{_BAD}: Throughput (MiBps) to iops ratio of {ratio:.3f} is too high; maximum is 0.250")
    return {"Iops": granted, "Throughput": throughput or _GP3_THROUGHPUT}
