"""The caller: which identity and address the simulated clouds see for the person who runs `pulumi`.

It is set in `.sandbox/caller.json`, which is read at each use, so that it can change between two commands. All fields
are optional:

    arn       identity in AWS, such as "arn:aws:sts::123456789012:assumed-role/deployer/ann"
              (default: the user `sandbox` of the account that the stack's file allows, or of 123456789012)
    address IPv4 address, such as "198.51.100.7". Endpoints, lists of networks and security groups decide whether it
    reaches an API server (default: an address from which the stack's file allows access)
"""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass

from sandbox import paths
from sandbox.errors import SandboxError


@dataclass(frozen=True)
class Caller:
    """The caller; empty fields are not set."""

    arn: str = ""
    address: str = ""


def load() -> Caller:
    """The content of `.sandbox/caller.json`. Raises SandboxError for an invalid file."""
    path = paths.home() / "caller.json"
    if not path.exists():
        return Caller()
    try:
        caller = Caller(**json.loads(path.read_text()))
        if caller.address:
            ipaddress.IPv4Address(caller.address)
        if not isinstance(caller.arn, str):
            raise TypeError("arn is not text")
    except (OSError, ValueError, TypeError) as error:
        raise SandboxError(f"{path} is not valid: {error}.", "correct it, or delete it") from None
    return caller


def principal(arn: str) -> str:
    """The user or role behind an identity, as IAM writes it. The path of a session's role is not known, so it is
    omitted."""
    head, _, session = arn.partition(":assumed-role/")
    if not session:
        return arn
    return f"{head.replace(':sts:', ':iam:')}:role/{session.split('/')[0]}"
