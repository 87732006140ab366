"""The inputs and outputs of each resource type and invoke of a Pulumi package, read from the installed Python SDK.

The provider binaries contain a schema, but they are not available here; the SDK that was generated from it is. Its
argument classes give every property's wire name and type and whether it is required, at any depth. Only the module of
the requested type is imported.

Stricter than the real providers in one way: a number in place of a string is refused (they convert it), because in a
program it is nearly always a mistake. Except for kubernetes, where the API server decides.
"""

from __future__ import annotations

import contextlib
import difflib
import enum
import functools
import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import re
import threading
import types
import typing
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import typing_extensions
from pulumi import _types
from pulumi.runtime import rpc

from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props
from sandbox.plugins.values import Asset, join

_IMPORTS = threading.RLock()
"""The SDKs load modules lazily, which is not thread-safe."""

_ENGINES_OWN = {"version", "pluginDownloadURL"}
"""Provider inputs that belong to the engine; so does every name that starts with `__`."""

_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string"}


@dataclass(frozen=True)
class Shape:
    """The properties of an object by their wire names; `inputs` may be any of Python's typing constructs."""

    inputs: dict[str, Any] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    outputs: dict[str, Any] = field(default_factory=dict)


class UnknownToken(LookupError):
    """The SDK does not have this resource type or invoke."""


