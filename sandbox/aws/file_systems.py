"""Two operations of EFS that moto does not have: PutBackupPolicy and UpdateFileSystem."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.efs.responses import EFSResponse


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


def load() -> None:
    """Gives moto's EFS the operations."""
    setattr(EFSResponse, "put_backup_policy", _put_backup_policy)
    setattr(EFSResponse, "update_file_system", _update_file_system)
