"""The choice of add-ons on EKS."""

from typing_extensions import NotRequired

from ..addons_spec import AddonsSpec
from .cluster_autoscaler import ScaleDown


class EksAddonsSpec(AddonsSpec, ScaleDown):
    """What is installed in an EKS cluster."""

    device_plugin: NotRequired[bool]
    """Install NVIDIA's device plugin, on pools with GPUs whose image has none. Default: `true`."""
    efa_plugin: NotRequired[bool]
    """Install AWS's EFA device plugin, on pools with `interconnect`. Default: `true`."""
    cluster_autoscaler: NotRequired[bool]
    """Install the Cluster Autoscaler. Default: `true`."""
    dcgm_exporter: NotRequired[bool]
    """Install NVIDIA's DCGM exporter, on pools with GPUs. Default: `true`."""
    monitoring: NotRequired[bool]
    """Install Prometheus and its operator. Default: `true`."""
    grafana: NotRequired[bool]
    """Install Grafana as a part of `monitoring`. Default: `false`."""
