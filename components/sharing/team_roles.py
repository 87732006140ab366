"""What the members of a team may do: the rules of Kubernetes' roles.

Kubernetes' own ClusterRole `edit` is not used, nor is EKS's AmazonEKSEditPolicy, which has the same rules: both allow
NetworkPolicies, and neither knows the kinds of Kueue, JobSet, Kubeflow Trainer, Argo, KServe and KEDA. No level allows
changes of what limits the team: ResourceQuotas, LimitRanges, NetworkPolicies, roles and bindings, LocalQueues.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from .team_spec import ADMIN, EDIT, VIEW

_READ = ["get", "list", "watch"]
_WRITE = ["create", "update", "patch", "delete", "deletecollection"]

# API group → kinds that members of `edit` create and change.
_WORK: Mapping[str, list[str]] = {
    "": ["configmaps", "persistentvolumeclaims", "pods", "secrets", "services"],
    "apps": ["deployments", "deployments/scale", "statefulsets", "statefulsets/scale"],
    "autoscaling": ["horizontalpodautoscalers"],
    "batch": ["cronjobs", "jobs"],
    "policy": ["poddisruptionbudgets"],
    "jobset.x-k8s.io": ["jobsets"],
    "leaderworkerset.x-k8s.io": ["leaderworkersets", "leaderworkersets/scale"],
    "trainer.kubeflow.org": ["trainjobs", "trainingruntimes"],
    "argoproj.io": ["cronworkflows", "workflows", "workflowtemplates"],
    "serving.kserve.io": ["inferencegraphs", "inferenceservices", "servingruntimes"],
    "keda.sh": ["scaledjobs", "scaledobjects", "triggerauthentications"],
    "monitoring.coreos.com": ["podmonitors", "servicemonitors"],
    "monitoring.googleapis.com": ["podmonitorings"],
}
# Kinds that every member reads, in addition to those above without secrets.
_SEEN: Mapping[str, list[str]] = {
    "": [
        "endpoints", "events", "limitranges", "namespaces", "pods/log", "pods/status", "replicationcontrollers",
        "resourcequotas", "serviceaccounts",
    ],
    "apps": ["controllerrevisions", "daemonsets", "replicasets"],
    "discovery.k8s.io": ["endpointslices"],
    "events.k8s.io": ["events"],
    "metrics.k8s.io": ["pods"],
    "networking.k8s.io": ["ingresses", "networkpolicies"],
    "gateway.networking.k8s.io": ["gateways", "httproutes"],
    "rbac.authorization.k8s.io": ["rolebindings", "roles"],
    "kueue.x-k8s.io": ["localqueues", "workloads"],
    "visibility.kueue.x-k8s.io": ["localqueues/pendingworkloads"],
}  # fmt: skip
# Kinds without a namespace that explain why a pod or a job waits.
_OF_CLUSTER: Mapping[str, list[str]] = {
    "": ["nodes"],
    "scheduling.k8s.io": ["priorityclasses"],
    "storage.k8s.io": ["storageclasses"],
    "kueue.x-k8s.io": ["clusterqueues", "cohorts", "resourceflavors", "topologies", "workloadpriorityclasses"],
    "trainer.kubeflow.org": ["clustertrainingruntimes"],
    "serving.kserve.io": ["clusterservingruntimes"],
    "argoproj.io": ["clusterworkflowtemplates"],
}


def rules(level: str) -> list[Any]:
    """The rules of a level in the team's namespace."""
    found = [*_rules(_SEEN, _READ), *_rules({**_WORK, "": [each for each in _WORK[""] if each != "secrets"]}, _READ)]
    if level == VIEW:
        return found
    found += [
        *_rules(_WORK, _WRITE),
        _rule("", ["secrets"], _READ),
        _rule("", ["pods/attach", "pods/exec", "pods/portforward"], ["create", "get"]),
        _rule("", ["pods/eviction"], ["create"]),
    ]
    if level == EDIT:
        return found
    assert level == ADMIN, level
    return [
        *found,
        # `spec.active: false` stops a job and keeps its place, and a deletion requeues it.
        _rule("kueue.x-k8s.io", ["workloads"], ["update", "patch", "delete"]),
        _rule("", ["serviceaccounts"], _WRITE),
        _rule("networking.k8s.io", ["ingresses"], _WRITE),
        _rule("gateway.networking.k8s.io", ["httproutes"], _WRITE),
    ]


def cluster_rules() -> list[Any]:
    """What every member reads outside the namespace. No PersistentVolumes: they have the names of others' buckets."""
    return list(_rules(_OF_CLUSTER, _READ))


def account_rules() -> list[Any]:
    """What the team's service account may do if its pods may call the API: Argo's executor reports results."""
    return [_rule("argoproj.io", ["workflowtaskresults"], ["create", "patch"])]


def _rules(kinds: Mapping[str, list[str]], verbs: list[str]) -> Iterable[Any]:
    return (_rule(group, named, verbs) for group, named in kinds.items())


def _rule(group: str, kinds: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": kinds, "verbs": verbs}
