"""EFS file systems, mount targets, backup policies and file system policies; S3 buckets."""

from __future__ import annotations

import re
from typing import Any

from sandbox.aws.api import AwsError
from sandbox.aws.rows.iam import check_document
from sandbox.aws.session import ACCOUNT
from sandbox.aws.table import Call, Name, Row, Scope, Tags

_FS = {"FileSystemId": "{id}"}


def _lifecycle(scope: Scope) -> None:
    """The lifecycle policies of EFS, one transition in each."""
    if scope.changed("lifecyclePolicies"):
        member = {"transitionToIa": "TransitionToIA"}
        policies = [
            {member.get(key, key[:1].upper() + key[1:]): value}
            for policy in scope.inputs.get("lifecyclePolicies") or []
            for key, value in policy.items()
            if value
        ]
        scope.api.call("efs", "PutLifecycleConfiguration", {"FileSystemId": scope.id, "LifecyclePolicies": policies})


def _replication(scope: Scope) -> None:
    value = (scope.inputs.get("protection") or {}).get("replicationOverwrite")
    if value and scope.changed("protection"):
        params = {"FileSystemId": scope.id, "ReplicationOverwriteProtection": value}
        scope.api.call("efs", "UpdateFileSystemProtection", params)


def _shown_lifecycle(scope: Scope) -> dict[str, Any]:
    found = scope.api.call("efs", "DescribeLifecycleConfiguration", {"FileSystemId": scope.id})["LifecyclePolicies"]
    shown = [{key[:1].lower() + key[1:].replace("IA", "Ia"): value for key, value in p.items()} for p in found]
    return {"lifecyclePolicies": shown} if shown else {}


def _shown_backup(scope: Scope) -> dict[str, Any] | None:
    try:
        status = scope.api.call("efs", "DescribeBackupPolicy", {"FileSystemId": scope.id})["BackupPolicy"]["Status"]
    except AwsError as error:
        if error.code == "FileSystemNotFound":
            return None
        if error.code != "PolicyNotFound":
            raise
        status = "DISABLED"
    return {"fileSystemId": scope.id, "backupPolicy": {"status": status}}


def _put_backup(scope: Scope) -> None:
    params = {
        "FileSystemId": scope.inputs["fileSystemId"],
        "BackupPolicy": {"Status": scope.inputs["backupPolicy"]["status"]},
    }
    scope.api.call("efs", "PutBackupPolicy", params)


def _no_backup(scope: Scope) -> None:
    if _shown_backup(scope) is None:
        return
    params = {"FileSystemId": scope.id, "BackupPolicy": {"Status": "DISABLED"}}
    scope.api.call("efs", "PutBackupPolicy", params)


# -- S3 ---------------------------------------------------------------------------------------------------------------


def _create_bucket(scope: Scope) -> None:
    params: dict[str, Any] = {"Bucket": scope.inputs["bucket"]}
    if scope.api.region != "us-east-1":
        params["CreateBucketConfiguration"] = {"LocationConstraint": scope.api.region}
    if scope.inputs.get("objectLockEnabled"):
        params["ObjectLockEnabledForBucket"] = True
    scope.api.call("s3", "CreateBucket", params)


def _bucket_settings(scope: Scope) -> None:
    bucket = {"Bucket": scope.id}
    if scope.changed("versioning") and scope.inputs.get("versioning"):
        status = "Enabled" if scope.inputs["versioning"].get("enabled") else "Suspended"
        scope.api.call("s3", "PutBucketVersioning", {**bucket, "VersioningConfiguration": {"Status": status}})
    if scope.changed("policy") and scope.inputs.get("policy"):
        scope.api.call("s3", "PutBucketPolicy", {**bucket, "Policy": scope.inputs["policy"]})
    encryption = scope.inputs.get("serverSideEncryptionConfiguration")
    if scope.changed("serverSideEncryptionConfiguration") and encryption:
        default = encryption["rule"]["applyServerSideEncryptionByDefault"]
        rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": default["sseAlgorithm"]}}
        if default.get("kmsMasterKeyId"):
            rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] = default["kmsMasterKeyId"]
        if encryption["rule"].get("bucketKeyEnabled") is not None:
            rule["BucketKeyEnabled"] = encryption["rule"]["bucketKeyEnabled"]
        params = {**bucket, "ServerSideEncryptionConfiguration": {"Rules": [rule]}}
        scope.api.call("s3", "PutBucketEncryption", params)


