"""S."""

from typing_extensions import NotRequired

from ..monitoring.spec import AddonsSpec


class EksAddonsSpec(AddonsSpec):
    """A."""

    device_plugin: NotRequired[bool]
    """Default: `true`."""
    efa_plugin: NotRequired[bool]
    """Default: `true`."""
    cluster_autoscaler: NotRequired[bool]
    """Default: `true`."""
    scale_down_after_minutes: NotRequired[int]
    """Default: `10`."""
    dcgm_exporter: NotRequired[bool]
    """Default: `true`."""
    monitoring: NotRequired[bool]
    """Default: `true`."""
