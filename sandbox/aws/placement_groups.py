"""EC2's placement groups, which moto lacks: create, describe, delete. The state is in moto's EC2 backend."""

from __future__ import annotations

import uuid
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.responses import EC2Response
from moto.ec2.utils import convert_tag_spec


class Ec2Error(ServiceException):
    """An error in EC2's answer."""


def _held(response: Any) -> dict[str, dict[str, Any]]:
    return response.ec2_backend.__dict__.setdefault("placement_groups_of_sandbox", {})


def _create(response: Any) -> ActionResult:
    name, strategy = response._get_param("GroupName"), response._get_param("Strategy") or "cluster"
    if strategy not in ("cluster", "partition", "spread"):
        raise Ec2Error("InvalidParameterValue", f"Invalid value '{strategy}' for strategy.")
    if name in _held(response):
        raise Ec2Error("InvalidPlacementGroup.Duplicate", f"The placement group '{name}' already exists.")
    identity, backend = f"pg-{uuid.uuid4().hex[:17]}", response.ec2_backend
    group = {
        "GroupName": name,
        "GroupId": identity,
        "State": "available",
        "Strategy": strategy,
        "GroupArn": f"arn:aws:ec2:{backend.region_name}:{backend.account_id}:placement-group/{name}",
    }
    if strategy == "partition":
        group["PartitionCount"] = int(response._get_param("PartitionCount") or 2)
    if strategy == "spread":
        group["SpreadLevel"] = response._get_param("SpreadLevel") or "rack"
    _held(response)[name] = group
    backend.create_tags(
        [identity], convert_tag_spec(response._get_param("TagSpecifications", [])).get("placement-group", {})
    )
    return ActionResult({"PlacementGroup": _shown(backend, group)})


def _shown(backend: Any, group: dict[str, Any]) -> dict[str, Any]:
    tags = backend.describe_tags(filters={"resource-id": [group["GroupId"]]})
    return {**group, "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in tags]}


def _describe(response: Any) -> ActionResult:
    held, names = _held(response), response._get_param("GroupNames") or []
    for name in names:
        if name not in held:
            raise Ec2Error("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    wanted = [group for name, group in held.items() if not names or name in names]
    return ActionResult({"PlacementGroups": [_shown(response.ec2_backend, group) for group in wanted]})


def _delete(response: Any) -> EmptyResult:
    name = response._get_param("GroupName")
    if name not in _held(response):
        raise Ec2Error("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    del _held(response)[name]
    return EmptyResult()


def load() -> None:
    """Adds the three operations to moto's EC2."""
    for name, operation in (
        ("create_placement_group", _create),
        ("describe_placement_groups", _describe),
        ("delete_placement_group", _delete),
    ):
        setattr(EC2Response, name, operation)
