"""GKE's ProvisioningRequests, by which alone the nodes of a pool with queued provisioning are added.

A request names pods. When a queued pool can have nodes for all of them, it gets them at once, and the request is
Provisioned when all are ready. They are kept for its pods for a while (`booking`); the autoscaler removes idle ones
afterwards. A request that does not fit yet waits; one that fits no queued pool has Failed.

Sources: the Go types of cluster-autoscaler/apis (autoscaling.x-k8s.io/v1), and GKE's page "Deploy GPUs for batch
and AI workloads with Dynamic Workload Scheduler"; both 2026-08. Not simulated: the maximum run time, the estimate of
the waiting time, and other provisioning classes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.cloud import Fleet, Group, Machine
from sandbox.cluster.cluster_view import expected_node, refusal
from sandbox.cluster.compute_class import DEFINITIONS
from sandbox.cluster.nodes import is_ready, now

CLASS = "queued-provisioning.gke.io"
_API = "/apis/autoscaling.x-k8s.io/v1"
LIST = f"{_API}/provisioningrequests"
KEPT = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
CONSUMES = "autoscaling.x-k8s.io/consume-provisioning-request"


class Provisioning:
    """The requests of one cluster. `booking`: seconds for which nodes are kept for the pods (600 on GKE)."""

    def __init__(
        self, api: Api, fleet: Fleet, booking: float = 60, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._api = api
        self._fleet = fleet
        self._booking = booking
        self._clock = clock
        self._ordered: dict[str, tuple[str, set[str], int]] = {}
        self._since: dict[str, float] = {}

    def sync(self, machines: Sequence[Machine], pods: Sequence[Object], nodes: Sequence[Object]) -> None:
        """One round: orders the nodes of new requests, and reports on those whose nodes are ready."""
        groups = [group for group in self._fleet.groups() if group.queued]
        if not groups:
            return
        try:
            requests = self._api.list(LIST)
        except ApiError:  # the kind does not exist
            return
        for request in requests:
            uid = request["metadata"]["uid"]
            if request["spec"].get("provisioningClassName") != CLASS or _is(request, "Failed", "BookingExpired"):
                continue
            if uid in self._ordered:
                self._report(request, machines, pods, nodes)
            elif _is(request, "Accepted") and not _is(request, "Provisioned"):
                # Ordered by a process that has ended. Its nodes are idle, and are removed.
                self._set(request, "Failed", "True", "FailedToProvision", "the order was lost")
            elif not _is(request, "Provisioned") and self._order(request, groups, machines):
                return  # the sizes of the groups are read again for the next one

    def _order(self, request: Object, groups: Sequence[Group], machines: Sequence[Machine]) -> bool:
        pods = self._pods(request)
        reasons = []
        for group in groups:
            count = _nodes(group, pods)
            if count is None:
                reasons.append(f"{group.pool}: its nodes do not fit the pods")
            elif group.desired + count > group.max:
                waiting = f"waiting for {count} nodes of {group.pool}"
                self._set(request, "Provisioned", "False", "QuotaExceeded", waiting)
                return False
            else:
                before = {machine.id for machine in machines if machine.group == group.id}
                self._fleet.set_desired(group.id, group.desired + count)
                self._ordered[request["metadata"]["uid"]] = (group.id, before, count)
                self._set(request, "Accepted", "True", "Accepted", f"{count} nodes of {group.pool} are ordered")
                return True
        self._set(request, "Failed", "True", "FailedToProvision", "; ".join(reasons))
        return False

    def _report(
        self, request: Object, machines: Sequence[Machine], pods: Sequence[Object], nodes: Sequence[Object]
    ) -> None:
        uid, name = request["metadata"]["uid"], request["metadata"]["name"]
        group, before, count = self._ordered[uid]
        new = [machine for machine in machines if machine.group == group and machine.id not in before]
        mine = [machine.node_name for machine in new][:count]
        found = {node["metadata"]["name"]: node for node in nodes}
        if not _is(request, "Provisioned"):
            for each in mine:
                if each in found and KEPT not in (found[each]["metadata"].get("annotations") or {}):
                    self._keep(each, "true")
            if len(mine) == count and all(each in found and is_ready(found[each]) for each in mine):
                self._since[uid] = self._clock()
                self._set(request, "Provisioned", "True", "Provisioned", f"{count} nodes are ready")
            return
        started = any(
            (pod["metadata"].get("annotations") or {}).get(CONSUMES) == name and pod["spec"].get("nodeName")
            for pod in pods
        )
        if started or self._clock() - self._since.get(uid, self._clock()) > self._booking:
            for each in mine:
                self._keep(each, None)
            del self._ordered[uid]
            if not started:
                self._set(request, "BookingExpired", "True", "BookingExpired", "the nodes are not kept any longer")

    def _pods(self, request: Object) -> list[Object]:
        namespace, found = request["metadata"]["namespace"], []
        for part in request["spec"]["podSets"]:
            path = f"/api/v1/namespaces/{namespace}/podtemplates/{part['podTemplateRef']['name']}"
            template = (self._api.get(path) or {"template": {}})["template"]
            for number in range(int(part["count"])):
                meta = {**template.get("metadata", {}), "name": f"pod-{number}", "namespace": namespace}
                found.append({"metadata": meta, "spec": template.get("spec", {}), "status": {}})
        return found

    def _keep(self, node: str, kept: str | None) -> None:
        change = {"metadata": {"annotations": {KEPT: kept}}}
        with contextlib.suppress(ApiError):  # the node may be deleted
            self._api.request("PATCH", f"/api/v1/nodes/{node}", change, "application/merge-patch+json")

    def _set(self, request: Object, kind: str, status: str, reason: str, message: str) -> None:
        conditions = request.get("status", {}).get("conditions") or []
        if any((c["type"], c["status"], c["message"]) == (kind, status, message) for c in conditions):
            return
        made = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now()}
        meta = request["metadata"]
        path = f"{_API}/namespaces/{meta['namespace']}/provisioningrequests/{meta['name']}/status"
        body = {"status": {"conditions": [*(c for c in conditions if c["type"] != kind), made]}}
        try:
            self._api.request("PATCH", path, body, "application/merge-patch+json")
        except ApiError as error:
            if error.status != 404:
                raise


def _is(request: Object, *kinds: str) -> bool:
    conditions = request.get("status", {}).get("conditions") or []
    return any(each["type"] in kinds and each["status"] == "True" for each in conditions)


def _nodes(group: Group, pods: Sequence[Object]) -> int | None:
    """The number of new nodes of the group that hold the pods; None if one of them fits none."""
    made = []
    for pod in pods:
        home = next((each for each in made if not refusal(pod, each, made, [])), None)
        if home is None:
            home = expected_node(group, (), f"{group.pool} (new {len(made)})")
            if refusal(pod, home, made, []):
                return None
            made.append(home)
        home.add(pod)
    return len(made)


def install(api: Api) -> None:
    """Adds the kind to an API server: every GKE cluster has it."""
    if api.get(f"{DEFINITIONS}/provisioningrequests.autoscaling.x-k8s.io") is None:
        api.create(DEFINITIONS, definition())


def definition() -> Object:
    """The CustomResourceDefinition, with the API's own rules for what a request has."""
    reference = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}},
    }
    part = {
        "type": "object",
        "required": ["count", "podTemplateRef"],
        "properties": {"count": {"type": "integer", "format": "int32", "minimum": 1}, "podTemplateRef": reference},
    }
    spec = {
        "type": "object",
        "required": ["podSets", "provisioningClassName"],
        "x-kubernetes-validations": [{"rule": "self == oldSelf", "message": "Value is immutable"}],
        "properties": {
            "parameters": {
                "type": "object",
                "maxProperties": 100,
                "additionalProperties": {"type": "string", "maxLength": 255},
            },
            "podSets": {"type": "array", "minItems": 1, "maxItems": 32, "items": part},
            "provisioningClassName": {"type": "string", "maxLength": 253},
        },
    }
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "provisioningrequests.autoscaling.x-k8s.io",
            "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes/autoscaler/pull/5848"},
        },
        "spec": {
            "group": "autoscaling.x-k8s.io",
            "scope": "Namespaced",
            "names": {
                "kind": "ProvisioningRequest",
                "listKind": "ProvisioningRequestList",
                "plural": "provisioningrequests",
                "singular": "provisioningrequest",
                "shortNames": ["provreq", "provreqs"],
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
                    "subresources": {"status": {}},
                }
            ],
        },
    }
