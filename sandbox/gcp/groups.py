"""Managed instance groups of GKE node pools: one per zone, and the machines in them.

A group has a target size, and Compute Engine creates instances until it is reached: a reclaimed machine is replaced by
one with another name a moment later. Objects: `compute.instanceGroupManagers`, owned by the node pool, and
`compute.instances`, owned by their group. Does not decide on the size (fleet.py, gke.py).
"""

from __future__ import annotations

import hashlib
import secrets
import time

from sandbox.gcp import machines, reservations
from sandbox.gcp.store import Body, Store
from sandbox.gcp.table import number, timestamp

GROUPS = "compute.instanceGroupManagers"
INSTANCES = "compute.instances"
POOLS = "container.nodePools"

REPAIR_SECONDS = 3.0
"""How long a lost machine stays away, so that the cluster notices its loss."""

_NAME_PART = 18
"""Of the cluster's and the pool's name in `gke-CLUSTER-POOL-HASH-xxxx`, which is a label value (63 characters)."""


def spread(size: int, zones: int) -> list[int]:
    """Distributes a size over zones as evenly as possible; the first ones are larger."""
    return [size // zones + (1 if index < size % zones else 0) for index in range(zones)]


def create(store: Store, pool: str, zone: str, size: int) -> None:
    """A group of `size` machines for a node pool (full name) in one more zone."""
    project, cluster, short = _parts(pool)
    digest = hashlib.sha256(f"{pool}/{zone}".encode()).hexdigest()[:8]
    base = f"gke-{cluster[:_NAME_PART].rstrip('-')}-{short[:_NAME_PART].rstrip('-')}-{digest}"
    name = f"projects/{project}/zones/{zone}/instanceGroupManagers/{base}-grp"
    body = {
        "name": f"{base}-grp",
        "id": number(name),
        "zone": zone,
        "baseInstanceName": base,
        "targetSize": size,
        "selfLink": f"https://www.googleapis.com/compute/v1/{name}",
        "creationTimestamp": timestamp(),
        "_sandbox": {"pool": pool, "repair_at": 0.0},
    }
    store.insert(GROUPS, name, body, owner=(POOLS, pool))
    reconcile(store, pool)


def of(store: Store, pool: str) -> list[tuple[str, Body]]:
    """The pool's groups by zone: (full name, body)."""
    found = [(name, body) for _, name, body in store.select(GROUPS) if body["_sandbox"]["pool"] == pool]
    return sorted(found, key=lambda item: item[1]["zone"])


def sizes(store: Store, pool: str) -> dict[str, int]:
    """The target size by zone."""
    return {body["zone"]: body["targetSize"] for _, body in of(store, pool)}


def resize(store: Store, pool: str, wanted: dict[str, int]) -> None:
    """New target sizes by zone."""
    with store.transaction():
        for name, body in of(store, pool):
            if body["zone"] in wanted:
                store.update(GROUPS, name, lambda body: {**body, "targetSize": wanted[body["zone"]]})
        reconcile(store, pool, at_once=True)


def relocate(store: Store, pool: str, zones: list[str], size: int) -> None:
    """Moves the pool to these zones: groups in other zones are deleted, new zones start with `size` machines."""
    with store.transaction():
        known = {body["zone"]: name for name, body in of(store, pool)}
        for zone in sorted(known.keys() - set(zones)):
            store.delete(GROUPS, known[zone])
        for zone in sorted(set(zones) - known.keys()):
            create(store, pool, zone, size)


def instances(store: Store, pool: str) -> list[tuple[str, Body]]:
    """The pool's machines: (full name, body), oldest first."""
    return [(name, body) for _, name, body in store.select(INSTANCES) if body["_sandbox"]["pool"] == pool]


def lose(store: Store, instance: str) -> None:
    """Reclaims a machine; its group creates another one after REPAIR_SECONDS."""
    with store.transaction():
        group = store.get(INSTANCES, instance)["_sandbox"]["group"]
        store.delete(INSTANCES, instance)
        later = time.time() + REPAIR_SECONDS
        store.update(GROUPS, group, lambda body: {**body, "_sandbox": {**body["_sandbox"], "repair_at": later}})


def remove(store: Store, instance: str) -> None:
    """Deletes a machine permanently: its group becomes smaller by one."""
    with store.transaction():
        group = store.get(INSTANCES, instance)["_sandbox"]["group"]
        store.delete(INSTANCES, instance)
        store.update(GROUPS, group, lambda body: {**body, "targetSize": max(0, body["targetSize"] - 1)})


def recreate(store: Store, pool: str) -> None:
    """Replaces every machine, as an upgrade or a new machine type does."""
    with store.transaction():
        for name, _ in instances(store, pool):
            store.delete(INSTANCES, name)
        reconcile(store, pool, at_once=True)


def reconcile(store: Store, pool: str, *, at_once: bool = False) -> None:
    """Applies the groups' target sizes: creates missing machines, and deletes excess ones (newest first)."""
    with store.transaction():
        template = store.get(POOLS, pool)
        for group, body in of(store, pool):
            present = [name for name, item in instances(store, pool) if item["_sandbox"]["group"] == group]
            for name in present[body["targetSize"] :]:
                store.delete(INSTANCES, name)
            if at_once or time.time() >= body["_sandbox"]["repair_at"]:
                for _ in range(body["targetSize"] - len(present)):
                    if reservations.free(store, template) > 0:
                        _make(store, group, body, pool, template)


def _make(store: Store, group: str, manager: Body, pool: str, template: Body) -> None:
    project, cluster, short = _parts(pool)
    zone, config = manager["zone"], template.get("config", {})
    letters = "".join(secrets.choice("bcdfghjklmnpqrstvwxz0123456789") for _ in range(4))
    name = f"projects/{project}/zones/{zone}/instances/{manager['baseInstanceName']}-{letters}"
    spot = bool(config.get("spot") or config.get("preemptible"))
    body = {
        "name": name.rsplit("/", 1)[-1],
        "id": str(secrets.randbits(60)),
        "zone": zone,
        "machineType": f"zones/{zone}/machineTypes/{config.get('machineType', 'e2-medium')}",
        "status": "RUNNING",
        "creationTimestamp": timestamp(),
        "labels": {"goog-k8s-cluster-name": cluster, "goog-k8s-node-pool-name": short},
        "scheduling": {"provisioningModel": _model(config), "preemptible": spot},
        "guestAccelerators": config.get("accelerators", []),
        "selfLink": f"https://www.googleapis.com/compute/v1/{name}",
        "_sandbox": {"pool": pool, "group": group, "region": machines.region_of(zone)},
    }
    store.insert(INSTANCES, name, body, owner=(GROUPS, group))


def _model(config: Body) -> str:
    if config.get("flexStart"):
        return "FLEX_START"
    return "SPOT" if config.get("spot") or config.get("preemptible") else "STANDARD"


def _parts(pool: str) -> tuple[str, str, str]:
    """(project, cluster, pool) of projects/P/locations/L/clusters/C/nodePools/N."""
    steps = pool.split("/")
    return steps[1], steps[5], steps[7]
