"""The providers' ports on loopback accept calls only from their own user (security case C1, related)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from sandbox.plugins import peer

ROOT = Path(__file__).parents[4]
CALL = """
import os, sys, grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2_grpc
if sys.argv[2] == "other":
    os.seteuid(65534)  # a socket belongs to the user that opens it
stub = provider_pb2_grpc.ResourceProviderStub(grpc.insecure_channel(f"127.0.0.1:{sys.argv[1]}"))
try:
    print("VERSION", stub.GetPluginInfo(empty_pb2.Empty(), timeout=20).version)
except grpc.RpcError as error:
    print(error.code().name, error.details())
"""

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the owner of a connection is known on Linux only"
)


def call(port: int, who: str) -> str:
    done = subprocess.run([sys.executable, "-c", CALL, str(port), who], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_owner_of_a_connection_is_found() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert peer.owners(client.getsockname()[1]) == {os.getuid()}
        free = client.getsockname()[1]
    assert peer.owners(free) == {-1}


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
def test_another_user_of_the_machine_is_refused_by_the_host(served: Path) -> None:
    shim = subprocess.Popen([served / "pulumi-resource-aws", "127.0.0.1:1"], stdout=subprocess.PIPE, text=True)
    try:
        assert shim.stdout
        port = int(shim.stdout.readline())
        assert call(port, "same").startswith("VERSION")
        assert call(port, "other").startswith("PERMISSION_DENIED the sandbox's providers accept calls only")
    finally:
        shim.kill()
        shim.communicate()


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user")
@pytest.mark.parametrize("module", ["eks", "dynamic"])
def test_another_user_is_refused_by_servers_of_pulumis_sdk(module: str) -> None:
    argv = [sys.executable, "-u", "-m", f"sandbox.plugins.{module}", "127.0.0.1:1"]
    plugin = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert plugin.stdout
        port = int(plugin.stdout.readline())
        assert call(port, "same").startswith("VERSION")
        assert call(port, "other").startswith("PERMISSION_DENIED")
    finally:
        plugin.kill()
        plugin.communicate()


def test_a_call_whose_sender_cannot_be_found_is_refused() -> None:
    guard = peer.SameUser()
    output: list[grpc.StatusCode] = []

    class Context:
        def peer(self) -> str:
            return "unix:/tmp/x"

        def abort(self, code: grpc.StatusCode, words: str) -> None:
            output.append(code)
            raise InterruptedError

    handler = guard.guarded(grpc.unary_unary_rpc_method_handler(lambda request, context: "done"))
    with pytest.raises(InterruptedError):
        handler.unary_unary(None, Context())
    assert output == [grpc.StatusCode.PERMISSION_DENIED]


def test_a_port_is_checked_again_once_another_user_may_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    guard = peer.SameUser()
    user, looks = [os.getuid()], []
    monkeypatch.setattr(peer, "owners", lambda port: looks.append(port) or {user[0]})
    assert guard._allows("ipv4:127.0.0.1:4000") and guard._allows("ipv4:127.0.0.1:4000")
    assert looks == [4000]
    user[0] = 65534
    monkeypatch.setattr(peer, "LOOK_SECONDS", 0)
    assert not guard._allows("ipv4:127.0.0.1:4000")
