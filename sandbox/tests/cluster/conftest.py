"""One real control plane for all cluster tests, and the controllers of an in-memory cloud."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from sandbox import process
from sandbox.cluster import control_plane
from sandbox.cluster.api import Api, Object
from sandbox.cluster.autoscaler import Autoscaler, Pace
from sandbox.cluster.cloud import Machine
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.controller import Controller
from sandbox.cluster.nodes import Nodes, is_ready
from sandbox.plugins import log
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.tests.cluster.fake_balancers import FakeBalancers
from sandbox.tests.cluster.fake_fleet import FakeFleet, cpu_group, gpu_group
from sandbox.tests.cluster.kueue import build_ahead, jobset, keda, kueue
from sandbox.tests.cluster.loop import running_loop, wait
from sandbox.tests.cluster.objects import eks_kubeconfig

__all__ = ["jobset", "keda", "kueue", "wait"]

KEY = "eks-us-east-1-cluster-tests"


@pytest.fixture(scope="package")
def sandbox_home(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[str]:
    """A sandbox folder for these tests; every process in it is stopped at the end."""
    build_ahead(request.session.items)
    before = os.environ.get("GPUYARD_SANDBOX")
    os.environ["GPUYARD_SANDBOX"] = home = str(tmp_path_factory.mktemp("sandbox"))
    try:
        yield home
    finally:
        process.stop_all(grace=1)
        if before is None:
            del os.environ["GPUYARD_SANDBOX"]
        else:
            os.environ["GPUYARD_SANDBOX"] = before


@pytest.fixture(scope="package")
def plane(sandbox_home: str) -> ControlPlane:
    """A running control plane without cloud-side controllers and without nodes."""
    return control_plane.start(KEY, "1.35", controller=False)


@pytest.fixture(scope="package")
def api(plane: ControlPlane) -> Api:
    return plane.api()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace for the test, in which pods can be created at once."""
    name = f"t-{uuid.uuid4().hex[:8]}"
    api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    wait(lambda: api.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "its service account")
    yield name
    for owners in ("apps/v1 daemonsets", "apps/v1 deployments", "apps/v1 replicasets", "batch/v1 jobs"):
        group, kind = owners.split()
        api.request("DELETE", f"/apis/{group}/namespaces/{name}/{kind}", {"propagationPolicy": "Background"})
    pods = f"/api/v1/namespaces/{name}/pods"

    def gone() -> bool:
        api.request("DELETE", pods, {"gracePeriodSeconds": 0})
        return not api.list(pods)

    wait(gone, "the end of the test's pods")
    api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def fleet() -> FakeFleet:
    """The guide's two pools."""
    return FakeFleet(cpu_group(), gpu_group())


@pytest.fixture
def balancers() -> FakeBalancers:
    """The cloud's load balancers."""
    return FakeBalancers()


@pytest.fixture
def controllers(api: Api, fleet: FakeFleet, balancers: FakeBalancers) -> Iterator[Controller]:
    """The cloud-side controllers over `fleet` and `balancers`, with short rounds; nodes are deleted afterwards."""
    autoscaler = Autoscaler(api, fleet, Pace(idle=2, provision=4, backoff=3))
    controller = Controller(api, fleet, "1.35", autoscaler, balancers=balancers)
    controller.volumes.install({"ebs.csi.aws.com", "efs.csi.aws.com"})
    with running_loop(controller):
        machines = len(wait(fleet.machines, "the first machines"))
        wait(lambda: len([node for node in api.list("/api/v1/nodes") if is_ready(node)]) >= machines, "their nodes")
        yield controller
        fleet.clear()
        wait(lambda: not api.list("/api/v1/nodes"), "the end of the nodes")


Make = Callable[[list[Machine]], None]


@pytest.fixture
def cloud(api: Api) -> Iterator[Make]:
    """`cloud(machines)`: turns them into nodes, or updates the nodes to match them; all are deleted afterwards."""
    nodes = Nodes(api, "1.35")

    def sync(machines: list[Machine]) -> None:
        pods, there = api.list("/api/v1/pods"), api.list("/api/v1/nodes")
        nodes.sync(machines, pods, there)

    yield sync
    sync([])
    wait(lambda: not api.list("/api/v1/nodes"), "the end of the nodes")


def ready(api: Api, count: int) -> None:
    """Waits for this number of nodes."""
    wait(lambda: sum(map(is_ready, api.list("/api/v1/nodes"))) == count, f"{count} nodes")


