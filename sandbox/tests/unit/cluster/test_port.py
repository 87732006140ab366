"""The process that listens on a port."""

from __future__ import annotations

import os
import socket

from sandbox.cluster.port import holder, is_free


def test_a_listener_is_named_and_a_free_port_is_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        assert not is_free(port)
        assert holder(port).endswith(f"(pid {os.getpid()})")
    assert is_free(port)
    assert holder(port) == "another process"
