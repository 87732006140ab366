"""EKS's REST-JSON protocol with one plain function per operation, `operation(backend, params) -> answer`.

The route, the place of each parameter and the allowed members are read from botocore's own service model, so a request
with a member that EKS does not have is refused here as well, from any client.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
from botocore.model import OperationModel, StructureShape
from botocore.validate import ParamValidator
from moto.core.models import DEFAULT_ACCOUNT_ID

from sandbox.aws.api import wrong_values
from sandbox.aws.eks.backend import Backend, EksError, invalid
from sandbox.aws.eks.operations import OPERATIONS


class ServedBackend(Backend):
    """The backend with the routes that moto's server expects."""

    @property
    def url_paths(self) -> dict[str, Any]:
        return {"/<path:rest>": handle}

    @property
    def flask_paths(self) -> dict[str, Any]:
        return self.url_paths


def handle(request: Any, full_url: str, headers: Any, **_: str) -> tuple[int, dict[str, str], str]:
    """A view with the signature that moto expects."""
    from moto.eks.models import eks_backends

    region = _region(request.headers.get("Authorization", ""))
    try:
        model, params = _parse(request.method, full_url, request.data or b"")
        operation = OPERATIONS.get(str(model.name))
        if operation is None:
            raise EksError(
                "InvalidRequestException", f"The sandbox's EKS does not simulate the operation {model.name}."
            )
        backend: Any = eks_backends[DEFAULT_ACCOUNT_ID][region]
        answer = operation(backend, params)
    except EksError as error:
        body = {"message": str(error), **error.details}
        return error.status, {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}, json.dumps(body)
    return 200, {"Content-Type": "application/json"}, json.dumps(answer)


def _region(authorization: str) -> str:
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/", authorization)
    return scope[1] if scope else "us-east-1"


@lru_cache
def _routes() -> list[tuple[str, re.Pattern[str], OperationModel]]:
    service: Any = botocore.session.Session().get_service_model("eks")
    routes = []
    for name in service.operation_names:
        model = service.operation_model(name)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", model.http["requestUri"].partition("?")[0])
        routes.append((model.http["method"], re.compile(pattern + "/?$"), model))
    # A literal path takes precedence over one with a parameter in the same place (/addons/supported-versions).
    return sorted(routes, key=lambda route: route[1].groups)


def _route(method: str, path: str) -> tuple[OperationModel, dict[str, str]]:
    for wanted, pattern, model in _routes():
        match = pattern.match(path) if wanted == method else None
        if match:
            return model, {name: str(value) for name, value in match.groupdict().items()}
    raise EksError("InvalidRequestException", f"EKS has no operation for {method} {path}.")


def _parse(method: str, url: str, body: bytes) -> tuple[OperationModel, dict[str, Any]]:
    parts = urlsplit(url)
    model, places = _route(method, parts.path)
    shape: Any = model.input_shape
    if not isinstance(shape, StructureShape):
        return model, {}
    query = parse_qs(parts.query, keep_blank_values=True)
    try:
        given = json.loads(body) if body else {}
    except ValueError:
        raise EksError("InvalidRequestException", "The request's body is not JSON.") from None
    params: dict[str, Any] = {}
    wire_names = set()
    members: dict[str, Any] = shape.members  # type: ignore[assignment]
    for member, member_shape in members.items():
        place = member_shape.serialization.get("location")
        wire_name = member_shape.serialization.get("name", member)
        if place == "uri":
            params[member] = unquote(places[wire_name])
        elif place == "querystring" and wire_name in query:
            params[member] = _typed(member_shape, query[wire_name])
        elif place is None:
            wire_names.add(wire_name)
            if wire_name in given:
                params[member] = given[wire_name]
    unknown = sorted(set(given) - wire_names)
    report = ParamValidator().validate(params, shape)
    wrong = wrong_values("eks", str(model.name), params)
    if unknown or report.has_errors() or wrong:
        refused = f"Unknown parameter: {', '.join(unknown)}" if unknown else report.generate_report()
        raise invalid(refused or "; ".join(wrong))
    return model, params


def _typed(shape: Any, values: list[str]) -> Any:
    if shape.type_name == "list":
        return values
    if shape.type_name == "boolean":
        return values[0].lower() == "true"
    return int(values[0]) if shape.type_name == "integer" else values[0]
