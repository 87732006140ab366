"""The provider host: one process that serves every simulated provider to the Pulumi engine.

The engine starts a shim for each provider of the program (shim.py). The shim connects to this host over a unix socket,
and the host answers with the port of a new gRPC server for a new provider. When the shim exits, the server stops. One
process instead of one per provider means that a warm `pulumi up` does not import three SDKs half a dozen times.

The protocol is pulumirpc.ResourceProvider (pulumi's proto/pulumi/provider.proto). Does not provide schemas of
resources, component construction (the eks package runs in a separate process), parameterization or methods.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable
from concurrent import futures
from importlib.metadata import version
from pathlib import Path

import grpc
from pulumi.runtime.proto import (
    provider_pb2_grpc,
)

from sandbox import paths, process
from sandbox.named import load
from sandbox.plugins import real, servicer
from sandbox.plugins.peer import SameUser
from sandbox.plugins.provider import SimulatedProvider

PROVIDERS = {
    "aws": "sandbox.aws.provider:AwsProvider",
    "gcp": "sandbox.gcp.provider:GcpProvider",
    "kubernetes": "sandbox.plugins.kubernetes:KubernetesProvider",
}
PACKAGES = (*PROVIDERS, "eks")
DYNAMIC = "pulumi-python"
"""Pulumi's own plugin of dynamic resources. An installed Pulumi includes it; one that is built from source does not."""
SOCKET = "host.sock"

_log = logging.getLogger("gpuyard.plugins")


# -- the process ----------------------------------------------------------------------------------------------------


def make(package: str) -> SimulatedProvider:
    """A new provider of the package."""
    return load(PROVIDERS[package])()


def serve(listener: socket.socket, make: Callable[[str], SimulatedProvider] = make) -> None:
    """Answers shims until the socket closes."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve_shim, args=(connection, make), daemon=True).start()


def listen() -> socket.socket:
    """The host's unix socket.

    Call it before any thread starts: it changes the working directory for a moment, because the path of a unix socket
    has a limit of 107 bytes.
    """
    folder = paths.folder("run")
    before = os.getcwd()
    os.chdir(folder)
    try:
        draft = f"{SOCKET}.{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(draft)
        os.chmod(draft, 0o600)
        listener.listen(64)
        # Renamed once it listens, to replace the socket of a killed host.
        os.replace(draft, SOCKET)
    finally:
        os.chdir(before)
    return listener


def _serve_shim(connection: socket.socket, make: Callable[[str], SimulatedProvider]) -> None:
    with connection, connection.makefile("rw") as stream:
        line = stream.readline()
        if not line:
            return  # a probe that checks whether the host runs
        try:
            question = json.loads(line)
            provider = servicer.Provider(make(question["package"]), folder=Path(question.get("folder", "")))
        except Exception as error:
            _log.exception("no provider for %r", line)
            stream.write(json.dumps({"error": f"the provider host cannot serve {line.strip()}: {error}"}) + "\n")
            return
        # Threads start on demand; `--parallel` limits how many operations the engine runs at once.
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=128), [], [SameUser()], servicer.GRPC_OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            stream.write(json.dumps({"port": port}) + "\n")
            stream.flush()
            stream.read()
        except OSError:
            pass  # the shim was killed: the same as a closed connection
        finally:
            provider.cancel()
            server.stop(grace=10)


def write_shims(folder: Path) -> None:
    """Writes the executables `pulumi-resource-PACKAGE`, which the engine finds when the folder is on its PATH.

    The engine prints a warning for each plugin that it finds on the PATH; with `install_shims` it does not.
    """
    for package in (*PACKAGES, DYNAMIC):
        _write_shim(folder / f"pulumi-resource-{package}", package)


def install_shims(pulumi_home: Path) -> None:
    """Writes the same executables as installed plugins of that PULUMI_HOME, in the versions of the installed SDKs."""
    for package in PACKAGES:
        folder = pulumi_home / "plugins" / f"resource-{package}-v{version(f'pulumi-{package}')}"
        _write_shim(folder / f"pulumi-resource-{package}", package)


def _write_shim(path: Path, package: str) -> None:
    quote, python = shlex.quote, shlex.quote(sys.executable)
    if package in ("eks", DYNAMIC):
        environment = f"GPUYARD_SANDBOX={quote(str(paths.home()))} PYTHONPATH={quote(str(paths.ROOT))}"
        module = "sandbox.plugins.eks" if package == "eks" else "sandbox.plugins.dynamic"
        command = f'{environment} exec {python} -u -m {module} "$@"'
    elif package == "kubernetes" and (program := real.kubernetes()):
        command = f'exec {quote(str(program))} "$@"'
    else:
        script = quote(str(Path(__file__).with_name("shim.py")))
        command = f'exec {python} -S -E {script} {package} {quote(str(paths.home() / "run"))} "$@"'
    text = f"#!/bin/sh\n{command}\n"
    if path.is_file() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # Written to another name and renamed: an engine may start it at this moment.
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.replace(path)


def start() -> process.Process:
    """Starts the host, or returns the running one."""
    path = paths.folder("run") / SOCKET
    stale = path.stat().st_ino if path.exists() else None

    def ready() -> bool:
        return path.exists() and path.stat().st_ino != stale

    argv = [sys.executable, "-m", "sandbox.plugins.host"]
    return process.start("host", argv, ready=ready, timeout=60, what="the provider host", cwd=paths.ROOT)


def main() -> None:
    """The host process: serves until it gets SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # a full connection pool is normal here
    listener = listen()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _log.info("listening on %s", paths.home() / "run" / SOCKET)
    # Imported while the rest of the sandbox starts, so that the engine's first request does not wait for it.
    for package in PROVIDERS:
        threading.Thread(target=_warm, args=(package,), daemon=True).start()
    serve(listener)


def _warm(package: str) -> None:
    try:
        make(package)
    except Exception:
        _log.exception("the %s provider failed to load", package)


if __name__ == "__main__":
    main()
