"""The program of `StalledJobs` as a process: a Prometheus that answers from a table, a real API server, the component's
own permissions."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.monitoring import stalled_jobs_watch as watch
from components.monitoring.stalled_jobs import NAMESPACE, StalledJobs
from recording.recorder import run
from sandbox.cluster.api import Api
from sandbox.cluster.cloud import Machine
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.nodes import Nodes
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.tests.cluster.conftest import wait
from sandbox.tests.cluster.fake_fleet import shape
from tests.component.stage import aws_options

TRAINING = "stalled-training"
GPU = {"limits": {"nvidia.com/gpu": "1"}}


@pytest.fixture(scope="module", autouse=True)
def installed(plane: ControlPlane, api: Api) -> Iterator[None]:
    """The component's objects and the namespace of the jobs."""
    api.create("/api/v1/namespaces", {"metadata": {"name": TRAINING}})
    args: Any = {"namespaces": [TRAINING], "most_nodes": 1}
    made = run(lambda: StalledJobs("stalled", args, aws_options()))
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": plane.kubeconfig.read_text()})
    for found in made.resources.values():
        if found.package == "kubernetes":
            checked, failures = provider.check(found.type, found.urn, {}, found.inputs, b"")
            assert not failures
            provider.create(found.type, found.urn, checked, False, 30)
    yield
    for name in (TRAINING, NAMESPACE):
        api.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def nodes(plane: ControlPlane, api: Api) -> Iterator[list[str]]:
    """Three nodes."""
    names = [f"stalled-{number}" for number in range(3)]
    kind = shape("g6.2xlarge", 8, "31Gi", {})
    for name in names:
        machine = Machine(f"i-{name}", "group", "gpu", name, f"aws:///a/{name}", kind, 0, "cloud", False)
        api.create("/api/v1/nodes", Nodes(api, plane.version)._node(machine))
    yield names
    for name in names:
        api.delete(f"/api/v1/nodes/{name}", grace=0)


@pytest.fixture
def prometheus() -> Iterator[Any]:
    """A Prometheus that answers queries from its `answers`: query → list of (labels, value)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)["query"][0]
            kind = "ALERTS" if query.startswith("ALERTS") else query
            found = [{"metric": labels, "value": [0, str(value)]} for labels, value in server.answers[kind]]
            body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answers = {"ALERTS": [], watch.USE: []}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def credentials(plane: ControlPlane, api: Api, tmp_path: Path) -> Path:
    """The folder that the program's pod would have: the token of its service account."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{NAMESPACE}/token"
    (tmp_path / "token").write_text(api.create(path, {"spec": {}})["status"]["token"])
    (tmp_path / "ca.crt").write_bytes(base64.b64decode(plane.ca_data))
    return tmp_path


