"""FSx for Lustre: a file system in one zone for data sets that many GPU nodes read at once, optionally linked to S3.

Not included: scratch and HDD file systems, EFA between clients and servers, more than one file system per cluster,
dynamic provisioning (each claim would buy a separate file system of at least 1.2 TiB). Sources: the FSx API reference
(CreateFileSystem, CreateDataRepositoryAssociation), the FSx for Lustre user guide.
"""

from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s
from typing_extensions import NotRequired

from .. import arguments, checks, volumes
from ..checks import Problem
from . import bucket_names, drivers, regions
from .addon import EksAddon
from .roles import Roles

ADDONS = ("aws-fsx-csi-driver",)
"""EKS's names of the add-ons that `FsxLustre` installs."""

VOLUME = "lustre"
"""Name of the volume, and the class in claims for it. There is no StorageClass object of that name, so nothing is
provisioned."""

SMALLEST_GIB = 1200
STEP_GIB = 2400
THROUGHPUTS = [125, 250, 500, 1000]
"""MiB/s per TiB of a PERSISTENT_2 file system on SSD."""
# The version for clients with the kernels of current images, 6.x; the default of the API is older.
_LUSTRE = "2.15"
# Lustre's servers listen on the first port and use the others for their own connections ("File system access control
# with Amazon VPC").
_PORTS = [(988, 988), (1018, 1023)]
_BACKUP_DAYS = 7
_EVENTS = ["NEW", "CHANGED", "DELETED"]
EXPORTS = {"new": "NEW", "changed": "CHANGED", "deleted": "DELETED"}
"""Events that are exported to the bucket → FSx's names of them."""
_POLICIES = {"aws-fsx-csi-driver": "-fsx-csi-policy"}
# FSx API: ArchivePath has up to 4,357 characters; pulumi-aws accepts 900.
_URL_LIMIT = 900


class FsxLustreArgs(TypedDict):
    """A file system and its volume in one cluster."""

    cluster: pulumi.Input[str]
    """Name of the EKS cluster."""
    kubernetes_version: str
    """Kubernetes minor version of the cluster, such as "1.35"."""
    network_id: pulumi.Input[str]
    """Id of the cluster's VPC."""
    subnet_ids: dict[str, pulumi.Input[str]]
    """Private subnets by zone; the file system is in that of `zone`."""
    security_group_id: pulumi.Input[str]
    """Security group of the nodes, which may mount the file system."""
    zone: str
    """Zone of the file system, one of `subnet_ids`. It cannot change. Nodes in other zones can mount the file system as
    well, and AWS bills their traffic."""
    size_gib: NotRequired[int]
    """Size in GiB: 1200, 2400 or a multiple of 2400. It can grow in place and never shrink. Default: `1200`."""
    throughput: NotRequired[int]
    """Throughput in MiB/s for each TiB of the size: 125, 250, 500 or 1000. Default: `125`."""
    s3: NotRequired[str]
    """A bucket of the same region, with a prefix if you want, such as s3://bucket/train/. Its objects are the files.
    Default: none."""
    exports: NotRequired[list[str]]
    """Which files go back into the bucket of `s3`: `new`, `changed`, `deleted` ones. Default: none, the bucket is only
    read."""
    namespace: NotRequired[str]
    """Kubernetes namespace whose claim gets the volume. Default: the first claim of any namespace."""
    backups: NotRequired[bool]
    """Whether FSx makes a backup every day, kept for 7 days, and one at the deletion. With `s3` there are none: the
    bucket has the data. Default: `false`."""
    addon_versions: NotRequired[dict[str, str]]
    """Exact versions of EKS add-ons by name: aws-fsx-csi-driver. Default: the version that this library
    has tested with `kubernetes_version`."""
    deletion_protection: NotRequired[bool]
    """Whether Pulumi refuses to delete the file system. Default: `true`."""
    roles: NotRequired[Roles]
    """Existing IAM roles to use instead of new ones: `fsx_csi`. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags for every resource that can have tags. Default: none."""


