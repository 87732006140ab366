"""A tiny provider, and the host around it, for tests that speak the engine's protocol."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2_grpc

from sandbox.plugins import host, log
from sandbox.plugins.faults import Faults
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Diff, Props, ProviderError, SimulatedProvider
from sandbox.plugins.values import Secret, changes

TOY_URN = "urn:pulumi:test::gpuyard::gpuyard:index:Pool$aws:s3/bucket:Bucket::thing"


class Toy(SimulatedProvider):
    """Objects in a dict; `bucket` is the name, a change of `size` replaces, `fail` raises an error."""

    package = "aws"
    version = "7.51.1"

    def __init__(self) -> None:
        self.objects: dict[str, Props] = {}
        self.config: dict[str, Any] = {}
        self.cancelled = threading.Event()

    def configure(self, config: Any) -> None:
        if config.get("region") == "nowhere":
            raise ProviderError("InvalidRegion: there is no region nowhere")
        self.config = dict(config)

    def check(self, token: str, urn: str, olds: Props, news: Props, seed: bytes):
        failures = [CheckFailure("size", "must be positive")] if news.get("size") == -1 else []
        return {"bucket": olds.get("bucket") or f"thing-{seed.hex()}", **news}, failures

    def diff(self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props) -> Diff:
        changed = list(changes(old_inputs, news))
        return Diff(changed, [path for path in changed if path == "size"], delete_before_replace=True)

    def create(self, token: str, urn: str, inputs: Props, preview: bool, timeout: float):
        log.warn(f"creating a {token}")
        outputs = {**inputs, "arn": UNKNOWN if preview else "arn:x", "password": Secret("hush")}
        if preview:
            return "", outputs
        self.objects["id-1"] = outputs
        if inputs.get("fail") == "half":
            raise ProviderError("HalfMade: it exists", partial=("id-1", outputs))
        if inputs.get("fail") == "bug":
            raise KeyError("oops")
        return "id-1", outputs

    def read(self, token: str, urn: str, id: str, inputs: Props, state: Props):
        return (id, inputs, self.objects[id]) if id in self.objects else None

    def update(
        self, token: str, urn: str, id: str, old_inputs: Props, olds: Props, news: Props, preview: bool, timeout: float
    ) -> Props:
        self.objects[id] = {**news, "arn": "arn:x"}
        return self.objects[id]

    def delete(self, token: str, urn: str, id: str, inputs: Props, outputs: Props, timeout: float) -> None:
        self.objects.pop(id, None)

    def invoke(self, token: str, args: Props) -> Props:
        if token != "aws:index/getRegion:getRegion":
            raise ProviderError(f"no function {token}")
        return {"name": self.config.get("region"), **args}

    def cancel(self) -> None:
        self.cancelled.set()


@pytest.fixture(autouse=True)
def sandbox_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "sandbox"
    home.mkdir()
    monkeypatch.setenv("GPUYARD_SANDBOX", str(home))
    monkeypatch.delenv("GPUYARD_SANDBOX_TIME_SCALE", raising=False)
    return home


@pytest.fixture
def toys() -> list[Toy]:
    """The providers that the host has created, oldest first."""
    return []


@pytest.fixture
def served(sandbox_home: Path, toys: list[Toy]) -> Iterator[Path]:
    """A host that serves `Toy` as package aws; the value is the folder of its shims."""

    def make(package: str) -> Toy:
        if package != "aws":
            raise LookupError(f"no package {package}")
        toys.append(Toy())
        return toys[-1]

    listener = host.listen()
    threading.Thread(target=host.serve, args=(listener, make), daemon=True).start()
    host.write_shims(sandbox_home / "plugins")
    yield sandbox_home / "plugins"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def launch(served: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], Any]]]:
    """Starts the aws shim as the engine does; returns the process and a stub of its provider."""
    launched: list[subprocess.Popen[str]] = []

    def launch() -> tuple[subprocess.Popen[str], Any]:
        shim = subprocess.Popen(
            [served / "pulumi-resource-aws", "127.0.0.1:1"], stdout=subprocess.PIPE, text=True, env={"PATH": os.defpath}
        )
        launched.append(shim)
        assert shim.stdout is not None
        port = int(shim.stdout.readline())
        return shim, provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{port}"))

    yield launch
    for shim in launched:
        shim.kill()
        shim.communicate()


@pytest.fixture
def write_faults(sandbox_home: Path) -> Callable[..., Faults]:
    """Writes faults.json and returns new `Faults`."""

    def write(*faults: Any) -> Faults:
        with tempfile.NamedTemporaryFile("w", dir=sandbox_home, delete=False) as draft:
            json.dump(list(faults), draft)
        os.replace(draft.name, sandbox_home / "faults.json")
        return Faults()

    return write
