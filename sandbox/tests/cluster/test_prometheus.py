"""The real Prometheus of a cluster: rules and monitors of the cluster lead to series, and to alerts that fire."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import paths, process
from sandbox.cluster import monitoring_kinds
from sandbox.cluster.api import Object
from sandbox.controllers import monitoring
from sandbox.controllers.prometheus import Prometheus
from sandbox.tests.cluster.kueue import NAMESPACE, Cluster
from sandbox.tests.cluster.loop import wait
from tools.provide import provide

API = "monitoring.coreos.com/v1"


@pytest.fixture(scope="module")
def metrics(kueue: Cluster) -> Iterator[Prometheus]:
    """The Prometheus of the cluster, on request."""
    provide(["prometheus"])
    monitoring_kinds.install(kueue.api, monitoring_kinds.operators())
    folder = paths.folder("metrics")
    found = monitoring.server(kueue.plane)

    def ready() -> bool:
        running = process.alive(found.name)
        return running is not None and running.ready

    wait(ready, "Prometheus")
    yield found
    folder.rmdir()
    found.stop()


def monitor(name: str, namespace: str, labels: dict[str, str], **endpoint: Any) -> Object:
    spec = {"selector": {"matchLabels": labels}, "podMetricsEndpoints": [endpoint]}
    return {"apiVersion": API, "kind": "PodMonitor", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def exporter(namespace: str) -> Object:
    """The DaemonSet of NVIDIA's DCGM exporter."""
    labels = {"app": "dcgm-exporter"}
    container = {
        "name": "exporter",
        "image": "nvcr.io/nvidia/k8s/dcgm-exporter:4",
        "ports": [{"name": "metrics", "containerPort": 9400}],
    }
    pod = {
        "containers": [container],
        "nodeSelector": {"nvidia.com/gpu.present": "true"},
        "tolerations": [{"operator": "Exists"}],
    }
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "dcgm-exporter", "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def holder(name: str, namespace: str, metrics: str = "") -> Object:
    """A pod that holds a GPU."""
    container = {"name": "main", "image": "example.org/train:1", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    meta = {"name": name, "namespace": namespace, "annotations": {"gpuyard.dev/metrics": metrics} if metrics else {}}
    spec = {"containers": [container], "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def test_an_idle_gpu_that_a_pod_holds_fires_an_alert(kueue: Cluster, metrics: Prometheus) -> None:
    """seed row S17: the exporter's series of two pods, one of which leaves its GPU idle."""
    rule = {"alert": "Idle", "expr": 'DCGM_FI_DEV_GPU_UTIL{exported_pod!=""} < 5', "labels": {"severity": "warning"}}
    rules = {
        "apiVersion": API,
        "kind": "PrometheusRule",
        "metadata": {"name": "gpus", "namespace": "default"},
        "spec": {"groups": [{"name": "gpus", "rules": [rule]}]},
    }
    with kueue.namespace() as namespace:
        kueue.apply(rules, exporter(namespace), monitor("dcgm", namespace, {"app": "dcgm-exporter"}, port="metrics"))
        kueue.apply(holder("busy", namespace), holder("idle", namespace, "DCGM_FI_DEV_GPU_UTIL 2"))
        firing = lambda: [each["labels"] for each in metrics.alerts() if each["state"] == "firing"]  # noqa: E731
        (found,) = wait(firing, "an alert")
        assert (found["exported_pod"], found["exported_namespace"]) == ("idle", namespace)
        assert found["job"] == f"{namespace}/dcgm" and found["pod"].startswith("dcgm-exporter-")
        wait(lambda: metrics.value('DCGM_FI_DEV_GPU_UTIL{exported_pod="busy"}') == 95, "the other pod's series")
        kueue.api.patch(
            f"/api/v1/namespaces/{namespace}/pods/idle",
            {"metadata": {"annotations": {"gpuyard.dev/metrics": "DCGM_FI_DEV_GPU_UTIL 60"}}},
        )
        wait(lambda: not metrics.alerts(), "the end of the alert")
    kueue.api.delete("/apis/monitoring.coreos.com/v1/namespaces/default/prometheusrules/gpus")


def reader(name: str) -> list[Object]:
    """An account that may read metrics of controllers, and its token, in Kueue's namespace."""
    here, rbac = {"name": name, "namespace": NAMESPACE}, "rbac.authorization.k8s.io"
    role = {"apiGroup": rbac, "kind": "ClusterRole", "name": name}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}],
        },
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **here}],
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/service-account-token",
            "metadata": {**here, "annotations": {"kubernetes.io/service-account.name": name}},
        },
    ]


def test_a_controller_that_runs_answers_itself_to_those_who_may_read(kueue: Cluster, metrics: Prometheus) -> None:
    """Kueue asks the API server about the token that the monitor names; without one it refuses."""
    labels = {"control-plane": "controller-manager"}
    kueue.apply(monitor("kueue", NAMESPACE, labels, port="metrics", scheme="https"))
    up = f'up{{job="{NAMESPACE}/kueue"}}'
    wait(lambda: metrics.value(up) == 0, "a refused scrape")
    assert not metrics.query("kueue_build_info")
    token = {"credentials": {"name": "reader", "key": "token"}}
    kueue.apply(*reader("reader"))
    kueue.apply(monitor("kueue", NAMESPACE, labels, port="metrics", scheme="https", authorization=token))
    version = wait(lambda: metrics.query("kueue_build_info"), "Kueue's series")[0]["metric"]
    assert (version["namespace"], version["container"]) == (NAMESPACE, "manager")


def test_a_monitor_that_selects_nothing_gives_nothing(kueue: Cluster, metrics: Prometheus) -> None:
    with kueue.namespace() as namespace:
        pod = holder("served", namespace, "requests_waiting 3")
        pod["metadata"]["labels"] = {"app": "served"}
        pod["spec"]["containers"][0] |= {"ports": [{"name": "http", "containerPort": 8000}], "resources": {}}
        kueue.apply(pod, monitor("wrong", namespace, {"app": "serving"}, port="http"))
        kueue.apply(monitor("right", namespace, {"app": "served"}, port="http", path="/stats"))
        found = wait(lambda: metrics.query(f'requests_waiting{{namespace="{namespace}"}}'), "the series")
        assert [each["metric"]["job"] for each in found] == [f"{namespace}/right"]


def test_only_its_owner_can_ask_it(metrics: Prometheus) -> None:
    running = process.alive(metrics.name)
    assert running and running.port
    context = ssl.create_default_context(cafile=metrics.client["ca_file"])
    with (
        socket.create_connection(("127.0.0.1", running.port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as caller,
    ):
        caller.sendall(b"GET /api/v1/query?query=up HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"):
            caller.recv(100)
    assert {path.stat().st_mode & 0o077 for path in (metrics.folder, *metrics.folder.glob("*.yaml"))} == {0}
