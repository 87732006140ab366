"""The machines and groups of one GKE cluster, for the node controller and the autoscaler (see cluster/cloud.py).

The autoscaler of GKE is part of GKE: it reads a pool's labels, taints and GPUs from the pool itself, and resizes only
pools with autoscaling enabled. Pools with queued provisioning grow only for a ProvisioningRequest
(cluster/provisioning.py).
"""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.cluster.cloud import Group, Machine
from sandbox.gcp import groups, nodes
from sandbox.gcp.store import Body, Store
from sandbox.gcp.table import invalid

CLUSTERS = "container.clusters"
POOL_LABEL = "gpuyard.dev/pool"


class Fleet:
    """Implements `sandbox.cluster.cloud.Fleet` on the store."""

    def __init__(self, project: str, location: str, cluster: str, store: Store | None = None) -> None:
        self.cluster = f"projects/{project}/locations/{location}/clusters/{cluster}"
        self.project = project
        self.store = store or Store()

    def groups(self) -> list[Group]:
        return [self._group(name, pool) for name, pool in self._pools()]

    def machines(self) -> list[Machine]:
        found = []
        for name, pool in self._pools():
            config = pool.get("config", {})
            short_of_machines = sum(groups.sizes(self.store, name).values()) != len(groups.instances(self.store, name))
            if short_of_machines:
                groups.reconcile(self.store, name)
            for machine, body in groups.instances(self.store, name):
                found.append(
                    Machine(
                        id=machine,
                        group=name,
                        pool=_display_name(pool),
                        node_name=body["name"],
                        provider_id=f"gce://{self.project}/{body['zone']}/{body['name']}",
                        node=nodes.shape(pool, body["zone"], body["name"]),
                        gpus=nodes.gpus(config),
                        gpu_ready_by=nodes.gpus_ready_by(config),
                        spot=bool(config.get("spot") or config.get("preemptible")),
                        kubelet=f"v{pool['version']}",
                    )
                )
        return found

    def set_desired(self, group_id: str, size: int, zones: Mapping[str, int] | None = None) -> None:
        with self.store.transaction():
            pool = self.store.get(groups.POOLS, group_id)
            current = groups.sizes(self.store, group_id)
            low, high = limits(pool, current)
            if not _autoscaled(pool):
                raise invalid(f"Node pool '{group_id}' has no autoscaling.")
            if not low <= size <= high:
                raise invalid(f"Size {size} of node pool '{group_id}' is not between {low} and {high}.")
            wanted = {zone: count + (zones or {}).get(zone, 0) for zone, count in current.items()}
            groups.resize(self.store, group_id, place(pool, wanted, size))

    def remove(self, machine_id: str) -> None:
        groups.remove(self.store, machine_id)

    def reclaim(self, machine_id: str) -> None:
        groups.lose(self.store, machine_id)

    def may_act(self) -> bool:
        return True

    def _pools(self) -> list[tuple[str, Body]]:
        """(full name, body), oldest first, with the cluster's defaults filled in."""
        cluster = self.store.find(CLUSTERS, self.cluster) or {}
        pods = {"maxPodsConstraint": found} if (found := cluster.get("defaultMaxPodsConstraint")) else {}
        return [(name, {**pods, **pool}) for _, name, pool in self.store.select(groups.POOLS, under=self.cluster)]

    def _group(self, name: str, pool: Body) -> Group:
        current = groups.sizes(self.store, name)
        low, high = limits(pool, current)
        config = pool.get("config", {})
        zones = sorted(current) or pool["locations"]
        spot = bool(config.get("spot") or config.get("preemptible"))
        return Group(
            id=name,
            pool=_display_name(pool),
            min=low,
            max=high,
            desired=sum(current.values()),
            autoscaled=_autoscaled(pool),
            queued=bool(pool.get("queuedProvisioning", {}).get("enabled")),
            template=nodes.shape(pool, zones[0], with_gpus=True),
            elsewhere=tuple(nodes.shape(pool, zone, with_gpus=True) for zone in zones[1:]),
            priority=_cheapness(config),
            details={"zones": zones, "sizes": current, "spot": spot, "capacity": _capacity(config)},
        )


def limits(pool: Body, current: dict[str, int]) -> tuple[int, int]:
    """(min, max) over all zones: total* counts are totals, the others are per zone. Without autoscaling: the size."""
    scaling = pool.get("autoscaling", {})
    if not _autoscaled(pool):
        size = sum(current.values())
        return size, size
    if scaling.get("totalMaxNodeCount"):
        return int(scaling.get("totalMinNodeCount", 0)), int(scaling["totalMaxNodeCount"])
    zones = len(current) or len(pool["locations"])
    return int(scaling.get("minNodeCount", 0)) * zones, int(scaling.get("maxNodeCount", 0)) * zones


def place(pool: Body, current: dict[str, int], size: int) -> dict[str, int]:
    """Chooses the zone that grows or shrinks. BALANCED keeps the zones equal; ANY fills one after the other."""
    scaling = pool.get("autoscaling", {})
    per_zone = None if scaling.get("totalMaxNodeCount") else int(scaling.get("maxNodeCount", size))
    least = 0 if scaling.get("totalMaxNodeCount") else int(scaling.get("minNodeCount", 0))
    balanced = scaling.get("locationPolicy") != "ANY"
    sizes = dict(sorted(current.items()))
    while sum(sizes.values()) < size:
        room = [zone for zone in sizes if per_zone is None or sizes[zone] < per_zone]
        zone = min(room, key=lambda zone: sizes[zone]) if balanced else room[0]
        sizes[zone] += 1
    while sum(sizes.values()) > size:
        spare = [zone for zone in sizes if sizes[zone] > least]
        zone = max(spare, key=lambda zone: sizes[zone]) if balanced else spare[-1]
        sizes[zone] -= 1
    return sizes


def _capacity(config: Body) -> str:
    """The capacity type of the machines."""
    reserved = config.get("reservationAffinity", {}).get("consumeReservationType", "NO_RESERVATION")
    if reserved in ("SPECIFIC_RESERVATION", "ANY_RESERVATION_THEN_FAIL"):
        return "reserved"
    if config.get("flexStart"):
        return "flex"
    return "spot" if config.get("spot") or config.get("preemptible") else "on_demand"


def _cheapness(config: Body) -> int:
    """Without a ComputeClass, GKE uses the least expensive pool: reserved first, because it is paid for anyway, then
    spot; flex-start has no separate price (pkg/expander/gkeprice of GKE's autoscaler)."""
    return {"reserved": 2, "spot": 1}.get(_capacity(config), 0)


def _autoscaled(pool: Body) -> bool:
    return bool(pool.get("autoscaling", {}).get("enabled"))


def _display_name(pool: Body) -> str:
    return pool.get("config", {}).get("labels", {}).get(POOL_LABEL, pool["name"])
