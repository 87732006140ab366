"""Series as the exporters of each cloud label them.

EKS: the chart dcgm-exporter behind a ServiceMonitor that honours labels, and the kube-state-metrics of
kube-prometheus-stack. GKE: the managed exporter's ClusterPodMonitoring, whose instance is NODE:PORT.
"""

from __future__ import annotations

from components.monitoring.prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR

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


def fault(name: str, values: str, gpu: str = "0", **labels: str) -> Series:
    """A series of one GPU that only the exporter on EKS has, of any full name."""
    own = {"namespace": "dcgm-exporter", "pod": "dcgm-exporter-x7k2p", "container": "exporter"}
    known = {"gpu": gpu, "UUID": f"GPU-{NODE}-{gpu}", "modelName": "NVIDIA H100", "Hostname": NODE, **own}
    return series(name, values, **known, job="dcgm-exporter", instance="10.0.0.4:9400", **labels)


def state(system: str, name: str, values: str, **labels: str) -> Series:
    """A series of a complete kube-state-metrics: that of kube-prometheus-stack, or on GKE one that a
    ClusterPodMonitoring without metadata scrapes, which adds Google's labels only."""
    where = _GOOGLE if system == MANAGED_PROMETHEUS else {}
    return series(name, values, **{"job": "kube-state-metrics", "instance": "10.0.0.9:8080", **where, **labels})


def pool_node(
    system: str, values: str, node: str = NODE, pool: str = "train", capacity: str = "on_demand", machine: str = "big"
) -> Series:
    """The labels of a node of a pool."""
    labels = {"label_gpuyard_dev_pool": pool, "label_gpuyard_dev_capacity": capacity}
    return state(
        system, "kube_node_labels", values, node=node, label_node_kubernetes_io_instance_type=machine, **labels
    )


def scraped(system: str, name: str, values: str, **labels: str) -> Series:
    """A series of a pod that this Prometheus scrapes, such as that of Kueue or of a model server."""
    where = _GOOGLE if system == MANAGED_PROMETHEUS else {}
    return series(name, values, instance="10.0.0.7:8443", **where, **labels)


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


def container(system: str, name: str, values: str, **labels: str) -> Series:
    """A series of kube-state-metrics about the container `main` of pod team-a/train-0."""
    owner = {"namespace": "team-a", "pod": "train-0", "container": "main", "uid": "1f0c"}
    return state(system, name, values, **owner, **labels)


_GOOGLE = {"project_id": "my-project", "location": "us-central1", "cluster": "gpuyard-dev-gke"}