class Schema:
    """The schema of one package: `aws`, `gcp`, `kubernetes` or `eks`."""

    def __init__(self, package: str) -> None:
        self.package = package
        self.version = importlib.metadata.version(f"pulumi-{package}")
        self._shapes: dict[str, Shape] = {}
        self._unknown: dict[str, str] = {}

    def shape(self, token: str) -> Shape:
        """Inputs and outputs of a resource type (`aws:ec2/vpc:Vpc`), an invoke (`aws:ec2/getVpc:getVpc`) or the
        provider (`pulumi:providers:aws`). Raises UnknownToken."""
        with _IMPORTS:
            if token in self._unknown:
                raise UnknownToken(self._unknown[token])
            if token not in self._shapes:
                try:
                    self._shapes[token] = self._introspect(token)
                except UnknownToken as unknown:
                    self._unknown[token] = str(unknown)
                    raise
            return self._shapes[token]

    def check_inputs(self, token: str, props: Props) -> list[CheckFailure]:
        """Every property, at any depth, that is unknown, missing or of the wrong type."""
        try:
            shape = self.shape(token)
        except UnknownToken as error:
            # The token of a custom resource is known only to the cluster, by its CRD.
            if self.package == "kubernetes" and {"apiVersion", "kind"} <= props.keys():
                return []
            return [CheckFailure("", str(error))]
        failures: list[CheckFailure] = []
        self._check_object(shape.inputs, shape.required, props, "", failures)
        return failures

    def provider_config(self, props: Props) -> tuple[Props, list[CheckFailure]]:
        """A provider's own inputs with nested values decoded (they are sent as JSON text), and the failures."""
        shape = self.shape(f"pulumi:providers:{self.package}")
        config = {k: v for k, v in props.items() if k not in _ENGINES_OWN and not k.startswith("__")}
        for key, value in config.items():
            wants_text = str in _alternatives(shape.inputs.get(key, str))
            if isinstance(value, str) and not wants_text:
                with contextlib.suppress(ValueError):  # the type check below reports it
                    config[key] = json.loads(value)
        failures: list[CheckFailure] = []
        self._check_object(shape.inputs, shape.required, config, "", failures)
        return config, failures

    def of_provider(self) -> dict[str, Any]:
        """The package's schema as Pulumi writes one, without its resources and functions."""
        inputs = self.shape(f"pulumi:providers:{self.package}").inputs
        types = {
            key: [_JSON_TYPES[each] for each in _alternatives(hint) if each in _JSON_TYPES]
            for key, hint in inputs.items()
        }
        properties = {
            key: {"type": found[0]} if found else {"$ref": "pulumi.json#/Any"} for key, found in types.items()
        }
        return {"name": self.package, "version": self.version, "provider": {"inputProperties": properties}}

    # -- reading the SDK --------------------------------------------------------------------------------------------

    def _introspect(self, token: str) -> Shape:
        name = token.rsplit(":", 1)[-1]
        if token.startswith("pulumi:providers:"):
            module = importlib.import_module(f"pulumi_{self.package}.provider")
            return _resource_shape(module.Provider)
        if token.startswith(f"{self.package}:") and name[:1].islower():
            return _invoke_shape(self._invoke(token))
        return _resource_shape(self._resource_class(token))

    def _resource_class(self, token: str) -> type:
        importlib.import_module(f"pulumi_{self.package}")
        module_key = token.rsplit(":", 1)[0]
        for module in rpc._RESOURCE_MODULES.get(module_key, []):
            name = module.mod_info["classes"].get(token)  # type: ignore[attr-defined]
            if name:
                return getattr(importlib.import_module(module.mod_info["fqn"]), name)  # type: ignore[attr-defined]
        known = [
            other
            for modules in rpc._RESOURCE_MODULES.values()
            for module in modules
            if module.mod_info["pkg"] == self.package  # type: ignore[attr-defined]
            for other in module.mod_info["classes"]  # type: ignore[attr-defined]
        ]
        raise UnknownToken(f"pulumi-{self.package} {self.version} has no resource type {token}{_meant(token, known)}")

    def _invoke(self, token: str) -> Any:
        _, module, name = token.split(":")
        folder = module.split("/")[0]
        package = f"pulumi_{self.package}" if folder == "index" else f"pulumi_{self.package}.{folder.lower()}"
        try:
            parent = importlib.import_module(package)
        except ImportError:
            raise UnknownToken(f"pulumi-{self.package} {self.version} has no function {token}") from None
        # getSQuotaInfo is in get_s_quota_info.py: compare without the underscores instead of guessing their positions.
        names = {m.name.replace("_", ""): m.name for m in pkgutil.iter_modules(parent.__path__)}
        if name.lower() not in names:
            raise UnknownToken(f"pulumi-{self.package} {self.version} has no function {token}")
        file = names[name.lower()]
        return getattr(importlib.import_module(f"{package}.{file}"), file)

    # -- checking ---------------------------------------------------------------------------------------------------

    def _check_object(
        self, inputs: Mapping[str, Any], required: frozenset[str], value: Props, path: str, failures: list[CheckFailure]
    ) -> None:
        for key in sorted(required):
            if value.get(key) is None:
                failures.append(CheckFailure(join(path, key), "is required"))
        for key, item in value.items():
            if key in inputs:
                self._check(inputs[key], item, join(path, key), failures)
            elif not key.startswith("__"):
                reason = f"this property does not exist{_meant(key, inputs)}"
                failures.append(CheckFailure(join(path, key), reason))

    def _check(self, wanted: Any, value: Any, path: str, failures: list[CheckFailure]) -> None:
        if value is None or value is UNKNOWN:
            return
        attempts: list[list[CheckFailure]] = []
        for alternative in _alternatives(wanted):
            found: list[CheckFailure] = []
            if not self._check_one(alternative, value, path, found):
                found.append(CheckFailure(path, f"must be {_describe(wanted)}, not {_show(value)}"))
            if not found:
                return
            attempts.append(found)
        # If there are several alternatives, report the failures of the closest one.

        def distance(found: list[CheckFailure]) -> tuple[bool, int]:
            return found[0].property == path, len(found)

        failures.extend(min(attempts, key=distance, default=[]))

    def _check_one(self, wanted: Any, value: Any, path: str, failures: list[CheckFailure]) -> bool:
        """False if the value is of a different kind; failures inside it are added to `failures`."""
        origin = typing.get_origin(wanted)
        if wanted is Any or wanted is object:
            return True
        if origin is typing.Literal:
            return value in typing.get_args(wanted)
        if origin is not None and issubclass(origin, Mapping):
            if not isinstance(value, dict):
                return False
            item_type = (typing.get_args(wanted) or (str, Any))[1]
            for key, item in value.items():
                self._check(item_type, item, join(path, key), failures)
            return True
        if origin is not None and issubclass(origin, Sequence):
            if not isinstance(value, list):
                return False
            for index, item in enumerate(value):
                self._check((typing.get_args(wanted) or (Any,))[0], item, join(path, index), failures)
            return True
        if not isinstance(wanted, type):
            return True
        if issubclass(wanted, enum.Enum):
            return value in {member.value for member in wanted}
        if issubclass(wanted, pulumi.Asset | pulumi.Archive):
            return isinstance(value, Asset)
        if wanted is bool:
            return isinstance(value, bool)
        if wanted is int:
            return isinstance(value, int) and not isinstance(value, bool)
        if wanted is float:
            return isinstance(value, int | float) and not isinstance(value, bool)
        if wanted is str:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            return isinstance(value, str) or (number and self.package == "kubernetes")
        if _types.is_input_type(wanted):
            if not isinstance(value, dict):
                return False
            shape = _input_shape(wanted)
            self._check_object(shape.inputs, shape.required, value, path, failures)
            return True
        if issubclass(wanted, Mapping):
            return isinstance(value, dict)
        return True


