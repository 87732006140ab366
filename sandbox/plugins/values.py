"""Pulumi's wire format and plain Python values, and the property paths that diffs and check failures use.

On the wire, a resource's properties are a protobuf Struct in which unknowns, secrets, assets and references are marked
by magic strings (pulumi's sdk/proto documents them; the constants are from the SDK). This module converts them to plain
values, `UNKNOWN` for what a preview cannot know, `Asset` for a file, and `Secret` for an output to encrypt.

The host reports to the engine that it does not accept secrets. The engine then removes the marks from its requests and
restores them on every output that has the path of a secret input, which is also all that the real providers do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from google.protobuf import json_format, struct_pb2
from pulumi.runtime import rpc

from sandbox.plugins.provider import UNKNOWN, Props

_UNKNOWN_STRINGS = {
    # One sentinel for each kind of unknown (sdk/go/common/resource/plugin: UnknownBoolValue and its siblings).
    rpc.UNKNOWN,
    "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
    "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
    "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
    "030794c1-ac77-496b-92df-f27374a8bd58",
    "e48ece36-62e2-4504-bad9-02848725956a",
    "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
}
_SIG = rpc._special_sig_key
_ASSET, _ARCHIVE = rpc._special_asset_sig, rpc._special_archive_sig
_SECRET, _RESOURCE, _OUTPUT = rpc._special_secret_sig, rpc._special_resource_sig, rpc._special_output_value_sig

_PLAIN_KEY = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*\Z")
_PATH_PART = re.compile(r"""\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\["]+)|\.""")


working_directory: ContextVar[Path] = ContextVar("working_directory", default=Path())
"""The program's working directory: relative paths in its inputs (an asset, a chart) are resolved from it."""


class Asset(str):
    """A file that the program passed: its value is the text, and it is encoded as the original asset."""

    wire: dict[str, Any]

    def __new__(cls, wire: Mapping[str, Any]) -> Asset:
        if "text" in wire:
            text = str(wire["text"])
        elif wire.get("path") and (file := working_directory.get() / str(wire["path"])).is_file():
            text = file.read_text(errors="replace")
        else:
            text = str(wire.get("uri") or wire.get("path") or "")
        asset = super().__new__(cls, text)
        asset.wire = dict(wire)
        return asset


class Secret:
    """An output that the engine must encrypt in its state although no input was secret. Always a whole value."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "<secret>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


def decode(struct: struct_pb2.Struct) -> Props:
    """Plain values of a Struct; whole numbers become int."""
    return {key: _decode(value) for key, value in struct.fields.items()}


def encode(props: Mapping[str, Any]) -> struct_pb2.Struct:
    """The Struct of plain values. A TypeError names the path of a value that the wire cannot carry."""
    struct = struct_pb2.Struct()
    for key, value in props.items():
        _encode(value, struct.fields[key], key)
    return struct


def _decode(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWN_STRINGS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_decode(item) for item in value.list_value.values]
    if kind != "struct_value":
        return None
    fields = value.struct_value.fields
    signature = fields[_SIG].string_value if _SIG in fields else ""
    if signature in (_SECRET, _OUTPUT):
        # An output value without `value` is not known yet.
        return _decode(fields["value"]) if "value" in fields else UNKNOWN
    if signature == _RESOURCE:
        reference = _decode(fields["id"]) if "id" in fields else fields["urn"].string_value
        return UNKNOWN if reference == "" else reference
    if signature in (_ASSET, _ARCHIVE):
        return Asset(json_format.MessageToDict(value.struct_value))
    return {key: _decode(item) for key, item in fields.items()}


def _encode(value: Any, into: struct_pb2.Value, path: str) -> None:
    if value is UNKNOWN:
        into.string_value = rpc.UNKNOWN
    elif value is None:
        into.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, Asset):
        into.struct_value.update(value.wire)
    elif isinstance(value, str):
        into.string_value = value
    elif isinstance(value, bool):
        into.bool_value = value
    elif isinstance(value, int | float):
        into.number_value = value
    elif isinstance(value, Secret):
        into.struct_value.fields[_SIG].string_value = _SECRET
        _encode(value.value, into.struct_value.fields["value"], path)
    elif isinstance(value, Mapping):
        into.struct_value.SetInParent()
        for key, item in value.items():
            _encode(item, into.struct_value.fields[str(key)], join(path, str(key)))
    elif isinstance(value, list | tuple):
        into.list_value.SetInParent()
        for index, item in enumerate(value):
            _encode(item, into.list_value.values.add(), f"{path}[{index}]")
    else:
        raise TypeError(f"{path}: a {type(value).__name__} cannot be an output")


def has_unknown(value: Any) -> bool:
    """Whether any part of the value is not known yet."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def join(path: str, key: str | int) -> str:
    """The path of a member: `spec.replicas`, `args[0]`, `labels["a.b/c"]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _PLAIN_KEY.match(key):
        return f"{path}.{key}" if path else key
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'{path}["{quoted}"]'


def parts(path: str) -> list[str | int]:
    """The members that a path names, outermost first."""
    found: list[str | int] = []
    for match in _PATH_PART.finditer(path):
        quoted, index, name = match.groups()
        if quoted is not None:
            found.append(re.sub(r"\\(.)", r"\1", quoted))
        elif index is not None:
            found.append(int(index))
        elif name is not None:
            found.append(name)
    return found


def lookup(value: Any, path: str) -> tuple[bool, Any]:
    """(whether the path exists, its value). Below an unknown, every path exists and is unknown."""
    for part in parts(path):
        if value is UNKNOWN:
            return True, UNKNOWN
        if isinstance(part, int):
            if not isinstance(value, list) or part >= len(value):
                return False, None
            value = value[part]
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            return False, None
    return value is not None, value


def changes(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Paths of the innermost differences; a null is the same as a missing value, an unknown always differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from changes(old.get(key), new.get(key), join(path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before, after = (items[index] if index < len(items) else None for items in (old, new))
            yield from changes(before, after, join(path, index))
    elif new is UNKNOWN or old is UNKNOWN or old != new or isinstance(old, bool) != isinstance(new, bool):
        yield path
