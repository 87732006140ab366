"""Cloud Storage buckets as volumes, by Cloud Storage FUSE: pods read data sets and write checkpoints in place.

Not included: the buckets themselves, with their policies, keys and lifecycles. This module does not create, change or
delete a bucket; it only adds the permissions of the pods that mount it. A bucket needs uniform bucket-level access.
Sources: gcs-fuse-csi-driver (2026-08), docs; IAM's "Attribute reference for IAM Conditions".
"""

from collections.abc import Iterator, Mapping
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import arguments, child_names, naming, volumes
from ..checks import Problem
from ..storage_classes import BLOCK, BLOCK_FAST, SHARED
from . import bucket_names, filestore, identity

STORAGE_CLASS = "gcs"
"""The class in claims for these volumes. There is no StorageClass object of that name, so nothing is provisioned."""

READ_ROLE = "roles/storage.objectViewer"
WRITE_ROLE = "roles/storage.objectUser"

# Names of classes, which would be ambiguous as names of volumes.
_TAKEN = {
    name: "a storage class" for name in (BLOCK.name, BLOCK_FAST.name, SHARED.name, STORAGE_CLASS, filestore.VOLUME)
}


class GcsBucket(TypedDict):
    """One bucket as a volume."""

    bucket: str
    """Name of the bucket, without gs://."""
    namespace: str
    """Kubernetes namespace whose pods may use the bucket: in every cluster of the project, since all of them share one
    identity pool."""
    prefix: NotRequired[str]
    """Mount only the objects below it, such as train/images/. The names of the other objects can still be listed.
    Default: the whole bucket."""
    writable: NotRequired[bool]
    """Whether pods may create, overwrite and delete objects. Default: `false`."""
    service_account: NotRequired[str]
    """Kubernetes service account that may use the bucket; recommended. Default: every pod of the namespace."""
    claim: NotRequired[str]
    """Name of the PersistentVolumeClaim that gets the volume. Default: the volume's name."""
    host_network: NotRequired[bool]
    """Whether pods with `hostNetwork: true` may mount it as well. Without it their mount fails, since GKE's metadata
    server does not answer them (gcs-fuse-csi-driver#428). Default: `false`."""


class GcsBucketsArgs(TypedDict):
    """Cloud Storage buckets as volumes of a GKE cluster."""

    project: str
    """Id of the cluster's project."""
    cluster: pulumi.Input[str]
    """Name of the GKE cluster. The project's identity pool exists once its first cluster does."""
    buckets: dict[str, GcsBucket]
    """The buckets, by the names of their volumes."""


