"""Evicts pods, and knows which pods a drain ignores."""

from __future__ import annotations

from sandbox.cluster.api import Api, ApiError, Object


def evict(api: Api, pod: Object, grace: int | None = None) -> bool:
    """Requests an eviction, which respects disruption budgets. Returns whether it was granted or the pod is gone."""
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
    """Whether it is a DaemonSet's pod: a drain ignores it, and it ends with its node."""
    return any(owner["kind"] == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or ())
