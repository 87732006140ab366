"""Access to the simulated AWS: only for programs of the sandbox's owner that sign with its access key.

Before moto gets a request, the request must have loopback as its host name (another name may resolve to loopback in a
browser), must not come from a web page (`Origin`), must be signed with the sandbox's key by Signature Version 4 in its
headers as every SDK does, and must be for a service that the sandbox simulates. A refusal has AWS's own error code, so
that SDKs raise their usual exceptions. moto's control pages (`/moto-api`, instance metadata) are not served.
"""

from __future__ import annotations

import hmac
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from sandbox.aws.access_key import AccessKey

SERVICES = frozenset(
    "autoscaling ec2 eks elasticfilesystem elasticloadbalancing fsx iam kms logs s3 ssm sts".split()  # noqa: SIM905
)
"""Signing names of the services that are served: those of the rows, and those of the program's preflight checks."""

_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
_CLOSED = re.compile(r"/moto-api|/latest/(meta-data|api)/|/favicon\.ico$")
_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<id>[\w-]+)/(?P<date>\d{8})/(?P<region>[\w-]+)/(?P<service>[\w-]+)/aws4_request, *"
    r"SignedHeaders=(?P<headers>[a-z0-9;_-]+), *Signature=(?P<signature>[0-9a-f]{64})"
)
_LARGEST = 64 * 2**20

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Refused(Exception):
    """A refused request: AWS's error code and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Gate:
    """The application behind the gate. `assumed` returns the secret of a temporary key from STS, or None."""

    def __init__(self, application: Application, key: AccessKey, assumed: Callable[[str], str | None]) -> None:
        self._application = application
        self._key = key
        self._assumed = assumed

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        try:
            self._check(environ)
        except Refused as refused:
            return _answer(environ, start_response, refused)
        return self._application(environ, start_response)

    def knows_secret(self, environ: Mapping[str, Any]) -> bool:
        """Whether a request for the sandbox's own page has the secret."""
        try:
            _check_origin(environ)
        except Refused:
            return False
        return hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", "").encode(), self._key.bearer.encode())

    def _check(self, environ: dict[str, Any]) -> None:
        _check_origin(environ)
        if _CLOSED.match(environ.get("PATH_INFO", "")):
            raise Refused("AccessDenied", "the sandbox does not serve this page")
        signed = _AUTHORIZATION.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
        if signed is None:
            raise Refused("MissingAuthenticationToken", "the request is not signed with the sandbox's access key")
        secret = self._key.secret if hmac.compare_digest(signed["id"], self._key.id) else self._assumed(signed["id"])
        if secret is None:
            raise Refused(
                "InvalidClientTokenId", "this is not the sandbox's access key; `make env` and `make shell` set it"
            )
        if signed["service"] not in SERVICES:
            raise Refused("AccessDenied", f"the sandbox does not simulate the service {signed['service']}")
        if not hmac.compare_digest(_signature(environ, signed, secret), signed["signature"]):
            raise Refused("SignatureDoesNotMatch", "the signature does not match the sandbox's secret access key")


def _check_origin(environ: Mapping[str, Any]) -> None:
    if "HTTP_ORIGIN" in environ:
        raise Refused("AccessDenied", "requests from web pages are refused")
    if not _HOST.fullmatch(environ.get("HTTP_HOST", "")):
        raise Refused("AccessDenied", "the sandbox answers on 127.0.0.1 and localhost only")


def _signature(environ: dict[str, Any], signed: re.Match[str], secret: str) -> str:
    """The signature that the request should have (Signature Version 4)."""
    headers = {name: _header(environ, name) for name in signed["headers"].split(";")}
    request = AWSRequest(
        environ["REQUEST_METHOD"],
        f"http://{environ['HTTP_HOST']}{environ['REQUEST_URI']}",
        headers,
        data=_body(environ) if "x-amz-content-sha256" not in headers else b"",
    )
    request.context["timestamp"] = environ.get("HTTP_X_AMZ_DATE", "")
    kind = S3SigV4Auth if signed["service"] == "s3" else SigV4Auth
    auth = kind(Credentials(signed["id"], secret), signed["service"], signed["region"])
    canonical = auth.canonical_request(request)
    if "host" not in headers or not request.context["timestamp"].startswith(signed["date"]):
        raise Refused("IncompleteSignature", "host and x-amz-date are required and must match the credential's scope")
    return auth.signature(auth.string_to_sign(request, canonical), request)


def _header(environ: Mapping[str, Any], name: str) -> str:
    variable = name.upper().replace("-", "_")
    return environ.get(variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}", "")


def _body(environ: dict[str, Any]) -> bytes:
    """The body, in a form that can be read again."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = -1
    if not 0 <= length <= _LARGEST:
        raise Refused("IncompleteSignature", "the length of the body is missing or too large")
    body = environ["wsgi.input"].read(length) if length else b""
    environ["wsgi.input"] = io.BytesIO(body)
    return body


def _answer(environ: Mapping[str, Any], start_response: Callable[..., Any], refused: Refused) -> list[bytes]:
    code, message = refused.code, str(refused)
    scope = environ.get("HTTP_AUTHORIZATION", "")
    rest = any(f"/{service}/" in scope for service in ("eks", "elasticfilesystem"))
    if rest or "json" in environ.get("CONTENT_TYPE", ""):
        body, kind = json.dumps({"__type": code, "message": message}), "application/json"
    else:
        error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        # EC2 has another error format than the other services of the query protocol; S3 has no wrapper element.
        ec2, s3 = (f"/{service}/" in scope for service in ("ec2", "s3"))
        body = f"<Response><Errors>{error}</Errors></Response>" if ec2 else f"<ErrorResponse>{error}</ErrorResponse>"
        body, kind = error if s3 else body, "text/xml"
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body.encode()))),
        ("x-amzn-ErrorType", code),
        ("Connection", "close"),  # the rest of a refused request is not read
    ]
    start_response("403 Forbidden", headers)
    return [body.encode()]
