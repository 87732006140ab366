"""Tags of all EKS objects, by ARN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.aws.eks.backend import Answer, Backend, not_found

_KINDS = (
    ("nodegroups", "nodegroupArn"),
    ("addons", "addonArn"),
    ("entries", "accessEntryArn"),
    ("associations", "associationArn"),
)


def _tagged(backend: Backend) -> Iterator[tuple[str, dict[str, Any]]]:
    for found in backend.clusters.values():
        yield found["cluster"]["arn"], found["cluster"]
        for kind, arn in _KINDS:
            for each in found[kind].values():
                yield each[arn], each


def _find(backend: Backend, arn: str) -> dict[str, Any]:
    for each, resource in _tagged(backend):
        if each == arn:
            return resource
    raise not_found(f"Resource was not found: {arn}")


def tag_resource(backend: Backend, params: dict[str, Any]) -> Answer:
    _find(backend, params["resourceArn"]).setdefault("tags", {}).update(params["tags"])
    return {}


def untag_resource(backend: Backend, params: dict[str, Any]) -> Answer:
    tags = _find(backend, params["resourceArn"]).setdefault("tags", {})
    for key in params["tagKeys"]:
        tags.pop(key, None)
    return {}


def list_tags(backend: Backend, params: dict[str, Any]) -> Answer:
    return {"tags": _find(backend, params["resourceArn"]).get("tags", {})}


OPERATIONS = {"TagResource": tag_resource, "UntagResource": untag_resource, "ListTagsForResource": list_tags}
