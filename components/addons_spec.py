"""The choice of add-ons that both clouds have."""

from typing import TypedDict

from typing_extensions import NotRequired


class AddonsSpec(TypedDict):
    """What is installed in a cluster, on either cloud."""

    alerts: NotRequired[bool]
    """Install alert rules for GPUs and for containers that run out of memory. On EKS they need `monitoring`, on GKE a
    pool with GPUs and the managed DCGM exporter, or `state_metrics`. Default: `true`."""
    dashboards: NotRequired[bool]
    """Create dashboards: on EKS ConfigMaps for a Grafana in the cluster, with `monitoring`; on GKE dashboards in Cloud
    Monitoring, with a pool with GPUs and the managed DCGM exporter. Default: `false`."""
