"""Whether the nodes of a GKE cluster reach the internet, and which registries they reach if not."""

from __future__ import annotations

from sandbox.cluster.reach import GOOGLES, Reach
from sandbox.gcp import groups
from sandbox.gcp.store import Store


def reach(project: str, location: str, cluster: str, store: Store | None = None) -> Reach:
    """Nodes reach the internet through a Cloud NAT on a router of the cluster's network. Without it, Private Google
    Access reaches Google's registries. Public addresses of nodes are ignored: the library's nodes have none."""
    store = store or Store()
    name = f"projects/{project}/locations/{location}/clusters/{cluster}"
    network = _short((store.find("container.clusters", name) or {}).get("network", ""))
    if not network or not store.select(groups.POOLS, under=name):
        return Reach()
    routers = (body for _, _, body in store.select("compute.routers"))
    if any(router.get("nats") and _short(router.get("network", "")) == network for router in routers):
        return Reach()
    return Reach(closed=True, inside=tuple(f"([^/]+[.])?{host.replace('.', '[.]')}/" for host in GOOGLES))


def _short(name: str) -> str:
    return name.rpartition("/")[2]
