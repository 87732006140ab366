"""Kubernetes events of the sandbox's controllers. They are not repeated every second."""

from __future__ import annotations

import time
from collections.abc import Callable

from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.nodes import now

QUIET_SECONDS = 30.0
"""Seconds after which the same event on the same object is written again."""


class Events:
    def __init__(self, api: Api, component: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._component = component
        self._clock = clock
        self._written: dict[tuple[str, str, str], float] = {}

    def normal(self, about: Object, reason: str, message: str) -> bool:
        """Writes a Normal event. Returns whether it was written; a repetition is not."""
        return self._write(about, "Normal", reason, message, self._component)

    def warn(self, about: Object, reason: str, message: str, component: str = "") -> bool:
        """Writes a Warning event."""
        return self._write(about, "Warning", reason, message, component or self._component)

    def _write(self, about: Object, kind: str, reason: str, message: str, component: str) -> bool:
        meta, moment = about["metadata"], self._clock()
        key = (meta["uid"], reason, message)
        self._written = {k: at for k, at in self._written.items() if moment - at < QUIET_SECONDS}
        if key in self._written:
            return False
        self._written[key] = moment
        namespace = meta.get("namespace", "default")
        reference = {"apiVersion": "v1", "kind": about["kind"], "name": meta["name"], "uid": meta["uid"]}
        if "namespace" in meta:
            reference["namespace"] = namespace
        stamp = now()
        try:
            self._api.create(
                f"/api/v1/namespaces/{namespace}/events",
                {
                    "metadata": {"generateName": f"{meta['name']}.", "namespace": namespace},
                    "involvedObject": reference,
                    "type": kind,
                    "reason": reason,
                    "message": message[:1000],
                    "source": {"component": component},
                    "firstTimestamp": stamp,
                    "lastTimestamp": stamp,
                    "count": 1,
                },
            )
        except ApiError as error:
            if error.status not in (403, 404):  # its namespace is being deleted
                raise
        return True
