"""A real Prometheus on 127.0.0.1, that only its owner can read: it asks for a certificate whose key is in its folder.

It evaluates rules and scrapes what it is given; it knows nothing of clusters (monitoring.py). Tests and pictures use it
without one: `start`, `query`, `query_range`, `alerts`.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3
import yaml

from sandbox import process
from sandbox.cluster.certificates import make_mutual

MEMORY = 256
"""Limit of the Go runtime, MiB."""

KEPT = "2d"
"""How long samples are kept."""


@dataclass
class Prometheus:
    """One server. `name`: of its process; `folder`: for everything that it has; `every`: seconds between evaluations
    and between scrapes that name no interval."""

    name: str
    folder: Path
    every: float = 5.0

    @property
    def client(self) -> dict[str, str]:
        """Files with which a client identifies itself, in the names of Prometheus' own `tls_config`."""
        files = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}
        return {key: str(self.folder / "pki" / file) for key, file in files.items()}

    def configure(self, rules: Sequence[Mapping[str, Any]], scrapes: Sequence[Mapping[str, Any]]) -> None:
        """Writes the configuration, and has a running server read it again if it changed. `rules`: groups;
        `scrapes`: scrape_configs."""
        self._certificates()
        web = {
            "cert_file": str(self.folder / "pki" / "server.crt"),
            "key_file": str(self.folder / "pki" / "server.key"),
            "client_ca_file": str(self.folder / "pki" / "ca.crt"),
            "client_auth_type": "RequireAndVerifyClientCert",
        }
        every = f"{self.every:g}s"
        settings = {
            "global": {"scrape_interval": every, "evaluation_interval": every},
            "rule_files": [str(self.folder / "rules.yaml")],
            "scrape_configs": list(scrapes),
        }
        texts = {
            "web.yaml": {"tls_server_config": web},
            "rules.yaml": {"groups": list(rules)},
            "prometheus.yaml": settings,
        }
        changed = [self._write(name, yaml.safe_dump(content, sort_keys=False)) for name, content in texts.items()]
        running = process.alive(self.name)
        if running and any(changed):
            os.kill(running.pid, signal.SIGHUP)

    def start(self, program: str) -> None:
        """Starts it if it does not run, and returns when it is ready. Raises SandboxError with the end of its log, for
        example for a rule that is not PromQL."""
        if process.alive(self.name):
            return
        port = process.free_port()
        process.start(
            self.name,
            [
                program,
                f"--config.file={self.folder / 'prometheus.yaml'}",
                f"--web.config.file={self.folder / 'web.yaml'}",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--storage.tsdb.retention.time={KEPT}",
                "--log.level=warn",
            ],
            env={"PATH": os.defpath, "HOME": str(self.folder), "GOMEMLIMIT": f"{MEMORY}MiB", "GOGC": "50"},
            ready=lambda: self._ready(port),
            what="Prometheus",
            port=port,
            cwd=self.folder,
        )

    def stop(self) -> None:
        """Stops it; its samples are kept."""
        process.stop(self.name)

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The result of an instant query: samples with `metric` and `value`. Raises ValueError for an invalid one."""
        return self._ask("query", query=expression, **({} if at is None else {"time": at}))["result"]

    def query_range(self, expression: str, begin: float, end: float, step: float) -> list[dict[str, Any]]:
        """The series of a query over a time, with `metric` and `values`."""
        return self._ask("query_range", query=expression, start=begin, end=end, step=step)["result"]

    def value(self, expression: str) -> float | None:
        """The value of a query with one sample; None without a sample."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def alerts(self) -> list[dict[str, Any]]:
        """Pending and firing alerts: `labels`, `annotations`, `state`."""
        return self._ask("alerts")["alerts"]

    def _ask(self, of: str, **parameters: Any) -> dict[str, Any]:
        running = process.alive(self.name)
        if not running or not running.ready:
            raise ConnectionError(f"{self.name} does not run, or not yet")
        url = f"https://127.0.0.1:{running.port}/api/v1/{of}?{urlencode(parameters)}"
        answer = json.loads(self._pool().request("GET", url, retries=False, timeout=20).data)
        if answer["status"] != "success":
            raise ValueError(answer.get("error", ""))
        return answer["data"]

    def forward(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Passes on a request of a controller."""
        running = process.alive(self.name)
        if not running:
            raise ConnectionError(f"{self.name} does not run yet")
        url, headers = f"https://127.0.0.1:{running.port}{path}", {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._pool().request(method, url, body=body, headers=headers, retries=False, timeout=20)
        return answer.status, answer.data

    def _ready(self, port: int) -> bool:
        try:
            return (
                self._pool().request("GET", f"https://127.0.0.1:{port}/-/ready", retries=False, timeout=2).status == 200
            )
        except urllib3.exceptions.HTTPError:
            return False

    def _pool(self) -> urllib3.PoolManager:
        files = self.client
        return urllib3.PoolManager(ca_certs=files["ca_file"], cert_file=files["cert_file"], key_file=files["key_file"])

    def _certificates(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_mutual(self.folder / "pki", "prometheus", "sandbox")

    def _write(self, name: str, text: str) -> bool:
        path = self.folder / name
        if path.exists() and path.read_text() == text:
            return False
        draft = path.with_suffix(f".{os.getpid()}.{time.monotonic_ns()}")
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.replace(path)
        return True