def _bucket_tags(scope: Scope) -> None:
    """S3 replaces all tags of a bucket at once."""
    if scope.tags:
        pairs = [{"Key": key, "Value": value} for key, value in scope.tags.items()]
        scope.api.call("s3", "PutBucketTagging", {"Bucket": scope.id, "Tagging": {"TagSet": pairs}})
    elif scope.olds:
        scope.api.call("s3", "DeleteBucketTagging", {"Bucket": scope.id})


def _empty_bucket(scope: Scope) -> None:
    if not scope.inputs.get("forceDestroy"):
        return
    found = scope.api.call("s3", "ListObjectVersions", {"Bucket": scope.id})
    for each in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
        params = {"Bucket": scope.id, "Key": each["Key"], "VersionId": each["VersionId"]}
        scope.api.call("s3", "DeleteObject", params)


def _shown_bucket(scope: Scope) -> dict[str, Any]:
    name, region = scope.id, scope.api.region
    try:
        pairs = scope.api.call("s3", "GetBucketTagging", {"Bucket": name})["TagSet"]
    except AwsError as error:
        if not error.gone:
            raise
        pairs = []
    return {
        "arn": f"arn:aws:s3:::{name}",
        "bucket": name,
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{name}.s3.{region}.amazonaws.com",
        "bucketRegion": region,
        "tagsAll": {each["Key"]: each["Value"] for each in pairs},
    }


def _check_bucket(inputs: dict[str, Any]) -> list[tuple[str, str]]:
    name = inputs.get("bucket")
    if isinstance(name, str) and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
        return [
            ("bucket", f"{name!r} is not a valid bucket name: 3 to 63 lower-case letters, digits, dots and hyphens")
        ]
    return []


