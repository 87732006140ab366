"""Finds the control plane at an address: its own, or the DNS name that GKE gives a cluster (its DNS endpoint)."""

from __future__ import annotations

from sandbox.cluster import control_plane, registry
from sandbox.cluster.control_plane import ControlPlane


def plane_at(server: str) -> ControlPlane | None:
    """The control plane at a kubeconfig's `server`; None if there is none, or if access by the name is not enabled."""
    if found := control_plane.find(server):
        return found
    key = registry.key_at(server)
    return control_plane.get(key) if key else None
