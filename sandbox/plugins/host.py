"""The provider host: one process that serves every simulated provider to the Pulumi engine.

The engine launches a shim per provider of the program (shim.py); the shim connects here over a unix socket, and the
host answers with the port of a fresh gRPC server around a fresh provider. When the shim goes, so does the server. One
process instead of one per provider keeps a warm `pulumi up` from importing three SDKs half a dozen times.

The protocol is pulumirpc.ResourceProvider (pulumi's proto/pulumi/provider.proto). Not offered: schemas, component
construction (the eks package runs in a process of its own), parameterisation, methods.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

from sandbox import paths, process
from sandbox.errors import ReportedError
from sandbox.named import load
from sandbox.plugins import journal, log, real, values
from sandbox.plugins.faults import Faults, Operation
from sandbox.plugins.peer import SameUser
from sandbox.plugins.provider import CheckFailure, Diff, ProviderError, SimulatedProvider
from sandbox.plugins.schema import Schema

PROVIDERS = {
    "aws": "sandbox.aws.provider:AwsProvider",
    "gcp": "sandbox.gcp.provider:GcpProvider",
    "kubernetes": "sandbox.plugins.kubernetes:KubernetesProvider",
}
PACKAGES = (*PROVIDERS, "eks")
DYNAMIC = "pulumi-python"
"""The plugin of dynamic resources. Pulumi's own: it comes with an installed Pulumi, but with none that is built."""
SOCKET = "host.sock"