def landed(api: Api, namespace: str, daemon_set: str) -> set[str]:
    """Names of the nodes on which the DaemonSet's pods run, once all of them run."""

    def settled() -> tuple[set[str]] | None:
        found = api.request("GET", f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{daemon_set}")
        status, selector = found["status"], found["spec"]["selector"]["matchLabels"]
        query = ",".join(f"{key}={value}" for key, value in selector.items())
        pods = api.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=query)
        running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
        seen = status.get("observedGeneration") == found["metadata"]["generation"]
        complete = seen and len(running) == len(pods) == status["desiredNumberScheduled"]
        return ({pod["spec"]["nodeName"] for pod in pods},) if complete else None

    return wait(settled, f"the pods of {daemon_set}")[0]


class Pods:
    """The pods of one namespace, with methods to create and watch them."""

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.path = f"/api/v1/namespaces/{namespace}/pods"
        self.namespace = namespace

    def make(self, name: str, spec: Object | None = None, **meta: object) -> Object:
        container = {"name": "main", "image": "example.org/image:1"}
        body = {"metadata": {"name": name, **meta}, "spec": {"containers": [container], **(spec or {})}}
        return self.api.request("POST", self.path, body)

    def get(self, name: str) -> Object | None:
        return self.api.get(f"{self.path}/{name}")

    def running(self, name: str, seconds: float = 60) -> Object:
        def found() -> Object | None:
            pod = self.get(name)
            return pod if pod and pod["status"].get("phase") == "Running" else None

        return wait(found, f"pod {name} running", seconds)

    def unschedulable(self, name: str) -> str:
        """Waits for the scheduler's refusal and returns its message."""

        return wait(lambda: _refusal(self.get(name) or {"status": {}}), f"pod {name} refused")

    def events(self, name: str, reason: str) -> list[str]:
        events = self.api.list(f"/api/v1/namespaces/{self.namespace}/events")
        return [e["message"] for e in events if e["involvedObject"]["name"] == name and e["reason"] == reason]


@pytest.fixture
def pods(api: Api, namespace: str) -> Pods:
    return Pods(api, namespace)


def place(pods: Pods, wanted: dict[str, Object], meanwhile: Callable[[], None] = lambda: None) -> dict[str, str]:
    """Creates pods and returns, by name, the node of each, or the scheduler's message if there is none."""
    for name, spec in wanted.items():
        pods.make(name, spec)

    def homes() -> dict[str, str]:
        found = {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in pods.api.list(pods.path)}
        return {name: found[name] for name in wanted}

    def all_placed() -> dict[str, str] | None:
        meanwhile()
        return found if all((found := homes()).values()) else None

    try:
        return wait(all_placed, "the pods", 20)
    except AssertionError:
        return {name: home or _refusal(pods.get(name) or {"status": {}}) for name, home in homes().items()}


def _refusal(pod: Object) -> str:
    conditions = pod["status"].get("conditions") or ()
    return next((c["message"] for c in conditions if c.get("reason") == "Unschedulable"), "")


@pytest.fixture
def release(api: Api, fleet: FakeFleet, controllers: Controller, pods: Pods) -> None:
    """A cluster-autoscaler pod and a device plugin's DaemonSet, as the guide's releases create them."""
    labels = {"app.kubernetes.io/name": "aws-cluster-autoscaler"}
    pods.make("cluster-autoscaler", labels=labels)
    plugin = {"app.kubernetes.io/name": "nvidia-device-plugin"}
    container = {"name": "plugin", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.20.0"}
    spec = {
        "containers": [container],
        "nodeSelector": {"nvidia.com/gpu.present": "true"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    }
    template = {"metadata": {"labels": plugin}, "spec": spec}
    api.create(
        f"/apis/apps/v1/namespaces/{pods.namespace}/daemonsets",
        {"metadata": {"name": "plugin"}, "spec": {"selector": {"matchLabels": plugin}, "template": template}},
    )
    pods.running("cluster-autoscaler")


@pytest.fixture
def provider(plane: ControlPlane) -> KubernetesProvider:
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": eks_kubeconfig(plane)})
    return provider


@pytest.fixture
def lines() -> Iterator[list[str]]:
    reported: list[str] = []
    with log.scope(lambda level, text, passing: reported.append(text)):
        yield reported
