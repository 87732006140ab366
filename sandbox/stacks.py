"""The stacks of the project as the sandbox sees them: their names, config and state.

The tracked `Pulumi.STACK.yaml` is not changed: Pulumi gets a copy below `.sandbox/config/`, into which it may write the
salt of the sandbox's passphrase. State is read directly from the file backend (`state/.pulumi/stacks/PROJECT/`), which
takes milliseconds; the engine would take a second. This module never writes state.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from sandbox import paths, stack_file
from sandbox.errors import SandboxError

_SECRET = "4dabf18193072939515e22adb298388d"
"""Pulumi's marker of a wrapped value (sdk/go/common/resource/sig.go)."""


_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class CorruptState(Exception):
    """The engine could not read the state file of a stack."""


@dataclass(frozen=True)
class Stack:
    """One stack of the project by name."""

    name: str

    @property
    def file(self) -> Path:
        return paths.ROOT / f"Pulumi.{self.name}.yaml"

    @property
    def copy(self) -> Path:
        return paths.home() / "config" / f"Pulumi.{self.name}.yaml"

    @property
    def state(self) -> Path:
        return paths.home() / "state" / ".pulumi" / "stacks" / project() / f"{self.name}.json"

    @property
    def exists(self) -> bool:
        """Whether it has a state."""
        return self.state.exists()

    def require(self) -> None:
        """Raises SandboxError if there is neither a file nor a state of that name."""
        if not self.exists and not os.path.lexists(self.file):
            raise SandboxError(f"There is no stack {self.name!r}: {self.file.name} is missing.", _known())

    @cached_property
    def config(self) -> dict[str, Any]:
        """Plain values by full key, for example `gpuyard:cloud`. Raises SandboxError for a missing or broken file."""
        return stack_file.read(self.file, _known)

    @property
    def cloud(self) -> str:
        """`aws` or `gcp`, from the config or else from the project's default."""
        return str(self.config.get(f"{project()}:cloud") or _declared("cloud") or "aws")

    @property
    def region(self) -> str:
        """Region of the stack's cloud, if the config sets it."""
        keys = ("aws:region", "gcp:region", f"{project()}:region")
        preferred = keys if self.cloud == "aws" else (keys[1], keys[2])
        return next(
            (str(self.config[key]) for key in preferred if self.config.get(key)), str(_declared("region") or "")
        )

    @property
    def encrypted(self) -> bool:
        """Whether the tracked file has secrets, which only the user's own passphrase decrypts."""
        return bool(re.search(r"^\s+(- )?secure:", stack_file.text(self.file), re.MULTILINE))

    def prepare(self) -> Path:
        """Updates the copy of the config and returns its path."""
        folder = paths.folder("config")
        shutil.copyfile(paths.ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
        text = stack_file.text(self.file)
        if not self.encrypted:
            # Pulumi would ask for the user's own passphrase or KMS key, which is not needed here.
            text = re.sub(r"^(encryptionsalt|secretsprovider|encryptedkey):.*\n?", "", text, flags=re.MULTILINE)
            before = self.copy.read_text() if self.copy.exists() else ""
            salt = re.search(r"^encryptionsalt:.*", before, re.MULTILINE)
            if salt:
                text = text.rstrip("\n") + f"\n{salt[0]}\n"
        elif re.search(r"^secretsprovider: *(?!passphrase)", text, re.MULTILINE):
            raise SandboxError(
                f"{self.file.name} holds secrets that are encrypted with a cloud's key, which the sandbox lacks.",
                "move the secrets to a separate stack file, or set plain values for the sandbox",
            )
        self.copy.write_text(text)
        return self.copy

    def checkpoint(self) -> Checkpoint:
        """The state; empty if there is no file. Raises CorruptState."""
        return read(self.state) if self.exists else Checkpoint({})


@dataclass(frozen=True)
class Checkpoint:
    """The last state that the engine wrote for a stack."""

    latest: dict[str, Any]

    @property
    def resources(self) -> list[dict[str, Any]]:
        return self.latest.get("resources") or []

    @property
    def pending(self) -> list[dict[str, Any]]:
        """Operations that were under way when the engine was killed: `{"type": "creating", "resource": {...}}`."""
        return self.latest.get("pending_operations") or []

    @property
    def time(self) -> str:
        return (self.latest.get("manifest") or {}).get("time", "")

    @property
    def outputs(self) -> dict[str, Any]:
        """The stack's outputs that are not secret."""
        stack = next((r for r in self.resources if r["type"] == "pulumi:pulumi:Stack"), {})
        return {key: value for key, value in (stack.get("outputs") or {}).items() if not _holds_secret(value)}

    @property
    def managed(self) -> list[dict[str, Any]]:
        """Resources that exist in a cloud or a cluster: no components, providers or look-ups."""
        return [r for r in self.resources if r.get("custom") and not r["type"].startswith("pulumi:")]


def read(path: Path) -> Checkpoint:
    try:
        document = json.loads(path.read_bytes())
        latest = document["checkpoint"].get("latest") or {}
        _check_shape(latest)
        return Checkpoint(latest)
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise CorruptState(f"{type(error).__name__}: {error}") from None


def _check_shape(latest: Any) -> None:
    """Raises ValueError if a checkpoint does not have the shape that this module relies on."""
    if not isinstance(latest, dict) or not isinstance(latest.get("manifest") or {}, dict):
        raise ValueError("no checkpoint")
    resources, pending = latest.get("resources") or [], latest.get("pending_operations") or []
    if not isinstance(resources, list) or not isinstance(pending, list):
        raise ValueError("no list of resources")
    for resource in (*resources, *(operation["resource"] for operation in pending)):
        if not all(isinstance(resource[key], str) for key in ("urn", "type")):
            raise ValueError("a resource without URN")
        if not all(isinstance(resource.get(side) or {}, dict) for side in ("inputs", "outputs")):
            raise ValueError("a resource without properties")


def project() -> str:
    """The project's name in Pulumi.yaml."""
    return str(_project()["name"])


def known() -> list[str]:
    """Names of the stacks that have a file in the clone."""
    return sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in paths.ROOT.glob("Pulumi.?*.yaml"))


