"""S3 buckets as volumes, by Mountpoint for Amazon S3: data sets are read, and checkpoints written, where they lie.

Not here: the buckets. They are the user's, with their policies, keys and lifecycles; nothing here makes, changes or
deletes one. A bucket that is encrypted with a KMS key of one's own needs that key's policy to let the driver's role in.
Sources: aws-mountpoint-s3-csi-driver 2.7, docs/CONFIGURATION.md; mountpoint-s3, doc/CONFIGURATION.md.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import checks, volumes
from ..checks import Problem
from .addon import EksAddon
from .roles import Roles

STORAGE_CLASS = "s3"
"""What claims name as their class. No StorageClass object bears that name: nothing is provisioned."""

# S3, "General purpose bucket naming rules"; directory buckets (--x-s3) and access points need other permissions.
_BUCKET = re.compile(r"[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
# S3's safe characters less those that mean something in an IAM policy (* ? $) or in a mount option (blanks, commas).
_PREFIX = re.compile(r"([A-Za-z0-9!_.()=@:+-]+/)*[A-Za-z0-9!_.()=@:+-]+/?")
_VOLUME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_TAKEN = ("lustre",)
# IAM: the inline policies of a role have up to 10,240 characters together, blanks not counted.
_POLICY_LIMIT = 10_240
# A claim may ask for any size up to this; the driver ignores it.
_CAPACITY = "1Pi"


class S3Bucket(TypedDict):
    """`bucket`: its name; it is in the environment's region. `prefix`: only the objects below it, such as
    train/images/ (default: all). `writable`: new objects, overwriting and deleting (default false). `namespace`: whose
    claim of the volume's name takes the volume (default: the first claim of any namespace). `account`: the account that
    owns the bucket, twelve digits (default: the environment's); one that another has made under the name is not
    used."""

    bucket: str
    prefix: NotRequired[str]
    writable: NotRequired[bool]
    namespace: NotRequired[str]
    account: NotRequired[str]


class S3BucketsArgs(TypedDict):
    """`cluster`: the cluster's name as an output, `cluster_name` the same as plain text. `region`: of the buckets and
    the nodes. `buckets`: by the names of their volumes. `addon_versions`: an exact version of
    aws-mountpoint-s3-csi-driver, 2.x. `roles`: a ready-made one (`s3_csi`)."""

    cluster: pulumi.Input[str]
    cluster_name: str
    kubernetes_version: str
    region: str
    buckets: dict[str, S3Bucket]
    addon_versions: NotRequired[dict[str, str]]
    roles: NotRequired[Roles]
    tags: NotRequired[dict[str, str]]


def bucket_name(path: str, name: str) -> Iterator[Problem]:
    """`name` is one that S3 gives to a general purpose bucket."""
    wrong = ""
    if not _BUCKET.fullmatch(name):
        wrong = "not a valid bucket name"
    elif _ADDRESS.fullmatch(name):
        wrong = "formed like an IP address, which S3 gives to no bucket"
    elif name.startswith(_RESERVED) or name.endswith(_RESERVED_ENDS):
        wrong = "begins or ends like an alias, a directory bucket or another name that S3 reserves"
    if wrong:
        yield Problem(
            path, name, wrong,
            "3 to 63 lower-case letters, digits, '-' and '.', first and last a letter or digit, no two dots in a row",
            "write the bucket's name as `aws s3 ls` shows it, without s3:// and without a path",
        )  # fmt: skip


def prefix(path: str, value: str) -> Iterator[Problem]:
    """`value` is empty, or a prefix of object keys that policies and mount options can hold."""
    if value and not _PREFIX.fullmatch(value):
        yield Problem(
            path, value, "no prefix of object keys that can be mounted",
            "folders of letters, digits and ! _ . ( ) = @ : + -, separated by one '/', such as train/images/",
            "leave out a '/' at the beginning, blanks and wildcards",
        )  # fmt: skip


def problems(args: S3BucketsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the buckets' arguments, seen without asking AWS."""
    found = [problem for name, bucket in args["buckets"].items() for problem in _problems(name, bucket)]
    yield from found
    size = len(json.dumps(policy(args["buckets"], "0" * 12), separators=(",", ":")))
    if not found and size > _POLICY_LIMIT:
        yield Problem(
            "buckets", list(args["buckets"]), f"the policy that names them has {size} characters",
            f"as many as fit a policy of {_POLICY_LIMIT:,} characters, about 25",
            "mount a common prefix instead of many below it, or one bucket for several volumes",
        )  # fmt: skip


def _problems(name: str, bucket: S3Bucket) -> Iterator[Problem]:
    if not _VOLUME.fullmatch(name) or name in _TAKEN:
        yield Problem(
            f"buckets.{name}", bucket["bucket"],
            "the name of FSx for Lustre's volume" if name in _TAKEN else "not a valid name of a Kubernetes volume",
            "1 to 63 lower-case letters, digits and '-', first and last a letter or digit", "rename the volume",
        )  # fmt: skip
    yield from (p.under(f"buckets.{name}") for p in bucket_name("bucket", bucket["bucket"]))
    yield from (p.under(f"buckets.{name}") for p in prefix("prefix", bucket.get("prefix", "")))
    yield from (p.under(f"buckets.{name}") for p in checks.namespace("namespace", bucket.get("namespace", "")))
    account = bucket.get("account", "")
    if account and not re.fullmatch(r"\d{12}", account):
        yield Problem(
            f"buckets.{name}.account", account, "not the id of an account", "twelve digits, in quotes",
            "see `aws sts get-caller-identity` of the account that owns the bucket",
        )  # fmt: skip


def warnings(args: S3BucketsArgs) -> Iterator[str]:
    """What works but deserves a look."""
    for name, bucket in args["buckets"].items():
        if not bucket.get("namespace"):
            yield f"buckets.{name}.namespace: the first claim of any namespace takes the volume; name the one it is for"


def policy(buckets: dict[str, S3Bucket], account: pulumi.Input[str]) -> dict[str, Any]:
    """What the driver may do: list and read exactly these buckets below exactly these prefixes, and write where a
    volume is writable. Pods that use a volume do not hold these rights; they see what the driver mounts for them.
    `account`: the environment's."""
    statements: list[dict[str, Any]] = []
    for _, bucket in sorted(buckets.items()):
        arn, below = f"arn:aws:s3:::{bucket['bucket']}", _folder(bucket)
        owned = {"StringEquals": {"s3:ResourceAccount": bucket.get("account") or account}}
        listing: dict[str, Any] = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": arn, "Condition": owned}
        if below:
            listing["Condition"] = {**owned, "StringLike": {"s3:prefix": f"{below}*"}}
        actions = ["s3:GetObject"]
        if bucket.get("writable", False):
            actions += ["s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"]
        objects = {"Effect": "Allow", "Action": actions, "Resource": f"{arn}/{below}*", "Condition": owned}
        statements += [listing, objects]
    return {"Version": "2012-10-17", "Statement": statements}


class S3Buckets(pulumi.ComponentResource):
    """The Mountpoint driver and one PersistentVolume per bucket, kept with its data when its claim goes.

    A claim names the volume and the class `s3`, and asks for ReadOnlyMany, or for ReadWriteMany where the volume is
    writable. A volume serves one claim, and so one namespace; name the bucket twice for a second one. Mountpoint is no
    full file system: files are written once from beginning to end, and not renamed. It runs in a pod of its own beside
    each pod that uses it, so leave a little room on the node (aws-mountpoint-s3-csi-driver, issue 543).

    Takes the providers `aws` and `kubernetes`. Depends on nodes: the driver's controller runs on them.
    """

    volume_names: pulumi.Output[list[str]]
    """Names of the volumes, in alphabetical order."""

    def __init__(self, name: str, args: S3BucketsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:S3Buckets", name, None, opts)
        checks.refuse(problems(args), f"S3Buckets {name}")
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        driver = EksAddon(
            f"{name}-s3-csi",
            {
                "addon": "aws-mountpoint-s3-csi-driver",
                "cluster": args["cluster"],
                "cluster_name": args["cluster_name"],
                "kubernetes_version": args["kubernetes_version"],
                "service_account": "s3-csi-driver-sa",
                "policy": policy(args["buckets"], account),
                "tags": args.get("tags", {}),
                "role_arn": args.get("roles", {}).get("s3_csi", ""),
                "versions": args.get("addon_versions", {}),
                # Without its node plugin no pod on a tainted node mounts a bucket ("driver name s3.csi.aws.com not
                # found", mountpoint-s3-csi-driver#107); whether it tolerates taints by default depends on the
                # release. The node plugins of the other drivers tolerate all.
                "configuration": {"node": {"tolerateAllTaints": True}},
            },
            pulumi.ResourceOptions(parent=self),
        )
        volumes = [
            self._volume(f"{name}-{volume}", volume, bucket, args["region"], driver)
            for volume, bucket in sorted(args["buckets"].items())
        ]
        self.volume_names = pulumi.Output.all(*[volume.metadata.name for volume in volumes])
        self.register_outputs({"volumeNames": self.volume_names})

    def _volume(
        self, name: str, volume: str, bucket: S3Bucket, region: str, driver: EksAddon
    ) -> k8s.core.v1.PersistentVolume:
        writable = bucket.get("writable", False)
        # The region, because the nodes' metadata, where Mountpoint would look for it, is closed to pods. `allow-other`,
        # because training does not always run as root.
        options = [f"region {region}", "allow-other"]
        options += ["allow-delete", "allow-overwrite"] if writable else ["read-only"]
        if _folder(bucket):
            options.append(f"prefix {_folder(bucket)}")
        return k8s.core.v1.PersistentVolume(
            name,
            metadata=k8s.meta.v1.ObjectMetaArgs(name=volume),
            spec=k8s.core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": _CAPACITY},
                access_modes=["ReadWriteMany" if writable else "ReadOnlyMany"],
                persistent_volume_reclaim_policy="Retain",
                storage_class_name=STORAGE_CLASS,
                claim_ref=volumes.reserved(volume, bucket.get("namespace", "")),
                mount_options=options,
                csi=k8s.core.v1.CSIPersistentVolumeSourceArgs(
                    driver="s3.csi.aws.com",
                    # Unique in the cluster: of two volumes with one handle a node mounts only the first.
                    volume_handle=f"s3-{volume}",
                    volume_attributes={"bucketName": bucket["bucket"]},
                ),
            ),
            # The name is fixed, and what is mounted cannot change in place.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[driver], delete_before_replace=True),
        )


def _folder(bucket: S3Bucket) -> str:
    """The prefix as Mountpoint wants it, with a '/' at its end."""
    given = bucket.get("prefix", "")
    return given if not given or given.endswith("/") else f"{given}/"
