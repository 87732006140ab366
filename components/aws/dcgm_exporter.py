"""NVIDIA's DCGM exporter: GPU metrics of every GPU node for Prometheus."""

from typing import TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import versions
from ..charts.images import ImagesArgs
from ..charts.release import namespace, release
from ..hardware import AWS
from ..pools import GPU_PRESENT_LABEL, NodePoolSpec, resolve_all
from ..taints import tolerations

NAMESPACE = "dcgm-exporter"

# DCGM holds samples per GPU; 512 MiB were killed at eight GPUs (dcgm-exporter#702).
_BASE_MIB = 512
_MIB_PER_GPU = 128

# The chart lays its list of metrics over a file of the image, which the container runtime of Bottlerocket refuses
# (dcgm-exporter#613); a folder of its own works on every image. The volume is the chart's.
_COUNTERS = {"name": "exporter-metrics-volume", "mountPath": "/etc/gpuyard", "readOnly": True}


class DcgmExporterArgs(TypedDict):
    """`node_pools`: every pool of the cluster; the exporter runs on those with GPUs. `scrape`: make a ServiceMonitor,
    for which the Prometheus operator's kinds must exist. `chart_mirror`, `chart_digests`: see
    `release.source`. `images`: see `images.ImagesArgs`."""

    node_pools: dict[str, NodePoolSpec]
    scrape: NotRequired[bool]
    chart_mirror: NotRequired[str]
    chart_digests: NotRequired[dict[str, str]]
    images: NotRequired[ImagesArgs]


def memory_mib(gpus: int) -> int:
    """Memory limit of one exporter on a node with that many GPUs, in MiB."""
    return _BASE_MIB + _MIB_PER_GPU * gpus


class DcgmExporter(pulumi.ComponentResource):
    """The DCGM exporter on every GPU node of an EKS cluster, and on no other.

    It needs no runtime class: `nvidia` is the default runtime on the NVIDIA images of AL2023 and of Bottlerocket, which
    shows all GPUs to a container with the capability SYS_ADMIN, as the chart gives it (bottlerocket#3992). On
    Bottlerocket with Kubernetes 1.34 and later the exporter's image may not find its library (dcgm-exporter#636, open).

    Not for GKE, whose managed DCGM is the one exporter there. Takes the provider `kubernetes`.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: DcgmExporterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:DcgmExporter", name, None, opts)
        pools = [pool for pool in resolve_all(AWS, args["node_pools"]).values() if pool.gpus]
        memory = f"{memory_mib(max((pool.gpus for pool in pools), default=0))}Mi"
        # The exporter mounts the kubelet's pod-resources socket and may profile.
        home = namespace(NAMESPACE, self, "privileged")
        installed = release(
            versions.DCGM_EXPORTER,
            {
                "nodeSelector": {GPU_PRESENT_LABEL: "true"},
                "tolerations": tolerations(taint for pool in pools for taint in pool.taints),
                "priorityClassName": "system-node-critical",
                "resources": {"requests": {"cpu": "100m", "memory": memory}, "limits": {"memory": memory}},
                # Go sizes itself by the node's cores (192 and more) and not by the pod's share of them.
                "extraEnv": [{"name": "GOMAXPROCS", "value": "2"}],
                "extraVolumeMounts": [_COUNTERS],
                # The chart asks every five seconds with a second's patience, and three late answers end the exporter.
                # With many busy GPUs answers are late, and so is the first one (dcgm-exporter#23).
                "livenessProbe": {"initialDelaySeconds": 120, "periodSeconds": 30},
                "arguments": ["-f", f"{_COUNTERS['mountPath']}/default-counters.csv"],
                # Honour the exporter's own pod and namespace labels: they name the job that holds the GPU.
                "serviceMonitor": {"enabled": args.get("scrape", False), "honorLabels": True},
            },
            namespace=home.metadata.name,
            parent=self,
            mirror=args.get("chart_mirror", ""),
            digests=args.get("chart_digests"),
            images_from=args.get("images"),
        )
        self.release_name = installed.status.name
        self.register_outputs({"releaseName": self.release_name})
