"""Pulumi's own Kubernetes provider instead of the simulated one, if the user has installed and selected it.

`$GPUYARD_KUBERNETES_PROVIDER` is the path of a `pulumi-resource-kubernetes`, or `installed` for the newest that
`pulumi plugin install resource kubernetes` has put into `~/.pulumi`. It serves as a reference for the simulated one:
both must create, change and destroy an environment with the same results. It has no stand-ins, so every chart must be
reachable, or `charts.mirror` must be set.
"""

from __future__ import annotations

import os
from pathlib import Path

from sandbox.errors import SandboxError
from tools.manifest import parse

VARIABLE = "GPUYARD_KUBERNETES_PROVIDER"
PROGRAM = "pulumi-resource-kubernetes"


def kubernetes() -> Path | None:
    """The real provider's program; None if it is not selected. Raises SandboxError if it is missing."""
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        return None
    found = newest() if asked == "installed" else Path(asked).expanduser().resolve()
    if found is None or not os.access(found, os.X_OK) or found.is_dir():
        what = "no plugin of that kind is installed" if asked == "installed" else "this is not an executable file"
        raise SandboxError(
            f"{VARIABLE} is {asked!r}, but {what}.",
            f"run `pulumi plugin install resource kubernetes` and set {VARIABLE}=installed, or unset it",
        )
    return found


def newest() -> Path | None:
    """The program of the newest installed plugin."""
    plugins = (Path.home() / ".pulumi" / "plugins").glob(f"resource-kubernetes-v*/{PROGRAM}")
    return max(plugins, key=lambda program: parse(program.parent.name), default=None)
