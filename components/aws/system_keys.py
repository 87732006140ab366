"""Labels and taints of nodes that EKS or the kubelet refuses, including those that gpuyard derives.

Sources: API model of eks (labelKey, labelValue, taintKey, taintValue: characters, the domain counted); EKS user guide,
"Create a managed node group" (reserved domains) and "Recipe: Prevent pods from being scheduled on specific nodes" (50
taints); kubelet, pkg/apis/well_known_labels.go (labels that a node may give itself); Auto Scaling user guide, "Tag Auto
Scaling groups and instances" (50 tags).
"""

from collections.abc import Iterator, Mapping, Sequence

from .. import checks
from ..checks import Problem
from ..taints import Taint

_LONGEST = 63
_MOST_TAINTS = 50
# Each label and each taint is a tag on the Auto Scaling group, like those of EKS, the autoscaler and the GPU taint.
_MOST_TAGS, _OTHER_TAGS = 50, 9
_RESERVED = ("kubernetes.io", "k8s.io", "eks.amazonaws.com")
# Within Kubernetes' domain, the kubelet accepts only labels of these domains; with another one, a node never joins.
_KUBELETS = ("kubelet.kubernetes.io", "node.kubernetes.io")
# Kubernetes, its cloud controllers and the autoscaler add these to nodes and remove them again.
_LIFE_CYCLE = frozenset(
    {
        *(
            f"node.kubernetes.io/{name}"
            for name in (
                *("not-ready", "unreachable", "unschedulable", "out-of-service", "network-unavailable"),
                *("memory-pressure", "disk-pressure", "pid-pressure"),
            )
        ),
        *(f"node.cloudprovider.kubernetes.io/{name}" for name in ("uninitialized", "shutdown")),
        *("ToBeDeletedByClusterAutoscaler", "DeletionCandidateOfClusterAutoscaler"),
    }
)
# Set by the kubelet, in a domain that it accepts.
_SET_ANYWAY = frozenset({"node.kubernetes.io/instance-type"})


def problems(labels: Mapping[str, str], taints: Sequence[Taint], tags: int = 0) -> Iterator[Problem]:
    """What is wrong with a group's labels as EKS gets them, including derived ones, and with the pool's taints. `tags`:
    number of other tags on the Auto Scaling group."""
    for key, value in labels.items():
        wrong = list(checks.label("labels", key, value))
        yield from wrong or _label(key, value)
    seen: dict[str, int] = {}
    for index, taint in enumerate(taints):
        wrong = list(checks.label(f"taints[{index}]", taint["key"], taint.get("value", "")))
        yield from wrong or _taint(index, taint, taints[seen[taint["key"]]] if taint["key"] in seen else None)
        seen.setdefault(taint["key"], index)
    if len(taints) > _MOST_TAINTS:
        yield Problem(
            "taints", len(taints), "more taints than EKS accepts for a group", f"up to {_MOST_TAINTS}", "remove some"
        )
    elif len(labels) + len(taints) > (most := _MOST_TAGS - _OTHER_TAGS - tags):
        yield Problem(
            "labels", len(labels) + len(taints),
            "labels and taints, including gpuyard's: each is a tag on the Auto Scaling group, which can have "
            f"{_MOST_TAGS}, including EKS's and the {tags} of `tags`", f"up to {most} together", "remove some",
        )  # fmt: skip


def _label(key: str, value: str) -> Iterator[Problem]:
    domain = key.rpartition("/")[0]
    if len(key) > _LONGEST:
        yield Problem(
            f"labels.{key}", value, f"the key has {len(key)} characters with its domain", f"up to {_LONGEST} on EKS",
            "shorten the key",
        )  # fmt: skip
    if not value:
        yield Problem(
            f"labels.{key}",
            value,
            "empty, which EKS does not accept",
            f"1 to {_LONGEST} characters",
            'write a value: "true"',
        )
    if key in _SET_ANYWAY or (_within(domain, _RESERVED) and not _within(domain, _KUBELETS)):
        yield Problem(
            f"labels.{key}", value,
            "a key that Kubernetes or EKS reserves: EKS refuses it, or the kubelet does and the node never joins",
            f"keys without a domain, with your own domain, or with {' or '.join(_KUBELETS)}", "rename the key",
        )  # fmt: skip


def _taint(index: int, taint: Taint, earlier: Taint | None) -> Iterator[Problem]:
    key, effect = taint["key"], taint["effect"]
    if len(key) > _LONGEST:
        yield Problem(
            f"taints[{index}].key", key, f"the key has {len(key)} characters with its domain",
            f"up to {_LONGEST} on EKS", "shorten the key",
        )  # fmt: skip
    if key in _LIFE_CYCLE or _within(key.rpartition("/")[0], ("eks.amazonaws.com",)):
        yield Problem(
            f"taints[{index}].key", key, "Kubernetes or EKS adds it to nodes and removes it again", "other keys",
            "remove it; your own startup taints may have any other key",
        )  # fmt: skip
    if earlier is not None and earlier["effect"] == effect:
        yield Problem(
            f"taints[{index}]", f"{key}:{effect}", "the same key twice", "each key once", "remove one of them"
        )
    elif earlier is not None:
        yield Problem(
            f"taints[{index}]", f"{key}:{effect}",
            "the autoscaler knows one effect for each key: its tags on a group are unique by key", "each key once",
            f"keep {key}:{earlier['effect']}, or use another key",
        )  # fmt: skip


def _within(domain: str, domains: Sequence[str]) -> bool:
    return any(domain == each or domain.endswith(f".{each}") for each in domains)
