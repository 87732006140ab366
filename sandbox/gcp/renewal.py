"""How long GKE takes to replace the nodes of a pool, in real minutes. The sandbox needs seconds.

Assumes a quick drain; GKE gives the pods of a node up to an hour ("Node upgrade strategies").
"""

from __future__ import annotations

import math

from sandbox.gcp.store import Body

_NODE_MINUTES = 10.0
"""Drain, removal, boot and drivers of a GPU node whose pods end at once."""


def minutes(pool: Body, nodes: int) -> float:
    """Minutes for this number of nodes, by the pool's own strategy; the API's default is one additional node at a
    time."""
    settings = pool.get("upgradeSettings") or {}
    if settings.get("strategy") != "BLUE_GREEN":
        at_once = int(settings.get("maxSurge", 1)) + int(settings.get("maxUnavailable", 0))
        return math.ceil(nodes / max(at_once, 1)) * _NODE_MINUTES
    blue_green = settings.get("blueGreenSettings", {})
    policy = blue_green.get("standardRolloutPolicy", {})
    batch = int(policy.get("batchNodeCount") or 0) or max(1, int(nodes * float(policy.get("batchPercentage") or 1)))
    batches = math.ceil(nodes / batch)
    soak = batches * _seconds(policy.get("batchSoakDuration")) + _seconds(blue_green.get("nodePoolSoakDuration"))
    return batches * _NODE_MINUTES + soak / 60


def _seconds(duration: str | None) -> float:
    return float((duration or "0s").removesuffix("s"))
