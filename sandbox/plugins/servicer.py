"""Serves a simulated provider over the engine's gRPC protocol."""

from __future__ import annotations

import functools
import json
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
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

from sandbox import paths
from sandbox.errors import ReportedError
from sandbox.plugins import journal, log, values
from sandbox.plugins.faults import Faults, Operation
from sandbox.plugins.provider import CheckFailure, Diff, ProviderError, SimulatedProvider
from sandbox.plugins.schema import Schema

_MESSAGE_BYTES = 400 * 1024 * 1024  # the engine's own limit


GRPC_OPTIONS = [("grpc.max_receive_message_length", _MESSAGE_BYTES), ("grpc.max_send_message_length", _MESSAGE_BYTES)]


_log = logging.getLogger("gpuyard.plugins")
_faults = Faults()


_schema = functools.cache(Schema)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One instance of a simulated provider, served over the engine's protocol."""

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

    def GetSchema(self, request: Any, context: grpc.ServicerContext) -> Any:
        """The provider itself and nothing else, which is enough for programs in YAML that have an explicit provider."""
        return provider_pb2.GetSchemaResponse(schema=json.dumps(_schema(self.provider.package).of_provider()))

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
        """Makes every running operation return soon."""
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
            getattr(response, "return").CopyFrom(values.encode(result))  # a Python keyword
            return response

    def Construct(self, request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(
            grpc.StatusCode.UNIMPLEMENTED,
            f"{request.type} is a component inside the real provider, which the sandbox does not simulate",
        )

    # -- around every call ------------------------------------------------------------------------------------------

    def _attach(self, address: str) -> None:
        if address:
            self._engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address, options=GRPC_OPTIONS))

    @contextmanager
    def _operation(self, urn: str, context: grpc.ServicerContext) -> Iterator[None]:
        """Converts exceptions to gRPC errors for the engine, and connects the provider's log to the resource."""
        values.working_directory.set(self.folder)
        try:
            with log.scope(lambda level, text, passing: self._send(urn, level, text, passing)):
                yield
        except ProviderError as error:
            if error.partial is not None:
                journal.note(urn, error.partial[0])
            _abort(context, error)
        except ReportedError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as error:
            _log.exception("%s", urn)
            # A defect of the simulation, not of the user's program: still one line, with the path of the log.
            where = paths.home() / "run" / "host.log"
            text = (
                f"the simulated {self.provider.package} provider failed: {type(error).__name__}: {error} (see {where})"
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

    def _send(self, urn: str, level: int, text: str, passing: bool) -> None:
        if self._engine is None:
            _log.log(level, "%s %s", urn, text)
            return
        severity = engine_pb2.WARNING if level >= logging.WARNING else engine_pb2.INFO
        try:
            self._engine.Log(engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=passing))
        except grpc.RpcError as error:
            _log.warning("could not send %r to the engine: %s", text, error)


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
        # With this detail the engine keeps the object in its state, marked as not initialized.
        id, outputs = error.partial
        detail = provider_pb2.ErrorResourceInitFailed(id=id, properties=values.encode(outputs), reasons=[str(error)])
        packed = any_pb2.Any()
        packed.Pack(detail)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[packed])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))
