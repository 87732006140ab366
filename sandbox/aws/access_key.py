"""The access key of the simulated AWS: random, one per sandbox, readable by its owner only.

A port of loopback is open to every user of the machine and to every web page in a browser on it. Only users who can
read the sandbox's folder know the key.
"""

from __future__ import annotations

import json
import os
import secrets
import string
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox import paths

_LETTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class AccessKey:
    """An access key in AWS's format: `id` has 20 letters and digits, `secret` 40 characters."""

    id: str
    secret: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables from which every AWS SDK reads the key."""
        return {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret}

    @property
    def bearer(self) -> str:
        """The Authorization header for the server's health page."""
        return f"Bearer {self.secret}"


def access_key() -> AccessKey:
    """The key of this sandbox, created at the first call."""
    path = paths.folder("run") / "aws-key"
    try:
        return AccessKey(**json.loads(path.read_text()))
    except FileNotFoundError:
        key = AccessKey("AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16)), secrets.token_urlsafe(30))
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix="aws-key-")
    with open(handle, "w") as file:
        json.dump(asdict(key), file)
    try:
        os.link(draft, path)  # never replaces a key that another process created meanwhile
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
    return AccessKey(**json.loads(path.read_text()))