def problems(args: GcsBucketsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the buckets' arguments, found without asking Google."""
    yield from identity.project_problems("project", args["project"])
    yield from bucket_problems(args["buckets"])
    wanted = {name: (each["namespace"], each.get("claim", name)) for name, each in args["buckets"].items()}
    yield from volumes.claims_problems(wanted, "claim")


def bucket_problems(buckets: Mapping[str, GcsBucket]) -> Iterator[Problem]:
    """Everything that is wrong with buckets by the names of their volumes, without their claims."""
    for name, bucket in buckets.items():
        yield from volumes.name_problems(f"buckets.{name}", name, bucket["bucket"], _TAKEN)
        yield from (p.under(f"buckets.{name}") for p in _problems(bucket))


def _problems(bucket: GcsBucket) -> Iterator[Problem]:
    yield from bucket_names.problems("bucket", bucket["bucket"])
    yield from volumes.prefix_problems("prefix", bucket.get("prefix", ""))
    yield from identity.namespace_problems("namespace", bucket["namespace"])
    if "claim" in bucket:
        yield from volumes.claim_problems("claim", bucket["claim"])
    if account := bucket.get("service_account", ""):
        yield from identity.account_problems("service_account", account)


class GcsBuckets(pulumi.ComponentResource):
    """A PersistentVolume for each bucket, and the permissions of the pods that use it. When its claim is deleted, the
    volume and the data are kept.

    Only the claim of the volume's `namespace` and `claim` gets the volume. It names the volume and the class `gcs`, and
    asks for ReadOnlyMany, or for ReadWriteMany where the volume is writable. For a second claim, name the bucket twice.
    Pods (in a Job, its pod template) have the annotation `gke-gcsfuse/volumes: "true"`, with which GKE adds the FUSE
    sidecar, and run on nodes with the GKE metadata server, which every pool of gpuyard has. The permissions belong to
    the pods: everything that runs in the namespace can also use the bucket without the volume. Cloud Storage FUSE is
    not a complete file system: it has no locks, and when two pods write a file, the last write wins.

    Takes the providers `gcp` and `kubernetes`.
    """

    volume_names: pulumi.Output[list[str]]
    """Names of the volumes, in alphabetical order."""

    def __init__(self, name: str, args: GcsBucketsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"GcsBuckets {name}", GcsBucketsArgs, args, problems)
        child_names.claim("GcsBuckets", name, opts, volumes.children(name, args["buckets"]))
        super().__init__("gpuyard:index:GcsBuckets", name, None, opts)
        number = identity.project_number(args["project"], args["cluster"], pulumi.InvokeOutputOptions(parent=self))
        self.volumes = {
            volume: self._volume(f"{name}-{volume}", volume, bucket, number, args["project"])
            for volume, bucket in sorted(args["buckets"].items())
        }
        """The PersistentVolumes, by name."""
        self.volume_names = pulumi.Output.all(*[volume.metadata.name for volume in self.volumes.values()])
        self.register_outputs({"volumeNames": self.volume_names})

    def _volume(
        self, name: str, volume: str, bucket: GcsBucket, number: pulumi.Output[str], project: str
    ) -> k8s.core.v1.PersistentVolume:
        writable, folder = bucket["writable"], _folder(bucket)
        namespace, account = bucket["namespace"], bucket.get("service_account", "")
        if account:
            member = identity.service_account_principal(number, project, namespace, account)
        else:
            member = identity.namespace_principals(number, project, namespace)
        granted = grant(name, bucket, member, self)
        # Folders exist without an object for them; training does not always run as root.
        options = ["implicit-dirs", *(["dir-mode=777", "file-mode=666"] if writable else ["dir-mode=555"])]
        if folder:
            options.append(f"only-dir={folder.rstrip('/')}")
        return k8s.core.v1.PersistentVolume(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=volume),
            spec=k8s.core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": volumes.CAPACITY},
                access_modes=["ReadWriteMany" if writable else "ReadOnlyMany"],
                persistent_volume_reclaim_policy="Retain",
                storage_class_name=STORAGE_CLASS,
                mount_options=options,
                # Otherwise the first claim of any namespace would get it.
                claim_ref=volumes.reserved(bucket.get("claim", volume), namespace),
                csi=k8s.core.v1.CSIPersistentVolumeSourceArgs(
                    driver="gcsfuse.csi.storage.gke.io",
                    volume_handle=bucket["bucket"],
                    # Never false: Kubernetes omits it, and every refresh would find a change.
                    read_only=None if writable else True,
                    volume_attributes=_attributes(bucket),
                ),
            ),
            # The name is fixed, and what is mounted cannot change in place.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted], delete_before_replace=True),
        )


def grant(
    name: str, bucket: GcsBucket, member: pulumi.Input[str], parent: pulumi.Resource
) -> gcp.storage.BucketIAMMember:
    """The permissions of a member on a bucket: read, and write if it is writable, below its prefix."""
    folder = _folder(bucket)
    return gcp.storage.BucketIAMMember(
        name,
        bucket=bucket["bucket"],
        role=WRITE_ROLE if bucket["writable"] else READ_ROLE,
        member=member,
        condition=_below(bucket["bucket"], folder) if folder else None,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _attributes(bucket: GcsBucket) -> dict[str, str]:
    # The sidecar checks access as well; a second check exhausts the project's quota of tokens when many pods start
    # (gcs-fuse-csi-driver, docs/troubleshooting.md).
    own = {"hostNetworkPodKSA": "true"} if bucket["host_network"] else {}
    return {"skipCSIBucketAccessCheck": "true", **own}


def _below(bucket: str, folder: str) -> gcp.storage.BucketIAMMemberConditionArgs:
    """Access to objects and folders below the folder, and to the bucket itself, which FUSE lists before it mounts a
    part of it. Folders and managed folders are separate resources with separate types."""
    below = [f"projects/_/buckets/{bucket}/{kind}/{folder}" for kind in ("objects", "folders", "managedFolders")]
    allowed = " || ".join(f'resource.name.startsWith("{each}")' for each in below)
    return gcp.storage.BucketIAMMemberConditionArgs(
        # IAM allows 100 characters.
        title=naming.fit(f"below {folder}", 100),
        expression=f'resource.type == "storage.googleapis.com/Bucket" || {allowed}',
    )


def _folder(bucket: GcsBucket) -> str:
    """The prefix, with a '/' at its end."""
    given = bucket.get("prefix", "")
    return given if not given or given.endswith("/") else f"{given}/"
