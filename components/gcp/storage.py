"""Volumes on Google Cloud: disks for one pod, Filestore shared by many, and the classes that hand them out."""

from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from ..storage_classes import BLOCK, BLOCK_FAST, SHARED, storage_class


class GcpStorageArgs(TypedDict):
    """`network_id`: the VPC in which Filestore instances are reached. `filestore_tier`: `zonal` (default), `enterprise`
    or `standard` (basic HDD), in the Filestore CSI driver's spelling; instances are 1 TiB and more."""

    network_id: pulumi.Input[str]
    filestore_tier: NotRequired[str]


FILESTORE_TIER = "zonal"
FILESTORE_TIERS = ("standard", "premium", "zonal", "regional", "enterprise")


class GcpStorage(pulumi.ComponentResource):
    """The storage classes `block` (default), `block-fast` and `shared`; GKE runs their drivers.

    Takes the provider `kubernetes`. A Filestore instance is made with the first claim and not before: it is billed by
    the hour from one TiB on.
    """

    storage_class_names: pulumi.Output[list[str]]
    """Names of the storage classes, the default one first."""

    def __init__(self, name: str, args: GcpStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GcpStorage", name, None, opts)
        network = pulumi.Output.from_input(args["network_id"]).apply(lambda id: id.rsplit("/", 1)[-1])
        disk = "pd.csi.storage.gke.io"
        classes = [
            storage_class(f"{name}-block", BLOCK, disk, {"type": "pd-balanced"}, self, []),
            storage_class(f"{name}-block-fast", BLOCK_FAST, disk, {"type": "pd-ssd"}, self, []),
            storage_class(
                f"{name}-shared",
                SHARED,
                "filestore.csi.storage.gke.io",
                {"tier": args.get("filestore_tier", FILESTORE_TIER), "network": network},
                self,
                [],
            ),
        ]
        self.storage_class_names = pulumi.Output.all(*[made.metadata.name for made in classes])
        self.register_outputs({"storageClassNames": self.storage_class_names})
