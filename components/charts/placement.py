"""Where the pods of controllers run: on nodes without GPUs, with the tolerations that those nodes need.

One rule for every pod of every chart, hook jobs included: charts differ in the keys of their values for it, and some
pods have none (kubernetes-sigs/aicr PR 93, containers-roadmap#2567).
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..checks import Problem
from ..clouds import CLOUDS
from ..cluster_pools import ClusterPool
from ..pools import GPU_PRESENT_LABEL
from ..taints import Taint, Toleration, tolerations
from . import images
from .images import ImagesArgs

Object = dict[str, Any]

CRITICAL = "system-cluster-critical"
"""Priority class of controllers without which no workload starts."""

GPU_LABELS = (GPU_PRESENT_LABEL, "cloud.google.com/gke-accelerator", CLOUDS["aws"].accelerator_label)
"""Labels that only nodes with GPUs have: of NVIDIA's feature discovery and of this library's pools, of GKE, of EKS."""

_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
"""Kind → where its pod is described."""

_REQUESTS = {"cpu": "50m", "memory": "64Mi"}
_LIMIT = "512Mi"
_RESTRICTED_POD = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
_RESTRICTED_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def pod_of(each: Object) -> Object | None:
    """The pod (`metadata` and `spec`) that an object creates; None if it creates none."""
    path = _TEMPLATES.get(each["kind"])
    if path is None:
        return None
    found = each
    for part in path:
        found = found.get(part) or {}
    return found if found.get("spec") else None


def containers(each: Object) -> list[Object]:
    """The containers of the pods of an object, init containers first."""
    spec = (pod_of(each) or {}).get("spec") or {}
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def placed(each: Object, pools: Mapping[str, ClusterPool], images_from: ImagesArgs, priority: str = "") -> Object:
    """An object with its pods placed: affinity, tolerations, priority, requests, and images from your registry.

    Args:
        each: the object; it is not changed.
        pools: every pool of the cluster.
        images_from: where images come from.
        priority: priority class of the pods; empty for the one of the chart.
    """
    found = copy.deepcopy(each)
    pod = pod_of(found)
    if pod is None:
        return found
    spec = pod["spec"]
    spec["affinity"] = without_gpus(spec.get("affinity") or {})
    more = [wanted for wanted in pool_tolerations(pools) if wanted not in (spec.get("tolerations") or [])]
    if more:
        spec["tolerations"] = [*(spec.get("tolerations") or []), *more]
    if priority:
        spec["priorityClassName"] = priority
    for container in containers(found):
        container["image"] = _image(container["image"], images_from)
        # An image by its version never changes; a chart from a source repository may ask for every pull.
        container["imagePullPolicy"] = "IfNotPresent"
        container["resources"] = _resources(container.get("resources") or {})
    return found


def restricted(each: Object) -> Object:
    """An object whose pods fit the level `restricted` of the Pod Security Standards, as far as settings decide it: what
    the chart does not set is set here."""
    found = copy.deepcopy(each)
    pod = pod_of(found)
    if pod is None:
        return found
    spec = pod["spec"]
    spec["securityContext"] = {**_RESTRICTED_POD, **(spec.get("securityContext") or {})}
    for container in containers(found):
        container["securityContext"] = {**_RESTRICTED_CONTAINER, **(container.get("securityContext") or {})}
    return found


def pool_tolerations(pools: Mapping[str, ClusterPool]) -> list[Toleration]:
    """What a controller tolerates: nothing if a pool without GPUs is open to all pods, else the taints of all pools
    without GPUs."""
    taints = [_blocking(pool.get("taints", [])) for pool in pools.values() if not pool["gpus"]]
    return [] if not all(taints) else tolerations(taint for each in taints for taint in each)


def problems(pools: Mapping[str, ClusterPool]) -> Iterator[Problem]:
    """A cluster without a node for controllers."""
    if pools and all(pool["gpus"] for pool in pools.values()):
        yield Problem(
            "pools", list(pools), "every pool has GPUs: the controllers have no node to run on",
            "at least one pool without GPUs", "add a pool of CPU machines, or remove `pools`",
        )  # fmt: skip


def without_gpus(affinity: Mapping[str, Any]) -> dict[str, Any]:
    """The affinity, with nodes that have GPUs excluded from each of its alternatives."""
    nodes = dict(affinity.get("nodeAffinity") or {})
    required = dict(nodes.get("requiredDuringSchedulingIgnoredDuringExecution") or {})
    excluded = [{"key": key, "operator": "DoesNotExist"} for key in GPU_LABELS]
    terms = [
        {**term, "matchExpressions": [*(term.get("matchExpressions") or []), *excluded]}
        for term in required.get("nodeSelectorTerms") or [{}]
    ]
    required["nodeSelectorTerms"] = terms
    return {**affinity, "nodeAffinity": {**nodes, "requiredDuringSchedulingIgnoredDuringExecution": required}}


def _blocking(taints: Iterable[Taint]) -> list[Taint]:
    return [taint for taint in taints if taint["effect"] != "PreferNoSchedule"]


def _image(reference: str, images_from: ImagesArgs) -> str:
    mirrored = images.mirrored(reference, images_from)
    first = images.original(mirrored.partition("@")[0], images_from)
    host, path = images.split(first)
    digest = images_from.get("digests", {}).get(f"{host}/{path}")
    return f"{mirrored.partition('@')[0]}@{digest}" if digest else mirrored


def _resources(given: Mapping[str, Any]) -> dict[str, Any]:
    """Requests for a container without any: the scheduler and the autoscaler count them. A limit of memory, too, so
    that a leak does not take the node's."""
    asked = given.get("requests") or {}
    limits = {"memory": asked.get("memory", _LIMIT), **(given.get("limits") or {})}
    return {**given, "requests": {**_REQUESTS, **asked}, "limits": limits}
