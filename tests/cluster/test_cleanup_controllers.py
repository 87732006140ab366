"""A destroy lets controllers finish their part, and does not wait for those that are gone: on a real control plane,
with small definitions of the kinds, and with the real Kueue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from components.cleanup import controllers as cleanup
from components.cleanup.cluster_api import Api as OfficialApi
from sandbox.cluster.api import STRATEGIC, Api, Object
from sandbox.cluster.compute_class import DEFINITIONS
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.controller import Controller
from sandbox.plugins.objects import Objects
from sandbox.tests.cluster.conftest import wait
from sandbox.tests.cluster.kueue import Cluster, gpu_job, until
from sandbox.tests.cluster.test_kueue import queues

KINDS = {
    "scaledobjects.keda.sh": ("v1alpha1", "ScaledObject", "Namespaced"),
    "workloads.kueue.x-k8s.io": ("v1beta2", "Workload", "Namespaced"),
    "clusterqueues.kueue.x-k8s.io": ("v1beta2", "ClusterQueue", "Cluster"),
}
KEDA_FINALIZER, KUEUE_FINALIZER = "finalizer.keda.sh", "kueue.x-k8s.io/resource-in-use"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


@pytest.fixture(scope="module")
def kinds(api: Api) -> Iterator[None]:
    """The kinds without their schemas."""
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    for name, (version, kind, scope) in KINDS.items():
        plural, _, group = name.partition(".")
        served = {"name": version, "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
        names = {"kind": kind, "plural": plural}
        spec = {"group": group, "names": names, "scope": scope, "versions": [served]}
        api.create(DEFINITIONS, {"metadata": {"name": name}, "spec": spec})
        wait(lambda: api.get(f"/apis/{group}/{version}/{plural}") is not None, name)  # noqa: B023
    yield
    for name in KINDS:
        api.delete(f"{DEFINITIONS}/{name}")


@pytest.fixture
def official(plane: ControlPlane) -> OfficialApi:
    return OfficialApi(plane.kubeconfig.read_text())


def release(official: OfficialApi, seconds: float = 20) -> tuple[list[str], list[str]]:
    """(what is still held, lines for the user)."""
    lines: list[str] = []
    return cleanup.release(official, lines.append, time.monotonic() + seconds, 0.1), lines


def scaled_object(api: Api, namespace: str, name: str) -> str:
    path = f"/apis/keda.sh/v1alpha1/namespaces/{namespace}/scaledobjects"
    api.create(path, {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": meta(name, KEDA_FINALIZER)})
    return f"{path}/{name}"


def meta(name: str, *finalizers: str) -> Object:
    return {"name": name, "finalizers": [*finalizers, "example.com/other"]}


def controller(api: Api, namespace: str, image: str) -> str:
    """A controller that runs: its Deployment has an available pod."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    labels = {"app": "controller"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    api.create(path, {"metadata": {"name": "controller"}, "spec": spec})
    pods = f"/api/v1/namespaces/{namespace}/pods"
    pod = wait(lambda: next(iter(api.list(pods, labelSelector="app=controller")), None), "the controller's pod")
    # No program answers its probe here: the pod of a controller that the sandbox runs is ready once its program is.
    ready = {
        "phase": "Running",
        "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady")],
    }
    status = f"{pods}/{pod['metadata']['name']}/status"

    def available() -> int:
        api.patch(status, {"status": ready}, STRATEGIC)
        return api.request("GET", f"{path}/controller")["status"].get("availableReplicas", 0)

    wait(available, "the controller")
    return f"{path}/controller"


def finalizers(api: Api, path: str) -> list[str] | None:
    found = api.get(path)
    return None if found is None else found["metadata"].get("finalizers", [])


def end(api: Api, *paths: str) -> None:
    for path in paths:
        api.patch(path, {"metadata": {"finalizers": []}})
        api.delete(path)


def test_nothing_happens_in_a_cluster_without_controllers(official: OfficialApi) -> None:
    assert release(official) == ([], [])


