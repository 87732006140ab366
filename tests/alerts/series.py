"""Series as the exporters of each cloud label them.

EKS: the chart dcgm-exporter behind a ServiceMonitor that honours labels, and the kube-state-metrics of
kube-prometheus-stack. GKE: the managed exporter's ClusterPodMonitoring, whose instance is NODE:PORT.
"""

from __future__ import annotations

from components.monitoring.prometheus import PROMETHEUS_OPERATOR

NODE = "gpu-node-1"
Series = dict[str, str]


def series(name: str, values: str, **labels: str) -> Series:
    """One input series of promtool; values in its notation, one per minute."""
    text = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
    return {"series": f"{name}{{{text}}}", "values": values}


def gpu(
    system: str, field: str, values: str, pod: str = "", namespace: str = "team-a", gpu: str = "0", node: str = NODE
) -> Series:
    """One field of one GPU. `pod`: the pod that uses it, or '' if it is free."""
    labels = {"gpu": gpu, "UUID": f"GPU-{node}-{gpu}", "modelName": "NVIDIA L4", "Hostname": node}
    if system == PROMETHEUS_OPERATOR:
        labels |= {"device": f"nvidia{gpu}", "job": "dcgm-exporter", "service": "dcgm-exporter", "endpoint": "metrics"}
        labels |= {"instance": f"10.0.0.{len(node)}:9400"}
        own = {"namespace": "dcgm-exporter", "pod": "dcgm-exporter-x7k2p", "container": "exporter"}
    else:
        labels |= {"job": "gke-managed-dcgm-exporter", "instance": f"{node}:metrics", **_GOOGLE}
        own = {}
    holder = {"namespace": namespace, "pod": pod, "container": "main"} if pod else own
    return series(f"DCGM_FI_DEV_{field}", values, **labels, **holder)


def gpu_node(system: str, values: str, node: str = NODE) -> list[Series]:
    """The series of a node with one GPU. `values`: 1 while the node exists."""
    if system == PROMETHEUS_OPERATOR:
        state = {"job": "kube-state-metrics", "instance": "10.0.0.9:8080", "namespace": "monitoring", "node": node}
        cpu = series("kube_node_status_allocatable", values, resource="cpu", unit="core", **state)
        return [cpu, series("kube_node_status_allocatable", values, resource="nvidia_com_gpu", unit="integer", **state)]
    # An exporter that does not answer is still a target.
    down = values.replace("1x", "0x")
    return [series("up", down, job="gke-managed-dcgm-exporter", instance=f"{node}:metrics", **_GOOGLE)]


def cpu_node(system: str, values: str) -> list[Series]:
    """The series of a node without GPUs."""
    if system == PROMETHEUS_OPERATOR:
        none = series(
            "kube_node_status_allocatable", "0x60", resource="nvidia_com_gpu", unit="integer", node="cpu-node"
        )
        return [series("kube_node_status_allocatable", values, resource="cpu", unit="core", node="cpu-node"), none]
    return [series("up", values, job="kubelet", instance="cpu-node:metrics", node="cpu-node", **_GOOGLE)]


def container(name: str, values: str, **labels: str) -> Series:
    """A series of kube-state-metrics about the container `main` of pod team-a/train-0."""
    owner = {"namespace": "team-a", "pod": "train-0", "container": "main", "uid": "1f0c"}
    return series(name, values, job="kube-state-metrics", instance="10.0.0.9:8080", **owner, **labels)


_GOOGLE = {"project_id": "my-project", "location": "us-central1", "cluster": "gpuyard-dev-gke"}
