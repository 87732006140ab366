"""The access key of the simulated AWS: random, one per sandbox, readable by its owner only.

A port of loopback is open to every user of the machine and to every web page that a browser on it shows. Only users
who can read the sandbox's folder know the key.
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
    """An access key as AWS spells one: `id` has 20 letters and digits, `secret` 40 characters."""

    id: str
    secret: str

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables by which every AWS SDK takes it."""
        return {"AWS_ACCESS_KEY_ID": self.id, "AWS_SECRET_ACCESS_KEY": self.secret}

    @property
    def bearer(self) -> str:
        """The Authorization header for the server's page about itself."""
        return f"Bearer {self.secret}"


def access_key() -> AccessKey:
    """The key of this sandbox, made when it is asked for the first time."""
    path = paths.folder("run") / "aws-key"
    try:
        return AccessKey(**json.loads(path.read_text()))
    except FileNotFoundError:
        key = AccessKey("AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16)), secrets.token_urlsafe(30))
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix="aws-key-")
    with open(handle, "w") as file:
        json.dump(asdict(key), file)
    try:
        os.link(draft, path)  # not over the key that another process has made in between
    except FileExistsError:
        pass
    finally:
        Path(draft).unlink()
    return AccessKey(**json.loads(path.read_text()))
