"""A recording engine for tests: it runs a program or a component in this process and keeps everything that is
registered.

    recording = run(lambda: AwsNetwork("net", {...}))
    pool = recording.one("aws:eks/nodeGroup:NodeGroup")
    assert pool.inputs["scalingConfig"]["minSize"] == 0

Every input is checked against the SDK's types (`sandbox.plugins.schema`), so that a misspelled property fails. The
sandbox's eks plugin constructs the remote component `eks.Cluster` here, so its children are recorded too. Outputs are
plausible, not simulated (`outputs.py`); a test that needs others passes `outputs={token: {...}}`.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pulumi
from google.protobuf import empty_pb2, struct_pb2
from pulumi.provider.server import ProviderServicer, _create_provider_resource
from pulumi.resource import DependencyResource
from pulumi.runtime import mocks, rpc, settings
from pulumi.runtime import resource as registration
from pulumi.runtime.config import set_all_config
from pulumi.runtime.proto import provider_pb2, resource_pb2, source_pb2
from pulumi.runtime.stack import run_in_stack, wait_for_rpcs

from components.charts import rendered
from sandbox.plugins import values
from sandbox.plugins.eks import EksProvider
from sandbox.plugins.provider import UNKNOWN
from sandbox.plugins.schema import Schema

from . import charts
from . import outputs as plausible
from .recording import STACK, Invoke, Recording, Resource

Outputs = Mapping[str, Any]
"""Token → outputs (or what an invoke returns), as a dict or as a function of the inputs."""

# The lines of the program that register a resource: nothing here reads them, and they cost a fifth of a recording.
registration._get_stack_trace = source_pb2.StackTrace

_SCHEMAS = {package: Schema(package) for package in ("aws", "gcp", "kubernetes", "eks")}


def run(
    program: Callable[[], Any],
    *,
    outputs: Outputs | None = None,
    config: Mapping[str, str] | None = None,
    secret_keys: Collection[str] = (),
    project: str = "gpuyard",
    stack: str = "test",
    preview: bool = False,
) -> Recording:
    """Runs `program` as the program of a stack and returns what it registered. `secret_keys`: the keys of `config`
    whose values are encrypted in the stack's file.

    Raises:
        AssertionError: an input is unknown to the SDK, missing, or of the wrong type.
        Exception: any exception of the program.
    """
    monitor = RecordingMonitor(outputs or {}, preview)

    def isolated() -> None:
        _configure(monitor, project, stack, preview)
        settings.ROOT.set(None)
        set_all_config(dict(config or {}), list(secret_keys))

        def body() -> Awaitable[None] | None:
            result = program()
            return result if isinstance(result, Awaitable) else None

        _finish(run_in_stack(body))

    # A separate context, so that a run leaves nothing for the next one, Pulumi's global settings included.
    with rendered.using(rendered.renderer(charts.objects)):
        contextvars.copy_context().run(isolated)
    recording = monitor.recording
    if recording.failures:
        raise AssertionError("refused inputs:\n  " + "\n  ".join(recording.failures))
    return recording


def _finish(work: Coroutine[Any, Any, Any]) -> Any:
    """asyncio.run without its messages: after a failure, every output that waited for it would print a traceback."""
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)
    loop.set_default_executor(_AtOnce())
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(work)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


class _AtOnce(ThreadPoolExecutor):
    """Answers each call of the engine's protocol in the caller's thread: nothing here waits, and threads cost more."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except BaseException as error:
            done.set_exception(error)
        return done


def _configure(monitor: RecordingMonitor, project: str, stack: str, preview: bool) -> None:
    settings.configure(
        mocks.MockSettings(
            monitor=monitor,
            monitor_features=set(monitor.GetDeploymentInfo(empty_pb2.Empty()).supportedFeatures),
            engine=mocks.MockEngine(None),
            project=project,
            stack=stack,
            organization="organization",
            dry_run=preview,
            callbacks=None,
            outputs=set(),
            lock=threading.Lock(),
        )
    )


