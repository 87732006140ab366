"""A real Prometheus on loopback with the simulated day, and what the rules record from it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from sandbox.process import free_port
from tools.provide import provide

from .simulated import END, START, samples

_READY_SECONDS = 60


class Prometheus:
    """The API of a server that runs."""

    def __init__(self, address: str) -> None:
        self.address = address

    def range(self, expr: str, start: int, end: int, step: int) -> list[dict[str, Any]]:
        """The series of a query over time."""
        return self._get("query_range", query=expr, start=str(start), end=str(end), step=str(step))

    def at(self, expr: str, moment: int) -> list[dict[str, Any]]:
        """The series of a query at one moment."""
        return self._get("query", query=expr, time=str(moment))

    def _get(self, path: str, **query: str) -> list[dict[str, Any]]:
        url = f"{self.address}/api/v1/{path}"
        with urllib.request.urlopen(url, urllib.parse.urlencode(query).encode()) as answer:
            return json.load(answer)["data"]["result"]


@contextlib.contextmanager
def running(data: Path) -> Iterator[Prometheus]:
    """A server on these blocks, until the end of the block."""
    (data.parent / "prometheus.yaml").write_text("{}\n")
    port = free_port()
    command = [
        str(provide(["prometheus"])["prometheus"]),
        f"--config.file={data.parent / 'prometheus.yaml'}",
        f"--storage.tsdb.path={data}",
        "--storage.tsdb.retention.time=100y",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (data.parent / "prometheus.log").open("a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, process)
        yield Prometheus(address)
    finally:
        process.terminate()
        process.wait()


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _READY_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/-/ready"):
            return
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError("Prometheus did not start: see prometheus.log in its folder")
        time.sleep(0.1)


def filled(folder: Path, groups: Sequence[dict[str, Any]]) -> Path:
    """Blocks with the simulated day and with everything that the rules record. Rules that use other rules are evaluated
    after these, one server each. Every run records at the same moments: promtool derives a group's offset within its
    interval from the path of the file as it is given (EvalTimestamp in rules/group.go), so that path is relative."""
    data = folder / "data"
    raw = folder / "day.txt"
    with raw.open("w") as file:
        file.writelines(samples())
    _promtool(folder, "create-blocks-from", "openmetrics", "--quiet", "--max-block-duration=48h", str(raw), str(data))
    for number, level in enumerate(levels(groups)):
        rules = folder / f"rules{number}.yaml"
        rules.write_text(yaml.safe_dump({"groups": [{"name": "recorded", "interval": "1m", "rules": level}]}))
        with running(data) as server:
            _promtool(
                folder, "create-blocks-from", "rules", f"--start={START}", f"--end={END}", f"--url={server.address}",
                "--eval-interval=1m", f"--output-dir={data}", rules.name,
            )  # fmt: skip
    return data


def levels(groups: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The recording rules, each after those whose series it uses."""
    waiting = [rule for group in groups for rule in group["rules"] if "record" in rule]
    found: list[list[dict[str, Any]]] = []
    while waiting:
        names = {rule["record"] for rule in waiting}
        now = [rule for rule in waiting if not any(name in rule["expr"] for name in names - {rule["record"]})]
        found.append(now)
        waiting = [rule for rule in waiting if rule not in now]
    return found


def _promtool(folder: Path, *args: str) -> None:
    command = [str(provide(["promtool"])["promtool"]), "tsdb", *args]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"promtool {args[0]}: {done.stderr or done.stdout}")
