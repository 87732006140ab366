"""The storage classes of every cluster, with the same names on both clouds, so that a claim works on both without an
edit; and the class of snapshots of block volumes.

| class        | for                                   | after its claim is deleted |
|--------------|---------------------------------------|----------------------------|
| `block`      | one pod's scratch; the default        | the volume is deleted      |
| `block-fast` | one pod's data set, high throughput   | the volume is kept         |
| `shared`     | data sets and checkpoints of many     | the data is kept           |

The snapshot class is called `block` as well: a VolumeSnapshot that names no class uses it, and can be restored to both
block classes. The content of a snapshot is kept when the VolumeSnapshot is deleted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True)
class StorageClassKind:
    """A class, with the settings that are the same on every cloud."""

    name: str
    """Name of the StorageClass."""
    reclaim: str
    """What happens to the data when the claim is deleted: Delete or Retain."""
    binding: str
    """When a volume is created: Immediate, or WaitForFirstConsumer."""
    default: bool = False
    """Whether claims that name no class get this one."""


# A block volume is in one zone: wait until the scheduler knows which. A shared one is in all of them.
BLOCK = StorageClassKind("block", "Delete", "WaitForFirstConsumer", default=True)
BLOCK_FAST = StorageClassKind("block-fast", "Retain", "WaitForFirstConsumer")
SHARED = StorageClassKind("shared", "Retain", "Immediate")


def storage_class(
    name: str,
    kind: StorageClassKind,
    provisioner: str,
    parameters: Mapping[str, pulumi.Input[str]],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> k8s.storage.v1.StorageClass:
    """A StorageClass of that kind. `depends_on`: its driver, so that a claim never waits for a missing one."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if kind.default else {}
    return k8s.storage.v1.StorageClass(
        name,
        metadata=k8s.meta.v1.ObjectMetaArgs(name=kind.name, annotations=annotations),
        provisioner=provisioner,
        parameters=parameters,
        reclaim_policy=kind.reclaim,
        volume_binding_mode=kind.binding,
        allow_volume_expansion=True,
        # Parameters cannot change in place, and the name is fixed.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=depends_on, delete_before_replace=True),
    )


def snapshot_class(
    name: str, driver: str, parent: pulumi.Resource, depends_on: Sequence[pulumi.Resource]
) -> pulumi.CustomResource:
    """The default VolumeSnapshotClass. `depends_on`: what installs its kind (the CRDs of snapshot.storage.k8s.io,
    v1)."""
    return pulumi.CustomResource(
        "kubernetes:snapshot.storage.k8s.io/v1:VolumeSnapshotClass",
        name,
        # Not k8s.apiextensions.CustomResource: that one requires `spec`, which this kind does not have.
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshotClass",
            "metadata": {
                "name": BLOCK.name,
                "annotations": {"snapshot.storage.kubernetes.io/is-default-class": "true"},
            },
            "driver": driver,
            "deletionPolicy": "Retain",
        },
        # Neither the driver nor the policy can change in place, and the name is fixed.
        opts=pulumi.ResourceOptions(
            parent=parent,
            depends_on=depends_on,
            replace_on_changes=["driver", "deletionPolicy"],
            delete_before_replace=True,
        ),
    )
