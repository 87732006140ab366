"""Whether a pod fits a node, with the reasons as the scheduler words them.

The rules are those of the default scheduler's filters: resources, node name, node selector and required node
affinity, taints, host ports, required pod affinity and anti-affinity, hard topology spread, the zone of bound volumes.
Preferences are ignored: they never decide whether a pod fits. tests/cluster compares this module with the real
scheduler.

Pods are dicts as the API serves them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from sandbox.cluster.cloud import Taint
from sandbox.cluster.quantity import parse_all

Pod = dict[str, Any]
Resources = dict[str, Fraction]

HOSTNAME = "kubernetes.io/hostname"


@dataclass
class NodeInfo:
    """An existing or expected node and the pods on it. `free`: its allocatable resources without those of the pods."""

    name: str
    labels: Mapping[str, str]
    taints: Sequence[Taint]
    free: Resources
    pods: list[Pod] = field(default_factory=list)
    unschedulable: bool = False

    def add(self, pod: Pod) -> None:
        """Adds a pod, whether it fits or not."""
        for name, amount in requests(pod).items():
            self.free[name] = self.free.get(name, Fraction(0)) - amount
        self.pods.append(pod)


def requests(pod: Pod) -> Resources:
    """What the scheduler counts for a pod, including `pods: 1`: the larger of the sum of its containers and the peak of
    its init containers. Pod-level resources replace that if they are set."""
    spec = pod.get("spec", {})
    running: Resources = {}
    peak: Resources = {}
    for container in spec.get("initContainers") or ():
        needs = _needs(container)
        if container.get("restartPolicy") == "Always":  # a sidecar keeps running
            running = _sum(running, needs)
            peak = _largest(peak, running)
        else:
            peak = _largest(peak, _sum(running, needs))
    for container in spec.get("containers") or ():
        running = _sum(running, _needs(container))
    total = _largest(running, peak) | _needs(spec)
    total = _sum(total, parse_all(spec.get("overhead")))
    return {**{name: amount for name, amount in total.items() if amount}, "pods": Fraction(1)}


def misfit(pod: Pod, node_info: NodeInfo, others: Sequence[NodeInfo] = (), volumes: Iterable[dict] = ()) -> str | None:
    """Why the pod cannot be scheduled on that node; None if it can.

    Args:
        others: the other nodes, for affinity between pods and topology spread.
        volumes: the required node affinities of the volumes that the pod's claims are bound to.
    """
    spec = pod.get("spec", {})
    tolerations = spec.get("tolerations") or []
    if node_info.unschedulable and not any(_tolerates(t, Taint(UNSCHEDULABLE, "", "NoSchedule")) for t in tolerations):
        return "node(s) were unschedulable"
    for taint in node_info.taints:
        if taint.effect != "PreferNoSchedule" and not any(_tolerates(t, taint) for t in tolerations):
            return f"node(s) had untolerated taint(s) {{{taint.key}: {taint.value}}}"
    if not _wanted(spec, node_info):
        return "node(s) didn't match Pod's node affinity/selector"
    if not all(_any_term(volume.get("nodeSelectorTerms"), node_info) for volume in volumes):
        return "node(s) had volume node affinity conflict"
    if _ports(pod) & {port for other in node_info.pods for port in _ports(other)}:
        return "node(s) didn't have free ports for the requested pod ports"
    for name, amount in requests(pod).items():
        if amount > node_info.free.get(name, Fraction(0)):
            return "Too many pods" if name == "pods" else f"Insufficient {name}"
    return _spread(pod, node_info, others) or _pod_affinity(pod, node_info, others)


UNSCHEDULABLE = "node.kubernetes.io/unschedulable"

DAEMON_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": effect}
    for key, effect in (
        ("not-ready", "NoExecute"),
        ("unreachable", "NoExecute"),
        ("disk-pressure", "NoSchedule"),
        ("memory-pressure", "NoSchedule"),
        ("pid-pressure", "NoSchedule"),
        ("unschedulable", "NoSchedule"),
    )
]
"""What the DaemonSet controller adds to each of its pods."""


def daemon_pod(daemon_set: dict[str, Any]) -> Pod:
    """The pod that a DaemonSet would create on a node that it selects."""
    template = daemon_set["spec"]["template"]
    tolerations = [*(template["spec"].get("tolerations") or []), *DAEMON_TOLERATIONS]
    owner = {"ownerReferences": [{"kind": "DaemonSet"}]}
    meta = {**template.get("metadata", {}), "namespace": daemon_set["metadata"]["namespace"], **owner}
    return {"metadata": meta, "spec": {**template["spec"], "tolerations": tolerations}, "status": {}}


def selector_matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches: a missing one matches nothing, an empty one everything."""
    if selector is None:
        return False
    exact = selector.get("matchLabels") or {}
    return all(labels.get(key) == value for key, value in exact.items()) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _needs(holder: Mapping[str, Any]) -> Resources:
    """Requests of a container (or of a pod's own `resources`); a limit without a request is the request."""
    resources = holder.get("resources") or {}
    return parse_all({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _sum(one: Resources, other: Resources) -> Resources:
    return {name: one.get(name, Fraction(0)) + other.get(name, Fraction(0)) for name in {*one, *other}}


def _largest(one: Resources, other: Resources) -> Resources:
    return {name: max(one.get(name, Fraction(0)), other.get(name, Fraction(0))) for name in {*one, *other}}


def _tolerates(toleration: Mapping[str, Any], taint: Taint) -> bool:
    if toleration.get("effect") not in (None, "", taint.effect):
        return False
    if toleration.get("key") not in (None, "", taint.key):
        return False
    operator = toleration.get("operator") or "Equal"
    return operator == "Exists" or (operator == "Equal" and toleration.get("value", "") == taint.value)


def _wanted(spec: Mapping[str, Any], node_info: NodeInfo) -> bool:
    """Node name, node selector and required node affinity."""
    if spec.get("nodeName") not in (None, "", node_info.name):
        return False
    if any(node_info.labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or _any_term(required.get("nodeSelectorTerms"), node_info)


def _any_term(terms: Sequence[Mapping[str, Any]] | None, node_info: NodeInfo) -> bool:
    """Terms are alternatives; a term without any expression matches nothing."""
    for term in terms or ():
        labels, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
        matches = [_holds(e, node_info.labels) for e in labels] + [
            _holds(e, {"metadata.name": node_info.name}) for e in fields
        ]
        if matches and all(matches):
            return True
    return False


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values") or []
    operator = expression["operator"]
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator in ("Gt", "Lt"):
        try:
            have, bound = int(value or ""), int(values[0])
        except ValueError:
            return False
        return have > bound if operator == "Gt" else have < bound
    return False


def _ports(pod: Pod) -> set[tuple[str, int]]:
    return {
        (port.get("protocol") or "TCP", port["hostPort"])
        for container in pod.get("spec", {}).get("containers") or ()
        for port in container.get("ports") or ()
        if port.get("hostPort")
    }


def _pod_affinity(pod: Pod, node_info: NodeInfo, others: Sequence[NodeInfo]) -> str | None:
    """Required affinity and anti-affinity between pods, including the anti-affinity of existing pods."""
    everybody = [node_info, *others]
    for term in _pod_terms(pod, "podAffinity"):
        found = [r for r in everybody if any(_meant(term, pod, p) for p in r.pods)]
        key = term["topologyKey"]
        near = key in node_info.labels and any(r.labels.get(key) == node_info.labels[key] for r in found)
        # The first pod of a group with affinity to itself may be on any node that has the key.
        first = not found and key in node_info.labels and _meant(term, pod, pod)
        if not near and not first:
            return "node(s) didn't match pod affinity rules"
    for holder, others_of in _anti_affinities(pod, everybody):
        for term in _pod_terms(holder, "podAntiAffinity"):
            key = term["topologyKey"]
            for other_info, other in others_of:
                same = key in node_info.labels and other_info.labels.get(key) == node_info.labels[key]
                if same and _meant(term, holder, other):
                    return "node(s) didn't match pod anti-affinity rules"
    return None


def _anti_affinities(pod: Pod, node_infos: Sequence[NodeInfo]) -> Iterable[tuple[Pod, list[tuple[NodeInfo, Pod]]]]:
    """(pods with anti-affinity terms, pods that the terms select from): the new pod against all, and each existing pod
    against the new one."""
    yield pod, [(node_info, other) for node_info in node_infos for other in node_info.pods]
    for node_info in node_infos:
        for other in node_info.pods:
            if (other.get("spec", {}).get("affinity") or {}).get("podAntiAffinity"):
                yield other, [(node_info, pod)]


def _pod_terms(pod: Pod, kind: str) -> Sequence[Mapping[str, Any]]:
    affinity = (pod.get("spec", {}).get("affinity") or {}).get(kind) or {}
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ()


def _meant(term: Mapping[str, Any], holder: Pod, other: Pod) -> bool:
    namespaces = term.get("namespaces") or ([] if term.get("namespaceSelector") else [_namespace(holder)])
    everywhere = term.get("namespaceSelector") == {}
    near = everywhere or _namespace(other) in namespaces
    return near and selector_matches(term.get("labelSelector"), _labels(other))


def _spread(pod: Pod, node_info: NodeInfo, others: Sequence[NodeInfo]) -> str | None:
    for constraint in pod.get("spec", {}).get("topologySpreadConstraints") or ():
        if constraint.get("whenUnsatisfiable", "DoNotSchedule") != "DoNotSchedule":
            continue
        key = constraint["topologyKey"]
        if key not in node_info.labels:
            return "node(s) didn't match pod topology spread constraints (missing required label)"
        counts: dict[str, int] = {}
        for other in [node_info, *others]:
            if key in other.labels and _wanted(pod["spec"], other):
                counts.setdefault(other.labels[key], 0)
                counts[other.labels[key]] += sum(_counted(constraint, pod, p) for p in other.pods)
        fewest = 0 if len(counts) < (constraint.get("minDomains") or 1) else min(counts.values(), default=0)
        own = 1 if selector_matches(constraint.get("labelSelector"), _labels(pod)) else 0
        if counts.get(node_info.labels[key], 0) + own - fewest > constraint["maxSkew"]:
            return "node(s) didn't match pod topology spread constraints"
    return None


def _counted(constraint: Mapping[str, Any], pod: Pod, other: Pod) -> bool:
    return _namespace(other) == _namespace(pod) and selector_matches(constraint.get("labelSelector"), _labels(other))


def _labels(pod: Pod) -> Mapping[str, str]:
    return pod.get("metadata", {}).get("labels") or {}


def _namespace(pod: Pod) -> str:
    return pod.get("metadata", {}).get("namespace") or "default"
