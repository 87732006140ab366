"""AWS's EFA device plugin: makes the EFA interfaces of a node requestable as `vpc.amazonaws.com/efa`."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import versions
from ..charts.images import ImagesArgs
from ..charts.release import namespace, release
from ..clouds import AWS, CLOUDS
from ..pools import INTERCONNECT_LABEL, NodePoolSpec, Pool, resolve_all
from ..taints import tolerations


class EfaDevicePluginArgs(TypedDict):
    """`node_pools`: every pool of the cluster; the plugin runs on those with `interconnect`. `chart_mirror`,
    `chart_digests`: see `release.source`. `images`: see `images.ImagesArgs`."""

    node_pools: dict[str, NodePoolSpec]
    chart_mirror: NotRequired[str]
    chart_digests: NotRequired[dict[str, str]]
    images: NotRequired[ImagesArgs]


def served(node_pools: Mapping[str, NodePoolSpec]) -> dict[str, Pool]:
    """The pools on which the plugin runs, by name: those with EFA interfaces."""
    return {name: pool for name, pool in resolve_all(AWS, node_pools).items() if pool.interconnects}


class EfaDevicePlugin(pulumi.ComponentResource):
    """The EFA device plugin on every node of a pool with `interconnect`, on each image, and on no other node.

    The image comes from AWS's registry in us-west-2, from which nodes of any region may pull it (EKS user guide, "View
    Amazon container image registries"). Takes the provider `kubernetes`.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: EfaDevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:EfaDevicePlugin", name, None, opts)
        pools = served(args["node_pools"]).values()
        # The plugin is privileged, on the host's network, and mounts the kubelet's socket folder and /dev/infiniband.
        home = namespace("efa-device-plugin", self, "privileged")
        installed = release(
            versions.EFA_DEVICE_PLUGIN,
            {
                # A type with EFA in a pool without `interconnect` has no EFA interface.
                "nodeSelector": {INTERCONNECT_LABEL: CLOUDS[AWS].interconnect},
                # The chart's affinity is fixed: the node's type must be in this list. Its own list ends with the types
                # of its day, so the pools' own types take its place.
                "supportedInstanceLabels": {
                    "keys": ["node.kubernetes.io/instance-type"],
                    "values": sorted({machine_type for pool in pools for machine_type in pool.machine_types}),
                },
                # The chart adds them to its own one (CriticalAddonsOnly), and sets priority and host network itself.
                "tolerations": tolerations(taint for pool in pools for taint in pool.taints),
                "resources": {
                    "requests": {"cpu": "10m", "memory": "20Mi"},
                    "limits": {"memory": "128Mi"},
                },
            },
            namespace=home.metadata.name,
            parent=self,
            mirror=args.get("chart_mirror", ""),
            digests=args.get("chart_digests"),
            images_from=args.get("images"),
        )
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
