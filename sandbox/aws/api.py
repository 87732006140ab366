"""Calls to AWS with boto3, and the conversion between property values and the API's members.

`Api` sends calls. `Recorder` records them and returns made-up answers of the right shape, so that a test can check
a resource's requests against botocore's models without a server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import botocore.exceptions
import botocore.parsers
from botocore.model import Shape

from sandbox import paths
from sandbox.aws import session
from sandbox.errors import ReportedError
from sandbox.plugins.provider import ProviderError

Props = dict[str, Any]

# Members whose name in pulumi-aws is not the API's name with a lower-case first letter; (structure, property) ->
# member.
_RENAMED = {
    ("LaunchTemplateInstanceNetworkInterfaceSpecificationRequest", "securityGroups"): "Groups",
    ("LaunchTemplateInstanceNetworkInterfaceSpecificationRequest", "ipv4Addresses"): "PrivateIpAddresses",
    (
        "LaunchTemplateInstanceNetworkInterfaceSpecificationRequest",
        "ipv4AddressCount",
    ): "SecondaryPrivateIpAddressCount",
    ("LaunchTemplateBlockDeviceMappingRequest", "noDevice"): "NoDevice",
    ("CreateAccessConfigRequest", "bootstrapClusterCreatorAdminPermissions"): "bootstrapClusterCreatorAdminPermissions",
    ("LaunchTemplatePlacementRequest", "hostResourceGroupArn"): "HostResourceGroupArn",
}
_RENAMED_BACK = {member: name for (_, name), member in _RENAMED.items() if name != member[:1].lower() + member[1:]}


_GONE = {"404", "InvalidPlacementGroup.Unknown"}


class AwsError(ProviderError):
    """A refusal by AWS, as `Code: message`."""

    def __init__(self, code: str, message: str, operation: str) -> None:
        super().__init__(f"{code}: {message} ({operation})")
        self.code = code

    @property
    def gone(self) -> bool:
        """Whether the code means that the object does not exist."""
        return "NotFound" in self.code or self.code.startswith("NoSuch") or self.code in _GONE


def _not_simulated(operation: str) -> AwsError:
    """A server crash, reported as an HTML page: moto lacks the operation, or has a bug."""
    log = paths.home() / "run" / "aws.log"
    return AwsError("NotSimulated", f"the sandbox's AWS cannot answer this; {log} has the reason", operation)


class Api:
    """AWS in one region."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.cancelled = threading.Event()

    def call(self, service: str, operation: str, params: Props) -> Props:
        """One call by the API's own operation name. Raises AwsError."""
        if wrong := wrong_values(service, operation, params):
            raise AwsError("ParamValidationError", "; ".join(wrong), operation)
        try:
            client = session.client(service, self.region)
            return getattr(client, botocore.xform_name(operation))(**params)
        except botocore.exceptions.ClientError as error:
            found = error.response.get("Error", {})
            if "<!doctype" in found.get("Message", ""):
                raise _not_simulated(operation) from None
            raise AwsError(found.get("Code", "Unknown"), found.get("Message", str(error)), operation) from None
        except botocore.exceptions.ParamValidationError as error:
            raise AwsError("ParamValidationError", str(error.kwargs["report"]), operation) from None
        except botocore.parsers.ResponseParserError:
            raise _not_simulated(operation) from None
        except botocore.exceptions.BotoCoreError as error:
            raise AwsError(type(error).__name__, str(error), operation) from None
        except ReportedError as error:
            raise ProviderError(str(error)) from None

    def until(self, probe: Callable[[], Any], timeout: float, what: str) -> Any:
        """Calls `probe` until it returns a true value, and returns that value."""
        deadline = time.monotonic() + timeout
        pause = 0.05
        while True:
            if found := probe():
                return found
            if self.cancelled.is_set():
                raise ProviderError(f"interrupted while waiting for {what}")
            if time.monotonic() > deadline:
                raise ProviderError(f"timeout while waiting for {what} ({timeout:.0f} s)")
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)


# Enumerations that AWS extends faster than botocore is released.
_OPEN_ENUMS = {"InstanceType", "BucketLocationConstraint"}


def wrong_values(service: str, operation: str, params: Props) -> list[str]:
    """Values in a request that the member's enumeration does not have; botocore checks only names, types and
    lengths."""
    found: list[str] = []

    def walk(shape: Shape, value: Any, path: str) -> None:
        if shape.type_name == "structure" and isinstance(value, dict):
            for name, each in value.items():
                if name in shape.members:  # type: ignore[attr-defined]
                    walk(shape.members[name], each, f"{path}.{name}")  # type: ignore[attr-defined]
        elif shape.type_name == "list" and isinstance(value, list):
            for index, each in enumerate(value):
                walk(shape.member, each, f"{path}[{index}]")  # type: ignore[attr-defined]
        elif shape.type_name == "string" and isinstance(value, str) and shape.name not in _OPEN_ENUMS:
            allowed = getattr(shape, "enum", None)
            if allowed and value not in allowed:
                found.append(f"{path.lstrip('.')}: {value!r} is not one of {', '.join(allowed)}")

    model = session.service_model(service).operation_model(operation)
    if model.input_shape is not None:
        walk(model.input_shape, params, "")
    return found


