"""The choice of add-ons that both clouds have."""

from typing import TypedDict

from typing_extensions import NotRequired


class AddonsSpec(TypedDict):
    """What is installed in a cluster, on either cloud."""

    alerts: NotRequired[bool]
    """Install alert rules for GPUs and for containers that run out of memory. On EKS they need `monitoring`, on GKE a
    pool with GPUs and the managed DCGM exporter. Default: `true`."""
