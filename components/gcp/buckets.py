"""Cloud Storage buckets as volumes, by Cloud Storage FUSE: data sets are read, and checkpoints written, where they lie.

Not here: the buckets. They are the user's, with their policies, keys and lifecycles; nothing here makes, changes or
deletes one, but for the right of the pods that mount it. They must have uniform bucket-level access.
Sources: gcs-fuse-csi-driver (2026-08), docs; IAM's "Attribute reference for IAM Conditions".
"""

import re
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import checks, naming, volumes
from ..checks import Problem
from ..storage_classes import BLOCK, BLOCK_FAST, SHARED
from . import filestore, identity

STORAGE_CLASS = "gcs"
"""What claims name as their class. No StorageClass object bears that name: nothing is provisioned."""

READ_ROLE = "roles/storage.objectViewer"
WRITE_ROLE = "roles/storage.objectUser"

# Cloud Storage, "Bucket naming guidelines"; with dots up to 222 characters.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9_.-]{1,220}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
# No quotes, blanks and commas, which mean something in an IAM condition or in a mount option; see components/aws/.
_PREFIX = re.compile(r"([A-Za-z0-9!_.()=@:+-]+/)*[A-Za-z0-9!_.()=@:+-]+/?")
_VOLUME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_CLASSES = (BLOCK.name, BLOCK_FAST.name, SHARED.name, STORAGE_CLASS, filestore.VOLUME)
# A claim may ask for any size up to this; the driver ignores it.
_CAPACITY = "1Pi"


class GcsBucket(TypedDict):
    """`bucket`: its name. `prefix`: only the objects below it, such as train/images/ (default: all); the names of the
    others can still be listed. `writable`: new objects, overwriting and deleting (default false). `namespace`: whose
    pods may use it: in every cluster of the project, since these share one identity pool. `service_account`: only pods
    that run as this Kubernetes service account, which is recommended (default: all of the namespace). `claim`: the
    name of the claim that gets the volume (default: the volume's name). `host_network`: pods with `hostNetwork: true`
    may mount it as well (default false); without it their mount fails, since GKE's metadata server does not answer them
    (gcs-fuse-csi-driver#428)."""

    bucket: str
    namespace: str
    prefix: NotRequired[str]
    writable: NotRequired[bool]
    service_account: NotRequired[str]
    claim: NotRequired[str]
    host_network: NotRequired[bool]


class GcsBucketsArgs(TypedDict):
    """`project`: id of the cluster's project. `cluster`: the cluster's name as an output. `buckets`: by the names of
    their volumes."""

    project: str
    cluster: pulumi.Input[str]
    buckets: dict[str, GcsBucket]


