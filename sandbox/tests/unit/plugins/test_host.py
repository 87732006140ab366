"""Shim and host end to end, over the shim's port by gRPC as the engine does."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, status_pb2

from sandbox.plugins import host
from sandbox.plugins.values import decode, encode
from sandbox.tests.unit.plugins.conftest import TOY_URN, Toy

Launch = Callable[[], tuple[subprocess.Popen[str], Any]]


def wait(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refusal(call: Callable[[], Any]) -> tuple[str, dict[str, bytes]]:
    """The text and the trailing metadata of a call that must fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    return error.details(), dict(error.trailing_metadata())


def create(stub: Any, preview: bool = False, **inputs: Any) -> Any:
    return stub.Create(provider_pb2.CreateRequest(urn=TOY_URN, properties=encode(inputs), preview=preview))


def test_a_shim_without_a_host_has_a_clear_error(sandbox_home: Path) -> None:
    host.write_shims(sandbox_home / "plugins")
    for package in ("aws", "gcp", "kubernetes"):
        done = subprocess.run([sandbox_home / "plugins" / f"pulumi-resource-{package}"], capture_output=True, text=True)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "the sandbox is not running: run `make up`\n")


def test_shims_are_written_once_and_for_every_package(sandbox_home: Path) -> None:
    folder = sandbox_home / "plug ins"
    host.write_shims(folder)
    packages = {*host.PACKAGES, host.DYNAMIC}
    assert {path.name for path in folder.iterdir()} == {f"pulumi-resource-{package}" for package in packages}
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    host.write_shims(folder)
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_installed_plugins_are_where_the_engine_looks(sandbox_home: Path) -> None:
    host.install_shims(sandbox_home / "pulumi")
    found = {path.parent.name for path in (sandbox_home / "pulumi" / "plugins").glob("*/pulumi-resource-*")}
    assert "resource-eks-v4.4.0" in found and len(found) == len(host.PACKAGES)


