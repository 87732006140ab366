"""Restricts the providers' gRPC servers to programs of the same user.

The engine connects to a plugin at a port of 127.0.0.1 without any secret, and every user of the machine can connect to
that port. A provider acts with its owner's permissions: Helm reads files, dynamic resources run code. So each server
looks up the owner of the calling socket. On Linux this is in /proc/net/tcp; on other systems every call is accepted.
Does not cover the servers of Pulumi itself (the engine, the language host).
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

_PEER = re.compile(r"ipv(?:4:127\.0\.0\.1|6:(?:%5B|\[)::(?:1|ffff:127\.0\.0\.1)(?:%5D|\])):(?P<port>\d+)")
_TABLES = tuple(map(Path, ("/proc/net/tcp", "/proc/net/tcp6")))
_ESTABLISHED = "01"
LOOK_SECONDS = 1.0
"""Seconds between two checks of one connection. For this long, another user who takes over the port is accepted."""
_REFUSAL = "the sandbox's providers accept calls only from their own user"


class SameUser(grpc.ServerInterceptor):
    """Refuses calls (PERMISSION_DENIED) from sockets of other users, except root."""

    def __init__(self) -> None:
        self._known: dict[str, float] = {}

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        return self.guarded(continuation(handler_call_details))

    def guarded(self, handler: Any) -> Any:
        """Wraps the handler of a method in the check."""
        if handler is None or handler.unary_unary is None:
            return handler
        inner = handler.unary_unary

        def check(request: Any, context: Any) -> Any:
            if not self._allows(context.peer()):
                context.abort(grpc.StatusCode.PERMISSION_DENIED, _REFUSAL)
            return inner(request, context)

        async def check_later(request: Any, context: Any) -> Any:
            if not self._allows(context.peer()):
                await context.abort(grpc.StatusCode.PERMISSION_DENIED, _REFUSAL)
            return await inner(request, context)

        outer = check_later if inspect.iscoroutinefunction(inner) else check
        return grpc.unary_unary_rpc_method_handler(outer, handler.request_deserializer, handler.response_serializer)

    def _allows(self, peer: str) -> bool:
        """Whether `peer` (in gRPC's notation) is allowed. Checked again after a second, because another user can get
        the port of a connection that has ended."""
        now = time.monotonic()
        since = self._known.get(peer)
        if since is None or now - since >= LOOK_SECONDS:
            found = _PEER.fullmatch(peer)
            if not found or not owners(int(found["port"])) <= {os.getuid(), 0}:
                return False
            self._known = {each: at for each, at in self._known.items() if now - at < LOOK_SECONDS} | {peer: now}
        return True


class SameUserLater(SameUser, grpc.aio.ServerInterceptor):
    """The same for a server of `grpc.aio`."""

    async def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:  # type: ignore[override]
        return self.guarded(await continuation(handler_call_details))


def guard_pulumi() -> None:
    """Adds the check to the servers that Pulumi's SDK starts in this process."""
    grpc.server = functools.partial(grpc.server, interceptors=[SameUser()])
    grpc.aio.server = functools.partial(grpc.aio.server, interceptors=[SameUserLater()])


def owners(port: int) -> set[int]:
    """The users that have a connection from that loopback port; {-1} if there is none, so no caller waits for an
    answer, and {} if this cannot be determined (not Linux)."""
    lines = [line.split() for table in _TABLES if table.exists() for line in table.read_text().splitlines()[1:]]
    if not lines:
        return set()
    users = {
        int(uid)
        for _, local, _, state, _, _, _, uid, *_ in lines
        if state == _ESTABLISHED and int(local.rpartition(":")[2], 16) == port
    }
    return users or {-1}