_MESSAGE_BYTES = 400 * 1024 * 1024  # the engine's own limit
_OPTIONS = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]
_log = logging.getLogger("gpuyard.plugins")
_faults = Faults()
_schema = functools.cache(Schema)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One instance of a simulated provider behind the engine's protocol."""

    def __init__(self, provider: SimulatedProvider, faults: Faults = _faults, folder: Path = Path()) -> None:
        self.provider = provider
        self.faults = faults
        self.folder = folder
        self.cancelled = threading.Event()
        self._engine: engine_pb2_grpc.EngineStub | None = None

    # -- the provider itself ----------------------------------------------------------------------------------------

    def Handshake(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._attach(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._attach(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return plugin_pb2.PluginInfo(version=self.provider.version)

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            _, failures = self._config(request.news)
            return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(failures))

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            olds, _ = self._config(request.old_inputs if request.HasField("old_inputs") else request.olds)
            news, _ = self._config(request.news)
            return _diff_response(self.provider.diff_config(olds, news), olds, news)

    def Configure(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            config, _ = self._config(request.args)
            self.provider.configure(config)
            return provider_pb2.ConfigureResponse(supportsPreview=True)

    def _config(self, struct: Any) -> tuple[dict[str, Any], list[CheckFailure]]:
        return _schema(self.provider.package).provider_config(values.decode(struct))

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.cancel()
        return empty_pb2.Empty()

    def cancel(self) -> None:
        """Makes every operation under way return soon."""
        self.cancelled.set()
        self.provider.cancel()

    # -- resources --------------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            olds, news = values.decode(request.olds), values.decode(request.news)
            inputs, failures = self.provider.check(_type(request.urn), request.urn, olds, news, request.randomSeed)
            return provider_pb2.CheckResponse(inputs=values.encode(inputs), failures=_failures(failures))

    def Diff(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            old_inputs, olds, news = map(values.decode, (request.old_inputs, request.olds, request.news))
            diff = self.provider.diff(_type(request.urn), request.urn, request.id, old_inputs, olds, news)
            return _diff_response(diff, old_inputs, news)

    def Create(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            inputs = values.decode(request.properties)
            with self._faulty("create", request.urn, request.preview) as made:
                id, outputs = self.provider.create(
                    _type(request.urn), request.urn, inputs, request.preview, request.timeout
                )
                if not request.preview:
                    journal.note(request.urn, id)
                made(id, outputs)
            return provider_pb2.CreateResponse(id=id, properties=values.encode(outputs))

    def Read(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            inputs, state = values.decode(request.inputs), values.decode(request.properties)
            with self._faulty("read", request.urn, False):
                found = self.provider.read(_type(request.urn), request.urn, request.id, inputs, state)
            if found is None:
                return provider_pb2.ReadResponse(id="")
            id, inputs, outputs = found
            return provider_pb2.ReadResponse(id=id, inputs=values.encode(inputs), properties=values.encode(outputs))

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            old_inputs, olds, news = map(values.decode, (request.old_inputs, request.olds, request.news))
            with self._faulty("update", request.urn, request.preview) as made:
                outputs = self.provider.update(
                    _type(request.urn),
                    request.urn,
                    request.id,
                    old_inputs,
                    olds,
                    news,
                    request.preview,
                    request.timeout,
                )
                made(request.id, outputs)
            return provider_pb2.UpdateResponse(properties=values.encode(outputs))

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation(request.urn, context):
            inputs, outputs = values.decode(request.old_inputs), values.decode(request.properties)
            with self._faulty("delete", request.urn, False):
                self.provider.delete(_type(request.urn), request.urn, request.id, inputs, outputs, request.timeout)
            return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        with self._operation("", context):
            result = self.provider.invoke(request.tok, values.decode(request.args))
            response = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(values.encode(result))  # a keyword of Python's
            return response

    def Construct(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            f"{request.type} is a component inside the real provider, which the sandbox does not simulate",
        )

    # -- around every call ------------------------------------------------------------------------------------------

    def _attach(self, address: str) -> None:
        if address:
            self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, options=_OPTIONS))

    @contextmanager
    def _operation(self, urn: str, context: grpc.ServicerContext) -> Iterator[None]:
        """Turns exceptions into what the engine understands, and lets the provider talk to the user."""
        values.working_directory.set(self.folder)
        try:
            with log.scope(lambda level, text, passing: self._say(urn, level, text, passing)):
                yield
        except ProviderError as error:
            if error.partial is not None:
                journal.note(urn, error.partial[0])
            _abort(context, error)
        except ReportedError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as error:
            _log.exception("%s", urn)
            # A defect of the simulation, not the user's: still one line, with the place where the rest stands.
            where = paths.home() / "run" / "host.log"
            text = (
                f"the simulated {self.provider.package} provider broke: {type(error).__name__}: {error} (see {where})"
            )
            context.abort(grpc.StatusCode.INTERNAL, text)

    @contextmanager
    def _faulty(self, operation: Operation, urn: str, preview: bool) -> Iterator[Callable[[str, dict[str, Any]], None]]:
        made: list[tuple[str, dict[str, Any]]] = []
        if not preview:
            self.faults.before(operation, urn, self.cancelled)
        yield lambda id, outputs: made.append((id, outputs))
        if not preview:
            self.faults.after(operation, urn, self.cancelled, made[0] if made else None)

    def _say(self, urn: str, level: int, text: str, passing: bool) -> None:
        if self._engine is None:
            _log.log(level, "%s %s", urn, text)
            return
        severity = engine_pb2.WARNING if level >= logging.WARNING else engine_pb2.INFO
        try:
            self._engine.Log(engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=passing))
        except grpc.RpcError as error:
            _log.warning("could not tell the engine %r: %s", text, error)


def _type(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _failures(failures: list[CheckFailure]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in failures]


def _diff_response(diff: Diff, olds: Mapping[str, Any], news: Mapping[str, Any]) -> Any:
    paths_ = list(dict.fromkeys([*diff.changes, *diff.replaces]))
    if not paths_:
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
    detail = {}
    for path in paths_:
        before, after = values.lookup(olds, path)[0], values.lookup(news, path)[0]
        kind = "UPDATE" if before == after else "ADD" if after else "DELETE"
        if path in diff.replaces:
            kind += "_REPLACE"
        detail[path] = provider_pb2.PropertyDiff(kind=getattr(provider_pb2.PropertyDiff, kind), inputDiff=True)
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME,
        diffs=list(dict.fromkeys(str(values.parts(path)[0]) for path in paths_)),
        replaces=diff.replaces,
        deleteBeforeReplace=diff.delete_before_replace,
        detailedDiff=detail,
        hasDetailedDiff=True,
    )


def _abort(context: grpc.ServicerContext, error: ProviderError) -> None:
    if error.partial is not None:
        # With this detail the engine keeps the object in its state, marked as not initialised.
        id, outputs = error.partial
        detail = provider_pb2.ErrorResourceInitFailed(id=id, properties=values.encode(outputs), reasons=[str(error)])
        packed = any_pb2.Any()
        packed.Pack(detail)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))


# -- the process ----------------------------------------------------------------------------------------------------


def make(package: str) -> SimulatedProvider:
    """A fresh provider of the package."""
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
    """The host's unix socket. Call it before any thread starts: it changes the working directory for a moment,
    because the path of a unix socket may have 107 bytes only."""
    folder = paths.folder("run")
    before = os.getcwd()
    os.chdir(folder)
    try:
        draft = f"{SOCKET}.{os.getpid()}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(draft)
        os.chmod(draft, 0o600)
        listener.listen(64)
        # Renamed when it answers, in the place of one that a killed host left behind.
        os.replace(draft, SOCKET)
    finally:
        os.chdir(before)
    return listener


def _serve_shim(connection: socket.socket, make: Callable[[str], SimulatedProvider]) -> None:
    with connection, connection.makefile("rw") as stream:
        line = stream.readline()
        if not line:
            return  # somebody asks whether the host is there
        try:
            question = json.loads(line)
            servicer = Provider(make(question["package"]), folder=Path(question.get("folder", "")))
        except Exception as error:
            _log.exception("no provider for %r", line)
            stream.write(json.dumps({"error": f"the provider host cannot serve {line.strip()}: {error}"}) + "\n")
            return
        # Threads start on demand; the engine runs as many operations at once as `--parallel` says.
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=128), [], [SameUser()], _OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            stream.write(json.dumps({"port": port}) + "\n")
            stream.flush()
            stream.read()
        except OSError:
            pass  # the shim was killed: the same as closing
        finally:
            servicer.cancel()
            server.stop(grace=10)


def write_shims(folder: Path) -> None:
    """Writes the executables `pulumi-resource-PACKAGE`, which the engine finds when the folder is on its PATH.

    The engine prints a warning for each plugin that it takes from the PATH; with `install_shims` it does not.
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
    # Written aside and renamed: an engine may launch it at this moment.
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.replace(path)


def start() -> process.Process:
    """Starts the host, or returns the one that runs."""
    path = paths.folder("run") / SOCKET
    stale = path.stat().st_ino if path.exists() else None

    def ready() -> bool:
        return path.exists() and path.stat().st_ino != stale

    argv = [sys.executable, "-m", "sandbox.plugins.host"]
    return process.start("host", argv, ready=ready, timeout=60, what="the provider host", cwd=paths.ROOT)


def main() -> None:
    """The host process: serves until it gets SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # more connections than it keeps are no news
    listener = listen()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _log.info("listening on %s", paths.home() / "run" / SOCKET)
    # Imported while the rest of the sandbox starts, so that the engine's first question does not wait for it.
    for package in PROVIDERS:
        threading.Thread(target=_warm, args=(package,), daemon=True).start()
    serve(listener)


def _warm(package: str) -> None:
    try:
        make(package)
    except Exception:
        _log.exception("the %s provider does not load", package)


if __name__ == "__main__":
    main()
