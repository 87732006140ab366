"""S3 buckets as volumes, by Mountpoint for Amazon S3: pods read data sets and write checkpoints in place.

Not included: the buckets themselves, with their policies, keys and lifecycles. This module does not create, change or
delete a bucket. If your own KMS key encrypts a bucket, that key's policy must allow the driver's role. Sources:
aws-mountpoint-s3-csi-driver 2.7, docs/CONFIGURATION.md; mountpoint-s3, doc/CONFIGURATION.md.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import arguments, checks, child_names, volumes
from ..checks import Problem
from . import bucket_names, drivers, lustre, regions
from .addon import EksAddon
from .roles import Roles

ADDONS = ("aws-mountpoint-s3-csi-driver",)
"""EKS's names of the add-ons that `S3Buckets` installs."""

STORAGE_CLASS = "s3"
"""The class in claims for these volumes. There is no StorageClass object of that name, so nothing is provisioned."""
_POLICIES = {"aws-mountpoint-s3-csi-driver": "-s3-csi-policy"}

# FSx for Lustre's volume has this name.
_TAKEN = {lustre.VOLUME: "the name of FSx for Lustre's volume"}
# IAM: the inline policies of a role have up to 10,240 characters together, without white space.
_POLICY_LIMIT = 10_240


class S3Bucket(TypedDict):
    """One bucket as a volume."""

    bucket: str
    """Name of the bucket, without s3://. It must be in the region of the nodes."""
    prefix: NotRequired[str]
    """Mount only the objects below it, such as train/images/. Default: the whole bucket."""
    writable: NotRequired[bool]
    """Whether pods may create, overwrite and delete objects. Default: `false`."""
    namespace: NotRequired[str]
    """Kubernetes namespace whose claim of the volume's name gets the volume. Default: the first claim of any
    namespace."""
    account: NotRequired[str]
    """Account that owns the bucket, twelve digits. A bucket of the same name that another account owns is not used.
    Default: the account of the cluster."""


class S3BucketsArgs(TypedDict):
    """S3 buckets as volumes of an EKS cluster."""

    cluster: pulumi.Input[str]
    """Name of the EKS cluster."""
    kubernetes_version: str
    """Kubernetes minor version of the cluster, such as "1.35"."""
    region: str
    """Region of the buckets and of the nodes."""
    buckets: dict[str, S3Bucket]
    """The buckets by the names of their volumes: 1 to 63 lower-case letters, digits and '-'."""
    addon_versions: NotRequired[dict[str, str]]
    """Exact versions of EKS add-ons by name: aws-mountpoint-s3-csi-driver. Default: the version that this
    library has tested with `kubernetes_version`."""
    roles: NotRequired[Roles]
    """Existing IAM roles to use instead of new ones: `s3_csi`. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags for the add-on and its role. Default: none."""


