"""The API server's way into the cluster: which calls lead where, and what others learn."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cluster.command_lines import EGRESS
from sandbox.controllers import network
from sandbox.controllers.network import Endpoint, Refused, Routes

SERVICE = {
    "metadata": {"name": "webhook", "namespace": "kueue-system"},
    "spec": {
        "clusterIPs": ["10.100.7.7"],
        "selector": {"app": "kueue"},
        "ports": [{"port": 443, "targetPort": "serving"}, {"port": 8443, "targetPort": 9000}],
    },
}


class FakeApi:
    def list(self, path: str) -> list[dict]:
        assert path == "/api/v1/services"
        return [SERVICE]


def routes(*endpoints: Endpoint) -> Routes:
    return Routes(FakeApi(), lambda: list(endpoints))  # type: ignore[arg-type]


def endpoint(here: int, namespace: str = "kueue-system", **labels: str) -> Endpoint:
    return Endpoint(namespace, labels, {"serving": 9443}, {9443: here, 9000: here + 1})


@pytest.mark.parametrize("host", ["10.100.7.7", "webhook.kueue-system.svc", "webhook.kueue-system.svc.cluster.local"])
def test_a_service_leads_to_the_process_of_a_pod_that_it_selects(host: str) -> None:
    found = routes(endpoint(1, app="other"), endpoint(2, "elsewhere", app="kueue"), endpoint(17, app="kueue", pod="x"))
    assert (found.port(host, 443), found.port(host, 8443)) == (17, 18)


@pytest.mark.parametrize(
    ("host", "port", "reason"),
    [
        ("10.128.0.9", 443, "10.128.0.9 is not a Service"),
        ("webhook.default.svc", 443, "is not a Service"),
        ("10.100.7.7", 80, "kueue-system/webhook has no port 80"),
        ("10.100.7.7", 443, "no program runs for the Service kueue-system/webhook"),
    ],
)
def test_everything_else_is_refused_with_the_reason(host: str, port: int, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        routes(endpoint(17, app="other")).port(host, port)


@pytest.fixture
def echo() -> Iterator[int]:
    """A server that answers with what it gets, in capitals."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(connection.recv(100).upper())

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def ask(folder: Path, address: str, text: bytes) -> tuple[bytes, bytes]:
    """The proxy's first line and what comes through it."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(folder / EGRESS))
        client.sendall(f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        head = client.recv(1000)
        if text:
            client.sendall(text)
        return head.split(b"\r\n")[0], client.recv(100)


def test_a_call_goes_through_the_socket_that_only_its_owner_opens(tmp_path: Path, echo: int) -> None:
    stop = network.serve(network.listen(tmp_path), routes(endpoint(echo, app="kueue")))
    try:
        assert (tmp_path / EGRESS).stat().st_mode & 0o077 == 0
        line, answer = ask(tmp_path, "10.100.7.7:443", b"hello")
        assert (line, answer) == (b"HTTP/1.1 200 Connection established", b"HELLO")
        line, answer = ask(tmp_path, "10.128.0.9:443", b"")
        assert line.startswith(b"HTTP/1.1 502 10.128.0.9 is not a Service") and not answer
    finally:
        stop()
