"""The way of a controller to Services of its cluster: a proxy that it uses for everything but the API server.

`http://NAME.NAMESPACE.svc:PORT/…` leads to the process of a controller that runs here; to the cluster's Prometheus, for
the addresses under which an operator offers it; or to what a simulated pod answers (answers.py). Nothing leaves the
machine. Only a process that knows its password gets an answer; it is in the variables of the controllers.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from sandbox import process
from sandbox.cluster.port import comes_free
from sandbox.controllers.network import Refused, Routes

PROMETHEUS = re.compile(r"(^|-)(prometheus(-operated|-server)?|frontend)[.]")
"""Hosts of the Service of a Prometheus: the operator's, and the frontend of Google's managed Prometheus."""

PROMETHEUS_PORT = 9090
_LOCAL = "127.0.0.1"

Ask = Callable[[str, str, bytes], tuple[int, bytes]]
"""Method, path with query, body → status and answer."""


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True


def _known(file: Path) -> tuple[int, str]:
    """Port and password, chosen once: processes that survive the supervisor continue to use them."""
    try:
        port, password = json.loads(file.read_text())
        if comes_free(port):
            return port, password
    except (OSError, ValueError):
        pass
    port, password = process.free_port(), secrets.token_urlsafe(24)
    file.touch(mode=0o600)
    file.write_text(json.dumps([port, password]))
    return port, password


class Outbound:
    """The proxy. `file`: where it notes its address; `prometheus`: asks the cluster's; `simulated`: the answer of a
    simulated pod behind a Service."""

    def __init__(self, file: Path, routes: Routes, prometheus: Ask, simulated: Callable[[str], str | None]) -> None:
        self._routes = routes
        self._prometheus = prometheus
        self._simulated = simulated
        port, self._password = _known(file)
        self._pool = urllib3.PoolManager()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                expected = base64.b64encode(f"sandbox:{outer._password}".encode()).decode()
                if not secrets.compare_digest(self.headers.get("Proxy-Authorization", ""), f"Basic {expected}"):
                    return self._answer(407, b"")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                try:
                    self._answer(*outer.ask(self.command, self.path, body))
                except Refused as why:
                    self._answer(502, str(why).encode())
                except (OSError, urllib3.exceptions.HTTPError) as error:
                    self._answer(502, f"{self.path} does not answer: {error}".encode())

            do_POST = do_CONNECT = do_GET

            def _answer(self, status: int, text: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = _Server((_LOCAL, port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def variables(self) -> dict[str, str]:
        """The variables of a process that uses it."""
        url = f"http://sandbox:{self._password}@{_LOCAL}:{self.port}"
        return {"HTTP_PROXY": url, "HTTPS_PROXY": url, "NO_PROXY": f"{_LOCAL},localhost"}

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ask(self, method: str, url: str, body: bytes) -> tuple[int, bytes]:
        """Leads one request to its place. Raises Refused."""
        if method == "CONNECT":
            raise Refused(f"{url} is outside of the cluster, and nothing leaves the sandbox")
        split = urlsplit(url)
        host, port = split.hostname or "", split.port or 80
        path = split.path + (f"?{split.query}" if split.query else "")
        if port == PROMETHEUS_PORT and PROMETHEUS.search(f"{host}."):
            return self._prometheus(method, path, body)
        try:
            here = self._routes.port(host, port)
        except Refused:
            text = self._simulated(host)
            if text is None:
                raise
            return 200, text.encode()
        answer = self._pool.request(method, f"http://{_LOCAL}:{here}{path}", body=body, retries=False, timeout=10)
        return answer.status, answer.data
