"""The `gke-gcloud-auth-plugin` of the sandbox: logs in to the sandbox's GKE clusters, and to no others.

The real one returns the token of the account that is logged in to gcloud, which every cluster validates with Google.
This one returns the administrator's certificate of the cluster that the caller names, as kubeconfigs with
`provideClusterInfo` do (client.authentication.k8s.io, ExecCredentialSpec). Other callers get a token that no cluster
accepts.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from sandbox.cluster.address import plane_at
from sandbox.login import exec_credential


def main(arguments: Sequence[str]) -> int:
    """Prints an ExecCredential. Of the real plugin's options, only `--version` prints something else."""
    if "--version" in arguments:
        print("Kubernetes v0.0.0-sandbox")
        return 0
    server = (_asked().get("spec") or {}).get("cluster", {}).get("server", "")
    print(json.dumps(exec_credential(plane_at(server), "ya29.sandbox", _asked().get("apiVersion", ""))))
    return 0


def _asked() -> dict:
    return json.loads(os.environ.get("KUBERNETES_EXEC_INFO") or "{}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
