"""Volumes on AWS: EBS for one pod, EFS for many, and their storage classes.

Not included: FSx for Lustre (`FsxLustre`), S3 buckets as volumes (`S3Buckets`), infrequent-access tiers of EFS, and
your own encryption keys (EBS and EFS encrypt with the AWS managed ones).
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments
from ..checks import Problem
from ..storage_classes import BLOCK, BLOCK_FAST, SHARED, snapshot_class, storage_class
from . import drivers, regions
from .addon import EksAddon
from .roles import Roles

ADDONS = ("aws-ebs-csi-driver", "aws-efs-csi-driver", "snapshot-controller")
"""EKS's names of the add-ons that `AwsStorage` installs."""
_POLICIES = {"aws-ebs-csi-driver": "", "aws-efs-csi-driver": ""}

_NFS = 2049
# The most that gp3 offers with its 3,000 free IOPS, which a volume of any size has: a quarter of a MiB/s for each. With
# more IOPS small claims would never bind: EC2 accepts 500 for each GiB, and the driver lowers the IOPS without lowering
# the throughput (aws-ebs-csi-driver, pkg/cloud, capIOPS).
_FAST_THROUGHPUT = 750
# One group id per shared volume. A file system has at most 10,000 access points (EFS quotas, "Creating access points"),
# and the driver tries no more ids than that (aws-efs-csi-driver 3.4, pkg/driver/gid_allocator.go).
_FIRST_GID = 1000
_ACCESS_POINTS = 10_000


class AwsStorageArgs(TypedDict):
    """The storage classes of one cluster, and the resources that they use."""

    cluster: pulumi.Input[str]
    """Name of the EKS cluster."""
    kubernetes_version: str
    """Kubernetes minor version of the cluster, such as "1.35"."""
    network_id: pulumi.Input[str]
    """Id of the cluster's VPC."""
    subnet_ids: dict[str, pulumi.Input[str]]
    """Private subnets by zone. The shared file system gets a mount target in each."""
    security_group_id: pulumi.Input[str]
    """Security group of the nodes, which may mount the shared file system."""
    backups: NotRequired[bool]
    """Whether AWS Backup copies the shared file system every day and keeps the copies for 35 days. Default: `false`."""
    addon_versions: NotRequired[dict[str, str]]
    """Exact versions of EKS add-ons by name: aws-ebs-csi-driver, aws-efs-csi-driver, snapshot-controller. Default: the
    versions that this library has tested with `kubernetes_version`."""
    deletion_protection: NotRequired[bool]
    """Whether Pulumi refuses to delete the shared file system. Default: `true`."""
    roles: NotRequired[Roles]
    """Existing IAM roles to use instead of new ones: `ebs_csi`, `efs_csi`. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags for every resource that can have tags, and for EBS volumes and snapshots that claims create. Default:
    none."""


