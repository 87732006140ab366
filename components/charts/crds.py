"""Custom resource definitions of charts as separate resources: kept, protected, and without descriptions.

A definition that is deleted takes all its objects along, so none is ever deleted: Pulumi only stops managing it. A
definition that exists, from an earlier installation or from Helm, is taken over. For both it is a patch resource, which
is created by server-side apply, as `create` refuses what exists (pulumi-kubernetes, PR 4278).
"""

from typing import Any

Object = dict[str, Any]

KIND = "CustomResourceDefinition"
TOKEN = f"kubernetes:apiextensions.k8s.io/v1:{KIND}Patch"
"""Type of the resource."""

MANAGER = "gpuyard"
"""Field manager. It is fixed so that a later installation removes what its version no longer has."""

_SPELLED = (
    "embedded-resource", "int-or-string", "list-map-keys", "list-type", "map-type", "preserve-unknown-fields",
    "validations",
)  # fmt: skip
_NAMES = {f"x-kubernetes-{name}": f"x_kubernetes_{name.replace('-', '_')}" for name in _SPELLED}
"""Keys that Pulumi's schema spells differently."""
_DATA = ("default", "enum", "example")
"""Keys of a schema that hold values, not schemas."""


def inputs(crd: Object) -> dict[str, Any]:
    """The inputs of the resource for a definition.

    The descriptions of fields are omitted: they are two thirds of a definition, which is in Pulumi's state twice, and a
    file of the state is written after every step. `kubectl explain` shows the fields without them.
    """
    meta = crd["metadata"]
    annotations = {"pulumi.com/patchFieldManager": MANAGER, "pulumi.com/patchForce": "true"}
    return {
        "apiVersion": crd["apiVersion"],
        "kind": KIND,
        "metadata": {
            "name": meta["name"],
            **({"labels": meta["labels"]} if meta.get("labels") else {}),
            "annotations": {**(meta.get("annotations") or {}), **annotations},
        },
        "spec": _shortened(crd["spec"]),
    }


def _shortened(value: Any) -> Any:
    """Without descriptions of schemas. A property that is named `description` is a map there, and stays."""
    if isinstance(value, dict):
        return {
            _NAMES.get(key, key): each if key in _DATA else _shortened(each)
            for key, each in value.items()
            if not (key == "description" and isinstance(each, str)) and each is not None
        }
    return [_shortened(each) for each in value] if isinstance(value, list) else value


def kinds(crd: Object) -> tuple[str, str]:
    """(group, kind) that a definition defines."""
    return crd["spec"]["group"], crd["spec"]["names"]["kind"]
