"""Volumes on AWS: EBS for one pod, EFS shared by many, and the storage classes that hand them out.

Not here: FSx for Lustre (`lustre.py`), S3 buckets as volumes (`buckets.py`), infrequent-access tiers of EFS, keys of
one's own (EBS and EFS encrypt with the AWS-managed ones).
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from ..checks import Problem
from ..storage_classes import BLOCK, BLOCK_FAST, SHARED, snapshot_class, storage_class
from . import roles
from .addon import EksAddon, EksAddonArgs
from .roles import Roles
from .subnets import of_zones

_NFS = 2049
# The most that goes with gp3's 3,000 IOPS, which a volume of any size has and nobody pays for: a quarter of a MiB/s
# each. With more IOPS small claims never bind: EC2 takes 500 for each GiB, and the driver caps what it asks for without
# a look at the throughput (aws-ebs-csi-driver, pkg/cloud, capIOPS).
_FAST_THROUGHPUT = 750
# One id per shared volume. A file system has at most 10,000 access points (EFS quotas, "Creating access points"), and
# the driver looks at no more ids than that (aws-efs-csi-driver 3.4, pkg/driver/gid_allocator.go).
_FIRST_GID = 1000
_ACCESS_POINTS = 10_000


class AwsStorageArgs(TypedDict):
    """`cluster`: the cluster's name as an output, `cluster_name` the same as plain text. `security_group_id`: of the
    nodes, which may mount. `zones`: in the order of `subnet_ids`; one mount target each. `backups`: AWS Backup copies
    the shared file system every day and keeps 35 days (default false). `addon_versions`: exact versions of
    aws-ebs-csi-driver, aws-efs-csi-driver and snapshot-controller. `deletion_protection`: Pulumi refuses to delete the
    shared file system (default true). `roles`: ready-made ones (`ebs_csi`, `efs_csi`)."""

    cluster: pulumi.Input[str]
    cluster_name: str
    kubernetes_version: str
    network_id: pulumi.Input[str]
    zones: list[str]
    subnet_ids: pulumi.Input[list[pulumi.Input[str]]]
    security_group_id: pulumi.Input[str]
    backups: NotRequired[bool]
    addon_versions: NotRequired[dict[str, str]]
    deletion_protection: NotRequired[bool]
    roles: NotRequired[Roles]
    tags: NotRequired[dict[str, str]]


def problems(args: AwsStorageArgs) -> Iterator[Problem]:
    """Everything that is wrong with the storage's arguments, seen without asking AWS."""
    yield from ()


def mount_policy(file_system_arn: str) -> dict[str, Any]:
    """Who may do what with the shared file system: whoever reaches a mount target (the security group lets nodes only)
    reads and writes through an access point, over TLS, and nobody as root.

    The driver's volumes are access points, whose user EFS puts in place of the client's and whose directory EFS itself
    makes. A mount of the file system's root has neither: there a pod would see everybody's volumes as the user that it
    says it is. The driver shows no IAM identity unless a class asks for it (aws-efs-csi-driver 3.4,
    docs/parameters.md), and the add-on gives none to its nodes (aws-efs-csi-driver#1759): clients stay anonymous here.
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

    A volume of the class `shared` is a directory /volumes/pvc-… of the file system, with a user id of its own; there
    can be 10,000 of them. The directories are named by volume and not by claim: EFS takes paths of up to 100
    characters, which a namespace, a claim's name and the suffix that keeps deleted claims' data apart would exceed.

    Takes the providers `aws` and `kubernetes`. Depends on nodes: the drivers' controllers run on them.
    """

    storage_class_names: pulumi.Output[list[str]]
    """Names of the storage classes, the default one first."""
    file_system_id: pulumi.Output[str]
    """Id of the shared file system."""

    def __init__(self, name: str, args: AwsStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:AwsStorage", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = args.get("tags", {})
        snapshots = self._addon(f"{name}-snapshots", "snapshot-controller", args)
        # The driver's snapshot sidecar is left out where the kinds that it watches do not exist at its installation
        # (aws-ebs-csi-driver, docs/install.md), so the controller, which brings them, comes first.
        ebs = self._addon(
            f"{name}-ebs-csi",
            "aws-ebs-csi-driver",
            args,
            "ebs-csi-controller-sa",
            "ebs_csi",
            [snapshots],
            # On volumes and on snapshots. The EFS add-on has no such setting (containers-roadmap#2755).
            {"controller": {"extraVolumeTags": tags}} if tags else {},
        )
        efs = self._addon(f"{name}-efs-csi", "aws-efs-csi-driver", args, "efs-csi-controller-sa", "efs_csi")

        file_system = aws.efs.FileSystem(
            f"{name}-shared",
            encrypted=True,
            throughput_mode="elastic",
            tags={**tags, "Name": f"{args['cluster_name']}-shared"},
            # It holds data sets and checkpoints.
            opts=pulumi.ResourceOptions(parent=self, protect=args.get("deletion_protection", True)),
        )
        policy = aws.efs.FileSystemPolicy(
            f"{name}-shared-policy",
            file_system_id=file_system.id,
            policy=pulumi.Output.json_dumps(file_system.arn.apply(mount_policy)),
            opts=child,
        )
        if args.get("backups", False):
            aws.efs.BackupPolicy(
                f"{name}-shared-backups",
                file_system_id=file_system.id,
                backup_policy=aws.efs.BackupPolicyBackupPolicyArgs(status="ENABLED"),
                opts=child,
            )
        group = aws.ec2.SecurityGroup(
            f"{name}-nfs",
            description=f"NFS from the nodes of {args['cluster_name']}",
            vpc_id=args["network_id"],
            tags={**tags, "Name": f"{args['cluster_name']}-nfs"},
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
            for zone, subnet_id in zip(args["zones"], of_zones(args["subnet_ids"], args["zones"], args["zones"]))
        ]

        gp3 = {"type": "gp3", "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"}
        classes = [
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
        snapshot_class(f"{name}-block-snapshots", "ebs.csi.aws.com", self, [snapshots, ebs])
        self.storage_class_names = pulumi.Output.all(*[made.metadata.name for made in classes])
        self.file_system_id = file_system.id
        self.register_outputs({"storageClassNames": self.storage_class_names, "fileSystemId": self.file_system_id})

    def _addon(
        self,
        name: str,
        addon: str,
        args: AwsStorageArgs,
        account: str = "",
        role: str = "",
        depends_on: Sequence[pulumi.Resource] = (),
        configuration: dict[str, Any] | None = None,
    ) -> EksAddon:
        settings: EksAddonArgs = {
            "addon": addon,
            "cluster": args["cluster"],
            "cluster_name": args["cluster_name"],
            "kubernetes_version": args["kubernetes_version"],
            "tags": args.get("tags", {}),
            "versions": args.get("addon_versions", {}),
        }
        if account:
            settings = {
                **settings,
                "service_account": account,
                "policy_arns": roles.policy_arns(role),
                "role_arn": roles.by_field(args.get("roles", {})).get(role, ""),
            }
        if configuration:
            settings = {**settings, "configuration": configuration}
        return EksAddon(name, settings, pulumi.ResourceOptions(parent=self, depends_on=depends_on))