def problems(args: AwsStorageArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, checked without calling AWS."""
    if not args["subnet_ids"]:
        yield Problem(
            "subnet_ids", {}, "empty: no node could mount the shared file system", "a private subnet in each zone",
            "pass `subnet_ids` of the network",
        )  # fmt: skip


def mount_policy(file_system_arn: str) -> dict[str, Any]:
    """The policy of the shared file system: a client that reaches a mount target (the security group admits nodes only)
    reads and writes through an access point, over TLS, and never as root.

    The driver's volumes are access points: EFS replaces the client's user by the access point's, and creates its
    directory. A mount of the file system's root has neither, so a pod could see all volumes, as any user that it claims
    to be. The driver sends no IAM identity unless a class asks for it (aws-efs-csi-driver 3.4, docs/parameters.md), and
    the add-on gives none to its nodes (aws-efs-csi-driver#1759), so clients are anonymous here.
    """
    everyone = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Resource": file_system_arn}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                **everyone,
                "Sid": "MountFromNodes",
                "Action": ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"],
                "Condition": {"Bool": {"elasticfilesystem:AccessedViaMountTarget": "true"}},
            },
            {
                **everyone,
                "Sid": "OnlyByAccessPoint",
                "Effect": "Deny",
                "Action": [
                    "elasticfilesystem:ClientMount",
                    "elasticfilesystem:ClientWrite",
                    "elasticfilesystem:ClientRootAccess",
                ],
                "Condition": {"Null": {"elasticfilesystem:AccessPointArn": "true"}},
            },
            {
                **everyone,
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Action": "*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
        ],
    }


class AwsStorage(pulumi.ComponentResource):
    """The storage classes `block` (default), `block-fast` and `shared`, with their drivers and the EFS file system, and
    the snapshot class `block` with its controller.

    A volume of the class `shared` is a directory /volumes/pvc-… of the file system, with its own user id; there can be
    10,000 of them. Directories have the name of the volume, not of the claim: EFS limits paths to 100 characters, which
    a namespace, a claim's name and the suffix that separates the data of deleted claims would exceed.

    It needs the providers `aws` and `kubernetes`, and should `depends_on` nodes: the drivers' controllers run on them.
    """

    storage_class_names: pulumi.Output[list[str]]
    """Names of the storage classes, the default one first."""
    file_system_id: pulumi.Output[str]
    """Id of the shared file system."""

    def __init__(self, name: str, args: AwsStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"AwsStorage {name}", AwsStorageArgs, args, problems, regions.subnet_problems,
            lambda given: drivers.problems(given, ADDONS),
            lambda given: drivers.name_problems(name, given, _POLICIES),
        )  # fmt: skip
        super().__init__("gpuyard:index:AwsStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        cluster, tags = args["cluster"], args.get("tags", {})
        snapshots = self._addon(f"{name}-snapshots", "snapshot-controller", args)
        # The driver omits its snapshot sidecar if the kinds that it watches do not exist at its installation
        # (aws-ebs-csi-driver, docs/install.md), so the controller, which installs them, comes first.
        ebs = self._addon(
            f"{name}-ebs-csi",
            "aws-ebs-csi-driver",
            args,
            [snapshots],
            # For volumes and snapshots. The EFS add-on has no such setting (containers-roadmap#2755).
            {"controller": {"extraVolumeTags": tags}} if tags else {},
        )
        efs = self._addon(f"{name}-efs-csi", "aws-efs-csi-driver", args)

        file_system = aws.efs.FileSystem(
            f"{name}-shared",
            encrypted=True,
            throughput_mode="elastic",
            tags={**tags, "Name": pulumi.Output.concat(cluster, "-shared")},
            # It holds data sets and checkpoints.
            opts=pulumi.ResourceOptions(parent=self, protect=args["deletion_protection"]),
        )
        policy = aws.efs.FileSystemPolicy(
            f"{name}-shared-policy",
            file_system_id=file_system.id,
            policy=pulumi.Output.json_dumps(file_system.arn.apply(mount_policy)),
            opts=child,
        )
        if args["backups"]:
            aws.efs.BackupPolicy(
                f"{name}-shared-backups",
                file_system_id=file_system.id,
                backup_policy=aws.efs.BackupPolicyBackupPolicyArgs(status="ENABLED"),
                opts=child,
            )
        group = aws.ec2.SecurityGroup(
            f"{name}-nfs",
            description=pulumi.Output.concat("NFS from the nodes of ", cluster),
            vpc_id=args["network_id"],
            tags={**tags, "Name": pulumi.Output.concat(cluster, "-nfs")},
            opts=child,
        )
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-nfs-from-nodes",
            security_group_id=group.id,
            referenced_security_group_id=args["security_group_id"],
            ip_protocol="tcp",
            from_port=_NFS,
            to_port=_NFS,
            tags=tags,
            opts=child,
        )
        targets = [
            aws.efs.MountTarget(
                f"{name}-shared-{zone}",
                file_system_id=file_system.id,
                subnet_id=subnet_id,
                security_groups=[group.id],
                opts=child,
            )
            for zone, subnet_id in args["subnet_ids"].items()
        ]

        gp3 = {"type": "gp3", "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"}
        self.storage_classes = [
            storage_class(f"{name}-block", BLOCK, "ebs.csi.aws.com", gp3, self, [ebs]),
            storage_class(
                f"{name}-block-fast",
                BLOCK_FAST,
                "ebs.csi.aws.com",
                {**gp3, "throughput": str(_FAST_THROUGHPUT)},
                self,
                [ebs],
            ),
            storage_class(
                f"{name}-shared",
                SHARED,
                "efs.csi.aws.com",
                {
                    "provisioningMode": "efs-ap",
                    "fileSystemId": file_system.id,
                    "directoryPerms": "700",
                    "gidRangeStart": str(_FIRST_GID),
                    "gidRangeEnd": str(_FIRST_GID + _ACCESS_POINTS - 1),
                    "basePath": "/volumes",
                },
                self,
                [efs, policy, *targets],
            ),
        ]
        """The StorageClasses, the default one first."""
        snapshot_class(f"{name}-block-snapshots", "ebs.csi.aws.com", self, [snapshots, ebs])
        self.resource = file_system
        """The shared file system."""
        self.storage_class_names = pulumi.Output.all(*[made.metadata.name for made in self.storage_classes])
        self.file_system_id = file_system.id
        self.register_outputs({"storageClassNames": self.storage_class_names, "fileSystemId": self.file_system_id})

    def _addon(
        self,
        name: str,
        addon: str,
        args: AwsStorageArgs,
        depends_on: Sequence[pulumi.Resource] = (),
        configuration: dict[str, Any] | None = None,
    ) -> EksAddon:
        settings = drivers.addon_args(addon, args)
        if configuration:
            settings["configuration"] = configuration
        return EksAddon(name, settings, pulumi.ResourceOptions(parent=self, depends_on=depends_on))
