"""FSx for Lustre: file systems and their links to S3."""

from __future__ import annotations

from sandbox.aws.table import Call, Row, Tags

_FS = {"FileSystemId": "{id}"}
_LUSTRE = "LustreConfiguration"
_TAGS = Tags(
    member="Tags",
    write=Call("TagResource", fixed={"ResourceARN": "{ResourceARN}", "Tags": []}),
    remove=Call("UntagResource", fixed={"ResourceARN": "{ResourceARN}", "TagKeys": []}),
)
_IN_PLACE = {
    "storageCapacity": "StorageCapacity",
    "automaticBackupRetentionDays": f"{_LUSTRE}.AutomaticBackupRetentionDays",
    "dailyAutomaticBackupStartTime": f"{_LUSTRE}.DailyAutomaticBackupStartTime",
    "dataCompressionType": f"{_LUSTRE}.DataCompressionType",
    "metadataConfiguration": f"{_LUSTRE}.MetadataConfiguration",
    "perUnitStorageThroughput": f"{_LUSTRE}.PerUnitStorageThroughput",
    "weeklyMaintenanceStartTime": f"{_LUSTRE}.WeeklyMaintenanceStartTime",
}
_FIXED = {
    "copyTagsToBackups": f"{_LUSTRE}.CopyTagsToBackups",
    "deploymentType": f"{_LUSTRE}.DeploymentType",
    "fileSystemTypeVersion": "FileSystemTypeVersion",
    "kmsKeyId": "KmsKeyId",
    "securityGroupIds": "SecurityGroupIds",
    "storageType": "StorageType",
}


ROWS = [
    Row(
        token="aws:fsx/lustreFileSystem:LustreFileSystem",
        service="fsx",
        id="{FileSystemId}",
        create=(
            Call(
                "CreateFileSystem",
                {**_IN_PLACE, **_FIXED},
                # One subnet: a string in pulumi-aws.
                {"FileSystemType": "LUSTRE", "SubnetIds": ["{subnetIds}"]},
                answer="FileSystem",
            ),
        ),
        read=(
            Call(
                "DescribeFileSystems",
                fixed={"FileSystemIds": ["{id}"]},
                answer="FileSystems[0]",
                gives={
                    "arn": "ResourceARN",
                    "dnsName": "DNSName",
                    "mountName": f"{_LUSTRE}.MountName",
                    "networkInterfaceIds": "NetworkInterfaceIds",
                    "ownerId": "OwnerId",
                    "subnetIds": "SubnetIds[0]",
                    "vpcId": "VpcId",
                },
            ),
        ),
        update=(Call("UpdateFileSystem", _IN_PLACE, _FS),),
        delete=(
            Call(
                "DeleteFileSystem",
                {
                    "skipFinalBackup": f"{_LUSTRE}.SkipFinalBackup",
                    "finalBackupTags": f"{_LUSTRE}.FinalBackupTags",
                },
                _FS,
            ),
        ),
        replaces=frozenset({*_FIXED, "subnetIds"}),
        only_grows=frozenset({"storageCapacity"}),
        defaults={
            "copyTagsToBackups": False,
            "dataCompressionType": "NONE",
            "deploymentType": "SCRATCH_1",
            "skipFinalBackup": True,
            "storageType": "SSD",
        },
        tags=_TAGS,
        ready=("Lifecycle", ("AVAILABLE",), ("FAILED", "DELETING", "MISCONFIGURED")),
        await_gone=True,
        computed=frozenset({"metadataConfiguration.iops"}),
        also=frozenset({"subnetIds"}),
    ),
    Row(
        token="aws:fsx/dataRepositoryAssociation:DataRepositoryAssociation",
        service="fsx",
        id="{AssociationId}",
        create=(
            Call(
                "CreateDataRepositoryAssociation",
                {
                    "batchImportMetaDataOnCreate": "BatchImportMetaDataOnCreate",
                    "dataRepositoryPath": "DataRepositoryPath",
                    "fileSystemId": "FileSystemId",
                    "fileSystemPath": "FileSystemPath",
                    "importedFileChunkSize": "ImportedFileChunkSize",
                    "s3": "S3",
                },
                answer="Association",
            ),
        ),
        read=(
            Call(
                "DescribeDataRepositoryAssociations",
                fixed={"AssociationIds": ["{id}"]},
                answer="Associations[0]",
                gives={"arn": "ResourceARN", "associationId": "AssociationId"},
            ),
        ),
        update=(
            Call(
                "UpdateDataRepositoryAssociation",
                {"importedFileChunkSize": "ImportedFileChunkSize", "s3": "S3"},
                {"AssociationId": "{id}"},
            ),
        ),
        delete=(
            Call(
                "DeleteDataRepositoryAssociation",
                {"deleteDataInFilesystem": "DeleteDataInFileSystem"},
                {"AssociationId": "{id}"},
            ),
        ),
        replaces=frozenset({"dataRepositoryPath", "fileSystemId", "fileSystemPath"}),
        defaults={"batchImportMetaDataOnCreate": False, "deleteDataInFilesystem": False},
        tags=_TAGS,
        ready=("Lifecycle", ("AVAILABLE",), ("FAILED", "DELETING", "MISCONFIGURED")),
        await_gone=True,
    ),
]
