"""What must exist before an object of a chart: the order of an installation, as specific edges.

- Custom resource definitions come first, then accounts, roles, settings.
- Webhooks are registered before the controllers that serve them: a controller is ready once it has written its
  certificate into them, so nothing can be refused for lack of it afterwards. So a webhook must not cover the pods of
  the controller that serves it.
- A Deployment waits for what its pods use and are allowed, and for every webhook.
- An APIService waits for the Deployments: without a server behind it, the deletion of every namespace hangs.
- Objects of the chart's own kinds wait for the Deployments, whose webhooks check them.

A destroy goes in the opposite direction.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from . import crds
from .placement import pod_of

Object = dict[str, Any]

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicaSet", "Pod")
"""Kinds that run pods."""

_BINDINGS = ("ClusterRoleBinding", "RoleBinding")
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
_BUILT_IN = (
    "v1", "apps/v1", "batch/v1", "policy/v1", "autoscaling/v2", "scheduling.k8s.io/v1", "networking.k8s.io/v1",
    "rbac.authorization.k8s.io/v1", "admissionregistration.k8s.io/v1", "apiregistration.k8s.io/v1",
    "apiextensions.k8s.io/v1", "coordination.k8s.io/v1", "storage.k8s.io/v1", "flowcontrol.apiserver.k8s.io/v1",
)  # fmt: skip
"""apiVersions that every API server has."""


class Edges:
    """The edges between the objects of a chart, by their place in the list."""

    def __init__(self, objects: Sequence[Object]) -> None:
        self._objects = objects
        self._own = {crds.kinds(each) for each in objects if each["kind"] == crds.KIND}

    def before(self, index: int) -> list[int]:
        """The objects that must exist before this one. No object waits for one that waits for it."""
        return sorted({other for other in self._before(self._objects[index]) if other != index})

    def _before(self, each: Object) -> Iterator[int]:
        kind, custom = each["kind"], each["apiVersion"] not in _BUILT_IN
        if kind == crds.KIND:
            return
        if custom:
            yield from self._of_kind(crds.KIND)
            if self._is_own(each):
                yield from self._of_kind(*WORKLOADS)
        elif kind in _BINDINGS:
            role = each["roleRef"]
            yield from self._named(role["kind"], role["name"])
            for subject in each.get("subjects") or []:
                yield from self._named(subject["kind"], subject["name"])
        elif kind in WORKLOADS:
            yield from self._before_workload(each)
        elif kind == "APIService":
            yield from self._of_kind(*WORKLOADS, "Service")

    def _before_workload(self, each: Object) -> Iterator[int]:
        yield from self._of_kind(crds.KIND, *_WEBHOOKS)
        spec = (pod_of(each) or {}).get("spec") or {}
        account = spec.get("serviceAccountName", "default")
        yield from self._named("ServiceAccount", account)
        for index in self._of_kind(*_BINDINGS):
            subjects = self._objects[index].get("subjects") or []
            if any(subject.get("name") == account for subject in subjects):
                yield index
        used = set(_names_in(spec))
        for index in self._of_kind("ConfigMap", "Secret", "PersistentVolumeClaim", "PriorityClass"):
            if self._objects[index]["metadata"]["name"] in used:
                yield index
        for index, other in enumerate(self._objects):
            # Objects of other kinds that exist already: the certificates that cert-manager issues.
            if other["apiVersion"] not in _BUILT_IN and not self._is_own(other):
                yield index

    def _is_own(self, each: Object) -> bool:
        return (each["apiVersion"].rpartition("/")[0], each["kind"]) in self._own

    def _of_kind(self, *kinds: str) -> Iterator[int]:
        return (index for index, each in enumerate(self._objects) if each["kind"] in kinds)

    def _named(self, kind: str, name: str) -> Iterator[int]:
        return (index for index in self._of_kind(kind) if self._objects[index]["metadata"]["name"] == name)


def _names_in(value: Any) -> Iterator[str]:
    """Every text in the description of a pod: names of what it mounts and reads are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _names_in(each)
    elif isinstance(value, list):
        for each in value:
            yield from _names_in(each)


def in_order(objects: Sequence[Object]) -> list[int]:
    """The places of the objects, each after those that it waits for.

    Raises:
        ValueError: they wait for each other in a circle.
    """
    edges, done, found, open_now = Edges(objects), set[int](), list[int](), set[int]()

    def visit(index: int) -> None:
        if index in done:
            return
        if index in open_now:
            raise ValueError(f"{objects[index]['kind']} {objects[index]['metadata']['name']} waits for itself")
        open_now.add(index)
        for other in edges.before(index):
            visit(other)
        done.add(index)
        found.append(index)

    for index in range(len(objects)):
        visit(index)
    return found