class RecordingMonitor(mocks.MockMonitor):
    """The engine's side of the protocol. Calls come from worker threads."""

    def __init__(self, outputs: Outputs, preview: bool) -> None:
        self.recording = Recording()
        self.recorded_outputs = outputs
        self.preview = preview
        self._lock = threading.Lock()
        self._states: dict[str, tuple[str, struct_pb2.Struct]] = {}
        self._stack_transforms: list[Any] = []

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """The URN as the engine builds it, with the types of all parents except the stack (Pulumi's mock has one)."""
        above = parent.split("::")[2] if parent else STACK
        qualified = type_ if above == STACK else f"{above}${type_}"
        return f"urn:pulumi:{settings.get_stack()}::{settings.get_project()}::{qualified}::{name}"

    # -- protocol ---------------------------------------------------------------------------------------------------

    def GetDeploymentInfo(self, request: Any) -> Any:
        info = mocks.MockMonitor.GetDeploymentInfo(self, request)
        # As with the real engine, remote components get their inputs as outputs with dependencies.
        info.supportedFeatures.append(resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES)
        return info

    def RegisterStackTransform(self, request: Any) -> Any:
        self._stack_transforms += mocks._resolve_callbacks([request])
        return empty_pb2.Empty()

    def _transform(self, request: Any) -> None:
        """Applies the stack's transforms. They apply to every resource, including those of remote components."""
        for transform in self._stack_transforms:
            opts = pulumi.ResourceOptions(ignore_changes=list(request.ignoreChanges))
            args = pulumi.ResourceTransformArgs(
                request.custom, request.type, request.name, values.decode(request.object), opts
            )
            if (result := transform(args)) is not None:
                request.object.CopyFrom(values.encode(result.props))
                request.ignoreChanges[:] = result.opts.ignore_changes or []

    def RegisterResource(self, request: Any) -> Any:
        self._transform(request)
        urn = self.make_urn(request.parent, request.type, request.name)
        if request.type == STACK:
            return resource_pb2.RegisterResourceResponse(urn=urn)
        inputs = values.decode(request.object)
        if request.remote:
            return self._construct(request)
        self._check(request.type, request.custom, f"{request.type}::{request.name}", inputs)
        outputs = self._outputs(request.type, request.name, inputs) if request.custom else {}
        id = str(outputs.pop("id", "")) if request.custom else ""
        state = struct_pb2.Struct()
        # As in the engine, a secret input is a secret output.
        state.CopyFrom(request.object)
        for key, value in values.encode(outputs).fields.items():
            state.fields[key].CopyFrom(value)
        self._mark_secret(state, request.additionalSecretOutputs)
        self._keep(request, urn, "" if self.preview else id, inputs, state)
        return resource_pb2.RegisterResourceResponse(urn=urn, id="" if self.preview else id, object=state)

    def ReadResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        inputs = values.decode(request.properties)
        outputs = self._outputs(request.type, request.name, inputs)
        outputs.pop("id", None)
        state = values.encode({**inputs, **outputs})
        with self._lock:
            self._states[urn] = (request.id, state)
        return resource_pb2.ReadResourceResponse(urn=urn, properties=state)

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if f"::{STACK}::" in request.urn:
            self.recording.exports = values.decode(request.outputs)
            self.recording.secret_exports = _secrets(request.outputs)
        elif request.urn in self.recording.resources:
            self.recording.resources[request.urn].outputs.update(values.decode(request.outputs))
        return empty_pb2.Empty()

    def Invoke(self, request: Any) -> Any:
        args = values.decode(request.args)
        if request.tok == "pulumi:pulumi:getResource":
            id, state = self._states[args["urn"]]
            found = values.encode({"urn": args["urn"], "id": id})
            found.fields["state"].struct_value.CopyFrom(state)
            return _returned(found)
        if request.tok.startswith("pulumi:pulumi:"):
            # A request for the engine's state, which is empty unless a test provides it.
            return _returned(values.encode(self._given(request.tok, args)))
        self._check(request.tok, True, request.tok, args)
        with self._lock:
            self.recording.invokes.append(Invoke(request.tok, args, _provider_urn(request.provider)))
        result = self._given(request.tok, args) or plausible.invoke(request.tok, args)
        return _returned(values.encode(result))

    # -- parts ------------------------------------------------------------------------------------------------------

    def _check(self, token: str, checked: bool, label: str, inputs: dict[str, Any]) -> None:
        package = token.rpartition(":")[2] if token.startswith("pulumi:providers:") else token.split(":")[0]
        if not checked or package not in _SCHEMAS:
            return
        schema = _SCHEMAS[package]
        if token.startswith("pulumi:providers:"):
            found = schema.provider_config(inputs)[1]
        else:
            found = schema.check_inputs(token, inputs)
        with self._lock:
            self.recording.failures += [f"{label} {failure.property}: {failure.reason}" for failure in found]

    def _given(self, token: str, inputs: dict[str, Any]) -> dict[str, Any]:
        given: Any = self.recorded_outputs.get(token, {})
        if callable(given):
            given = given(inputs)
        return {**given}

    def _outputs(self, token: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        computed = {**plausible.resource(token, name, inputs), **self._given(token, inputs)}
        # Outputs that equal an input are omitted: the input itself may be marked as secret.
        new = {key: value for key, value in computed.items() if value != inputs.get(key)}
        return {key: _as_previewed(value, inputs.get(key)) for key, value in new.items()} if self.preview else new

    @staticmethod
    def _mark_secret(state: struct_pb2.Struct, keys: Any) -> None:
        for key in keys:
            if key in state.fields and key not in _secrets(state):
                state.MergeFrom(values.encode({key: values.Secret(values.decode(state)[key])}))

    def _keep(self, request: Any, urn: str, id: str, inputs: dict[str, Any], state: struct_pb2.Struct) -> None:
        options: dict[str, Any] = {}
        for field, value in request.ListFields():
            if field.name in _OPTIONS:
                options[field.name] = list(value) if field.label == field.LABEL_REPEATED else value
        resource = Resource(
            urn=urn,
            type=request.type,
            name=request.name,
            parent=request.parent,
            id=id,
            custom=request.custom,
            inputs=inputs,
            outputs=values.decode(state),
            secrets=_secrets(request.object),
            provider=_provider_urn(request.provider),
            dependencies=frozenset(request.dependencies),
            depends_by_property={k: frozenset(v.urns) for k, v in request.propertyDependencies.items()},
            options=options,
        )
        with self._lock:
            if urn in self._states:
                self.recording.failures.append(f"{resource}: registered twice under one URN")
            self.recording.resources[urn] = resource
            self._states[urn] = (id, state)

    def _construct(self, request: Any) -> Any:
        """Acts as the engine and as the plugin of a remote component, which registers its children here."""

        async def construct() -> Any:
            project, stack = settings.get_project(), settings.get_stack()
            _configure(self, project, stack, self.preview)
            dependencies = {
                key: provider_pb2.ConstructRequest.PropertyDependencies(urns=list(deps.urns))
                for key, deps in request.propertyDependencies.items()
            }
            options = pulumi.ResourceOptions(
                parent=DependencyResource(request.parent) if request.parent else None,
                providers={package: _create_provider_resource(ref) for package, ref in request.providers.items()},
                depends_on=[DependencyResource(urn) for urn in request.dependencies],
                protect=request.protect,
            )
            inputs = await ProviderServicer._construct_inputs(request.object, dependencies)
            made = EksProvider().construct(request.name, request.type, inputs, options)
            property_deps: dict[str, list[pulumi.Resource]] = {}
            state = await rpc.serialize_properties(made.state, property_deps)
            urn = await pulumi.Output.from_input(made.urn).future()
            deps = {
                key: [await resource.urn.future() for resource in resources] for key, resources in property_deps.items()
            }
            await wait_for_rpcs()
            response = resource_pb2.RegisterResourceResponse(urn=urn or "", object=state)
            for key, urns in deps.items():
                response.propertyDependencies[key].urns.extend(urn for urn in urns if urn)
            return response

        with ThreadPoolExecutor(1) as apart:  # one thread has one running loop
            return apart.submit(contextvars.copy_context().run, _finish, construct()).result()


_OPTIONS = {
    "protect",
    "aliases",
    "aliasURNs",
    "ignoreChanges",
    "replaceOnChanges",
    "deleteBeforeReplace",
    "retainOnDelete",
    "deletedWith",
    "customTimeouts",
    "additionalSecretOutputs",
    "importId",
    "version",
}


def _returned(struct: struct_pb2.Struct) -> Any:
    # `return` is a keyword in Python, so a dict has to pass the field.
    fields: Any = {"return": struct}
    return resource_pb2.ResourceInvokeResponse(**fields)


def _as_previewed(value: Any, given: Any) -> Any:
    """An output before the resource exists: values from the program, and `UNKNOWN` for those that the cloud sets."""
    if isinstance(value, dict) and isinstance(given, dict):
        return {key: _as_previewed(item, given.get(key)) for key, item in value.items()}
    return UNKNOWN if given is None else given


def _provider_urn(reference: str) -> str:
    return reference.rpartition("::")[0]


def _secrets(struct: struct_pb2.Struct) -> frozenset[str]:
    """The top-level properties that contain a secret at any depth."""

    def secret(value: struct_pb2.Value) -> bool:
        if value.HasField("list_value"):
            return any(secret(item) for item in value.list_value.values)
        fields = value.struct_value.fields
        if rpc._special_sig_key in fields and fields[rpc._special_sig_key].string_value == rpc._special_secret_sig:
            return True
        if "secret" in fields and fields["secret"].bool_value and rpc._special_sig_key in fields:
            return True
        return any(secret(item) for item in fields.values())

    return frozenset(key for key, value in struct.fields.items() if secret(value))
