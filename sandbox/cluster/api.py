"""A small client of the Kubernetes API on plain dicts, for the controllers of the sandbox and the demo.

The controllers list everything once a second, so they need plain JSON and little memory. The official client builds a
class instance for every field; code that needs it uses `ControlPlane.client()`.

Errors: `ApiError` for an answer that is not 2xx, OSError (ConnectionError) when the server cannot be reached.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server refused. `status` is the HTTP code, `reason` Kubernetes' word for it (NotFound, Conflict, …)."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message or reason or f"HTTP {status}")
        self.status = status
        self.reason = reason


class Api:
    """One API server, as the client whose certificate is given. Safe for several threads."""

    def __init__(self, endpoint: str, pki: Path, client: str = "admin", timeout: float = 10) -> None:
        self.endpoint = endpoint
        self._pool = urllib3.PoolManager(
            ca_certs=str(pki / "ca.crt"),
            cert_file=str(pki / f"{client}.crt"),
            key_file=str(pki / f"{client}.key"),
            timeout=timeout,
            maxsize=4,
            # Retried: connecting (the server may have closed an idle connection), and a request that the server
            # rejected with a Retry-After header, as it does while a new kind is set up. A request that the server
            # accepted is never repeated.
            retries=urllib3.Retry(
                connect=1, read=0, redirect=0, status=5, other=0, allowed_methods=None, raise_on_status=False
            ),
        )

    def request(
        self, method: str, path: str, body: Any = None, content: str = "application/json", **query: Any
    ) -> Object:
        """One call; `query` without None values. Returns the decoded answer ({} when it is no JSON object)."""
        wanted = {key: value for key, value in query.items() if value is not None}
        url = f"{self.endpoint}{path}" + (f"?{urlencode(wanted)}" if wanted else "")
        try:
            answer = self._pool.request(
                method,
                url,
                body=None if body is None else json.dumps(body),
                headers={"Accept": "application/json", "Content-Type": content},
            )
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(f"{self.endpoint} does not answer: {error}") from error
        try:
            found = answer.json()
        except ValueError:
            found = answer.data.decode(errors="replace")
        if answer.status >= 300:
            status = found if isinstance(found, dict) else {"message": str(found)}
            raise ApiError(answer.status, status.get("reason", ""), status.get("message", ""))
        return found if isinstance(found, dict) else {}

    def get(self, path: str) -> Object | None:
        """The object, or None if it does not exist."""
        try:
            return self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, path: str, **selectors: str) -> list[Object]:
        """All objects of a collection, each with its kind; selectors: labelSelector, fieldSelector."""
        answer = self.request("GET", path, **selectors)
        kind = answer.get("kind", "").removesuffix("List")
        return [{"kind": kind, **item} for item in answer.get("items") or ()]

    def watch(self, path: str, seconds: int = 300) -> Iterator[bytes]:
        """Yields a part of an event for each change in a collection until the timeout; the first ones are the existing
        objects."""
        query = urlencode({"watch": "true", "timeoutSeconds": seconds, "allowWatchBookmarks": "false"})
        try:
            answer = self._pool.request(
                "GET", f"{self.endpoint}{path}?{query}", preload_content=False, timeout=urllib3.Timeout(5, seconds + 30)
            )
            if answer.status >= 300:
                raise ApiError(answer.status, "", f"{path} cannot be watched")
            yield from answer.stream(1 << 16)
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(f"{self.endpoint} does not answer: {error}") from error

    def create(self, path: str, body: Object) -> Object | None:
        """Creates an object; returns None if an object of that name exists."""
        try:
            return self.request("POST", path, body)
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return None
            raise

    def patch(self, path: str, body: Object, content: str = MERGE) -> Object | None:
        """Patches an object; returns None if it does not exist."""
        try:
            return self.request("PATCH", path, body, content)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def delete(self, path: str, grace: int | None = None, propagation: str = "Background") -> None:
        """Deletes an object; does nothing if it does not exist. `grace` in seconds."""
        options: Object = {"propagationPolicy": propagation}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            self.request("DELETE", path, options)
        except ApiError as error:
            if error.status != 404:
                raise

    def ready(self) -> bool:
        """Whether the server reports that it is ready."""
        try:
            self.request("GET", "/readyz")
        except (ApiError, OSError):
            return False
        return True