@functools.cache
def _input_shape(cls: type) -> Shape:
    with _IMPORTS:
        names = _types.input_type_py_to_pulumi_names(cls)
        parameters = inspect.signature(cls.__init__).parameters
        required = {names[n] for n, p in parameters.items() if n in names and p.default is inspect.Parameter.empty}
        return Shape(inputs=_types.input_type_types(cls), required=frozenset(required))


def _resource_shape(cls: type) -> Shape:
    module = importlib.import_module(cls.__module__)
    for suffix in ("Args", "InitArgs"):
        arguments = getattr(module, f"{cls.__name__}{suffix}", None)
        if arguments is not None and _types.is_input_type(arguments):
            shape = _input_shape(arguments)
            return Shape(shape.inputs, shape.required, _types.resource_types(cls))
    raise UnknownToken(f"{cls.__name__} has no arguments class")


def _invoke_shape(function: Any) -> Shape:
    hints = typing.get_type_hints(function, vars(importlib.import_module(function.__module__)))
    # The wire names are in the function's body only: __args__['vpcId'] = vpc_id
    body = inspect.getsource(function)
    names = {py: wire for wire, py in re.findall(r"__args__\['([^']+)'\] = (\w+)", body)}
    parameters = inspect.signature(function).parameters
    required = {names[n] for n, p in parameters.items() if n in names and p.default is inspect.Parameter.empty}
    result = hints["return"]
    for base in inspect.getmro(result):
        # AwaitableGetVpcResult derives from GetVpcResult, which is the annotated output type.
        if _types.is_output_type(base):
            result = base
            break
    outputs = _types.output_type_types(result) if _types.is_output_type(result) else {}
    return Shape({wire: hints.get(py, Any) for py, wire in names.items()}, frozenset(required), outputs)


def _alternatives(wanted: Any) -> list[Any]:
    """The plain types in a property's annotation, without Optional, Input's wrappers and the dict alternatives."""
    if wanted is None or wanted is type(None):
        return []
    origin = typing.get_origin(wanted)
    if origin is typing.Union or origin is types.UnionType:
        return [plain for arg in typing.get_args(wanted) for plain in _alternatives(arg)]
    if origin is not None and isinstance(origin, type) and issubclass(origin, pulumi.Output | Awaitable):
        return []
    if isinstance(wanted, type) and (typing_extensions.is_typeddict(wanted) or _types.is_output_type(wanted)):
        return []
    if isinstance(wanted, str | typing.ForwardRef):
        return [Any]
    return [wanted]


def _describe(wanted: Any) -> str:
    names = []
    for alternative in _alternatives(wanted):
        origin = typing.get_origin(alternative)
        if origin is typing.Literal:
            names.extend(json.dumps(value) for value in typing.get_args(alternative))
        elif origin is not None and issubclass(origin, Mapping):
            names.append("a map")
        elif origin is not None and issubclass(origin, Sequence):
            names.append("a list")
        elif isinstance(alternative, type) and issubclass(alternative, enum.Enum):
            names.append("one of " + ", ".join(str(member.value) for member in alternative))
        else:
            plain = {str: "a string", int: "a whole number", float: "a number", bool: "a boolean", dict: "an object"}
            names.append(plain.get(alternative, "an object"))
    return " or ".join(dict.fromkeys(names)) or "something else"


def _show(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object", list: "list"}
    kind = next((name for cls, name in kinds.items() if isinstance(value, cls)), type(value).__name__)
    text = "" if isinstance(value, dict | list) else f" {json.dumps(value)[:60]}"
    return f"the {kind}{text}"


def _meant(name: str, known: typing.Iterable[str]) -> str:
    # The most common mistake is Python's spelling inside a plain dict: instance_types for instanceTypes.
    by_plain = {other.replace("_", "").lower(): other for other in known}
    plain = name.replace("_", "").lower()
    close = [plain] if plain in by_plain else difflib.get_close_matches(plain, by_plain, n=1)
    return f"; did you mean {by_plain[close[0]]}?" if close else ""
