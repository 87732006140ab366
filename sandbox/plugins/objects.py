"""Kubernetes objects of any kind on one cluster: discovery, server-side apply, dry runs, deletion.

Does not decide what to apply or what to wait for (kubernetes.py, readiness.py). Errors: ApiError as the server returned
it, `NoSuchKind` for a kind that the server does not serve (a missing CRD).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sandbox.cluster.api import Api, ApiError

Object = dict[str, Any]
APPLY = "application/apply-patch+yaml"


class NoSuchKind(Exception):
    """The API server does not have this apiVersion and kind."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f'no matches for kind "{kind}" in version "{api_version}"')


@dataclass(frozen=True)
class Kind:
    """How the server serves a kind."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The URL path of the collection, or of one object."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{quote(namespace or 'default')}" if self.namespaced else ""
        return f"{root}{scope}/{self.plural}" + (f"/{quote(name, safe='')}" if name else "")


class Objects:
    """The objects of one cluster. Thread-safe."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._kinds: dict[str, dict[str, Kind]] = {}
        self._lock = threading.Lock()

    def kind(self, api_version: str, kind: str) -> Kind:
        """Looks up the kind. Asks the server again before it raises NoSuchKind."""
        for fresh in (False, True):
            with self._lock:
                known = None if fresh else self._kinds.get(api_version)
            if known is None:
                known = self._discover(api_version)
                with self._lock:
                    self._kinds[api_version] = known
            if kind in known:
                return known[kind]
        raise NoSuchKind(api_version, kind)

    def get(self, api_version: str, kind: str, namespace: str | None, name: str) -> Object | None:
        """The object; None if it, or its whole kind, does not exist."""
        try:
            return self.api.get(self.kind(api_version, kind).path(namespace, name))
        except NoSuchKind:
            return None

    def list(self, api_version: str, kind: str, namespace: str | None, **selectors: str) -> list[Object]:
        """The objects of a namespace; selectors: labelSelector, fieldSelector."""
        return self.api.list(self.kind(api_version, kind).path(namespace), **selectors)

    def apply(self, obj: Object, manager: str, *, dry_run: bool = False, force: bool = False) -> Object:
        """Server-side apply. Refuses unknown fields, and conflicts unless `force` is set."""
        meta = obj.get("metadata") or {}
        path = self.kind(obj["apiVersion"], obj["kind"]).path(meta.get("namespace"), meta["name"])
        return self.api.request(
            "PATCH",
            path,
            obj,
            APPLY,
            fieldManager=manager,
            force=str(force).lower(),
            fieldValidation="Strict",
            dryRun="All" if dry_run else None,
        )

    def delete(self, api_version: str, kind: str, namespace: str | None, name: str, propagation: str) -> None:
        """Requests deletion; does nothing if the object does not exist."""
        try:
            self.api.delete(self.kind(api_version, kind).path(namespace, name), propagation=propagation)
        except NoSuchKind:
            return

    def _discover(self, api_version: str) -> dict[str, Kind]:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            resources = self.api.request("GET", path).get("resources") or []
        except ApiError as error:
            if error.status == 404:
                return {}
            raise
        return {
            r["kind"]: Kind(api_version, r["kind"], r["name"], r["namespaced"])
            for r in resources
            if "/" not in r["name"]
        }
