"""FSx for Lustre, with the behavior that moto lacks: a file system's description, its network interface, refusals,
updates, and data repository associations. The state is in moto's FSx backend.

A file system is available at once, nothing is imported from or exported to S3, and no backup is created.
"""

from __future__ import annotations

import json
import secrets
import string
import time
import uuid
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.ec2.models import ec2_backends
from moto.fsx.exceptions import FileSystemNotFound
from moto.fsx.models import FileSystem, FSxBackend
from moto.fsx.responses import FSxResponse

_THROUGHPUTS = (125, 250, 500, 1000)
_PORT = 988
_CONFIGURATION = {
    "AutomaticBackupRetentionDays": 0,
    "CopyTagsToBackups": False,
    "DataCompressionType": "NONE",
    "WeeklyMaintenanceStartTime": "1:06:00",
}


def created(original: Any, backend: Any, **given: Any) -> Any:
    """CreateFileSystem, of Lustre only."""
    configuration = {**_CONFIGURATION, **(given["lustre_configuration"] or {})}
    if given["file_system_type"] != "LUSTRE" or configuration.get("DeploymentType") != "PERSISTENT_2":
        raise _refused("the sandbox simulates Lustre file systems of the deployment type PERSISTENT_2 only")
    _check_size(given["storage_capacity"])
    _check_throughput(configuration)
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    subnet = ec2.get_subnet(given["subnet_ids"][0])
    if not any(_lets_lustre_in(ec2, each) for each in given["security_group_ids"] or []):
        raise JsonRESTError(
            "InvalidNetworkSettings",
            "The file system cannot be created because the default security group in the subnet provided or the "
            "provided security groups do not permit Lustre LNET network traffic on port 988",
        )
    letters = string.ascii_lowercase + string.digits
    configuration["MountName"] = "".join(secrets.choice(letters) for _ in range(8))
    made = original(backend, **{**given, "lustre_configuration": configuration})
    interface = ec2.create_network_interface(subnet, [], group_ids=given["security_group_ids"])
    made.sandbox = {
        "Lifecycle": "AVAILABLE",
        "CreationTime": time.time(),
        "OwnerId": backend.account_id,
        "VpcId": subnet.vpc_id,
        "NetworkInterfaceIds": [interface.id],
        "FileSystemTypeVersion": given["file_system_type_version"] or "2.12",
        "KmsKeyId": given["kms_key_id"] or f"arn:aws:kms:{backend.region_name}:{backend.account_id}:key/aws-fsx",
    }
    return made


def shown(original: Any, system: Any) -> dict[str, Any]:
    """A file system as DescribeFileSystems returns it, without the security groups."""
    described = {**original(system), **getattr(system, "sandbox", {})}
    described.pop("SecurityGroupIds", None)
    metadata = (described.get("LustreConfiguration") or {}).get("MetadataConfiguration")
    if metadata:
        iops = metadata.get("Iops") or _automatic_iops(described["StorageCapacity"])
        described["LustreConfiguration"] = {
            **described["LustreConfiguration"],
            "MetadataConfiguration": {**metadata, "Iops": iops},
        }
    return described


def described(original: Any, backend: Any, file_system_ids: list[str] | None = None, **page: Any) -> Any:
    """DescribeFileSystems, which refuses unknown ids."""
    for each in file_system_ids or []:
        _system(backend, each)
    return original(backend, file_system_ids=file_system_ids, **page)


def deleted(original: Any, backend: Any, file_system_id: str, **given: Any) -> Any:
    """DeleteFileSystem: also deletes its network interface and its associations."""
    system = _system(backend, file_system_id)
    answer = original(backend, file_system_id=file_system_id, **given)
    ec2 = ec2_backends[backend.account_id][backend.region_name]
    for interface in system.sandbox["NetworkInterfaceIds"]:
        ec2.enis.pop(interface, None)
    for key, association in list(_held(backend).items()):
        if association["FileSystemId"] == file_system_id:
            del _held(backend)[key]
    return answer


def _update(response: Any) -> str:
    params = json.loads(response.body)
    system = _system(response.fsx_backend, params["FileSystemId"])
    capacity, changes = params.get("StorageCapacity"), params.get("LustreConfiguration") or {}
    if capacity is not None:
        _check_size(capacity)
        if capacity < system.storage_capacity:
            raise _refused("the storage capacity of a file system can only be increased")
    configuration = {**system.lustre_configuration, **changes}
    _check_throughput(configuration)
    linked = any(each["FileSystemId"] == system.file_system_id for each in _held(response.fsx_backend).values())
    if linked and configuration["AutomaticBackupRetentionDays"]:
        raise _refused("automatic backups are not supported on a file system that is linked to a data repository")
    system.lustre_configuration = configuration
    system.storage_capacity = capacity or system.storage_capacity
    return json.dumps({"FileSystem": system.to_dict()})