def pod(api: Api, name: str, node: str, job: str = "", owned: bool = True) -> None:
    """A running pod on a node."""
    path = f"/api/v1/namespaces/{TRAINING}/configmaps/owner"  # no controller acts on it, and it exists
    uid = (api.get(path) or api.create(path.rpartition("/")[0], {"metadata": {"name": "owner"}}))["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "controller": True}
    labels = {"batch.kubernetes.io/job-name": job} if job else {}
    api.create(
        f"/api/v1/namespaces/{TRAINING}/pods",
        {
            "metadata": {"name": name, "labels": labels, "ownerReferences": [owner] if owned else []},
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": "train", "resources": GPU}]},
        },
    )
    running = f"/api/v1/namespaces/{TRAINING}/pods/{name}"
    wait(lambda: (api.get(running) or {"status": {}})["status"].get("phase") == "Running", f"{name} to run")


def round_of(plane: ControlPlane, prometheus: Any, credentials: Path, **settings: str) -> str:
    """The output of one round of the program."""
    given = {
        "API": plane.endpoint,
        "CREDENTIALS": str(credentials),
        "NAMESPACES": TRAINING,
        "PROMETHEUS": f"http://127.0.0.1:{prometheus.server_address[1]}",
        "MOST_NODES": "1",
        "TAINT": "true",
        "START_MINUTES": "0",
    }
    done = subprocess.run(
        [sys.executable, watch.__file__], env={**os.environ, **given, **settings}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def firing(*names: str, namespace: str = TRAINING) -> list[tuple[dict[str, str], float]]:
    return [({"namespace": namespace, "pod": name}, 1.0) for name in names]


def use(**percent: float) -> list[tuple[dict[str, str], float]]:
    return [({"namespace": TRAINING, "pod": name}, value) for name, value in percent.items()]


def tainted(api: Api, names: list[str]) -> list[str]:
    found = {name: api.request("GET", f"/api/v1/nodes/{name}") for name in names}
    return [name for name, node in found.items() if any(t["key"] == watch.TAINT for t in watch.taints(node))]


def there(api: Api, name: str) -> bool:
    found = api.get(f"/api/v1/namespaces/{TRAINING}/pods/{name}")
    return found is not None and not found["metadata"].get("deletionTimestamp")


def test_the_pod_that_stopped_is_evicted_and_its_node_gets_no_new_pod(
    api: Api, plane: ControlPlane, nodes: list[str], prometheus: Any, credentials: Path
) -> None:
    """Two of three pods wait, busily, for the third: its GPUs are idle."""
    for name, node in zip(("a", "b", "c"), nodes):
        pod(api, f"gang-{name}", node, job="gang")
    prometheus.answers["ALERTS"] = firing("gang-a", "gang-b")
    prometheus.answers[watch.USE] = use(**{"gang-a": 99, "gang-b": 99, "gang-c": 0})
    round_of(plane, prometheus, credentials)
    assert tainted(api, nodes) == nodes[2:]
    assert [there(api, f"gang-{name}") for name in "abc"] == [True, True, False]


def test_if_all_pods_of_a_job_wait_one_is_evicted_and_no_node_is_tainted(
    api: Api, plane: ControlPlane, nodes: list[str], prometheus: Any, credentials: Path
) -> None:
    for name, node in zip(("a", "b"), nodes):
        pod(api, f"all-{name}", node, job="all")
    prometheus.answers["ALERTS"] = firing("all-a", "all-b")
    prometheus.answers[watch.USE] = use(**{"all-a": 99, "all-b": 99})
    round_of(plane, prometheus, credentials)
    assert tainted(api, nodes) == []
    assert sorted(there(api, f"all-{name}") for name in "ab") == [False, True]


def test_no_more_nodes_are_tainted_than_allowed_and_a_second_round_changes_nothing_more(
    api: Api, plane: ControlPlane, nodes: list[str], prometheus: Any, credentials: Path
) -> None:
    for name, node in zip(("one", "two"), nodes):
        pod(api, name, node)
    prometheus.answers["ALERTS"] = firing("one", "two")
    output = round_of(plane, prometheus, credentials)
    assert tainted(api, nodes) == nodes[:1] and f"{nodes[1]}: not tainted" in output
    assert not there(api, "one") and not there(api, "two")
    round_of(plane, prometheus, credentials)
    assert tainted(api, nodes) == nodes[:1]


def test_a_pod_that_nothing_starts_again_and_other_namespaces_are_left_alone(
    api: Api, plane: ControlPlane, nodes: list[str], prometheus: Any, credentials: Path
) -> None:
    pod(api, "alone", nodes[0], owned=False)
    prometheus.answers["ALERTS"] = [*firing("alone"), *firing("other", namespace="kube-system")]
    output = round_of(plane, prometheus, credentials, TAINT="false")
    assert there(api, "alone") and "left alone" in output and "kube-system" not in output
    assert tainted(api, nodes) == []


def test_its_permissions_end_at_the_namespaces_and_at_nodes(api: Api, plane: ControlPlane, credentials: Path) -> None:
    cluster = watch.Cluster(plane.endpoint, credentials)
    assert cluster.pods(TRAINING) is not None
    for method, path in (("GET", "/api/v1/namespaces/kube-system/pods"), ("DELETE", "/api/v1/nodes/stalled-0")):
        with pytest.raises(Exception, match="403"):
            cluster.ask(method, path)


def test_a_prometheus_that_does_not_answer_is_one_line(plane: ControlPlane, credentials: Path) -> None:
    given = {
        "API": plane.endpoint,
        "CREDENTIALS": str(credentials),
        "NAMESPACES": TRAINING,
        "MOST_NODES": "1",
        "TAINT": "true",
    }
    done = subprocess.run(
        [sys.executable, watch.__file__],
        env={**os.environ, **given, "PROMETHEUS": "http://127.0.0.1:9"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and done.stderr.startswith("failed: ") and "Traceback" not in done.stderr
