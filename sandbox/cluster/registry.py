"""The cloud of a cluster, by the cluster's key.

`sandbox/cluster` works for both clouds and imports neither. It knows a cloud by the protocol `Cloud`, and finds the
class that implements it by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sandbox.cluster import endpoint_groups, load_balancers
from sandbox.cluster.cloud import Fleet
from sandbox.cluster.key import parts
from sandbox.cluster.reach import Reach
from sandbox.cluster.volumes import Disks
from sandbox.named import load

CLOUDS = {"eks": "sandbox.aws.cluster_cloud:EksCloud", "gke": "sandbox.gcp.cluster_cloud:GkeCloud"}
"""First part of a cluster's key → the class of its cloud, whose arguments are the other parts."""

HOSTS = {".gke.goog": "sandbox.gcp.gke:key_of"}
"""End of an API server's name → the function that gives the key of the cluster at a URL, or ''."""


class Cloud(Protocol):
    """What one cluster's controllers use of its cloud. Every call asks the cloud's API."""

    fleet: Fleet
    disks: Sequence[Disks]
    """The disks and file systems that the cloud creates for claims, one for each CSI driver."""
    load_balancers: load_balancers.Cloud
    endpoint_groups: endpoint_groups.Cloud | None
    """Network endpoint groups; None on EKS, which has none."""

    def csi_drivers(self) -> set[str]:
        """Names of the CSI drivers that the cloud runs in the cluster."""
        ...

    def runs_snapshot_controller(self) -> bool:
        """Whether the cloud runs the snapshot controller in the cluster."""
        ...

    def reach(self) -> Reach:
        """Which registries the cluster's nodes reach."""
        ...


def cloud_of(key: str) -> Cloud:
    """The cloud of the cluster with this key. Raises SandboxError if it is not the key of a cluster."""
    name, *place = parts(key)
    return load(CLOUDS[name])(*place)


def key_at(server: str) -> str:
    """The key of the cluster whose API server has this URL in its cloud's own DNS zone; '' if there is none."""
    found = next((target for end, target in HOSTS.items() if server.endswith(end)), None)
    return load(found)(server) if found else ""
