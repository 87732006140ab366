"""The storage classes of every cluster, by the same names on both clouds, so that a claim moves without an edit.

| class        | for                                   | after its claim is deleted |
|--------------|---------------------------------------|----------------------------|
| `block`      | one pod's scratch; the default        | the volume is deleted      |
| `block-fast` | one pod's data set, high throughput   | the volume is kept         |
| `shared`     | data sets and checkpoints of many     | the data is kept           |
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s


@dataclass(frozen=True)
class StorageClassKind:
    """What a class promises on every cloud. `reclaim`: Retain keeps the data when the claim goes."""

    name: str
    reclaim: str
    binding: str
    default: bool = False


# A block volume lives in one zone: wait until the scheduler knows which. A shared one is in all of them.
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
    """A StorageClass of that kind; `depends_on` its driver, so that a claim never waits for one that is not there."""
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
