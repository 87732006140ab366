"""A pool on GKE under the recorder, and its resources."""

from __future__ import annotations

from typing import Any

from components.gcp.node_pool import GkeNodePool
from components.gcp.pool_spec import GkeNodePoolSpec
from components.pools import NodePoolSpec
from recording.recorder import run
from recording.recording import Recording, Resource
from tests.component.stage import GCP_ZONES, GKE_GPU, gcp_options, pool

POOL = "gcp:container/nodePool:NodePool"
ZONE = GCP_ZONES[0]


def node_pool(spec: NodePoolSpec | GkeNodePoolSpec, name: str = "gpu-workers", **args: Any) -> Recording:
    """A recorded GkeNodePool."""
    defaults = {
        "pool": spec,
        "zones": GCP_ZONES,
        "location": "us-central1",
        "cluster": "train",
        "kubernetes_version": "1.35",
        "node_service_account": "nodes@gpuyard-project.iam.gserviceaccount.com",
    }
    return run(lambda: GkeNodePool(name, {**defaults, **args}, gcp_options()))  # type: ignore[typeddict-item]


def made(spec: NodePoolSpec | GkeNodePoolSpec) -> dict[str, Any]:
    """Inputs of the only node pool of a spec."""
    return node_pool(spec).one(POOL).inputs


def config(spec: NodePoolSpec | GkeNodePoolSpec) -> dict[str, Any]:
    """Its nodes' config."""
    return made(spec)["nodeConfig"]


def rungs(spec: NodePoolSpec | GkeNodePoolSpec) -> dict[str, Resource]:
    """Node pool by name."""
    return {found.name: found for found in node_pool(spec).all(POOL)}


def interconnected(machine_type: str, **changes: Any) -> NodePoolSpec:
    """A pool whose machines are interconnected, in one zone."""
    return pool(GKE_GPU, **{"machine_types": [machine_type], "interconnect": True, "zones": [ZONE], **changes})