class Recorder(Api):
    """Records the calls instead of sending them."""

    def __init__(self, region: str = "us-east-1") -> None:
        super().__init__(region)
        self.calls: list[tuple[str, str, Props]] = []

    def call(self, service: str, operation: str, params: Props) -> Props:
        self.calls.append((service, operation, params))
        shape = session.service_model(service).operation_model(operation).output_shape
        return _example(shape) if shape else {}

    def until(self, probe: Callable[[], Any], timeout: float, what: str) -> Any:
        return probe()


def _example(shape: Shape, depth: int = 0) -> Any:
    kind = shape.type_name
    if kind == "structure":
        if depth > 6:
            return {}
        return {name: _example(member, depth + 1) for name, member in shape.members.items()}  # type: ignore[attr-defined]
    if kind == "list":
        return [_example(shape.member, depth + 1)]  # type: ignore[attr-defined]
    if kind == "map":
        return {}
    if kind == "string":
        return (getattr(shape, "enum", None) or ["sandbox"])[0]
    return {"boolean": False, "timestamp": "2026-01-01", "blob": b""}.get(kind, 0)


def to_api(shape: Shape, value: Any) -> Any:
    """Converts a property's value to a member of that shape: names, lists of one, tags, numbers, booleans.

    A name that the shape does not have is kept: botocore then refuses it by name.
    """
    kind = shape.type_name
    if value is None:
        return None
    if kind == "list":
        member = shape.member  # type: ignore[attr-defined]
        if isinstance(value, dict):
            if member.type_name == "structure" and set(member.members) in ({"Key", "Value"}, {"TagKey", "TagValue"}):
                key, content = sorted(member.members)
                return [{key: k, content: v} for k, v in value.items()]
            value = [value]
        return [to_api(member, each) for each in value] if isinstance(value, list) else value
    if kind == "structure" and isinstance(value, dict):
        members = {name.lower(): name for name in shape.members}  # type: ignore[attr-defined]
        found = {}
        for key, each in value.items():
            name = _RENAMED.get((shape.name, key)) or _member(members, key, each) or key
            inner = shape.members.get(name)  # type: ignore[attr-defined]
            converted = to_api(inner, each) if inner is not None else each
            if converted is not None:
                found[name] = converted
        return found
    if kind == "map" and isinstance(value, dict):
        return {key: to_api(shape.value, each) for key, each in value.items()}  # type: ignore[attr-defined]
    if kind in ("integer", "long") and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            return int(float(value)) if float(value).is_integer() else value
        except ValueError:
            return value
    if kind == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if kind == "string" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"{value:g}"
    return value


def _member(members: dict[str, str], key: str, value: Any) -> str | None:
    key = key.lower()
    if key in members or not isinstance(value, list):
        return members.get(key)
    # pulumi-aws has plurals for some lists where the API has singulars, and vice versa
    return members.get(key + "s") or (members.get(key[:-1]) if key.endswith("s") else None)


def from_api(value: Any) -> Any:
    """A value of an answer with the names of properties; a list of tags becomes a dict."""
    if isinstance(value, list):
        for key, content in (("Key", "Value"), ("TagKey", "TagValue")):
            if value and all(isinstance(each, dict) and {key, content} <= each.keys() for each in value):
                return {each[key]: each[content] for each in value}
        return [from_api(each) for each in value]
    if isinstance(value, dict):
        return {
            _property(key): each if key in ("tags", "labels") and isinstance(each, dict) else from_api(each)
            for key, each in value.items()
            if key != "ResponseMetadata"
        }
    if hasattr(value, "isoformat"):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def _property(member: str) -> str:
    return _RENAMED_BACK.get(member) or member[:1].lower() + member[1:]


def put(target: Props, path: str, value: Any) -> None:
    """Sets `A.B.C` in nested dicts."""
    *parents, last = path.split(".")
    for parent in parents:
        target = target.setdefault(parent, {})
    target[last] = value


def shape_at(service: str, operation: str, path: str) -> Shape | None:
    """The shape of an operation's input member by path; None if the API does not have it."""
    shape = session.service_model(service).operation_model(operation).input_shape
    for part in path.split("."):
        if shape is None:
            return None
        if shape.type_name == "list":
            shape = shape.member
        shape = getattr(shape, "members", {}).get(part)
    return shape
