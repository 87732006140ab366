"""Where everything of the sandbox lies: one folder, `.sandbox/` in the clone, or `$GPUYARD_SANDBOX`.

Layout (all of it disposable; `make down` removes it, apart from `attic/`):

    state/       Pulumi's file backend            pulumi/    PULUMI_HOME
    config/      copies of the stack files        bin/       the tools, and a pulumi that leaves those files alone
    plugins/     the ambient provider shims       run/       one NAME.json (pid, port) and NAME.log per process
    aws/         snapshot of the AWS server       gcp/       the Google Cloud store
    clusters/    one folder per control plane     faults.json  failures to inject (sandbox/plugins/faults.py)
    attic/       what a recovery set aside, never deleted by a command
    helm/        Helm's own folders               lock       who is at work (lock.py)
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The sandbox's folder; read at each call so that tests can point `$GPUYARD_SANDBOX` elsewhere."""
    return Path(os.environ.get("GPUYARD_SANDBOX") or ROOT / ".sandbox").resolve()


def folder(*parts: str) -> Path:
    """A folder below `home()`, made if it is missing."""
    path = home().joinpath(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path
