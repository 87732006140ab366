"""The names of GKE's clusters in the store, and the module that runs their control planes."""

from __future__ import annotations

from typing import Any

CLUSTERS = "container.clusters"
CLUSTER_NAME = "projects/{project}/locations/{location}/clusters/{cluster}"


def control_planes() -> Any:
    """The module that runs control planes; tests replace it."""
    from sandbox.cluster import control_plane

    return control_plane
