"""Reservations of Compute Engine: a fixed number of machines that are paid for in advance.

They are not objects of the sandbox. A reservation that a pool names is assumed to be as large as the maximum of all
pools that use it. A pool and its replacement have the same value of our pool label and count once.
"""

from __future__ import annotations

from sandbox.gcp.store import Body, Store

_POOL_LABEL = "gpuyard.dev/pool"
_POOLS, _INSTANCES = "container.nodePools", "compute.instances"


def name(config: Body) -> str:
    """The reservation that a node uses; empty if there is none."""
    affinity = config.get("reservationAffinity") or {}
    values = affinity.get("values") or []
    return str(values[0]) if affinity.get("consumeReservationType") == "SPECIFIC_RESERVATION" and values else ""


def free(store: Store, pool: Body) -> float:
    """How many machines of the reservation are free; infinite without a reservation."""
    wanted = name(pool.get("config", {}))
    if not wanted:
        return float("inf")
    size: dict[str, int] = {}
    users = set()
    for _, full, other in store.select(_POOLS):
        if name(other.get("config", {})) == wanted:
            kind = other["config"].get("labels", {}).get(_POOL_LABEL, other["name"])
            size[kind] = max(size.get(kind, 0), _most(other))
            users.add(full)
    held = sum(body["_sandbox"]["pool"] in users for _, _, body in store.select(_INSTANCES))
    return sum(size.values()) - held


def _most(pool: Body) -> int:
    scaling = pool.get("autoscaling", {})
    zones = len(pool.get("locations", []))
    static = int(pool.get("initialNodeCount") or 0) * zones
    return int(scaling.get("totalMaxNodeCount") or 0) or int(scaling.get("maxNodeCount") or 0) * zones or static
