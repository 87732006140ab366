"""The simulated AWS: moto's application plus the parts that moto lacks, as one HTTP endpoint on loopback.

`start()` runs it as a process of the sandbox, which is moto_server.py. It answers every request that boto3, an AWS SDK
or `aws --endpoint-url` can send to the services that the rows use, signed with the sandbox's access key (access_key.py,
gate.py). Services that moto runs in containers are not served, and moto finds no Docker.

`GET /sandbox/health` answers `{"ready", "restored", "generation", "note", "clusters", "regions"}`: whether the
account was restored from its snapshot or started empty (`generation` is new whenever state was lost), and the state
of the control planes.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from typing import Any

from sandbox import process
from sandbox.aws.access_key import access_key
from sandbox.process import Process

NAME = "aws"
HEALTH = "/sandbox/health"
"""Path of the health page."""


def start(*, control_plane: bool = True) -> Process:
    """Starts the server, or finds the running one. Returns once the account is restored and its clusters run."""
    running = process.alive(NAME)
    if running and running.ready:
        return running
    port = process.free_port()
    argv = [sys.executable, "-m", "sandbox.aws.moto_server", "--port", str(port)]
    return process.start(
        NAME,
        argv if control_plane else [*argv, "--no-control-plane"],
        ready=lambda: bool(_ask(port).get("ready")),
        timeout=180,
        what="the simulated AWS",
        port=port,
    )


def endpoint() -> str | None:
    """The URL of the running server; `$GPUYARD_SANDBOX_AWS_ENDPOINT` overrides it."""
    if given := os.environ.get("GPUYARD_SANDBOX_AWS_ENDPOINT"):
        return given
    running = process.alive(NAME)
    return f"http://127.0.0.1:{running.port}" if running else None


def health(url: str | None = None) -> dict[str, Any] | None:
    """The health page of the running server; None if it does not run."""
    url = url or endpoint()
    if url is None:
        return None
    try:
        return _ask(int(url.rpartition(":")[2]))
    except OSError:
        return None


def _ask(port: int) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://127.0.0.1:{port}{HEALTH}", headers={"Authorization": access_key().bearer})
    with opener.open(request, timeout=5) as answer:
        return json.load(answer)
