"""The sandbox's files: all in one folder, `.sandbox/` in the clone, or `$GPUYARD_SANDBOX`.

Layout (all of it disposable; `make down` removes it, apart from `attic/`, and nothing that is not named here):

    state/       Pulumi's file backend            pulumi/    PULUMI_HOME
    config/      copies of the stack files        bin/       the tools, and a pulumi that leaves those files alone
    plugins/     the ambient provider shims       run/       one NAME.json (pid, port) and NAME.log per process
    aws/         snapshot of the AWS server       gcp/       the Google Cloud store
    clusters/    one folder per control plane     faults.json  failures to inject (sandbox/plugins/faults.py)
    kube/        one kubeconfig per stack         shell/     what `make shell` starts a shell with
    caller.json  identity and address of the caller (sandbox/caller.py)
    machine_types.json  machine types that are newer than the sandbox's EC2 (sandbox/aws/machine_types.py)
    attic/       what a recovery set aside, never deleted by a command
    helm/        Helm's own folders               lock       the running command (lock.py)
    metrics/     exists if clusters have a Prometheus (sandbox/controllers/monitoring.py)
    schema-*.json   schemas of plugins, kept by the engine
    last-stack   the stack brought up last        .gpuyard-sandbox  the mark of a sandbox's folder

Only its owner can read the folder. It gets a marker file when it is created. A folder without the marker has other
data: nothing is written into it, started from it or removed from it.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sandbox.errors import SandboxError

ROOT = Path(__file__).resolve().parent.parent

MARK = ".gpuyard-sandbox"
LAYOUT = frozenset(
    (
        MARK, "state", "pulumi", "config", "bin", "plugins", "run", "aws", "gcp", "clusters", "kube", "shell", "attic",
        "helm", "metrics", "faults.json", "caller.json", "machine_types.json", "lock", "last-stack",
    )
)  # fmt: skip
"""Names of the sandbox's entries in its folder, which `make down` removes."""

SCHEMAS = "schema-*.json"
"""What the engine keeps of the schemas of its plugins, next to their folder."""

_USER_FILES = frozenset(("faults.json", "caller.json", "machine_types.json"))
"""Files that the user writes, possibly before the first `make up`."""

_CHOOSE = "unset GPUYARD_SANDBOX, or set it to a new or empty folder of yours"


def home() -> Path:
    """The sandbox's folder; read at each call so that tests can point `$GPUYARD_SANDBOX` elsewhere."""
    named = os.environ.get("GPUYARD_SANDBOX")
    try:
        return Path(named or ROOT / ".sandbox").resolve()
    except (OSError, RuntimeError) as error:  # symbolic links in a loop
        raise SandboxError(f"The sandbox's folder {named or '.sandbox'} cannot be used: {error}.", _CHOOSE) from None


def folder(*parts: str) -> Path:
    """A folder below `home()`, created if it is missing. Raises SandboxError if home() is not a sandbox's folder."""
    if parts and parts[0] not in LAYOUT:
        raise ValueError(f"{parts[0]} is not in the layout of a sandbox; `make down` would leave it behind")
    found = home()
    if not (found / MARK).is_file():
        check()
        try:
            found.mkdir(mode=0o700, parents=True, exist_ok=True)
            found.chmod(0o700)
            (found / MARK).touch(mode=0o600)
        except OSError as error:
            raise SandboxError(f"The sandbox's folder {found} cannot be made: {error.strerror}.", _CHOOSE) from None
    path = found.joinpath(*parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a file of that name, or a full or read-only disk
        raise SandboxError(
            f"{path} cannot be made: {error.strerror}.", "`make down FORCE=1` removes what is in the sandbox's folder"
        ) from None
    return path


def check() -> None:
    """Raises SandboxError if `home()` exists and is not a sandbox's folder: it belongs to another user, is a file, or
    is not empty and has no marker. Removes other users' permissions from a sandbox's folder. A folder that does not
    exist is valid."""
    found = home()
    try:
        status = found.lstat()
        if not stat.S_ISDIR(status.st_mode):
            raise SandboxError(f"The sandbox's folder {found} is not a folder.", _CHOOSE)
        if status.st_uid != os.getuid():
            raise SandboxError(
                f"The sandbox's folder {found} belongs to another user (uid {status.st_uid}).",
                "set GPUYARD_SANDBOX to a folder of yours",
            )
        names = {entry.name for entry in found.iterdir()}
        mark = found / MARK
        ours = mark.is_file() and not mark.is_symlink() and mark.stat().st_uid == status.st_uid
        # `.sandbox` in the clone may be from before there was a mark.
        expected = LAYOUT - {MARK} if found == ROOT / ".sandbox" else _USER_FILES
        if not ours and not names <= expected:
            raise SandboxError(
                f"The folder {found} is not empty and is not a sandbox's (it has no {MARK}); it was not changed.",
                _CHOOSE,
            )
        if ours and status.st_mode & 0o077:
            found.chmod(0o700)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SandboxError(f"The sandbox's folder {found} cannot be used: {error.strerror}.", _CHOOSE) from None