def problems(args: FsxLustreArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, checked without calling AWS."""
    if args["zone"] not in args["subnet_ids"]:
        yield Problem(
            "zone", args["zone"], "not a zone of the network", ", ".join(args["subnet_ids"]),
            "choose the zone of the GPU nodes, or add it to the network's zones",
        )  # fmt: skip
    size = args["size_gib"]
    if size != SMALLEST_GIB and (size <= 0 or size % STEP_GIB):
        larger = -(-size // STEP_GIB) * STEP_GIB if size > SMALLEST_GIB else SMALLEST_GIB
        yield Problem(
            "size_gib", size, "not a size that FSx for Lustre offers",
            f"{SMALLEST_GIB} GiB, {STEP_GIB} GiB and multiples of {STEP_GIB} GiB", f"write {larger}",
        )  # fmt: skip
    throughput = args["throughput"]
    if throughput not in THROUGHPUTS:
        yield Problem(
            "throughput", throughput, "not a throughput that FSx for Lustre offers",
            f"{', '.join(map(str, THROUGHPUTS))} MiB/s per TiB",
            f"write {next((each for each in THROUGHPUTS if each > throughput), THROUGHPUTS[-1])}",
        )  # fmt: skip
    yield from _url_problems(args.get("s3", ""))
    exports = args.get("exports", [])
    for index, kind in enumerate(exports):
        yield from checks.one_of(f"exports[{index}]", kind, EXPORTS)
    yield from checks.listed("exports", exports, len(EXPORTS))
    if exports and not args.get("s3"):
        yield Problem(
            "exports",
            exports,
            "there is no bucket to export to",
            "`exports` together with `s3`",
            "add `s3`, or remove `exports`",
        )
    yield from checks.namespace("namespace", args.get("namespace", ""))


def warnings(args: FsxLustreArgs) -> Iterator[str]:
    """Warnings about settings that work but may not be intended."""
    if "deleted" in args.get("exports", []):
        yield f"exports: `rm` on the file system deletes objects of {args.get('s3')}; without versioning they are lost"
    if not args.get("namespace"):
        yield "namespace: the first claim of any namespace gets the volume; set the namespace that may use it"


def _url_problems(url: str) -> Iterator[Problem]:
    if not url:
        return
    if not url.startswith("s3://") or len(url) > _URL_LIMIT:
        yield Problem(
            "s3", url, "not the address of a bucket",
            f"s3://BUCKET or s3://BUCKET/PREFIX, up to {_URL_LIMIT} characters",
            f"write s3://{url.split('://')[-1].lstrip('/')}" if len(url) < _URL_LIMIT else "shorten the prefix",
        )  # fmt: skip
        return
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    for found in (*bucket_names.problems("s3", bucket), *volumes.prefix_problems("s3", prefix)):
        yield Problem("s3", url, f"{found.value!r} is {found.wrong}", found.allowed, found.fix)


class FsxLustre(pulumi.ComponentResource):
    """A PERSISTENT_2 file system on SSD, the driver that mounts it, and the PersistentVolume `lustre` over all of it.

    A claim names the volume and the class `lustre`, and asks for ReadWriteMany and up to the whole size. The volume
    serves one claim, and so one namespace; for a second one, create a PersistentVolume of another name with the outputs
    of this component. The data is encrypted at rest with the AWS managed key. With `s3`, the content of an object is
    loaded at its first read; the files that `exports` names are in the bucket soon after. What was not exported is lost
    when the file system is deleted.

    It needs the providers `aws` and `kubernetes`, and should `depends_on` nodes: the driver's controller runs on them.
    """

    volume_name: pulumi.Output[str]
    """Name of the PersistentVolume."""
    file_system_id: pulumi.Output[str]
    """Id of the file system: the `volumeHandle` of a volume."""
    dns_name: pulumi.Output[str]
    """DNS name of the file system: the attribute `dnsname` of a volume."""
    mount_name: pulumi.Output[str]
    """Mount name of the file system: the attribute `mountname` of a volume."""

    def __init__(self, name: str, args: FsxLustreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"FsxLustre {name}", FsxLustreArgs, args, problems, regions.subnet_problems,
            lambda given: drivers.problems(given, ADDONS),
            lambda given: drivers.name_problems(name, given, _POLICIES),
        )  # fmt: skip
        super().__init__("gpuyard:index:FsxLustre", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags, s3 = args.get("tags", {}), args.get("s3", "")
        size = args["size_gib"]
        # FSx makes no backup of a file system that is linked to a bucket (API reference, CreateBackup).
        backups = args["backups"] and not s3
        driver = EksAddon(
            f"{name}-fsx-csi",
            drivers.addon_args(
                "aws-fsx-csi-driver",
                args,
                # It provisions nothing here, so it need not create or delete. FSx accepts no narrower resource here.
                policy={
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": ["fsx:DescribeFileSystems"], "Resource": "*"}],
                },
            ),
            child,
        )
        group, rules = self._security_group(name, args)
        file_system = aws.fsx.LustreFileSystem(
            f"{name}-files",
            deployment_type="PERSISTENT_2",
            storage_type="SSD",
            storage_capacity=size,
            per_unit_storage_throughput=args["throughput"],
            file_system_type_version=_LUSTRE,
            subnet_ids=args["subnet_ids"][args["zone"]],
            security_group_ids=[group.id],
            # Metadata performance grows with the size; without a mode it would stay at the lowest rate.
            metadata_configuration=aws.fsx.LustreFileSystemMetadataConfigurationArgs(mode="AUTOMATIC"),
            data_compression_type="LZ4",
            automatic_backup_retention_days=_BACKUP_DAYS if backups else 0,
            copy_tags_to_backups=True,
            skip_final_backup=not backups,
            final_backup_tags=tags if backups else None,
            tags={**tags, "Name": pulumi.Output.concat(args["cluster"], "-lustre")},
            opts=pulumi.ResourceOptions(
                parent=self,
                # FSx refuses to create a file system whose security group does not allow Lustre's traffic.
                depends_on=rules,
                # It holds data sets and checkpoints.
                protect=args["deletion_protection"],
            ),
        )
        linked: list[pulumi.Resource] = []
        exported = [EXPORTS[kind] for kind in EXPORTS if kind in args.get("exports", [])]
        if s3:
            linked.append(
                aws.fsx.DataRepositoryAssociation(
                    f"{name}-s3",
                    file_system_id=file_system.id,
                    # The volume shows only the bucket.
                    file_system_path="/",
                    data_repository_path=s3,
                    batch_import_meta_data_on_create=True,
                    s3=aws.fsx.DataRepositoryAssociationS3Args(
                        auto_import_policy=aws.fsx.DataRepositoryAssociationS3AutoImportPolicyArgs(events=_EVENTS),
                        auto_export_policy=(
                            aws.fsx.DataRepositoryAssociationS3AutoExportPolicyArgs(events=exported)
                            if exported
                            else None
                        ),
                    ),
                    tags=tags,
                    opts=child,
                )
            )
        volume = k8s.core.v1.PersistentVolume(
            f"{name}-volume",
            metadata=k8s.meta.v1.ObjectMetaArgs(name=VOLUME),
            spec=k8s.core.v1.PersistentVolumeSpecArgs(
                capacity={"storage": f"{size}Gi"},
                access_modes=["ReadWriteMany"],
                persistent_volume_reclaim_policy="Retain",
                storage_class_name=VOLUME,
                claim_ref=volumes.reserved(VOLUME, args.get("namespace", "")),
                mount_options=["flock"],
                csi=k8s.core.v1.CSIPersistentVolumeSourceArgs(
                    driver="fsx.csi.aws.com",
                    volume_handle=file_system.id,
                    volume_attributes={"dnsname": file_system.dns_name, "mountname": file_system.mount_name},
                ),
            ),
            # The name is fixed, and the source of a volume cannot change in place.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[driver, *linked], delete_before_replace=True),
        )
        self.resource = file_system
        """The file system."""
        self.volume_name = volume.metadata.name
        self.file_system_id = file_system.id
        self.dns_name = file_system.dns_name
        self.mount_name = file_system.mount_name
        self.register_outputs(
            {
                "volumeName": self.volume_name,
                "fileSystemId": self.file_system_id,
                "dnsName": self.dns_name,
                "mountName": self.mount_name,
            }
        )

    def _security_group(self, name: str, args: FsxLustreArgs) -> tuple[aws.ec2.SecurityGroup, list[pulumi.Resource]]:
        """Lustre's ports between the servers and the nodes and among the servers, in both directions, and nothing
        else."""
        child = pulumi.ResourceOptions(parent=self)
        tags = args.get("tags", {})
        group = aws.ec2.SecurityGroup(
            f"{name}-servers",
            description=pulumi.Output.concat("Lustre to the nodes of ", args["cluster"]),
            vpc_id=args["network_id"],
            tags={**tags, "Name": pulumi.Output.concat(args["cluster"], "-lustre")},
            opts=child,
        )

        def ingress(
            rule: str, into: pulumi.Input[str], peer: pulumi.Input[str], first: int, last: int
        ) -> aws.vpc.SecurityGroupIngressRule:
            return aws.vpc.SecurityGroupIngressRule(
                rule,
                security_group_id=into,
                referenced_security_group_id=peer,
                ip_protocol="tcp",
                from_port=first,
                to_port=last,
                tags=tags,
                opts=child,
            )

        nodes = args["security_group_id"]
        rules: list[pulumi.Resource] = []
        for first, last in _PORTS:
            for role, peer in (("nodes", nodes), ("servers", group.id)):
                rules.append(ingress(f"{name}-from-{role}-{first}", group.id, peer, first, last))
                rules.append(
                    aws.vpc.SecurityGroupEgressRule(
                        f"{name}-to-{role}-{first}",
                        security_group_id=group.id,
                        referenced_security_group_id=peer,
                        ip_protocol="tcp",
                        from_port=first,
                        to_port=last,
                        tags=tags,
                        opts=child,
                    )
                )
            # Servers call clients back. The nodes' own group allows all outgoing traffic.
            rules.append(ingress(f"{name}-back-to-nodes-{first}", nodes, group.id, first, last))
        return group, rules
