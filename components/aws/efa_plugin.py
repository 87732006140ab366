"""AWS's EFA device plugin: lets pods request the EFA interfaces of a node as `vpc.amazonaws.com/efa`."""

from collections.abc import Iterator, Mapping
from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import arguments, versions
from ..charts import release as releases
from ..charts.images import ImagesArgs
from ..charts.source import ChartsArgs
from ..checks import Problem
from ..clouds import AWS, CLOUDS
from ..pools import INTERCONNECT_LABEL, Pool, resolve_all
from ..taints import tolerations
from . import served_pools
from .pool_spec import EksNodePoolSpec


class EfaDevicePluginArgs(TypedDict):
    """Where the EFA device plugin runs, and where its chart and image come from."""

    node_pools: dict[str, EksNodePoolSpec]
    """Every pool of the cluster, by name. The plugin runs on the machine types of those with `interconnect`, and
    tolerates their taints."""
    charts: NotRequired[ChartsArgs]
    """Where the chart comes from. Default: its own repository."""
    images: NotRequired[ImagesArgs]
    """Where the image comes from. Default: its own registry."""


def served(node_pools: Mapping[str, EksNodePoolSpec]) -> dict[str, Pool]:
    """The pools on which the plugin runs, by name: those with EFA interfaces."""
    return {name: pool for name, pool in resolve_all(AWS, node_pools).items() if pool.interconnects}


def problems(args: EfaDevicePluginArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from served_pools.problems(args["node_pools"])
    yield from releases.problems(versions.EFA_DEVICE_PLUGIN, args.get("charts", {}), args.get("images", {}))


class EfaDevicePlugin(pulumi.ComponentResource):
    """The EFA device plugin on every node of a pool with `interconnect`, whatever its image, and on no other node.

    Works on any EKS cluster. It needs the provider `kubernetes` of the cluster, the pools by spec, and on every node
    with EFA interfaces the label `gpuyard.dev/interconnect: efa`, which nodes of `EksNodePool` have. In the cluster it
    is the release `aws-efa-k8s-device-plugin` in the namespace `efa-device-plugin`, so a cluster has one. The image
    comes from AWS's registry in us-west-2, from which nodes of any region can pull it (EKS user guide, "View Amazon
    container image registries").
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: EfaDevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"EfaDevicePlugin {name}", EfaDevicePluginArgs, args, problems)
        super().__init__("gpuyard:index:EfaDevicePlugin", name, None, opts)
        pools = served(args["node_pools"]).values()
        # The plugin is privileged, on the host's network, and mounts the folder of the kubelet's sockets and
        # /dev/infiniband.
        home = releases.namespace(f"{name}-namespace", "efa-device-plugin", self, "privileged")
        installed = releases.release(
            f"{name}-release",
            versions.EFA_DEVICE_PLUGIN,
            {
                # A type with EFA in a pool without `interconnect` has no EFA interface.
                "nodeSelector": {INTERCONNECT_LABEL: CLOUDS[AWS].interconnect},
                # The chart's affinity is fixed: the node's type must be in this list. Its own list lacks newer types,
                # so the pools' types replace it.
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
            charts=args.get("charts", {}),
            images_from=args.get("images", {}),
        )
        self.resource = installed
        """The Helm release."""
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
