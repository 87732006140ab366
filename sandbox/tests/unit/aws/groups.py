"""Groups of a fleet, for tests."""

from __future__ import annotations

from typing import Any

from sandbox.aws.fleet import Fleet
from sandbox.cluster.cloud import Group

TEMPLATE_TAG = "k8s.io/cluster-autoscaler/node-template/"


def only(fleet: Fleet) -> Group:
    (group,) = fleet.groups()
    return group


def tag(aws: Any, group: Group, key: str, value: str) -> None:
    made = {"ResourceId": group.id, "ResourceType": "auto-scaling-group", "Key": key, "Value": value}
    aws("autoscaling").create_or_update_tags(Tags=[{**made, "PropagateAtLaunch": False}])
