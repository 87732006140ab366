"""A GKE cluster's cloud, as the cluster's controllers see it (the protocol of sandbox/cluster/registry.py)."""

from __future__ import annotations

from sandbox.cluster.reach import Reach
from sandbox.gcp.disks import Disks
from sandbox.gcp.endpoint_groups import EndpointGroups
from sandbox.gcp.files import Files
from sandbox.gcp.fleet import Fleet
from sandbox.gcp.load_balancers import LoadBalancers
from sandbox.gcp.reach import reach

_CSI_DRIVERS = frozenset({"pd.csi.storage.gke.io", "filestore.csi.storage.gke.io", "gcsfuse.csi.storage.gke.io"})


class GkeCloud:
    """Google Cloud as the controllers of one GKE cluster use it."""

    def __init__(self, project: str, location: str, cluster: str) -> None:
        self._place = (project, location, cluster)
        self.fleet = Fleet(project, location, cluster)
        self.disks = [Disks(project, location, cluster), Files(project, location, cluster)]
        self.load_balancers = LoadBalancers(project, location, cluster)
        self.endpoint_groups = EndpointGroups(project, location, cluster)

    def csi_drivers(self) -> set[str]:
        """The drivers that GKE manages, the same on every cluster."""
        return set(_CSI_DRIVERS)

    def runs_snapshot_controller(self) -> bool:
        """Always true: GKE runs it in every cluster."""
        return True

    def reach(self) -> Reach:
        """Which registries the nodes reach, from Cloud NAT and Private Google Access."""
        return reach(*self._place)
