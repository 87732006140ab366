"""A cluster with the real Kueue, for all tests that queue jobs: it is installed once, with its own chart.

Its control plane is separate from that of the other tests, which expect to be alone with their nodes. Its cloud has the
guide's two pools and its own autoscaler.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.cluster import control_plane, monitoring_kinds
from sandbox.cluster.api import Api, Object
from sandbox.cluster.autoscaler import Autoscaler, Pace
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.controller import Controller
from sandbox.cluster.nodes import GPU
from sandbox.controllers.supervisor import Supervisor
from sandbox.plugins import chart, module_chart
from sandbox.plugins.objects import Objects
from sandbox.tests.cluster.fake_fleet import FakeFleet, cpu_group, gpu_group
from sandbox.tests.cluster.loop import running_loop, wait
from tools.manifest import TOOLS
from tools.provide import cached, machines_own, provide

KEY = "eks-us-east-1-queue-tests"
NAMESPACE = "kueue-system"
API = "kueue.x-k8s.io/v1beta2"


@dataclass
class Cluster:
    """A running cluster whose charts' controllers really run."""

    plane: ControlPlane
    api: Api
    fleet: FakeFleet

    @property
    def objects(self) -> Objects:
        return Objects(self.api)

    def apply(self, *objects: Object) -> None:
        """Server-side apply, as the program's provider does it."""
        of = self.objects
        for each in objects:
            of.apply(each, "tests")

    def install(self, name: str, namespace: str, *flags: str, version: str = "") -> None:
        """Installs the chart from its project's Go module, and waits for its pods."""
        version = version or TOOLS[name].pinned.removeprefix("v")
        package = module_chart.package(name, version, Path(self.plane.folder))
        done = chart.helm(
            *("install", name, str(package), "--namespace", namespace, "--create-namespace", "--wait"),
            *("--timeout", "180s", "--kubeconfig", str(self.plane.kubeconfig), *flags),
        )
        assert not done.returncode, done.stderr

    @contextmanager
    def namespace(self) -> Iterator[str]:
        """A namespace in which pods can be created; it is deleted at the end."""
        name = f"t-{uuid.uuid4().hex[:8]}"
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        wait(lambda: self.api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "its service account")
        yield name
        self.api.delete(f"/api/v1/namespaces/{name}")
        wait(lambda: not self.api.get(f"/api/v1/namespaces/{name}"), f"the end of {name}")

    @contextmanager
    def queue(self, gpus: int) -> Iterator[str]:
        """A namespace with a queue `team` of that many GPUs."""
        with self.namespace() as namespace:
            self.apply(*queues(namespace, gpus))
            yield namespace
        for kind in ("clusterqueues", "resourceflavors"):
            path = f"/apis/{API}/{kind}/{namespace}"
            self.api.delete(path)
            wait(lambda: not self.api.get(path), f"the end of {path}")  # noqa: B023


@contextmanager
def cluster(key: str) -> Iterator[Cluster]:
    """A control plane with the guide's pools, an autoscaler and the supervision of its controllers."""
    plane = control_plane.start(key, "1.35", controller=False)
    fleet = FakeFleet(cpu_group(), gpu_group(), own_autoscaler=True, gpu_ready_by="cloud")
    supervisor = Supervisor(plane)
    autoscaler = Autoscaler(plane.api(), fleet, Pace(idle=2, provision=4, backoff=3))
    controller = Controller(plane.api(), fleet, "1.35", autoscaler, supervisor=supervisor)
    try:
        with running_loop(controller):
            yield Cluster(plane, plane.api(), fleet)
    finally:
        supervisor.stop()
        control_plane.stop(key)


BUILT = {
    "kueue": ("kueue",),
    "jobset": ("jobset",),
    "metrics": ("prometheus",),
    "keda": ("prometheus", "keda-operator", "keda-adapter"),
}
"""Fixture → the tools that it needs and that few machines have."""


