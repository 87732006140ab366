"""A data source that fails, for the recorder's `outputs`."""

from __future__ import annotations

import grpc


class Refused(grpc.RpcError):
    """What the engine answers when a data source fails."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return str(self)