def test_finalizers_of_a_controller_that_is_gone_are_removed(
    api: Api, kinds: None, namespace: str, official: OfficialApi
) -> None:
    """Otherwise the namespace is never deleted. Finalizers of others stay, and so does the object."""
    path = scaled_object(api, namespace, "llm")
    held, lines = release(official)
    assert not held and lines == ["KEDA does not run any more: its finalizers are removed from 1 objects"]
    assert finalizers(api, path) == ["example.com/other"]
    end(api, path)


def test_a_webhook_of_a_controller_that_is_gone_does_not_prevent_it(
    api: Api, kinds: None, namespace: str, official: OfficialApi
) -> None:
    """Kueue's webhooks refuse every change of a queue while Kueue does not run."""
    queue = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues"
    body = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ClusterQueue", "metadata": meta("gone", KUEUE_FINALIZER)}
    api.create(queue, body)
    rule = {"apiGroups": ["kueue.x-k8s.io"], "apiVersions": ["*"], "operations": ["*"], "resources": ["clusterqueues"]}
    client = {"service": {"name": "kueue-webhook-service", "namespace": "kueue-system", "path": "/x"}}
    hook: Object = {"name": "q.kb.io", "admissionReviewVersions": ["v1"], "sideEffects": "None", "rules": [rule]}
    api.create(WEBHOOKS, {"metadata": {"name": "kueue"}, "webhooks": [{**hook, "clientConfig": client}]})
    other = {**hook, "rules": [{**rule, "apiGroups": ["example.com"]}], "clientConfig": client}
    api.create(WEBHOOKS, {"metadata": {"name": "other"}, "webhooks": [other]})
    held, _ = release(official)
    assert not held and finalizers(api, f"{queue}/gone") == ["example.com/other"]
    assert api.get(f"{WEBHOOKS}/kueue") is None and api.get(f"{WEBHOOKS}/other")
    end(api, f"{queue}/gone")
    api.delete(f"{WEBHOOKS}/other")


def test_a_controller_that_runs_gets_its_time(
    api: Api, controllers: Controller, kinds: None, namespace: str, official: OfficialApi
) -> None:
    """From any registry. Its finalizer is not removed, and the object is named when the time is over."""
    path = scaled_object(api, namespace, "llm")
    deployment = controller(api, namespace, "registry.example.com:5000/ghcr.io/kedacore/keda:2.20.2")
    held, lines = release(official, 1)
    assert held == [f"ScaledObject {namespace}/llm"] and lines == ["waiting for KEDA to remove its finalizers"]
    assert finalizers(api, path) == [KEDA_FINALIZER, "example.com/other"]
    assert api.request("GET", path)["metadata"]["deletionTimestamp"], "it is deleted, so that KEDA acts"
    api.patch(path, {"metadata": {"finalizers": []}})  # as KEDA does
    assert release(official)[0] == []
    api.delete(deployment)


def test_the_real_kueue_stops_what_holds_quota(kueue: Cluster) -> None:
    """seed row S22: with an admitted workload, a destroy would wait for its ClusterQueue until it times out."""
    official = OfficialApi(kueue.plane.kubeconfig.read_text())
    with kueue.namespace() as namespace:
        kueue.apply(*queues(namespace, gpus=1))
        kueue.api.create(f"/apis/batch/v1/namespaces/{namespace}/jobs", gpu_job("train", "team", 600))
        until(kueue.api, namespace, {"train": "Running"})
        held, lines = release(official, 60)
        assert not held and lines[0] == "stopping the workloads that hold quota in Kueue's queues"
        until(kueue.api, namespace, {"train": "suspended"})
        queue = f"/apis/kueue.x-k8s.io/v1beta2/clusterqueues/{namespace}"
        kueue.api.delete(queue)
        wait(lambda: kueue.api.get(queue) is None, "the end of the queue", 20)
    objects: Any = Objects(kueue.api)
    flavor = objects.kind("kueue.x-k8s.io/v1beta2", "ResourceFlavor").path(None, namespace)
    kueue.api.delete(flavor)
    wait(lambda: kueue.api.get(flavor) is None, "the end of the flavor", 20)
