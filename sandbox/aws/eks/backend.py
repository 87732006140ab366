"""The state of the simulated EKS, and the errors of its operations."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from moto.core.base_backend import BaseBackend

Answer = dict[str, Any]
Operation = Callable[["Backend", dict[str, Any]], Answer]


class EksError(Exception):
    """An error in EKS's answer; the code determines the HTTP status."""

    _STATUS = {"ResourceNotFoundException": 404, "ResourceInUseException": 409, "ServerException": 500}

    def __init__(self, code: str, message: str, **details: str) -> None:
        super().__init__(message)
        self.code = code
        self.details = details

    @property
    def status(self) -> int:
        return self._STATUS.get(self.code, 400)


def invalid(message: str) -> EksError:
    return EksError("InvalidParameterException", message)


def not_found(message: str) -> EksError:
    return EksError("ResourceNotFoundException", message)


def in_use(message: str) -> EksError:
    return EksError("ResourceInUseException", message)


def now() -> float:
    return round(time.time(), 3)


class Backend(BaseBackend):
    """EKS in one region; wire.py adds the routes.

    `clusters` holds all state by cluster name, in the shapes of the API's answers:
    `{"cluster": …, "nodegroups": {…}, "addons": {…}, "entries": {…}, "associations": {…}, "updates": {…}}`."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.clusters: dict[str, dict[str, Any]] = {}

    @property
    def url_bases(self) -> list[str]:
        return [r"https?://eks\.(.+)\.amazonaws.com"]

    def other(self, service: str, region: str | None = None) -> Any:
        """The backend of another service in this account and region."""
        import moto.backends

        return moto.backends.get_backend(service)[self.account_id][region or self.region_name]  # type: ignore[call-overload]

    def arn(self, resource: str) -> str:
        return f"arn:{self.partition}:eks:{self.region_name}:{self.account_id}:{resource}"

    def find(self, name: str) -> dict[str, Any]:
        """All state of one cluster."""
        if name not in self.clusters:
            raise not_found(f"No cluster found for name: {name}.")
        return self.clusters[name]

    def active(self, name: str) -> dict[str, Any]:
        """All state of one cluster, which must be ACTIVE for the request."""
        found = self.find(name)
        if found["cluster"]["status"] != "ACTIVE":
            raise EksError("InvalidRequestException", f"Cluster '{name}' is not in ACTIVE status")
        return found
