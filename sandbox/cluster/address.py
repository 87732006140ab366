"""The control plane at an address: its own, or the name that GKE gives a cluster (its DNS endpoint)."""

from __future__ import annotations

from sandbox.cluster import control_plane
from sandbox.cluster.control_plane import ControlPlane


def plane_at(server: str) -> ControlPlane | None:
    """The control plane that a kubeconfig's `server` leads to; None when there is none, or the name is not open."""
    if found := control_plane.find(server):
        return found
    if not server.endswith(".gke.goog"):
        return None
    from sandbox.gcp import gke  # here: on AWS nobody needs it, and it loads the whole table of Google's types

    key = gke.key_of(server)
    return control_plane.get(key) if key else None
