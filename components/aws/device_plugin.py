"""NVIDIA's device plugin: makes the GPUs of a node requestable as `nvidia.com/gpu`."""

from collections.abc import Mapping
from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import versions
from ..charts.images import ImagesArgs
from ..charts.release import namespace, release
from ..pools import GPU_PRESENT_LABEL, Pool
from ..taints import tolerations
from .pool_spec import IMAGE_LABEL, EksNodePoolSpec, resolve

# Bottlerocket runs the plugin as a service of the system; a second one beside it misbehaves (bottlerocket#3992).
_IMAGES_WITH_PLUGIN = ["bottlerocket"]


class NvidiaDevicePluginArgs(TypedDict):
    """`node_pools`: every pool of the cluster; the plugin runs on those with GPUs whose image brings no plugin.
    `chart_mirror`, `chart_digests`: see `release.source`. `images`: see `images.ImagesArgs`."""

    node_pools: dict[str, EksNodePoolSpec]
    chart_mirror: NotRequired[str]
    chart_digests: NotRequired[dict[str, str]]
    images: NotRequired[ImagesArgs]


def served(node_pools: Mapping[str, EksNodePoolSpec]) -> dict[str, Pool]:
    """The pools on which the plugin runs, by name: those with GPUs, without those whose image has it built in."""
    found = {name: resolve(name, spec) for name, spec in node_pools.items()}
    return {name: eks.pool for name, eks in found.items() if eks.pool.gpus and eks.image not in _IMAGES_WITH_PLUGIN}


class NvidiaDevicePlugin(pulumi.ComponentResource):
    """The device plugin on every GPU node of an EKS cluster that does not bring one, and on no other.

    A pod gets the GPUs that it asks for and sees no others, and needs no privileges for it. The nodes are set up for
    that by `user_data.py`, which says why; an image of another maker has to be set up in the same way.

    Not for GKE, which brings its own: two of them advertise every GPU twice. Takes the provider `kubernetes`.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: NvidiaDevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:NvidiaDevicePlugin", name, None, opts)
        pools = served(args["node_pools"]).values()
        # The chart refuses the namespace `default`, and the plugin mounts the kubelet's socket folder.
        home = namespace("nvidia-device-plugin", self, "privileged")
        other_image = {"key": IMAGE_LABEL, "operator": "NotIn", "values": _IMAGES_WITH_PLUGIN}
        installed = release(
            versions.NVIDIA_DEVICE_PLUGIN,
            {
                "deviceListStrategy": "volume-mounts",
                # The kubelet itself lets containers at their GPUs. Else a reload of systemd, or the static CPU manager,
                # takes running containers the devices that the toolkit gave them: "Failed to initialize NVML: Unknown
                # Error" (amazon-eks-ami#2428, k8s-device-plugin#145). With it the chart makes the plugin privileged,
                # and through that it sees the node's GPUs.
                "compatWithCPUManager": True,
                "nodeSelector": {GPU_PRESENT_LABEL: "true"},
                # Takes the place of the chart's own terms (Helm replaces lists), of which NFD's labels are two.
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [{"matchExpressions": [other_image]}]
                        }
                    }
                },
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
            digests=args.get("chart_digests"),
            images_from=args.get("images"),
        )
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
