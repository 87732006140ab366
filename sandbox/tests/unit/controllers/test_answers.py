"""What simulated pods answer, and how controllers reach them and Prometheus."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.controllers.answers import gpus
from sandbox.controllers.monitoring import selects
from sandbox.controllers.network import Endpoint, Refused, Routes
from sandbox.controllers.outbound import Outbound


def pod(name: str, held: int, annotation: str = "") -> dict:
    container = {"name": "main", "resources": {"limits": {"nvidia.com/gpu": str(held)}}}
    meta = {"name": name, "namespace": "team", "annotations": {"gpuyard.dev/metrics": annotation}}
    return {"metadata": meta, "spec": {"containers": [{"name": "side"}, container]}}


def test_each_gpu_of_a_node_is_held_or_idle() -> None:
    node = {"metadata": {"name": "n1"}, "status": {"capacity": {"nvidia.com/gpu": "4"}}}
    given = 'DCGM_FI_DEV_GPU_UTIL{gpu="0"} 3\nother 1'
    lines = gpus(node, [pod("b", 1, given), pod("a", 2), pod("cpu", 0)]).splitlines()
    found = [line for line in lines if line.startswith("DCGM_FI_DEV_GPU_UTIL")]
    assert [line.rsplit(" ")[-1] for line in found] == ["95", "95", "3", "0"]
    assert 'gpu="2",UUID="GPU-n1-2"' in found[2] and 'container="main",namespace="team",pod="b"' in found[2]
    assert "pod=" not in found[3] and not any(line.startswith("other") for line in lines)


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ({"key": "app", "operator": "In", "values": ["a", "b"]}, True),
        ({"key": "app", "operator": "NotIn", "values": ["a"]}, False),
        ({"key": "tier", "operator": "Exists"}, False),
        ({"key": "tier", "operator": "DoesNotExist"}, True),
    ],
)
def test_a_selector_is_read_as_kubernetes_reads_it(expression: dict, holds: bool) -> None:
    assert selects({"matchExpressions": [expression]}, {"app": "a"}) is holds
    assert not selects({"matchLabels": {"app": "b"}, "matchExpressions": [expression]}, {"app": "a"})


class FakeApi:
    def list(self, path: str) -> list[dict]:
        return []


@pytest.fixture
def outbound(tmp_path: Path) -> Iterator[Outbound]:
    routes = Routes(FakeApi(), list[Endpoint])  # type: ignore[arg-type]
    simulated = {"gateway.team.svc": "waiting 3\n"}.get
    found = Outbound(tmp_path / "outbound.json", routes, lambda *asked: (200, json.dumps(asked[1]).encode()), simulated)
    yield found
    found.stop()


def test_a_controller_reaches_prometheus_and_pods_and_nothing_else(outbound: Outbound) -> None:
    ask = lambda url: outbound.ask("GET", url, b"")  # noqa: E731
    for host in (
        "kube-prometheus-stack-prometheus.monitoring.svc",
        "prometheus-operated.monitoring",
        "frontend.gmp.svc",
    ):
        assert ask(f"http://{host}:9090/api/v1/query?query=up") == (200, b'"/api/v1/query?query=up"')
    assert ask("http://gateway.team.svc:8000/stats") == (200, b"waiting 3\n")
    for url in ("http://other.team.svc:8000/", "http://example.org/", "http://grafana.monitoring.svc:9090/"):
        with pytest.raises(Refused, match="is not a Service"):
            ask(url)
    with pytest.raises(Refused, match="nothing leaves the sandbox"):
        outbound.ask("CONNECT", "example.org:443", b"")


def test_only_who_knows_its_password_gets_an_answer(outbound: Outbound, tmp_path: Path) -> None:
    url = "http://gateway.team.svc:8000/"
    knows = urllib.request.build_opener(urllib.request.ProxyHandler({"http": outbound.variables["HTTP_PROXY"]}))
    assert knows.open(url, timeout=5).read() == b"waiting 3\n"
    guesses = urllib.request.build_opener(urllib.request.ProxyHandler({"http": f"http://127.0.0.1:{outbound.port}"}))
    with pytest.raises(urllib.error.HTTPError, match="407"):
        guesses.open(url, timeout=5)
    assert (tmp_path / "outbound.json").stat().st_mode & 0o077 == 0