def existing() -> list[Stack]:
    """Stacks that have a state in the sandbox."""
    folder = paths.home() / "state" / ".pulumi" / "stacks" / project()
    return [Stack(path.stem) for path in sorted(folder.glob("*.json"))]


def chosen(name: str | None) -> Stack:
    """The named stack, or else `$STACK`, the last one that was brought up, or dev."""
    remembered = stack_file.text(paths.home() / "last-stack").strip()
    name = name or os.environ.get("STACK") or (remembered if _NAME.fullmatch(remembered) else "") or "dev"
    if not _NAME.fullmatch(name):
        raise SandboxError(f"{name!r} is not a valid stack name.", _known())
    return Stack(name)


def remember(stack: Stack) -> None:
    (paths.folder() / "last-stack").write_text(stack.name)


def _known() -> str:
    return f"use one of: {', '.join(known()) or 'none yet'} (STACK=... or --stack ...)"


def _project() -> dict[str, Any]:
    try:
        found = yaml.safe_load((paths.ROOT / "Pulumi.yaml").read_text())
        assert isinstance(found["name"], str)
        return found
    except (OSError, yaml.YAMLError, AssertionError, TypeError, KeyError) as error:
        raise SandboxError(f"Pulumi.yaml cannot be read: {error}.", "restore it: git checkout Pulumi.yaml") from None


def _declared(key: str) -> Any:
    """The default that Pulumi.yaml declares for a config key."""
    declared = _project().get("config") or {}
    found = declared.get(f"{project()}:{key}", declared.get(key))
    return found.get("default") if isinstance(found, dict) else found


def _holds_secret(value: Any) -> bool:
    if isinstance(value, dict):
        return _SECRET in value or any(_holds_secret(part) for part in value.values())
    return isinstance(value, list) and any(_holds_secret(part) for part in value)
