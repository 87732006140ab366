"""EBS volumes of claims, as the EBS CSI driver makes them (aws-ebs-csi-driver, docs/parameters.md and tagging.md).

They are never attached to an instance: no data is in them.
"""

from __future__ import annotations

import math
from typing import Any

import botocore.exceptions

from sandbox.aws import session
from sandbox.cluster.api import Object
from sandbox.cluster.quantity import parse

KEPT = "sandbox/kept"
"""Tag of volumes whose reclaim policy was Retain when they were made; nothing of the driver's."""

_NAME = "CSIVolumeName"


class Disks:
    """The volumes of one EKS cluster (the protocol of sandbox/cluster/volumes.py)."""

    driver = "ebs.csi.aws.com"

    def __init__(self, region: str, cluster: str) -> None:
        self._ec2 = session.client("ec2", region)
        self._cluster = cluster

    def make(self, volume: Object, parameters: dict[str, str], zone: str) -> str:
        """The id of the volume for that PersistentVolume, made now or by an attempt that was cut off."""
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
        if volume["spec"]["persistentVolumeReclaimPolicy"] != "Delete":
            tags[KEPT] = "true"
        more: dict[str, Any] = {
            member: int(parameters[key])
            for key, member in (("iops", "Iops"), ("throughput", "Throughput"))
            if key in parameters
        }
        return self._ec2.create_volume(
            AvailabilityZone=zone,
            Size=math.ceil(parse(volume["spec"]["capacity"]["storage"]) / 2**30),
            VolumeType=parameters.get("type", "gp3"),
            Encrypted=parameters.get("encrypted") == "true",
            TagSpecifications=[
                {"ResourceType": "volume", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
            ],
            **more,
        )["VolumeId"]

    def remove(self, handle: str) -> None:
        """Deletes the volume; one that is not there is no error."""
        try:
            self._ec2.delete_volume(VolumeId=handle)
        except botocore.exceptions.ClientError as error:
            if not error.response["Error"]["Code"].startswith("InvalidVolume"):
                raise
