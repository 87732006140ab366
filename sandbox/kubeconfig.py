"""The kubeconfig of a stack, `kube/STACK.yaml`: that of its cluster as soon as a control plane runs, whether or not
`up` has finished; before that, one that points to a closed port. Without KUBECONFIG, kubectl and Helm use
`~/.kube/config`; with an empty file, they use an unauthenticated API on this machine, or the cluster in which this
container runs. Both could be real clusters.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from sandbox import paths
from sandbox.cluster.control_plane import ControlPlane
from sandbox.stacks import Stack

NOWHERE = "https://127.0.0.1:1"


def write(stack: Stack, plane: ControlPlane | None) -> Path:
    """Updates the stack's kubeconfig. The user's edits are kept as long as the cluster is the same."""
    path = paths.folder("kube") / f"{stack.name}.yaml"
    before = path.read_text() if path.exists() else ""
    if plane and plane.kubeconfig.exists():
        # The line of the file that edits of contexts or namespaces do not change.
        text, same = plane.kubeconfig.read_text(), f"server: {plane.endpoint}" in before and plane.ca_data in before
    else:
        text, same = nowhere(), False
    if not same and text != before:
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(text)
    return path


def nowhere() -> str:
    """A kubeconfig without a cluster."""
    name = "no-cluster-runs-yet"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": NOWHERE}}],
            "users": [],
            "contexts": [{"name": name, "context": {"cluster": name, "user": ""}}],
            "current-context": name,
        }
    )