ROWS = [
    Row(
        token="aws:efs/fileSystem:FileSystem",
        service="efs",
        id="{FileSystemId}",
        create=(
            Call(
                "CreateFileSystem",
                {
                    "creationToken": "CreationToken",
                    "availabilityZoneName": "AvailabilityZoneName",
                    "encrypted": "Encrypted",
                    "kmsKeyId": "KmsKeyId",
                    "performanceMode": "PerformanceMode",
                    "throughputMode": "ThroughputMode",
                    "provisionedThroughputInMibps": "ProvisionedThroughputInMibps",
                },
            ),
            _lifecycle,
            _replication,
        ),
        read=(
            Call(
                "DescribeFileSystems",
                fixed=_FS,
                answer="FileSystems[0]",
                gives={
                    "arn": "FileSystemArn",
                    "ownerId": "OwnerId",
                    "name": "Name",
                    "numberOfMountTargets": "NumberOfMountTargets",
                    "availabilityZoneId": "AvailabilityZoneId",
                    "dnsName": "'{id}.efs.{region}.amazonaws.com'",
                },
            ),
            _shown_lifecycle,
        ),
        update=(
            Call(
                "UpdateFileSystem",
                {"throughputMode": "ThroughputMode", "provisionedThroughputInMibps": "ProvisionedThroughputInMibps"},
                _FS,
            ),
            _lifecycle,
            _replication,
        ),
        delete=(Call("DeleteFileSystem", fixed=_FS),),
        replaces=frozenset({"creationToken", "availabilityZoneName", "encrypted", "kmsKeyId", "performanceMode"}),
        defaults={"throughputMode": "bursting"},
        name=Name("creationToken", "", longest=64),
        tags=Tags(
            member="Tags",
            write=Call("TagResource", fixed={"ResourceId": "{id}", "Tags": []}),
            remove=Call("UntagResource", fixed={"ResourceId": "{id}", "TagKeys": []}),
        ),
        ready=("LifeCycleState", ("available",), ("error", "deleting")),
        await_gone=True,
    ),
    Row(
        token="aws:efs/mountTarget:MountTarget",
        service="efs",
        id="{MountTargetId}",
        create=(
            Call(
                "CreateMountTarget",
                {
                    "fileSystemId": "FileSystemId",
                    "subnetId": "SubnetId",
                    "securityGroups": "SecurityGroups",
                    "ipAddress": "IpAddress",
                },
            ),
        ),
        read=(
            Call(
                "DescribeMountTargets",
                fixed={"MountTargetId": "{id}"},
                answer="MountTargets[0]",
                gives={
                    "availabilityZoneId": "AvailabilityZoneId",
                    "availabilityZoneName": "AvailabilityZoneName",
                    "ipAddress": "IpAddress",
                    "networkInterfaceId": "NetworkInterfaceId",
                    "ownerId": "OwnerId",
                    "dnsName": "'{FileSystemId}.efs.{region}.amazonaws.com'",
                    "mountTargetDnsName": "'{AvailabilityZoneName}.{FileSystemId}.efs.{region}.amazonaws.com'",
                    "fileSystemArn": f"'arn:aws:elasticfilesystem:{{region}}:{ACCOUNT}:file-system/{{FileSystemId}}'",
                },
            ),
            Call(
                "DescribeMountTargetSecurityGroups",
                fixed={"MountTargetId": "{id}"},
                gives={"securityGroups": "SecurityGroups"},
            ),
        ),
        update=(
            Call("ModifyMountTargetSecurityGroups", {"securityGroups": "SecurityGroups"}, {"MountTargetId": "{id}"}),
        ),
        delete=(Call("DeleteMountTarget", fixed={"MountTargetId": "{id}"}),),
        replaces=frozenset({"fileSystemId", "subnetId", "ipAddress"}),
        ready=("LifeCycleState", ("available",), ("error", "deleting")),
        await_gone=True,
        # There can be one mount target per zone, so the old one is deleted first.
        delete_first=True,
    ),
    Row(
        token="aws:efs/backupPolicy:BackupPolicy",
        service="efs",
        id="{fileSystemId}",
        create=(_put_backup,),
        read=(_shown_backup,),
        update=(_put_backup,),
        delete=(_no_backup,),
        replaces=frozenset({"fileSystemId"}),
    ),
    Row(
        token="aws:efs/fileSystemPolicy:FileSystemPolicy",
        service="efs",
        id="{fileSystemId}",
        create=(
            Call(
                "PutFileSystemPolicy",
                {
                    "fileSystemId": "FileSystemId",
                    "policy": "Policy",
                    "bypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck",
                },
            ),
        ),
        read=(Call("DescribeFileSystemPolicy", fixed=_FS),),
        update=(
            Call(
                "PutFileSystemPolicy",
                {"policy": "Policy", "bypassPolicyLockoutSafetyCheck": "BypassPolicyLockoutSafetyCheck"},
                _FS,
            ),
        ),
        delete=(Call("DeleteFileSystemPolicy", fixed=_FS),),
        replaces=frozenset({"fileSystemId"}),
        defaults={"bypassPolicyLockoutSafetyCheck": False},
        json=frozenset({"policy"}),
        check=check_document("policy"),
    ),
    Row(
        token="aws:s3/bucket:Bucket",
        service="s3",
        id="{bucket}",
        create=(_create_bucket, _bucket_settings, _bucket_tags),
        read=(Call("HeadBucket", fixed={"Bucket": "{id}"}), _shown_bucket),
        update=(_bucket_settings, _bucket_tags),
        delete=(_empty_bucket, Call("DeleteBucket", fixed={"Bucket": "{id}"})),
        replaces=frozenset({"bucket", "bucketPrefix", "objectLockEnabled"}),
        defaults={"forceDestroy": False},
        name=Name("bucket", "bucketPrefix", longest=63, lower=True),
        tags=Tags(),
        also=frozenset({"forceDestroy"}),
        json=frozenset({"policy"}),
        check=_check_bucket,
    ),
]
