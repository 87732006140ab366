"""The API server's way into the cluster: a proxy that leads calls of Services to the processes that run for their pods.

The API server sends it all calls of webhooks and aggregated APIs (`--egress-selector-config-file`), as `CONNECT
HOST:PORT`. A Service that selects the pod of a process leads to that process; everything else is refused, because the
cluster's network carries no packets. The socket is in the control plane's folder, which only its owner can open.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.cluster.api import Api
from sandbox.cluster.command_lines import EGRESS

FRESH_SECONDS = 1.0


@dataclass(frozen=True)
class Endpoint:
    """A running process for a pod. `names`: name of a port → port of the pod; `ports`: port of the pod → port here."""

    namespace: str
    labels: Mapping[str, str]
    names: Mapping[str, int]
    ports: Mapping[int, int]


class Refused(Exception):
    """The text says why a call leads nowhere."""


@dataclass
class Routes:
    """Which port here serves an address of the cluster. `endpoints`: the processes that run."""

    api: Api
    endpoints: Callable[[], list[Endpoint]]
    _services: list[dict[str, Any]] = field(default_factory=list)
    _read: float = float("-inf")

    def port(self, host: str, port: int) -> int:
        """The port here. Raises Refused."""
        service = self._service(host) or self._service(host, fresh=True)
        if service is None:
            raise Refused(f"{host} is not a Service, and the sandbox's network carries no packets")
        meta, spec = service["metadata"], service["spec"]
        name = f"{meta['namespace']}/{meta['name']}"
        wanted = next((each for each in spec.get("ports", ()) if each["port"] == port), None)
        if wanted is None:
            raise Refused(f"the Service {name} has no port {port}")
        target, selector = wanted.get("targetPort", port), spec.get("selector") or {}
        for endpoint in self.endpoints():
            if endpoint.namespace == meta["namespace"] and selector and selector.items() <= endpoint.labels.items():
                here = endpoint.ports.get(endpoint.names.get(target, 0) if isinstance(target, str) else target)
                if here:
                    return here
        raise Refused(f"no program runs for the Service {name}: its pods are simulated, or not started yet")

    def _service(self, host: str, fresh: bool = False) -> dict[str, Any] | None:
        if fresh or time.monotonic() - self._read > FRESH_SECONDS:
            self._services, self._read = self.api.list("/api/v1/services"), time.monotonic()
        name = host.removesuffix(".cluster.local").removesuffix(".svc").split(".")
        for service in self._services:
            meta = service["metadata"]
            if host in service["spec"].get("clusterIPs", ()) or name == [meta["name"], meta["namespace"]]:
                return service
        return None


def listen(folder: Path) -> socket.socket:
    """The proxy's socket. Call it before any thread starts: it changes the working directory for a moment, because the
    path of a unix socket has a limit of 107 bytes."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        draft = f"{EGRESS}.{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(draft)
        os.chmod(draft, 0o600)
        listener.listen(64)
        os.replace(draft, EGRESS)  # that of a killed one
    finally:
        os.chdir(before)
    return listener


def serve(listener: socket.socket, routes: Routes) -> Callable[[], None]:
    """Serves in a thread until the function that it returns is called."""
    loop = asyncio.new_event_loop()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _connect(reader, writer, routes)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a caller that went away
        finally:
            writer.close()

    async def run() -> None:
        await asyncio.start_unix_server(answer, sock=listener)

    loop.run_until_complete(run())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def end() -> None:
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    def stop() -> None:
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(end(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        listener.close()

    return stop


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, routes: Routes) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode(errors="replace")
    method, address, *_ = head.split(" ", 2)
    host, _, port = address.rpartition(":")
    try:
        if method != "CONNECT" or not port.isdigit():
            raise Refused(f"{method} {address} is not a CONNECT")
        here = await asyncio.to_thread(routes.port, host.strip("[]"), int(port))
        inner, outer = await asyncio.open_connection("127.0.0.1", here)
    except Exception as error:  # whatever happens, the API server gets a reason for its own message
        writer.write(f"HTTP/1.1 502 {' '.join(str(error).split())}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        return
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        await asyncio.gather(_copy(reader, outer), _copy(inner, writer))
    finally:
        outer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(1 << 16):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
