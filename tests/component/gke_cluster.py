"""A GKE cluster under the recorder."""

from __future__ import annotations

from typing import Any

import pulumi

from components import arguments
from components.gcp.cluster import GkeCluster, GkeClusterArgs
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import GCP_ZONES, gcp_options

CLUSTER = "gcp:container/cluster:Cluster"
DEFAULTS: dict[str, Any] = {
    "cluster_name": "train",
    "version": "1.35",
    "project": "gpuyard-project",
    "location": "us-central1",
    "zones": GCP_ZONES,
    "network_id": "net",
    "subnetwork_id": "sub",
}


def filled(**args: Any) -> GkeClusterArgs:
    """Arguments with the declared defaults, as the component's checks get them."""
    return arguments.cleaned(GkeClusterArgs, {**DEFAULTS, **args})


def cluster(preview: bool = False, **args: Any) -> Recording:
    """A recorded GkeCluster called `c` with the physical name `train`; its outputs are exported."""

    def program() -> None:
        made = GkeCluster("c", {**DEFAULTS, **args}, gcp_options())  # type: ignore[typeddict-item]
        for key in ("cluster_name", "endpoint", "kubeconfig", "connect_command", "workload_pool"):
            pulumi.export(key, getattr(made, key))

    return run(program, preview=preview)


def inputs(**args: Any) -> dict[str, Any]:
    """The inputs that the SDK gets."""
    return cluster(**args).one(CLUSTER).inputs


KEY = "projects/keys/locations/us-central1/keyRings/ring/cryptoKeys/secrets"