def build_ahead(items: list[pytest.Item]) -> None:
    """Builds in the background what these tests need, while others run: KEDA alone takes minutes."""
    fixtures = {name for item in items for name in getattr(item, "fixturenames", ())}
    wanted = dict.fromkeys(tool for fixture, tools in BUILT.items() if fixture in fixtures for tool in tools)
    missing = [name for name in wanted if not (machines_own(TOOLS[name]) or cached(TOOLS[name]))]
    if missing:
        threading.Thread(target=provide, args=(missing,), daemon=True).start()


@pytest.fixture(scope="package")
def kueue(sandbox_home: str) -> Iterator[Cluster]:
    """A cluster in which Kueue runs."""
    provide(["kueue"])
    image = "controllerManager.manager.image"
    with cluster(KEY) as found:
        found.install(
            *("kueue", NAMESPACE, "--set", f"{image}.repository=registry.k8s.io/kueue/kueue"),
            *("--set", f"{image}.tag={TOOLS['kueue'].pinned}"),
        )
        yield found


@pytest.fixture(scope="package")
def keda(kueue: Cluster) -> Cluster:
    """The same cluster, in which KEDA and Prometheus run as well."""
    provide(["prometheus", "keda-operator", "keda-adapter"])
    monitoring_kinds.install(kueue.api, monitoring_kinds.operators())
    kueue.install("keda", "keda", version=TOOLS["keda-operator"].pinned.removeprefix("v"))
    return kueue


@pytest.fixture(scope="package")
def jobset(kueue: Cluster) -> Cluster:
    """The same cluster, in which JobSet runs as well."""
    provide(["jobset"])
    image = ("--set", f"image.repository=registry.k8s.io/jobset/jobset,image.tag={TOOLS['jobset'].pinned}")
    kueue.install("jobset", "jobset-system", *image)
    return kueue


def queues(namespace: str, gpus: int) -> list[dict]:
    """A queue for the GPU pool."""
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    resources = [{"name": GPU, "nominalQuota": gpus}]
    group = {"coveredResources": [GPU], "flavors": [{"name": namespace, "resources": resources}]}
    return [
        {
            "apiVersion": API,
            "kind": "ResourceFlavor",
            "metadata": {"name": namespace},
            "spec": {"nodeLabels": {"gpuyard.dev/pool": "gpu-workers"}, "tolerations": [toleration]},
        },
        {
            "apiVersion": API,
            "kind": "ClusterQueue",
            "metadata": {"name": namespace},
            "spec": {"namespaceSelector": {}, "resourceGroups": [group]},
        },
        {
            "apiVersion": API,
            "kind": "LocalQueue",
            "metadata": {"name": "team", "namespace": namespace},
            "spec": {"clusterQueue": namespace},
        },
    ]


def gpu_job(name: str, queue: str, seconds: float = 600, gpus: int = 1, **spec: object) -> Object:
    """A Job for a queue. `seconds`: how long its pod runs."""
    container = {"name": "main", "image": "example.org/train:1", "resources": {"limits": {"nvidia.com/gpu": gpus}}}
    pod = {"containers": [container], "restartPolicy": "Never"}
    meta = {"annotations": {"gpuyard.dev/run-seconds": str(seconds)}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"kueue.x-k8s.io/queue-name": queue}},
        "spec": {"template": {"metadata": meta, "spec": pod}, **spec},
    }


def phases(api: Api, namespace: str) -> dict[str, str]:
    """Job → the phase of its pod; a job without one is suspended. (The pod of a job that is done may be deleted with
    its node.)"""
    jobs = api.list(f"/apis/batch/v1/namespaces/{namespace}/jobs")
    done = {job["metadata"]["name"]: "Succeeded" for job in jobs if job["status"].get("succeeded")}
    pods = api.list(f"/api/v1/namespaces/{namespace}/pods")
    by_job = {pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]: pod["status"].get("phase", "") for pod in pods}
    return {job["metadata"]["name"]: "suspended" for job in jobs} | by_job | done


def until(api: Api, namespace: str, wanted: dict[str, str], seconds: float = 60) -> None:
    """Waits for these phases."""
    deadline = time.monotonic() + seconds
    while (found := phases(api, namespace)) != wanted:
        assert time.monotonic() < deadline, f"{found}, not {wanted}"
        time.sleep(0.2)