def _associate(response: Any) -> str:
    params, backend = json.loads(response.body), response.fsx_backend
    system = _system(backend, params["FileSystemId"])
    if system.lustre_configuration["AutomaticBackupRetentionDays"]:
        raise _refused("a file system with automatic backups cannot be linked to a data repository")
    path = params.get("FileSystemPath") or "/"
    taken = [
        each["FileSystemPath"]
        for each in _held(backend).values()
        if each["FileSystemId"] == system.file_system_id and _overlap(each["FileSystemPath"], path)
    ]
    if taken:
        raise _refused(f"the file system path {path} overlaps {taken[0]}, which is already linked")
    identity = f"dra-{uuid.uuid4().hex[:17]}"
    arn = f"arn:aws:fsx:{backend.region_name}:{backend.account_id}:association/{system.file_system_id}/{identity}"
    _held(backend)[identity] = {
        "AssociationId": identity,
        "ResourceARN": arn,
        "FileSystemId": system.file_system_id,
        "Lifecycle": "AVAILABLE",
        "FileSystemPath": path,
        "DataRepositoryPath": params["DataRepositoryPath"],
        "BatchImportMetaDataOnCreate": params.get("BatchImportMetaDataOnCreate", False),
        "ImportedFileChunkSize": params.get("ImportedFileChunkSize", 1024),
        "S3": params.get("S3") or {},
        "CreationTime": time.time(),
    }
    backend.tagger.tag_resource(arn, params.get("Tags") or [])
    return json.dumps({"Association": _association(backend, identity)})


def _associations(response: Any) -> str:
    wanted, backend = json.loads(response.body).get("AssociationIds"), response.fsx_backend
    return json.dumps({"Associations": [_association(backend, each) for each in wanted or list(_held(backend))]})


def _change_association(response: Any) -> str:
    params, backend = json.loads(response.body), response.fsx_backend
    _association(backend, params["AssociationId"])
    changes = {key: params[key] for key in ("ImportedFileChunkSize", "S3") if key in params}
    _held(backend)[params["AssociationId"]].update(changes)
    return json.dumps({"Association": _association(backend, params["AssociationId"])})


def _dissociate(response: Any) -> str:
    identity, backend = json.loads(response.body)["AssociationId"], response.fsx_backend
    _association(backend, identity)
    del _held(backend)[identity]
    return json.dumps({"AssociationId": identity, "Lifecycle": "DELETING"})


def _held(backend: Any) -> dict[str, dict[str, Any]]:
    return backend.__dict__.setdefault("associations_of_sandbox", {})


def _association(backend: Any, identity: str) -> dict[str, Any]:
    if identity not in _held(backend):
        raise JsonRESTError(
            "DataRepositoryAssociationNotFound", f"Data repository association '{identity}' does not exist."
        )
    found = _held(backend)[identity]
    return {**found, "Tags": backend.list_tags_for_resource(found["ResourceARN"])}


def _system(backend: Any, identity: str) -> Any:
    if identity not in backend.file_systems:
        raise FileSystemNotFound(identity)
    return backend.file_systems[identity]


def _refused(message: str) -> JsonRESTError:
    return JsonRESTError("BadRequest", message)


def _check_size(gib: int) -> None:
    if gib != 1200 and (gib < 2400 or gib % 2400):
        raise _refused(
            f"{gib} GiB is not a valid storage capacity of a PERSISTENT_2 file system: 1200 or a multiple of 2400"
        )


def _check_throughput(configuration: dict[str, Any]) -> None:
    if configuration.get("PerUnitStorageThroughput") not in _THROUGHPUTS:
        values = ", ".join(map(str, _THROUGHPUTS))
        raise JsonRESTError("InvalidPerUnitStorageThroughput", f"PerUnitStorageThroughput must be one of {values}")


def _automatic_iops(gib: int) -> int:
    """Metadata IOPS of a size ("Lustre metadata performance configuration" in the user guide)."""
    steps = ((1200, 1500), (2400, 3000), (9600, 6000), (45600, 12000))
    return next((iops for most, iops in steps if gib <= most), 12000 * (gib // 24000))


def _lets_lustre_in(ec2: Any, group_id: str) -> bool:
    """Whether the group allows its members to connect to each other on Lustre's port."""
    group = ec2.get_security_group_from_id(group_id)
    return group is not None and any(
        rule.source_group.get("GroupId") == group_id
        and (rule.ip_protocol == "-1" or int(rule.from_port) <= _PORT <= int(rule.to_port))
        for rule in group.ingress_rules
    )


def _overlap(one: str, other: str) -> bool:
    one, other = (path.rstrip("/") + "/" for path in (one, other))
    return one.startswith(other) or other.startswith(one)


CHANGES = (
    (FSxBackend, "create_file_system", created),
    (FSxBackend, "describe_file_systems", described),
    (FSxBackend, "delete_file_system", deleted),
    (FileSystem, "to_dict", shown),
)
"""Wrappers of moto's functions; see extension.py."""


def load() -> None:
    """Adds the missing operations to moto's FSx."""
    for name, operation in (
        ("update_file_system", _update),
        ("create_data_repository_association", _associate),
        ("describe_data_repository_associations", _associations),
        ("update_data_repository_association", _change_association),
        ("delete_data_repository_association", _dissociate),
    ):
        setattr(FSxResponse, name, operation)
