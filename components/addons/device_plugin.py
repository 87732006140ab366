"""NVIDIA's device plugin: makes the GPUs of a node requestable as `nvidia.com/gpu`."""

from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import versions
from ..hardware import AWS
from ..pools import GPU_PRESENT_LABEL, NodePoolSpec, resolve_all
from ..taints import tolerations
from .release import namespace, release


class NvidiaDevicePluginArgs(TypedDict):
    """`node_pools`: every pool of the cluster; the plugin runs on those with GPUs. `chart_mirror`: see
    `release.source`."""

    node_pools: dict[str, NodePoolSpec]
    chart_mirror: NotRequired[str]


class NvidiaDevicePlugin(pulumi.ComponentResource):
    """The device plugin on every GPU node of an EKS cluster, and on no other.

    Not for GKE, which brings its own: two of them advertise every GPU twice. Takes the provider `kubernetes`.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: NvidiaDevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:NvidiaDevicePlugin", name, None, opts)
        pools = [pool for pool in resolve_all(AWS, args["node_pools"]).values() if pool.gpus]
        # The chart refuses the namespace `default`, and the plugin mounts the kubelet's socket folder.
        home = namespace("nvidia-device-plugin", self, "privileged")
        installed = release(
            versions.NVIDIA_DEVICE_PLUGIN,
            {
                "nodeSelector": {GPU_PRESENT_LABEL: "true"},
                "tolerations": tolerations(taint for pool in pools for taint in pool.taints),
                "priorityClassName": "system-node-critical",
                "resources": {
                    "requests": {"cpu": "10m", "memory": "64Mi"},
                    "limits": {"memory": "256Mi"},
                },
            },
            namespace=home.metadata.name,
            parent=self,
            mirror=args.get("chart_mirror", ""),
        )
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