def problems(args: GcsBucketsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the buckets' arguments, seen without asking Google."""
    for name, bucket in args["buckets"].items():
        if not _VOLUME.fullmatch(name) or name in _CLASSES:
            yield Problem(
                f"buckets.{name}", bucket["bucket"],
                f"{name} is a class of volumes" if name in _CLASSES else "not a valid name of a Kubernetes volume",
                "1 to 63 lower-case letters, digits and '-', first and last a letter or digit", "rename the volume",
            )  # fmt: skip
        yield from (p.under(f"buckets.{name}") for p in _problems(bucket))


def _problems(bucket: GcsBucket) -> Iterator[Problem]:
    name, prefix = bucket["bucket"], bucket.get("prefix", "")
    wrong = (
        ""
        if _BUCKET.fullmatch(name) and all(0 < len(part) <= 63 for part in name.split("."))
        else "not a valid bucket name"
    )
    if not wrong and _ADDRESS.fullmatch(name):
        wrong = "formed like an IP address, which Cloud Storage gives to no bucket"
    elif not wrong and (name.startswith("goog") or "google" in name):
        wrong = "contains a word that Cloud Storage keeps for Google"
    if wrong:
        yield Problem(
            "bucket", name, wrong,
            "3 to 63 lower-case letters, digits, '-', '_' and '.', first and last a letter or digit",
            "write the bucket's name as `gcloud storage ls` shows it, without gs:// and without a path",
        )  # fmt: skip
    if prefix and not (_PREFIX.fullmatch(prefix) and not {".", ".."} & set(prefix.split("/"))):
        yield Problem(
            "prefix", prefix, "no prefix of object names that can be mounted",
            "folders of letters, digits and ! _ . ( ) = @ : + -, separated by one '/', such as train/images/",
            "leave out a '/' at the beginning, '.' and '..' as folders, blanks and wildcards",
        )  # fmt: skip
    yield from identity.namespace_problems("namespace", bucket["namespace"])
    yield from volumes.claim_problems("claim", bucket.get("claim", "claim"))
    if account := bucket.get("service_account", ""):
        yield from identity.account_problems("service_account", account)


class GcsBuckets(pulumi.ComponentResource):
    """A PersistentVolume per bucket, kept with its data when its claim goes, and the right of its users' pods.

    The claim of the volume's namespace and name names the volume and the class `gcs`, and asks for ReadOnlyMany, or
    for ReadWriteMany where the volume is writable; no other claim gets it. Name the bucket twice for a second one.
    Pods have the annotation `gke-gcsfuse/volumes: "true"` (in a Job: its pods' template), by which GKE puts FUSE
    beside them, and run on nodes with the GKE metadata server, which all of gpuyard's pools are. The pods
    themselves hold the right: what runs in the namespace can also use the bucket without the volume. Cloud Storage
    FUSE is no full file system: no locks, and of two writers of a file the last one wins.

    Takes the providers `gcp` and `kubernetes`.
    """

    volume_names: pulumi.Output[list[str]]
    """Names of the volumes, in alphabetical order."""

    def __init__(self, name: str, args: GcsBucketsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GcsBuckets", name, None, opts)
        checks.refuse(problems(args), f"GcsBuckets {name}")
        number = identity.project_number(args["project"], args["cluster"], pulumi.InvokeOutputOptions(parent=self))
        volumes = [
            self._volume(f"{name}-{volume}", volume, bucket, number, args["project"])
            for volume, bucket in sorted(args["buckets"].items())
        ]
        self.volume_names = pulumi.Output.all(*[volume.metadata.name for volume in volumes])
        self.register_outputs({"volumeNames": self.volume_names})

    def _volume(
        self, name: str, volume: str, bucket: GcsBucket, number: pulumi.Output[str], project: str
    ) -> k8s.core.v1.PersistentVolume:
        writable, folder = bucket.get("writable", False), _folder(bucket)
        namespace, account = bucket["namespace"], bucket.get("service_account", "")
        if account:
            member = identity.service_account_principal(number, project, namespace, account)
        else:
            member = identity.namespace_principals(number, project, namespace)
        granted = gcp.storage.BucketIAMMember(
            name,
            bucket=bucket["bucket"],
            role=WRITE_ROLE if writable else READ_ROLE,
            member=member,
            condition=_below(bucket["bucket"], folder) if folder else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # Folders need no objects of their own; training does not always run as root.
        options = ["implicit-dirs", *(["dir-mode=777", "file-mode=666"] if writable else ["dir-mode=555"])]
        if folder:
            options.append(f"only-dir={folder.rstrip('/')}")
        return k8s.core.v1.PersistentVolume(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=volume),
            spec=k8s.core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": _CAPACITY},
                access_modes=["ReadWriteMany" if writable else "ReadOnlyMany"],
                persistent_volume_reclaim_policy="Retain",
                storage_class_name=STORAGE_CLASS,
                mount_options=options,
                # Else the first claim of any namespace would take it.
                claim_ref=volumes.reserved(bucket.get("claim", volume), namespace),
                csi=k8s.core.v1.CSIPersistentVolumeSourceArgs(
                    driver="gcsfuse.csi.storage.gke.io",
                    volume_handle=bucket["bucket"],
                    # Never false: Kubernetes leaves that out, and every refresh would find a change.
                    read_only=None if writable else True,
                    volume_attributes=_attributes(bucket),
                ),
            ),
            # The name is fixed, and what is mounted cannot change in place.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[granted], delete_before_replace=True),
        )


def _attributes(bucket: GcsBucket) -> dict[str, str]:
    # The sidecar asks as well whether the bucket may be used; asking twice uses up the project's quota of tokens when
    # many pods start (gcs-fuse-csi-driver, docs/troubleshooting.md).
    own = {"hostNetworkPodKSA": "true"} if bucket.get("host_network") else {}
    return {"skipCSIBucketAccessCheck": "true", **own}


def _below(bucket: str, folder: str) -> gcp.storage.BucketIAMMemberConditionArgs:
    """Objects and folders below the folder, and what is asked of the bucket itself: FUSE lists it before it mounts a
    part of it. Folders and managed folders are resources of their own, with types of their own."""
    below = [f"projects/_/buckets/{bucket}/{kind}/{folder}" for kind in ("objects", "folders", "managedFolders")]
    allowed = " || ".join(f'resource.name.startsWith("{each}")' for each in below)
    return gcp.storage.BucketIAMMemberConditionArgs(
        # IAM takes 100 characters.
        title=naming.fit(f"below {folder}", 100),
        expression=f'resource.type == "storage.googleapis.com/Bucket" || {allowed}',
    )


def _folder(bucket: GcsBucket) -> str:
    """The prefix with a '/' at its end."""
    given = bucket.get("prefix", "")
    return given if not given or given.endswith("/") else f"{given}/"