def problems(args: S3BucketsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the buckets, checked without calling AWS."""
    yield from bucket_problems(args["buckets"])


def bucket_problems(buckets: dict[str, S3Bucket]) -> Iterator[Problem]:
    """Everything that is wrong with buckets by the names of their volumes, and with a policy that names all of them."""
    found = [problem for name, bucket in buckets.items() for problem in _problems(name, bucket)]
    yield from found
    size = len(json.dumps(policy(buckets, "0" * 12), separators=(",", ":")))
    if not found and size > _POLICY_LIMIT:
        yield Problem(
            "buckets", list(buckets), f"the policy that names them has {size} characters",
            f"as many as fit into a policy of {_POLICY_LIMIT:,} characters, about 25",
            "mount one common prefix instead of many prefixes below it, or use one bucket for several volumes",
        )  # fmt: skip


def _problems(name: str, bucket: S3Bucket) -> Iterator[Problem]:
    path = f"buckets.{name}"
    yield from volumes.name_problems(path, name, bucket["bucket"], _TAKEN)
    yield from bucket_names.problems(f"{path}.bucket", bucket["bucket"])
    yield from volumes.prefix_problems(f"{path}.prefix", bucket.get("prefix", ""))
    yield from checks.namespace(f"{path}.namespace", bucket.get("namespace", ""))
    account = bucket.get("account", "")
    if account and not re.fullmatch(r"\d{12}", account):
        yield Problem(
            f"{path}.account", account, "not the id of an AWS account", "twelve digits, in quotes",
            "see `aws sts get-caller-identity` of the account that owns the bucket",
        )  # fmt: skip


def warnings(args: S3BucketsArgs) -> Iterator[str]:
    """Warnings about settings that work but may not be intended."""
    for name, bucket in args["buckets"].items():
        if not bucket.get("namespace"):
            yield (
                f"buckets.{name}.namespace: the first claim of any namespace gets the volume; "
                "set the namespace that may use it"
            )


def policy(buckets: dict[str, S3Bucket], account: pulumi.Input[str]) -> dict[str, Any]:
    """The permissions of the driver: list and read exactly these buckets below exactly these prefixes, and write if a
    volume is writable. Pods that use a volume do not have these permissions; they see what the driver mounts for them.
    `account`: the cluster's."""
    statements: list[dict[str, Any]] = []
    for _, bucket in sorted(buckets.items()):
        arn, below = f"arn:aws:s3:::{bucket['bucket']}", _folder(bucket)
        owned = {"StringEquals": {"s3:ResourceAccount": bucket.get("account") or account}}
        listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": arn, "Condition": owned}
        if below:
            listing["Condition"] = {**owned, "StringLike": {"s3:prefix": f"{below}*"}}
        actions = ["s3:GetObject"]
        if bucket["writable"]:
            actions += ["s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"]
        objects = {"Effect": "Allow", "Action": actions, "Resource": f"{arn}/{below}*", "Condition": owned}
        statements += [listing, objects]
    return {"Version": "2012-10-17", "Statement": statements}


class S3Buckets(pulumi.ComponentResource):
    """The Mountpoint driver and one PersistentVolume per bucket. The volume and the data stay when the claim is
    deleted.

    A claim names the volume and the class `s3`, and asks for ReadOnlyMany, or for ReadWriteMany if the volume is
    writable. A volume serves one claim, and so one namespace; list the bucket twice for a second one. Mountpoint is not
    a full file system: files are written once from beginning to end, and cannot be renamed. It runs in a separate pod
    for each pod that uses a bucket, so leave a little room on the node (aws-mountpoint-s3-csi-driver, issue 543).

    It needs the providers `aws` and `kubernetes`, and should `depends_on` nodes: the driver's controller runs on them.
    """

    volume_names: pulumi.Output[list[str]]
    """Names of the volumes, in alphabetical order."""

    def __init__(self, name: str, args: S3BucketsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"S3Buckets {name}", S3BucketsArgs, args, problems,
            lambda given: drivers.problems(given, ADDONS),
            lambda given: drivers.name_problems(name, given, _POLICIES),
            lambda given: regions.format_problems("region", given["region"]),
        )  # fmt: skip
        child_names.claim("S3Buckets", name, opts, volumes.children(name, args["buckets"]))
        super().__init__("gpuyard:index:S3Buckets", name, None, opts)
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        driver = EksAddon(
            f"{name}-s3-csi",
            {
                **drivers.addon_args(
                    "aws-mountpoint-s3-csi-driver",
                    args,
                    policy=policy(args["buckets"], account),
                ),
                # Without the driver's node plugin, no pod on a tainted node can mount a bucket ("driver name
                # s3.csi.aws.com not found", mountpoint-s3-csi-driver#107); whether it tolerates taints by default
                # depends on the release. The node plugins of the other drivers tolerate all taints.
                "configuration": {"node": {"tolerateAllTaints": True}},
            },
            pulumi.ResourceOptions(parent=self),
        )
        self.volumes = {
            volume: self._volume(f"{name}-{volume}", volume, bucket, args["region"], driver)
            for volume, bucket in sorted(args["buckets"].items())
        }
        """The PersistentVolumes, by name."""
        self.volume_names = pulumi.Output.all(*[volume.metadata.name for volume in self.volumes.values()])
        self.register_outputs({"volumeNames": self.volume_names})

    def _volume(
        self, name: str, volume: str, bucket: S3Bucket, region: str, driver: EksAddon
    ) -> k8s.core.v1.PersistentVolume:
        writable = bucket["writable"]
        # The region, because pods cannot read it from the node's metadata, as Mountpoint would. `allow-other`, because
        # training does not always run as root.
        options = [f"region {region}", "allow-other"]
        options += ["allow-delete", "allow-overwrite"] if writable else ["read-only"]
        if _folder(bucket):
            options.append(f"prefix {_folder(bucket)}")
        return k8s.core.v1.PersistentVolume(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=volume),
            spec=k8s.core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": volumes.CAPACITY},
                access_modes=["ReadWriteMany" if writable else "ReadOnlyMany"],
                persistent_volume_reclaim_policy="Retain",
                storage_class_name=STORAGE_CLASS,
                claim_ref=volumes.reserved(volume, bucket.get("namespace", "")),
                mount_options=options,
                csi=k8s.core.v1.CSIPersistentVolumeSourceArgs(
                    driver="s3.csi.aws.com",
                    # Unique in the cluster: a node mounts only the first of two volumes with the same handle.
                    volume_handle=f"s3-{volume}",
                    volume_attributes={"bucketName": bucket["bucket"]},
                ),
            ),
            # The name is fixed, and the source of a volume cannot change in place.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[driver], delete_before_replace=True),
        )


def _folder(bucket: S3Bucket) -> str:
    """The prefix as Mountpoint expects it, with a '/' at its end."""
    given = bucket.get("prefix", "")
    return given if not given or given.endswith("/") else f"{given}/"
