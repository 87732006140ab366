"""Kubernetes objects as pulumi-kubernetes sends, stores and compares them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sandbox.cluster import quantity
from sandbox.plugins import kubeconfig, readiness
from sandbox.plugins.objects import Object
from sandbox.plugins.provider import UNKNOWN, Props, ProviderError
from sandbox.plugins.values import Secret, has_unknown

MANAGER = "__fieldManager"


_UNDERSCORED = {
    f"x-kubernetes-{name}": f"x_kubernetes_{name.replace('-', '_')}"
    for name in (
        "embedded-resource", "int-or-string", "list-map-keys", "list-type", "map-type", "preserve-unknown-fields",
        "validations",
    )
}  # fmt: skip
"""Keys that are spelled with underscores in programs and in the state (provider.go, `dashToUnderscoreMap`)."""
_DASHED = {ours: server for server, ours in _UNDERSCORED.items()}

SERVERS_OWN = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
"""Metadata that is never an input."""


def cluster_of(config: Props) -> tuple[str, str] | None:
    try:
        parsed = kubeconfig.parse(config.get("kubeconfig") or "", config.get("context"), config.get("cluster"))
    except ProviderError:
        return None
    return parsed.server, parsed.ca_data


def annotation(inputs: Props, name: str) -> str:
    meta = inputs.get("metadata")
    annotations = meta.get("annotations") if isinstance(meta, dict) else None
    value = annotations.get(name) if isinstance(annotations, dict) else None
    return "" if value is None or value is UNKNOWN else str(value)


def timeout(inputs: Props, timeout: float) -> float:
    seconds = annotation(inputs, "pulumi.com/timeoutSeconds")
    return timeout or (float(seconds) if seconds.isdigit() else readiness.DEFAULT_TIMEOUT)


def id_of(live: Object) -> str:
    meta = live["metadata"]
    return f"{meta['namespace']}/{meta['name']}" if meta.get("namespace") else meta["name"]


def split_id(id: str) -> tuple[str | None, str]:
    namespace, _, name = id.rpartition("/")
    return namespace or None, name


def wire(inputs: Props) -> Object:
    """The object to send to the API server: without Pulumi's own top-level keys and without nulls."""
    return {
        key: _without_nulls(value) for key, value in inputs.items() if not key.startswith("__") and value is not None
    }


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_DASHED.get(key, key): _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _spelled(value: Any) -> Any:
    """A live object with the provider's spelling of its keys."""
    if isinstance(value, Mapping):
        return {_UNDERSCORED.get(key, key): _spelled(item) for key, item in value.items()}
    return [_spelled(item) for item in value] if isinstance(value, list) else value


def outputs(live: Object, manager: str, api_version: str) -> Props:
    live = _spelled(live) if live.get("kind") == "CustomResourceDefinition" else live
    return hide_secrets({**live, MANAGER: manager, "__initialApiVersion": api_version})


def hide_secrets(obj: Props) -> Props:
    """Marks a Secret's content as secret, whatever its source; `stringData` becomes `data`, as in the cluster."""
    if obj.get("kind") != "Secret" or obj.get("apiVersion") != "v1":
        return obj
    obj = dict(obj)
    text, data = obj.get("stringData"), obj.get("data")
    if isinstance(text, dict) and not has_unknown(text) and (data is None or isinstance(data, dict)):
        del obj["stringData"]
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in text.items()}
        obj["data"] = {**(data or {}), **encoded}
    return {k: Secret(v) if k in ("data", "stringData") and v is not None else v for k, v in obj.items()}


def pruned(live: Any, inputs: Any) -> Any:
    """The live object reduced to the properties in the inputs, so that only their drift shows."""
    if isinstance(live, dict) and live.get("kind") == "CustomResourceDefinition":
        live = _spelled(live)
    if isinstance(live, dict) and isinstance(inputs, dict):
        # The server drops empty values; that is not drift.
        return {
            k: pruned(live[k], v) if k in live else v for k, v in inputs.items() if k in live or v in ({}, [], "", None)
        }
    if isinstance(live, list) and isinstance(inputs, list):
        return [pruned(a, b) for a, b in zip(live, inputs, strict=False)] + live[len(inputs) :]
    return inputs if _same(live, inputs) else live


def _same(live: Any, input: Any) -> bool:
    """Whether the values differ only in notation: 1000m is 1."""
    if live == input or str(live) == str(input):
        return True
    try:
        return quantity.parse(str(live)) == quantity.parse(str(input))
    except ValueError:
        return False
