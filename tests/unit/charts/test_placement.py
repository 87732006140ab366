"""One rule places every pod of every chart, hook jobs included."""

from __future__ import annotations

from typing import Any

import pytest

from components.charts import placement
from components.cluster_pools import ClusterPool

OPEN: ClusterPool = {"gpus": 0}
TAINTED: ClusterPool = {"gpus": 0, "taints": [{"key": "dedicated", "value": "system", "effect": "NoSchedule"}]}
SOFT: ClusterPool = {"gpus": 0, "taints": [{"key": "rather", "effect": "PreferNoSchedule"}]}
GPU: ClusterPool = {"gpus": 8, "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]}
DEDICATED = {"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}
WITHOUT_GPUS = [{"key": key, "operator": "DoesNotExist"} for key in placement.GPU_LABELS]


def workload(kind: str, **spec: Any) -> dict[str, Any]:
    """An object of this kind with one container."""
    pod = {"spec": {"containers": [{"name": "main", "image": "quay.io/x/y:1"}], **spec}}
    inside: dict[str, Any] = {"template": pod}
    if kind == "CronJob":
        inside = {"jobTemplate": {"spec": inside}}
    return {"kind": kind, "metadata": {"name": "x"}, **(pod if kind == "Pod" else {"spec": inside})}


def pod(found: dict[str, Any]) -> dict[str, Any]:
    placed = placement.pod_of(found)
    assert placed is not None
    return placed["spec"]


@pytest.mark.parametrize("kind", placement._TEMPLATES)
def test_every_kind_that_runs_pods_is_placed(kind: str) -> None:
    spec = pod(placement.placed(workload(kind), {"cpu": TAINTED, "gpu": GPU}, {}))
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": WITHOUT_GPUS}]
    assert spec["tolerations"] == [DEDICATED]
    resources = spec["containers"][0]["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"} and resources["limits"].keys() == {"memory"}


def test_the_charts_own_affinity_tolerations_and_requests_stay() -> None:
    mine = {"key": "mine", "operator": "Exists"}
    linux = {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [linux]}, {"matchFields": []}]}
    given = workload(
        "Deployment",
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}, "podAffinity": {}},
        tolerations=[mine],
    )
    given["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"memory": "2Gi"}}
    spec = pod(placement.placed(given, {"cpu": TAINTED}, {}))
    terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    # Alternatives: a node needs to fit one of them, so each excludes GPUs.
    assert [term["matchExpressions"] for term in terms] == [[linux, *WITHOUT_GPUS], WITHOUT_GPUS]
    assert spec["affinity"]["podAffinity"] == {}
    assert spec["tolerations"] == [mine, DEDICATED]
    assert spec["containers"][0]["resources"] == {
        "requests": {"cpu": "50m", "memory": "2Gi"},
        "limits": {"memory": "2Gi"},
    }


@pytest.mark.parametrize(
    ("pools", "tolerated"),
    [
        ({}, []),
        ({"cpu": OPEN, "gpu": GPU}, []),
        ({"cpu": OPEN, "system": TAINTED}, []),
        ({"cpu": SOFT, "system": TAINTED}, []),
        ({"system": TAINTED, "gpu": GPU}, [DEDICATED]),
    ],
)
def test_taints_are_tolerated_only_if_every_pool_without_gpus_has_some(
    pools: dict[str, ClusterPool], tolerated: list[Any]
) -> None:
    """Controllers stay off a team's own nodes while there are others. No taint of GPU nodes is tolerated."""
    assert placement.pool_tolerations(pools) == tolerated


def test_a_cluster_of_gpu_nodes_only_is_refused() -> None:
    assert not list(placement.problems({})) and not list(placement.problems({"cpu": OPEN, "gpu": GPU}))
    (problem,) = placement.problems({"gpu": GPU})
    assert "the controllers have no node to run on" in str(problem)


def test_images_come_from_the_registry_with_their_digest() -> None:
    digest = f"sha256:{'0' * 64}"
    images: Any = {"registry": "reg.example.com", "digests": {"quay.io/x/y:1": digest}}
    container = placement.containers(placement.placed(workload("Job"), {}, images))[0]
    assert container["image"] == f"reg.example.com/quay.io/x/y:1@{digest}"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert placement.containers(placement.placed(workload("Job"), {}, {}))[0]["image"] == "quay.io/x/y:1"


def test_other_objects_are_not_changed() -> None:
    config = {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"spec": "template"}}
    assert placement.placed(config, {"cpu": TAINTED}, {}) == config
