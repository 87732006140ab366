"""NVIDIA's DCGM exporter: GPU metrics of every GPU node for Prometheus."""

from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
from typing_extensions import NotRequired

from .. import arguments, checks, versions
from ..charts import release as releases
from ..charts.images import ImagesArgs
from ..charts.source import ChartsArgs
from ..checks import Problem
from ..monitoring.targets import DCGM_NAMESPACE
from ..pools import GPU_PRESENT_LABEL
from ..taints import tolerations
from . import dcgm_counters, served_pools
from .pool_spec import EksNodePoolSpec

# DCGM holds samples per GPU; 512 MiB were killed at eight GPUs (dcgm-exporter#702).
_BASE_MIB = 512
_MIB_PER_GPU = 128

# The chart mounts its list of metrics over a file of the image, which Bottlerocket's container runtime refuses
# (dcgm-exporter#613); a separate folder works on every image. The volume is the chart's.
_COUNTERS = {"name": "exporter-metrics-volume", "mountPath": "/etc/gpuyard", "readOnly": True}

# The agent's DaemonSet dcgm-server listens on this port of its node (its chart, templates/dcgm-daemonset.yaml, 1.7.0).
_NODE_ENGINE: list[dict[str, Any]] = [
    {"name": "NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
    {"name": "DCGM_REMOTE_HOSTENGINE_INFO", "value": "$(NODE_IP):5555"},
]


class DcgmExporterArgs(TypedDict):
    """The pools on which the exporter runs, its scraping, and the source of its chart and image."""

    node_pools: dict[str, EksNodePoolSpec]
    """Every pool of the cluster, by name. The exporter tolerates the taints of those with GPUs, and its memory follows
    from the largest number of GPUs on a node."""
    node_engine: NotRequired[bool]
    """Whether the exporter reads from the DCGM host engine that eks-node-monitoring-agent runs on each node with GPUs,
    so that one DCGM owns the GPUs; otherwise it starts its own. Default: `false`."""
    scrape: NotRequired[bool]
    """Whether to create a ServiceMonitor. The Prometheus operator's kinds must exist: let the component depend on
    `Monitoring`. Default: `false`."""
    scrape_labels: NotRequired[dict[str, str]]
    """Labels of the ServiceMonitor, for a Prometheus operator that selects monitors by label: many installations want
    {release: kube-prometheus-stack}. Needs `scrape`. Default: none, as `Monitoring` takes every monitor."""
    charts: NotRequired[ChartsArgs]
    """Where the chart comes from. Default: its own repository."""
    images: NotRequired[ImagesArgs]
    """Where the image comes from. Default: its own registry."""


def memory_mib(gpus: int) -> int:
    """Memory limit of one exporter on a node with that many GPUs, in MiB."""
    return _BASE_MIB + _MIB_PER_GPU * gpus


def problems(args: DcgmExporterArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from served_pools.problems(args["node_pools"])
    labels = args.get("scrape_labels", {})
    for key, value in labels.items():
        yield from checks.label("scrape_labels", key, value)
    if labels and not args["scrape"]:
        yield Problem(
            "scrape_labels", labels, "without `scrape` there is no ServiceMonitor", "`scrape_labels` with `scrape`",
            "add `scrape`, or remove `scrape_labels`",
        )  # fmt: skip
    yield from releases.problems(versions.DCGM_EXPORTER, args.get("charts", {}), args.get("images", {}))


class DcgmExporter(pulumi.ComponentResource):
    """The DCGM exporter on every GPU node of an EKS cluster, and on no other node.

    It needs no runtime class: `nvidia` is the default runtime on the NVIDIA images of AL2023 and of Bottlerocket, which
    shows all GPUs to a container with the capability SYS_ADMIN, as the chart gives it (bottlerocket#3992). On
    Bottlerocket with Kubernetes 1.34 and later the exporter's image may not find its library (dcgm-exporter#636, open).

    Works on any EKS cluster. It needs the provider `kubernetes` of the cluster, the pools by spec, and on every GPU
    node the label `nvidia.com/gpu.present: true`, which nodes of `EksNodePool` have. In the cluster it is the release
    `dcgm-exporter` in a namespace of the same name, so a cluster has one. Not for GKE, which has a managed exporter.
    """

    release_name: pulumi.Output[str]
    """Name of the Helm release."""

    def __init__(self, name: str, args: DcgmExporterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"DcgmExporter {name}", DcgmExporterArgs, args, problems)
        super().__init__("gpuyard:index:DcgmExporter", name, None, opts)
        pools = served_pools.with_gpus(args["node_pools"]).values()
        labels = args.get("scrape_labels", {})
        memory = f"{memory_mib(max((pool.gpus for pool in pools), default=0))}Mi"
        # The exporter mounts the kubelet's pod-resources socket, and may profile GPUs.
        home = releases.namespace(f"{name}-namespace", DCGM_NAMESPACE, self, "privileged")
        installed = releases.release(
            f"{name}-release",
            versions.DCGM_EXPORTER,
            {
                "nodeSelector": {GPU_PRESENT_LABEL: "true"},
                "tolerations": tolerations(taint for pool in pools for taint in pool.taints),
                "priorityClassName": "system-node-critical",
                "resources": {"requests": {"cpu": "100m", "memory": memory}, "limits": {"memory": memory}},
                # Go starts a thread for each of the node's cores (192 and more), whatever the pod's share of them.
                "extraEnv": [{"name": "GOMAXPROCS", "value": "2"}, *(_NODE_ENGINE if args["node_engine"] else [])],
                "extraVolumeMounts": [_COUNTERS],
                # The chart's probe runs every five seconds with a timeout of one; after three late answers the exporter
                # is restarted. With many busy GPUs all answers are late, the first one as well (dcgm-exporter#23).
                "livenessProbe": {"initialDelaySeconds": 120, "periodSeconds": 30},
                "customMetrics": dcgm_counters.csv(),
                "arguments": ["-f", f"{_COUNTERS['mountPath']}/default-counters.csv"],
                # Keep the exporter's own labels for pod and namespace: they name the job that holds the GPU.
                "serviceMonitor": {
                    "enabled": args["scrape"],
                    "honorLabels": True,
                    **({"additionalLabels": labels} if labels else {}),
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
