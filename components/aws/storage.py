"""Volumes on AWS: EBS for one pod, EFS shared by many, and the storage classes that hand them out."""

from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from ..checks import Problem
from ..storage_classes import BLOCK, BLOCK_FAST, SHARED, storage_class
from .addon import EksAddon

# Without the path service-role/: this one stands at the root, unlike its predecessor (IAM answers NoSuchEntity).
_EBS_POLICY = "arn:aws:iam::aws:policy/AmazonEBSCSIDriverPolicyV2"
_EFS_POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEFSCSIDriverPolicy"
_NFS = 2049
# gp3's own limits: 80,000 IOPS and 2,000 MiB/s; these are enough to stream a data set to eight GPUs.
_FAST_IOPS = 16000
_FAST_THROUGHPUT = 1000


class AwsStorageArgs(TypedDict):
    """`cluster`: the cluster's name as an output, `cluster_name` the same as plain text. `security_group_id`: of the
    nodes, which may mount. `zones`: in the order of `subnet_ids`; one mount target each. `addon_versions`: exact
    versions of aws-ebs-csi-driver and aws-efs-csi-driver. `deletion_protection`: Pulumi refuses to delete the shared
    file system (default true)."""

    cluster: pulumi.Input[str]
    cluster_name: str
    kubernetes_version: str
    network_id: pulumi.Input[str]
    zones: list[str]
    subnet_ids: pulumi.Input[list[str]]
    security_group_id: pulumi.Input[str]
    addon_versions: NotRequired[dict[str, str]]
    deletion_protection: NotRequired[bool]
    tags: NotRequired[dict[str, str]]


def problems(args: AwsStorageArgs) -> Iterator[Problem]:
    """Everything that is wrong with the storage's arguments, seen without asking AWS."""
    yield from ()


class AwsStorage(pulumi.ComponentResource):
    """The storage classes `block` (default), `block-fast` and `shared`, with their drivers and the EFS file system.

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
        ebs = self._driver(f"{name}-ebs-csi", "aws-ebs-csi-driver", "ebs-csi-controller-sa", _EBS_POLICY, args)
        efs = self._driver(f"{name}-efs-csi", "aws-efs-csi-driver", "efs-csi-controller-sa", _EFS_POLICY, args)

        file_system = aws.efs.FileSystem(
            f"{name}-shared",
            encrypted=True,
            throughput_mode="elastic",
            tags={**tags, "Name": f"{args['cluster_name']}-shared"},
            # It holds data sets and checkpoints.
            opts=pulumi.ResourceOptions(parent=self, protect=args.get("deletion_protection", True)),
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
            opts=child,
        )
        targets = [
            aws.efs.MountTarget(
                f"{name}-shared-{zone}",
                file_system_id=file_system.id,
                subnet_id=pulumi.Output.from_input(args["subnet_ids"]).apply(lambda ids, index=index: ids[index]),
                security_groups=[group.id],
                opts=child,
            )
            for index, zone in enumerate(args["zones"])
        ]

        gp3 = {"type": "gp3", "encrypted": "true", "csi.storage.k8s.io/fstype": "ext4"}
        classes = [
            storage_class(f"{name}-block", BLOCK, "ebs.csi.aws.com", gp3, self, [ebs]),
            storage_class(
                f"{name}-block-fast",
                BLOCK_FAST,
                "ebs.csi.aws.com",
                {**gp3, "iops": str(_FAST_IOPS), "throughput": str(_FAST_THROUGHPUT)},
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
                    "gidRangeStart": "1000",
                    "gidRangeEnd": "2000",
                    "basePath": "/volumes",
                },
                self,
                [efs, *targets],
            ),
        ]
        self.storage_class_names = pulumi.Output.all(*[made.metadata.name for made in classes])
        self.file_system_id = file_system.id
        self.register_outputs({"storageClassNames": self.storage_class_names, "fileSystemId": self.file_system_id})

    def _driver(self, name: str, addon: str, account: str, policy: str, args: AwsStorageArgs) -> EksAddon:
        return EksAddon(
            name,
            {
                "addon": addon,
                "cluster": args["cluster"],
                "cluster_name": args["cluster_name"],
                "kubernetes_version": args["kubernetes_version"],
                "service_account": account,
                "policy_arns": [policy],
                "tags": args.get("tags", {}),
                "versions": args.get("addon_versions", {}),
            },
            pulumi.ResourceOptions(parent=self),
        )
