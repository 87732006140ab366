"""Evicting pods, and which pods an eviction leaves alone."""

from __future__ import annotations

from sandbox.cluster.api import Api, ApiError, Object


def evict(api: Api, pod: Object, grace: int | None = None) -> bool:
    """Asks for an eviction, which respects disruption budgets; returns whether it was granted (or the pod is gone)."""
    meta = pod["metadata"]
    body: Object = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        "deleteOptions": {} if grace is None else {"gracePeriodSeconds": grace},
    }
    try:
        api.request("POST", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction", body)
    except ApiError as error:
        if error.status == 429:
            return False
        if error.status not in (404, 409):
            raise
    return True


def is_daemon(pod: Object) -> bool:
    """A DaemonSet's pod: a drain leaves it, and it goes down with its node."""
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or ())
