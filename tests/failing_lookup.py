"""A lookup that fails, for the recorder's `outputs`."""

from __future__ import annotations

import grpc


class LookupFailed(grpc.RpcError):
    """The engine's error for a failed lookup."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return str(self)
