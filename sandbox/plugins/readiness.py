"""When an object of each kind is ready, by the rules of the real kubernetes provider.

Each rule checks a live object and returns what is still missing, or '' if it is ready. It raises `Failed` if the
object can never become ready. Omitted on purpose: the ten seconds that the real provider waits for a Service's
endpoints to settle.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from sandbox.cluster.api import ApiError
from sandbox.plugins import log
from sandbox.plugins.objects import NoSuchKind, Object, Objects

POLL = 0.25
"""Seconds between two checks."""

DEFAULT_TIMEOUT = 600.0
"""Seconds; the real provider's values."""


class Failed(Exception):
    """The object exists, but cannot become ready or did not become ready in time. The message gives the reason."""


def wait_ready(
    objects: Objects,
    obj: Object,
    timeout: float,
    cancelled: threading.Event,
    building: Callable[[], Sequence[str]] = tuple,
) -> Object:
    """Waits until the object is ready and returns its state at that moment.

    Raises Failed after `timeout` seconds, if the object failed permanently or was deleted, or if the engine cancelled.
    Time in which a controller's program is `building` does not count: no real cluster builds one.
    """
    rule = RULES.get((obj["apiVersion"], obj["kind"]))
    if rule is None:
        return obj
    left, seen, reported = timeout, time.monotonic(), ""
    while True:
        missing = rule(objects, obj)
        if not missing:
            return obj
        if missing != reported:
            log.status(reported := missing)
        now = time.monotonic()
        left, seen = left if building() else left - (now - seen), now
        if left < 0:
            raise Failed("\n".join([f"timed out waiting to be Ready: {missing}", *_pod_troubles(objects, obj)]))
        if cancelled.wait(POLL):
            raise Failed(f"cancelled while waiting: {missing}")
        live = get(objects, obj)
        if live is None:
            raise Failed("it was deleted while waiting for it")
        obj = live


def wait_gone(objects: Objects, obj: Object, timeout: float, cancelled: threading.Event) -> None:
    """Waits until the object is gone or another object has its name. Raises Failed on timeout or cancellation."""
    deadline = time.monotonic() + timeout
    while True:
        live = get(objects, obj)
        if live is None or live["metadata"].get("uid") != obj["metadata"].get("uid"):
            return
        finalizers = ", ".join(live["metadata"].get("finalizers") or []) or "none"
        if time.monotonic() > deadline:
            raise Failed(f"timed out waiting for deletion (finalizers: {finalizers})")
        if cancelled.wait(POLL):
            raise Failed("cancelled while waiting for deletion")


def get(objects: Objects, obj: Object) -> Object | None:
    """The object as it is now."""
    meta = obj["metadata"]
    return objects.get(obj["apiVersion"], obj["kind"], meta.get("namespace"), meta["name"])


def _condition(obj: Object, kind: str) -> Object:
    conditions = (obj.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == kind), {})


def _observed(obj: Object) -> bool:
    return (obj.get("status") or {}).get("observedGeneration", 0) >= obj["metadata"].get("generation", 0)


def _deployment(objects: Objects, obj: Object) -> str:
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    if not _observed(obj) or status.get("updatedReplicas", 0) < wanted:
        return f"{status.get('updatedReplicas', 0)} of {wanted} replicas are of the new revision"
    if _condition(obj, "Progressing").get("reason") != "NewReplicaSetAvailable":
        return f"{status.get('availableReplicas', 0)} of {wanted} replicas are available"
    return "" if _condition(obj, "Available").get("status") == "True" else "minimum replicas are not available"


def _daemon_set(objects: Objects, obj: Object) -> str:
    status = obj.get("status") or {}
    wanted = status.get("desiredNumberScheduled")
    if not _observed(obj) or wanted is None:
        return "the controller has not seen it yet"
    have = min(status.get(key, 0) for key in ("updatedNumberScheduled", "numberAvailable", "numberReady"))
    return "" if have >= wanted else f"{have} of {wanted} pods are updated and ready"


