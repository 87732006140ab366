"""Checks a request body against the discovery document of its API.

The documents are included in google-api-python-client. pulumi-gcp is built on the *beta* Terraform provider, which uses
container.v1beta1 and compute.beta, so this module reads those two documents.

They are large (compute: 5 MB, 0.1 s to parse) and a request needs only a few of their schemas, so each schema is
extracted once with its dependencies and cached in the sandbox's folder. Only schemas are read: the documents do not
say which fields an update may change.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sandbox import paths
from sandbox.plugins.provider import UNKNOWN
from sandbox.plugins.values import join

Schemas = dict[str, dict[str, Any]]

_KEPT = ("type", "format", "enum", "pattern", "$ref", "items", "properties", "additionalProperties", "readOnly")
_INTEGERS = {"int32": 31, "uint32": 32, "int64": 63, "uint64": 64}


def check(api: str, schema: str, body: Any) -> list[tuple[str, str]]:
    """(path in the body, error) for every value that the API would refuse. UNKNOWN is valid anywhere."""
    return list(_check(schemas(api, schema), {"$ref": schema}, body, ""))


def coerce(api: str, schema: str, body: Any) -> Any:
    """The body with numbers as in the API's JSON: 64-bit integers as strings, other numbers as numbers."""
    return _coerce(schemas(api, schema), {"$ref": schema}, body, to_api=True)


def decoerce(api: str, schema: str, body: Any) -> Any:
    """The reverse of `coerce`: 64-bit integers as plain numbers."""
    return _coerce(schemas(api, schema), {"$ref": schema}, body, to_api=False)


def has_field(api: str, schema: str, path: str) -> bool:
    """Whether a dotted path (lists without index) is a field of the schema; below a free-form map every path is
    valid."""
    known = schemas(api, schema)
    spec: dict[str, Any] = {"$ref": schema}
    for part in path.split("."):
        spec = _resolve(known, spec)
        while spec.get("type") == "array":
            spec = _resolve(known, spec["items"])
        if part in spec.get("properties", {}):
            spec = spec["properties"][part]
        elif "additionalProperties" in spec:
            spec = spec["additionalProperties"]
        else:
            return spec.get("type") == "any"
    return True


@functools.cache
def schemas(api: str, root: str) -> Schemas:
    """The schema `root` of an API (`compute.beta`, `Network`) and every schema that it reaches."""
    version = importlib.metadata.version("google-api-python-client")
    cached = paths.folder("gcp", "schemas") / f"{api}-{root}-{version}.json"
    if cached.exists():
        try:
            return json.loads(cached.read_text())
        except ValueError:
            cached.unlink(missing_ok=True)  # an incomplete file from a killed process
    found = _cut(api, root)
    with tempfile.NamedTemporaryFile("w", dir=cached.parent, delete=False) as draft:
        json.dump(found, draft)
    Path(draft.name).replace(cached)
    return found


def _cut(api: str, root: str) -> Schemas:
    import googleapiclient

    folder = Path(str(googleapiclient.__file__)).parent / "discovery_cache" / "documents"
    everything: Schemas = json.loads((folder / f"{api}.json").read_text())["schemas"]
    found: Schemas = {}
    wanted = [root]
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = _strip(everything[name])
            wanted.extend(_references(found[name]))
    return found


def _strip(spec: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in spec.items() if key in _KEPT}
    if "properties" in kept:
        kept["properties"] = {name: _strip(value) for name, value in kept["properties"].items()}
    for key in ("items", "additionalProperties"):
        if key in kept:
            kept[key] = _strip(kept[key])
    return kept


def _references(spec: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in spec:
        yield spec["$ref"]
    nested = [*spec.get("properties", {}).values(), *(spec[k] for k in ("items", "additionalProperties") if k in spec)]
    for value in nested:
        yield from _references(value)


def _resolve(known: Schemas, spec: Mapping[str, Any]) -> dict[str, Any]:
    return known[spec["$ref"]] if "$ref" in spec else dict(spec)


def _check(known: Schemas, spec: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    if value is UNKNOWN or value is None:
        return
    spec = _resolve(known, spec)
    kind = spec.get("type", "object")
    if kind == "object" and isinstance(value, Mapping):
        yield from _check_object(known, spec, value, path)
    elif kind == "array" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _check(known, spec["items"], item, join(path, index))
    elif kind == "string" and isinstance(value, str):
        yield from _check_string(spec, value, path)
    elif kind in ("integer", "number") and isinstance(value, int | float) and not isinstance(value, bool):
        if kind == "integer" and not _fits(spec.get("format", "int64"), value):
            yield path, f"{value} is not a valid {spec.get('format', 'integer')}"
    elif kind != "any" and not (kind == "boolean" and isinstance(value, bool)):
        yield path, f"must be of type {spec.get('format') or kind}, not {json.dumps(value, default=repr)[:60]}"


def _check_object(known: Schemas, spec: Mapping[str, Any], value: Mapping[str, Any], path: str):
    properties = spec.get("properties", {})
    for key, item in value.items():
        if key in properties:
            if properties[key].get("readOnly") and item is not UNKNOWN:
                yield join(path, key), "is set by the API and cannot be sent"
            yield from _check(known, properties[key], item, join(path, key))
        elif "additionalProperties" in spec:
            yield from _check(known, spec["additionalProperties"], item, join(path, key))
        else:
            yield path, f'Unknown name "{key}": Cannot find field.'


def _check_string(spec: Mapping[str, Any], value: str, path: str) -> Iterator[tuple[str, str]]:
    form = spec.get("format", "")
    if "enum" in spec and value not in spec["enum"]:
        offered = [name for name in spec["enum"] if not name.endswith("_UNSPECIFIED")]
        yield path, f"Invalid value '{value}'. Must be one of: {', '.join(offered)}"
    elif form in _INTEGERS and not (re.fullmatch(r"-?\d+", value) and _fits(form, int(value))):
        yield path, f"'{value}' is not a valid {form}"
    elif form == "google-duration" and not re.fullmatch(r"-?\d+(\.\d{1,9})?s", value):
        yield path, f"'{value}' is not a duration: seconds with the unit, for example '3600s'"
    elif "pattern" in spec and not re.fullmatch(spec["pattern"], value):
        yield path, f"'{value}' does not match the pattern '{spec['pattern']}'"


def _fits(form: str, value: float) -> bool:
    bits = _INTEGERS.get(form, 63)
    low = 0 if form.startswith("u") else -(2**bits)
    return float(value).is_integer() and low <= value < 2**bits


def _coerce(known: Schemas, spec: Mapping[str, Any], value: Any, *, to_api: bool) -> Any:
    spec = _resolve(known, spec)
    if isinstance(value, Mapping):
        properties = spec.get("properties", {})
        rest = spec.get("additionalProperties", {"type": "any"})
        return {k: _coerce(known, properties.get(k, rest), item, to_api=to_api) for k, item in value.items()}
    if isinstance(value, list):
        return [_coerce(known, spec.get("items", {"type": "any"}), item, to_api=to_api) for item in value]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if spec.get("format") in ("int64", "uint64") and spec.get("type") == "string":
        if to_api and number and float(value).is_integer():
            return str(int(value))
        if not to_api and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            return int(value)
    if to_api and spec.get("type") == "integer" and number and float(value).is_integer():
        return int(value)
    return value
