"""The real KEDA with the real Prometheus: a metric takes a Deployment from zero to several pods and back."""

from __future__ import annotations

from sandbox.cluster.api import Object
from sandbox.tests.cluster.kueue import Cluster
from sandbox.tests.cluster.loop import wait
from sandbox.tests.cluster.test_kueue import size
from sandbox.tests.cluster.test_prometheus import holder, monitor

PROMETHEUS = "http://kube-prometheus-stack-prometheus.monitoring.svc:9090"


def server(namespace: str) -> Object:
    """A Deployment of model servers, each with a GPU, that starts at zero."""
    pod = holder("", namespace)["spec"]
    labels = {"app": "server"}
    spec = {
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "server", "namespace": namespace},
        "spec": spec,
    }


def scaled(namespace: str, query: str) -> Object:
    """Ten waiting requests for each server, at most two servers."""
    metadata = {"serverAddress": PROMETHEUS, "query": query, "threshold": "10"}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 0}}
    spec = {
        "scaleTargetRef": {"name": "server"},
        "minReplicaCount": 0,
        "maxReplicaCount": 2,
        "pollingInterval": 1,
        "cooldownPeriod": 1,
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": behavior}},
        "triggers": [{"type": "prometheus", "metadata": metadata}],
    }
    meta = {"name": "server", "namespace": namespace}
    return {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta, "spec": spec}


def gateway(namespace: str, waiting: int) -> Object:
    """A pod that reports how many requests wait."""
    pod = holder("gateway", namespace, f"requests_waiting {waiting}")
    pod["metadata"]["labels"] = {"app": "gateway"}
    pod["spec"]["containers"][0] |= {"ports": [{"name": "http", "containerPort": 8000}], "resources": {}}
    return pod


def test_waiting_requests_start_servers_and_their_nodes_and_none_end_them(keda: Cluster) -> None:
    """seed row S14: 0, then one for each ten requests, then 0 again; the GPU pool follows."""
    api = keda.api
    with keda.namespace() as namespace:
        path = f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects/server"

        def running() -> int:
            pods = api.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector="app=server")
            return sum(pod["status"].get("phase") == "Running" for pod in pods)

        def ready() -> bool:
            conditions = api.request("GET", path).get("status", {}).get("conditions", ())
            return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)

        keda.apply(server(namespace), gateway(namespace, 0))
        keda.apply(monitor("gateway", namespace, {"app": "gateway"}, port="http"))
        keda.apply(scaled(namespace, f'sum(requests_waiting{{namespace="{namespace}"}})'))
        wait(ready, "a ScaledObject that is ready")
        assert size(keda) == running() == 0
        keda.apply(gateway(namespace, 20))
        wait(lambda: running() == 2, "two servers", 120)
        assert size(keda) == 2
        external = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/s0-prometheus"
        (found,) = api.request("GET", external, labelSelector="scaledobject.keda.sh/name=server")["items"]
        assert found["value"] == "20"
        keda.apply(gateway(namespace, 0))
        wait(lambda: running() == 0, "no servers", 120)
        wait(lambda: size(keda) == 0, "an empty pool")
        api.delete(path)
