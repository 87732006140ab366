"""Operations that moto lacks and that updates of resources need: EFS's PutBackupPolicy, UpdateFileSystem and
DeleteFileSystemPolicy, IAM's client ids of an OpenID Connect provider. The state is in moto's backends."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult, EmptyResult
from moto.efs.responses import EFSResponse
from moto.iam.responses import IamResponse


def _system(response: Any) -> Any:
    # raises FileSystemNotFound for an unknown id, as EFS does
    return response.efs_backend.describe_file_systems(file_system_id=response._get_param("FileSystemId"))[1][0]


def _put_backup_policy(response: Any) -> ActionResult:
    status = response._get_param("BackupPolicy")["Status"]
    _system(response)._backup = status == "ENABLED"
    return ActionResult({"BackupPolicy": {"Status": status}})


def _update_file_system(response: Any) -> ActionResult:
    system = _system(response)
    if mode := response._get_param("ThroughputMode"):
        system.throughput_mode = mode
    if speed := response._get_param("ProvisionedThroughputInMibps"):
        system.provisioned_throughput_in_mibps = float(speed)
    elif system.throughput_mode != "provisioned":
        system.provisioned_throughput_in_mibps = None
    return ActionResult(system.info_json())


def _delete_file_system_policy(response: Any) -> EmptyResult:
    _system(response).file_system_policy = None
    return EmptyResult()


def _add_client(response: Any) -> EmptyResult:
    provider = response.backend.get_open_id_connect_provider(response._get_param("OpenIDConnectProviderArn"))
    client = response._get_param("ClientID")
    if client not in provider.client_id_list:
        provider.client_id_list.append(client)
    return EmptyResult()


def _remove_client(response: Any) -> EmptyResult:
    provider = response.backend.get_open_id_connect_provider(response._get_param("OpenIDConnectProviderArn"))
    client = response._get_param("ClientID")
    provider.client_id_list = [each for each in provider.client_id_list if each != client]
    return EmptyResult()


def load() -> None:
    """Adds the operations to moto's services."""
    for owner, name, operation in (
        (EFSResponse, "put_backup_policy", _put_backup_policy),
        (EFSResponse, "update_file_system", _update_file_system),
        (EFSResponse, "delete_file_system_policy", _delete_file_system_policy),
        (IamResponse, "add_client_id_to_open_id_connect_provider", _add_client),
        (IamResponse, "remove_client_id_from_open_id_connect_provider", _remove_client),
    ):
        setattr(owner, name, operation)