def test_a_socket_path_over_the_length_limit_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / ("x" * 100) / "sandbox"
    monkeypatch.setenv("GPUYARD_SANDBOX", str(home))
    with host.listen():
        host.write_shims(home / "plugins")
        shim = subprocess.Popen([home / "plugins" / "pulumi-resource-aws"], stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        assert shim.poll() is None, "it waits for the host's answer"
        shim.kill()
        shim.wait()


def test_the_shim_reports_a_provider_that_fails_to_load(served: Path) -> None:
    done = subprocess.run([served / "pulumi-resource-gcp"], capture_output=True, text=True)
    assert done.returncode == 1 and "no package gcp" in done.stderr and not done.stdout


def test_each_launch_is_a_separate_instance(launch: Launch, toys: list[Toy]) -> None:
    (_, one), (_, other) = launch(), launch()
    one.Configure(provider_pb2.ConfigureRequest(args=encode({"region": "us-east-1"})))
    other.Configure(provider_pb2.ConfigureRequest(args=encode({"region": "eu-west-1"})))
    request = provider_pb2.InvokeRequest(tok="aws:index/getRegion:getRegion", args=encode({"x": 1}))
    assert decode(getattr(one.Invoke(request), "return")) == {"name": "us-east-1", "x": 1}
    assert [toy.config["region"] for toy in toys] == ["us-east-1", "eu-west-1"]


def test_programs_in_yaml_find_the_schema_of_the_provider(launch: Launch) -> None:
    """They ask for it when they have an explicit provider."""
    _, stub = launch()
    found = json.loads(stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)
    assert (found["name"], found["version"]) == ("aws", "7.51.1")
    inputs = found["provider"]["inputProperties"]
    kinds = {"region": "string", "insecure": "boolean", "maxRetries": "integer"}
    assert {name: inputs[name].get("type") for name in (*kinds, "defaultTags")} == {**kinds, "defaultTags": None}


@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_instance_ends_with_its_shim(launch: Launch, toys: list[Toy], ended_by: signal.Signals) -> None:
    """Especially SIGINT: at the end of every command, the engine waits five seconds for a plugin that ignores it."""
    shim, stub = launch()
    os.kill(shim.pid, ended_by)
    shim.wait(timeout=2)
    wait(toys[0].cancelled.is_set)

    def refused() -> bool:
        try:
            stub.GetPluginInfo(empty_pb2.Empty(), timeout=1)
        except grpc.RpcError:
            return True
        return False

    wait(refused)


def test_handshake_and_plugin_info(launch: Launch) -> None:
    _, stub = launch()
    answer = stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
    assert not (answer.accept_secrets or answer.accept_resources or answer.accept_outputs)
    assert stub.GetPluginInfo(empty_pb2.Empty()).version == "7.51.1"
    assert stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1")) == empty_pb2.Empty()


def test_configuration_is_checked_decoded_and_compared(launch: Launch, toys: list[Toy]) -> None:
    _, stub = launch()
    props = {"region": "us-east-1", "defaultTags": '{"tags": {"a": "b"}}', "version": "7.51.1", "__internal": {}}
    answer = stub.CheckConfig(provider_pb2.CheckRequest(urn=TOY_URN, news=encode(props)))
    assert decode(answer.inputs) == props and not answer.failures
    answer = stub.CheckConfig(provider_pb2.CheckRequest(urn=TOY_URN, news=encode({"regio": "x"})))
    assert [(f.property, f.reason) for f in answer.failures] == [
        ("regio", "this property does not exist; did you mean region?")
    ]
    assert stub.Configure(provider_pb2.ConfigureRequest(args=encode(props))).supportsPreview
    assert toys[0].config == {"region": "us-east-1", "defaultTags": {"tags": {"a": "b"}}}
    diff = stub.DiffConfig(provider_pb2.DiffRequest(olds=encode(props), news=encode({**props, "region": "x"})))
    assert list(diff.diffs) == ["region"] and not diff.replaces
    text, _ = refusal(lambda: stub.Configure(provider_pb2.ConfigureRequest(args=encode({"region": "nowhere"}))))
    assert text == "InvalidRegion: there is no region nowhere"


def test_a_resource_is_created_read_updated_and_deleted(launch: Launch, toys: list[Toy]) -> None:
    _, stub = launch()
    checked = stub.Check(provider_pb2.CheckRequest(urn=TOY_URN, news=encode({"size": 1}), randomSeed=b"\x01\x02"))
    inputs = decode(checked.inputs)
    assert inputs == {"bucket": "thing-0102", "size": 1}
    refused = stub.Check(provider_pb2.CheckRequest(urn=TOY_URN, news=encode({"size": -1})))
    assert [(f.property, f.reason) for f in refused.failures] == [("size", "must be positive")]

    preview = create(stub, preview=True, **inputs)
    assert preview.id == "" and preview.properties.fields["arn"].string_value == "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    assert toys[0].objects == {}
    made = create(stub, **inputs)
    assert made.id == "id-1" and decode(made.properties) == {**inputs, "arn": "arn:x", "password": "hush"}
    assert made.properties["password"]["value"] == "hush", "a provider's own secret is marked as one"

    read = stub.Read(provider_pb2.ReadRequest(urn=TOY_URN, id="id-1", inputs=encode(inputs)))
    assert read.id == "id-1" and decode(read.inputs) == inputs
    assert stub.Read(provider_pb2.ReadRequest(urn=TOY_URN, id="gone")).id == ""

    updated = stub.Update(provider_pb2.UpdateRequest(urn=TOY_URN, id="id-1", news=encode({"size": 2})))
    assert decode(updated.properties) == {"size": 2, "arn": "arn:x"}
    stub.Delete(provider_pb2.DeleteRequest(urn=TOY_URN, id="id-1"))
    assert toys[0].objects == {}


def test_a_diff_has_the_kind_of_change_of_each_path(launch: Launch) -> None:
    _, stub = launch()
    olds = {"size": 1, "tags": {"a": "1", "b.c": "2"}, "list": ["x", "y"], "same": True}
    news = {"size": 2, "tags": {"a": "1", "new": "3"}, "list": ["x", "z"], "same": True}
    answer = stub.Diff(provider_pb2.DiffRequest(urn=TOY_URN, id="i", old_inputs=encode(olds), news=encode(news)))
    kinds = {path: provider_pb2.PropertyDiff.Kind.Name(d.kind) for path, d in answer.detailedDiff.items()}
    assert kinds == {"size": "UPDATE_REPLACE", "list[1]": "UPDATE", 'tags["b.c"]': "DELETE", "tags.new": "ADD"}
    assert answer.changes == provider_pb2.DiffResponse.DIFF_SOME and answer.hasDetailedDiff
    assert list(answer.replaces) == ["size"] and answer.deleteBeforeReplace
    assert set(answer.diffs) == {"size", "tags", "list"}
    answer = stub.Diff(provider_pb2.DiffRequest(urn=TOY_URN, id="i", old_inputs=encode(olds), news=encode(olds)))
    assert answer.changes == provider_pb2.DiffResponse.DIFF_NONE


def test_a_partly_created_object_is_an_initialization_error(launch: Launch) -> None:
    _, stub = launch()
    text, metadata = refusal(lambda: create(stub, fail="half"))
    assert text == "HalfMade: it exists"
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == "id-1" and list(detail.reasons) == ["HalfMade: it exists"]
    assert decode(detail.properties)["arn"] == "arn:x"


def test_a_defect_of_the_simulation_is_one_line(launch: Launch) -> None:
    _, stub = launch()
    text, _ = refusal(lambda: create(stub, fail="bug"))
    assert text.startswith("the simulated aws provider failed: KeyError: 'oops' (see ")


def test_messages_of_a_provider_reach_the_engine(launch: Launch) -> None:
    output: list[Any] = []

    class Engine(engine_pb2_grpc.EngineServicer):
        def Log(self, request: Any, context: Any) -> Any:
            output.append(request)
            return empty_pb2.Empty()

    server = grpc.server(futures.ThreadPoolExecutor(2))
    engine_pb2_grpc.add_EngineServicer_to_server(Engine(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    _, stub = launch()
    stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=f"127.0.0.1:{port}"))
    create(stub)
    server.stop(None)
    assert [(r.message, r.urn, r.severity, r.ephemeral) for r in output] == [
        ("creating a aws:s3/bucket:Bucket", TOY_URN, engine_pb2.WARNING, False)
    ]


def test_faults_apply_at_the_host(launch: Launch, toys: list[Toy], write_faults: Callable[..., Any]) -> None:
    _, stub = launch()
    write_faults({"match": "aws:s3/*::thing", "operation": "create", "error": "Throttling: slow down", "times": 1})
    create(stub, preview=True)
    assert refusal(lambda: create(stub))[0] == "Throttling: slow down" and toys[0].objects == {}
    assert create(stub).id == "id-1"
    write_faults({"match": "*", "phase": "after", "error": "lost", "partial": True})
    assert "grpc-status-details-bin" in refusal(lambda: create(stub))[1] and toys[0].objects


def test_a_function_that_does_not_exist_and_a_component_are_clear_errors(launch: Launch) -> None:
    _, stub = launch()
    assert refusal(lambda: stub.Invoke(provider_pb2.InvokeRequest(tok="aws:x:y")))[0] == "no function aws:x:y"
    chart = provider_pb2.ConstructRequest(type="kubernetes:helm.sh/v4:Chart")
    assert "which the sandbox does not simulate" in refusal(lambda: stub.Construct(chart))[0]


def test_a_probe_of_the_socket_has_no_effect(served: Path, launch: Launch, sandbox_home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(os.path.relpath(sandbox_home / "run" / host.SOCKET))
    launch()
