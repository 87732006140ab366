"""boto3 clients against the sandbox's AWS server, and nothing else: no profile, no environment, no real account.

Requests are signed with the sandbox's access key. Raises SandboxError if the server does not run.
"""

from __future__ import annotations

from typing import Any

import boto3
import botocore.session
from botocore.config import Config

from sandbox.aws import server
from sandbox.aws.access_key import access_key
from sandbox.errors import SandboxError

ACCOUNT = "123456789012"
"""The one account of the simulated AWS (moto's default)."""

_CONFIG = Config(
    retries={"max_attempts": 3, "mode": "standard"},
    connect_timeout=5,
    read_timeout=120,
    # The server is on loopback: a proxy from the environment must not get these requests.
    proxies={},
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
)
_clients: dict[tuple[str, str, str, str], Any] = {}
_session: boto3.Session | None = None


def client(service: str, region: str, endpoint: str | None = None) -> Any:
    """A client of one service. Clients are cached here, since botocore takes some 50 ms to create one. Do not cache
    them elsewhere: a server that was killed restarts on another port."""
    endpoint = endpoint or server.endpoint()
    if endpoint is None:
        raise SandboxError("The sandbox's AWS server does not run.", "start it with `make up`")
    signer = access_key()
    key = (service, region, endpoint, signer.id)
    if key not in _clients:
        made: Any = _boto().client  # its stubs have an overload per service; ours is generic
        _clients[key] = made(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=signer.id,
            aws_secret_access_key=signer.secret,
            config=_CONFIG,
        )
    return _clients[key]


def service_model(service: str) -> Any:
    """botocore's model of a service, for checks without a server."""
    return _boto()._session.get_service_model(service)


def _boto() -> boto3.Session:
    global _session
    if _session is None:
        # A broken or foreign ~/.aws, or a profile in the environment, must neither stop the sandbox nor affect it.
        files = {name: (None, None, "/dev/null", None) for name in ("config_file", "credentials_file")}
        core = botocore.session.Session(session_vars={"profile": (None, None, None, None), **files})
        _session = boto3.Session(botocore_session=core)
    return _session
