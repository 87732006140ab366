"""NVIDIA's device plugin: lets pods request the GPUs of a node as `nvidia.com/gpu`."""

from collections.abc import Iterator, Mapping
from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import arguments, versions
from ..charts import release as releases
from ..charts.images import ImagesArgs
from ..charts.source import ChartsArgs
from ..checks import Problem
from ..pools import GPU_PRESENT_LABEL, Pool
from ..taints import tolerations
from . import gpu_sharing, served_pools
from .pool_spec import IMAGE_LABEL, EksNodePoolSpec, resolve

# Bottlerocket runs the plugin as a service of the system; a second one on the same node fails (bottlerocket#3992).
_IMAGES_WITH_PLUGIN = ["bottlerocket"]


class NvidiaDevicePluginArgs(TypedDict):
    """Where the device plugin runs, and where its chart and image come from."""

    node_pools: dict[str, EksNodePoolSpec]
    """Every pool of the cluster, by name. The plugin tolerates the taints of those with GPUs whose image does not
    include a plugin."""
    charts: NotRequired[ChartsArgs]
    """Where the chart comes from. Default: its own repository."""
    images: NotRequired[ImagesArgs]
    """Where the image comes from. Default: its own registry."""


def served(node_pools: Mapping[str, EksNodePoolSpec]) -> dict[str, Pool]:
    """The pools on which the plugin runs, by name: those with GPUs, without those whose image includes a plugin."""
    found = {name: resolve(name, spec) for name, spec in node_pools.items()}
    return {name: eks.pool for name, eks in found.items() if eks.pool.gpus and eks.image not in _IMAGES_WITH_PLUGIN}


def problems(args: NvidiaDevicePluginArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from served_pools.problems(args["node_pools"])
    yield from releases.problems(versions.NVIDIA_DEVICE_PLUGIN, args.get("charts", {}), args.get("images", {}))


class NvidiaDevicePlugin(pulumi.ComponentResource):
    """The device plugin on every GPU node of an EKS cluster whose image has none, and on no other node.

    A pod gets the GPUs that it requests and sees no others, and needs no privileges for it. The user data of
    `EksNodePool` sets up the nodes for that; nodes with your own image need the same setup: the NVIDIA container
    toolkit as the default runtime, with `accept-nvidia-visible-devices-as-volume-mounts = true`.

    Works on any EKS cluster. It needs the provider `kubernetes` of the cluster, the pools by spec, and on every GPU
    node the label `nvidia.com/gpu.present: true`, which nodes of `EksNodePool` have. In the cluster it is the release
    `nvidia-device-plugin` in a namespace of the same name, so a cluster has one. Not for GKE, which runs its own: two
    plugins count every GPU twice.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: NvidiaDevicePluginArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"NvidiaDevicePlugin {name}", NvidiaDevicePluginArgs, args, problems)
        super().__init__("gpuyard:index:NvidiaDevicePlugin", name, None, opts)
        served_here = served(args["node_pools"])
        # The chart refuses the namespace `default`, and the plugin mounts the folder of the kubelet's sockets.
        home = releases.namespace(f"{name}-namespace", "nvidia-device-plugin", self, "privileged")
        configs = gpu_sharing.plugin_configs(
            spec["sharing"] for name, spec in args["node_pools"].items() if name in served_here and "sharing" in spec
        )
        uses_mps = any(gpu_sharing.MPS_LABEL in pool.labels for pool in served_here.values())
        other_image = {"key": IMAGE_LABEL, "operator": "NotIn", "values": _IMAGES_WITH_PLUGIN}
        installed = releases.release(
            f"{name}-release",
            versions.NVIDIA_DEVICE_PLUGIN,
            {
                "deviceListStrategy": "volume-mounts",
                # The kubelet itself gives containers access to their GPUs. Otherwise a reload of systemd, or the static
                # CPU manager, takes away the devices that the toolkit gave to running containers: "Failed to initialize
                # NVML: Unknown Error" (amazon-eks-ami#2428, k8s-device-plugin#145). With this value the chart makes the
                # plugin privileged, and so it sees the node's GPUs.
                "compatWithCPUManager": True,
                "nodeSelector": {GPU_PRESENT_LABEL: "true"},
                # Replaces the chart's own terms, two of which are labels of NFD (Helm replaces lists).
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [{"matchExpressions": [other_image]}]
                        }
                    }
                },
                "tolerations": tolerations(taint for pool in served_here.values() for taint in pool.taints),
                "priorityClassName": "system-node-critical",
                "resources": {
                    "requests": {"cpu": "10m", "memory": "64Mi"},
                    # The chart gives the MPS daemon the same limit, and its servers hold memory for each client.
                    **({} if uses_mps else {"limits": {"memory": "256Mi"}}),
                },
                # Each node names its configuration in a label.
                **({"config": {"map": configs, "default": "default"}} if configs else {}),
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
