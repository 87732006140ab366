"""An EKS cluster's cloud, as the cluster's controllers see it (the protocol of sandbox/cluster/registry.py)."""

from __future__ import annotations

from sandbox.aws import session
from sandbox.aws.disks import Disks
from sandbox.aws.eks.reach import reach
from sandbox.aws.fleet import Fleet
from sandbox.aws.load_balancers import LoadBalancers
from sandbox.cluster.reach import Reach

_CSI_DRIVERS = {
    "aws-ebs-csi-driver": "ebs.csi.aws.com",
    "aws-efs-csi-driver": "efs.csi.aws.com",
    "aws-fsx-csi-driver": "fsx.csi.aws.com",
    "aws-mountpoint-s3-csi-driver": "s3.csi.aws.com",
}
"""EKS add-on → the CSI driver that it installs."""

_SNAPSHOT_CONTROLLER = "snapshot-controller"


class EksCloud:
    """AWS as the controllers of one EKS cluster use it."""

    def __init__(self, region: str, cluster: str) -> None:
        self._region, self._cluster = region, cluster
        self.fleet = Fleet(region, cluster)
        self.disks = [Disks(region, cluster)]
        self.load_balancers = LoadBalancers(region, cluster)
        self.endpoint_groups = None

    def csi_drivers(self) -> set[str]:
        """The drivers of the installed add-ons."""
        return {_CSI_DRIVERS[addon] for addon in self._addons() if addon in _CSI_DRIVERS}

    def runs_snapshot_controller(self) -> bool:
        """Whether the add-on `snapshot-controller` is installed."""
        return _SNAPSHOT_CONTROLLER in self._addons()

    def reach(self) -> Reach:
        """Which registries the nodes reach, from routes and VPC endpoints."""
        return reach(self._region, self._cluster)

    def _addons(self) -> list[str]:
        return session.client("eks", self._region).list_addons(clusterName=self._cluster)["addons"]