def _stateful_set(objects: Objects, obj: Object) -> str:
    status, wanted = obj.get("status") or {}, obj["spec"].get("replicas", 1)
    if not _observed(obj) or status.get("readyReplicas", 0) < wanted:
        return f"{status.get('readyReplicas', 0)} of {wanted} replicas are ready"
    on_delete = (obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
    if not on_delete and status.get("updateRevision") != status.get("currentRevision"):
        return "not every replica is of the new revision"
    return ""


def _job(objects: Objects, obj: Object) -> str:
    failed = _condition(obj, "Failed")
    if failed.get("status") == "True":
        troubles = _pod_troubles(objects, obj)
        raise Failed("\n".join([f"the Job failed: {failed.get('reason')}: {failed.get('message')}", *troubles]))
    complete = _condition(obj, "Complete").get("status") == "True"
    return "" if complete else "the Job is not complete"


def _pod(objects: Objects, obj: Object) -> str:
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Failed":
        raise Failed(
            f"the Pod failed: {obj['status'].get('reason') or obj['status'].get('message') or 'no reason given'}"
        )
    if phase == "Succeeded" or _condition(obj, "Ready").get("status") == "True":
        return ""
    return _condition(obj, "PodScheduled").get("message") or f"the Pod is {phase or 'new'}"


def _claim(objects: Objects, obj: Object) -> str:
    phase = (obj.get("status") or {}).get("phase")
    if phase == "Bound":
        return ""
    name = obj["spec"].get("storageClassName")
    storage_class = objects.get("storage.k8s.io/v1", "StorageClass", None, name) if name else None
    waits = (storage_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
    return "" if waits and phase == "Pending" else f"the claim is {phase or 'new'}"


def _volume(objects: Objects, obj: Object) -> str:
    phase = (obj.get("status") or {}).get("phase")
    return "" if phase in ("Available", "Bound") else f"the volume is {phase or 'new'}"


def _service(objects: Objects, obj: Object) -> str:
    spec, status = obj["spec"], obj.get("status") or {}
    if spec.get("type") == "LoadBalancer" and not (status.get("loadBalancer") or {}).get("ingress"):
        return "Service was not allocated an IP address; does your cloud provider support this?"
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return ""
    meta = obj["metadata"]
    selector = f"kubernetes.io/service-name={meta['name']}"
    slices = objects.list("discovery.k8s.io/v1", "EndpointSlice", meta["namespace"], labelSelector=selector)
    if not slices:
        return "no endpoints yet"
    ready = [(e.get("conditions") or {}).get("ready", True) for s in slices for e in s.get("endpoints") or []]
    return "" if all(ready) else f"{ready.count(False)} of {len(ready)} endpoints are not ready"


def _ingress(objects: Objects, obj: Object) -> str:
    balancer = (obj.get("status") or {}).get("loadBalancer") or {}
    return "" if balancer.get("ingress") else "Ingress has no address yet; does an ingress controller run?"


def _quota(objects: Objects, obj: Object) -> str:
    seen = (obj.get("status") or {}).get("hard") == obj["spec"].get("hard")
    return "" if seen else "the quota is not in force yet"


def _secret(objects: Objects, obj: Object) -> str:
    token = obj.get("type") == "kubernetes.io/service-account-token"
    return "the token is not there yet" if token and not obj.get("data") else ""


def _crd(objects: Objects, obj: Object) -> str:
    return "" if _condition(obj, "Established").get("status") == "True" else "the kind is not established yet"


def _replication_controller(objects: Objects, obj: Object) -> str:
    have, wanted = (obj.get("status") or {}).get("availableReplicas", 0), obj["spec"].get("replicas", 1)
    return "" if have == wanted else f"{have} of {wanted} replicas are available"


RULES: dict[tuple[str, str], Callable[[Objects, Object], str]] = {
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _crd,
    ("apps/v1", "DaemonSet"): _daemon_set,
    ("apps/v1", "Deployment"): _deployment,
    ("apps/v1", "StatefulSet"): _stateful_set,
    ("batch/v1", "Job"): _job,
    ("networking.k8s.io/v1", "Ingress"): _ingress,
    ("v1", "PersistentVolume"): _volume,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "Pod"): _pod,
    ("v1", "ReplicationController"): _replication_controller,
    ("v1", "ResourceQuota"): _quota,
    ("v1", "Secret"): _secret,
    ("v1", "Service"): _service,
}


def _pod_troubles(objects: Objects, obj: Object) -> list[str]:
    """One line for each of the object's pods that is not ready, with the explanation of `kubectl describe`."""
    labels: dict[str, Any] = ((obj.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    if not labels:
        return []
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    try:
        pods = objects.list("v1", "Pod", obj["metadata"].get("namespace"), labelSelector=selector)
    except (ApiError, NoSuchKind, OSError):
        return []
    lines = []
    for pod in pods:
        status = pod.get("status") or {}
        if status.get("phase") == "Succeeded" or _condition(pod, "Ready").get("status") == "True":
            continue
        why = (
            _condition(pod, "PodScheduled").get("message") or status.get("message") or status.get("phase") or "unknown"
        )
        lines.append(f"[Pod {pod['metadata']['namespace']}/{pod['metadata']['name']}]: {why}")
    return lines[:10]
