"""Queues: flavors and quotas that follow from the pools, divided among teams."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.pools import resolve
from components.sharing import queues
from components.sharing.quota import Quota
from components.sharing.surge import max_surge
from tests.component.queue_objects import EKS_POOLS, TEAMS, objects, quotas, recorded
from tests.component.stage import GKE_CPU, GKE_GPU, GUIDE_CPU, GUIDE_GPU, pool

GPU = "nvidia.com/gpu"
EFA: Any = {"machine_types": ["p4d.24xlarge"], "min": 4, "max": 4, "interconnect": True, "zones": ["us-east-1a"]}
QUEUED: Any = {
    "machine_types": ["a3-highgpu-8g"],
    "min": 0,
    "max": 4,
    "capacity": ["flex"],
    "queued": True,
    "zones": ["us-central1-a"],
}


def refusal(**args: Any) -> str:
    with pytest.raises(pulumi.RunError) as caught:
        recorded(**args)
    return str(caught.value)


def cores(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def test_a_flavor_selects_the_nodes_of_a_pool() -> None:
    """seed rows S09, S22: with the labels that jobs select nodes by, the pool's own ones included."""
    flavors = objects(recorded(), "ResourceFlavor")
    assert list(flavors) == ["cpu-workers", "gpu-workers"], "a job that names no pool takes a node without GPUs"
    assert flavors["gpu-workers"]["spec"]["nodeLabels"] == {
        "gpuyard.dev/pool": "gpu-workers",
        "workload": "gpu-training",
        "k8s.amazonaws.com/accelerator": "nvidia-l4",
        "node.kubernetes.io/instance-type": "g6.2xlarge",
    }
    assert flavors["gpu-workers"]["metadata"]["labels"] == {"gpuyard.dev/pool": "gpu-workers"}


def test_a_job_without_gpus_never_gets_a_gpu_node() -> None:
    """The taint of GPU nodes is the flavor's as well, and Kueue adds tolerations for the other taints only."""
    tainted = pool(GUIDE_GPU, taints=[{"key": "team", "value": "vision", "effect": "NoSchedule"}])
    spec = objects(recorded(node_pools={"gpu-workers": tainted}), "ResourceFlavor")["gpu-workers"]["spec"]
    assert spec["nodeTaints"] == [{"key": GPU, "value": "true", "effect": "NoSchedule"}]
    assert spec["tolerations"] == [{"key": "team", "operator": "Exists", "effect": "NoSchedule"}]


def test_the_quota_is_what_the_pool_can_give_at_its_max() -> None:
    """seed row S22: all teams and the cohort together have the pool's GPUs, and never more CPUs than its machines."""
    found = recorded(teams={"vision": {}, "nlp": {}, "speech": {}})
    parts = [quotas(found, team)["gpu-workers"] for team in ("vision", "nlp", "speech")]
    rest = quotas(found, "gpuyard", "Cohort")["gpu-workers"]
    assert [int(each[GPU]) for each in [*parts, rest]] == [3, 3, 3, 1]
    assert 70 < sum(cores(each["cpu"]) for each in [*parts, rest]) < 10 * 8
    assert quotas(found, "vision")["cpu-workers"][GPU] == "0"


def test_a_ladder_is_one_quota() -> None:
    """The pool's `max` bounds all rungs together, and the autoscaler chooses the rung: jobs that are bound to a rung
    would wait for it even if the cloud has none of its machines (tests/cluster/test_queues.py)."""
    ladder = pool(GUIDE_GPU, capacity=["reserved", "spot", "on_demand"], reservation={"id": "cr-0123456789abcdef0"})
    found = recorded(node_pools={"gpu-workers": ladder, "cpu-workers": GUIDE_CPU})
    assert quotas(found, "vision")["gpu-workers"][GPU] == "5"
    assert "gpuyard.dev/capacity" not in objects(found, "ResourceFlavor")["gpu-workers"]["spec"]["nodeLabels"]


def test_shared_gpus_count_as_often_as_pods_can_request_them() -> None:
    shared = pool(GKE_GPU, sharing={"strategy": "time_sharing", "clients": 4})
    found = recorded("gcp", {"gpu-workers": shared, "cpu-workers": GKE_CPU})
    assert quotas(found, "vision")["gpu-workers"][GPU] == "20"


def test_a_guarantee_is_the_teams_quota_and_the_others_divide_the_rest_by_weight() -> None:
    """seed row S17"""
    teams = {"vision": {"guaranteed": {"gpu-workers": 4}}, "nlp": {"weight": 2}, "speech": {}}
    found = recorded(teams=teams)
    assert [quotas(found, team)["gpu-workers"][GPU] for team in teams] == ["4", "4", "2"]
    assert quotas(found, "vision")["gpu-workers"]["cpu"] == quotas(found, "nlp")["gpu-workers"]["cpu"]
    assert objects(found, "ClusterQueue")["nlp"]["spec"]["fairSharing"] == {"weight": "2"}


def test_guarantees_above_the_max_are_refused_with_the_fix() -> None:
    """seed row S17"""
    text = refusal(teams={"vision": {"guaranteed": {"gpu-workers": 7}}, "nlp": {"guaranteed": {"gpu-workers": 4}}})
    assert "teams.nlp.guaranteed.gpu-workers = 4: all teams together have 11 GPUs (vision 7 + nlp 4)" in text
    assert "fix: write 3, or raise `max` of gpu-workers to 11" in text
    teams = {"vision": {"guaranteed": {"gpu-workers": 9}}}
    assert "fix: write 8, or raise `max` of gpu-workers to 11" in refusal(teams=teams, unqueued={"gpu-workers": 2})


@pytest.mark.parametrize(
    ("teams", "unqueued", "wrong"),
    [
        ({"vision": {"guaranteed": {"gpu": 1}}}, {}, "vision.guaranteed.gpu = 1: there is no such pool"),
        ({"vision": {"guaranteed": {"cpu-workers": 1}}}, {}, "the pool has no GPUs"),
        ({"vision": {"guaranteed": {"gpu-workers": -1}}}, {}, "must not be negative"),
        ({"vision": {"weight": 0}}, {}, "teams.vision.weight = 0: out of range"),
        ({"Vision": {}}, {}, "teams.Vision"),
        ({}, {}, "has no team"),
        (TEAMS, {"gpu-workers": 11}, "unqueued.gpu-workers = 11: the pool has at most 10 nodes"),
        (TEAMS, {"gpu": 1}, "unqueued.gpu = 1: there is no such pool"),
    ],
)
def test_wrong_shares_are_refused(teams: Any, unqueued: Any, wrong: str) -> None:
    assert wrong in refusal(teams=teams, unqueued=unqueued)


def test_nodes_for_pods_without_a_queue_are_no_part_of_the_quota() -> None:
    found = recorded(unqueued={"gpu-workers": 4, "cpu-workers": 20})
    assert list(quotas(found, "nlp")) == ["gpu-workers"]
    assert quotas(found, "nlp")["gpu-workers"][GPU] == "3"


def test_a_queue_borrows_takes_back_and_tries_the_next_pool_before_it_preempts() -> None:
    spec = objects(recorded(), "ClusterQueue")["vision"]["spec"]
    assert spec["cohortName"] == "gpuyard"
    assert spec["preemption"] == {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"}
    assert spec["flavorFungibility"] == {"whenCanBorrow": "MayStopSearch", "whenCanPreempt": "TryNextFlavor"}
    assert spec["namespaceSelector"] == {"matchLabels": {"gpuyard.dev/team": "vision"}}


def test_quantities_are_spelled_as_kueue_returns_them() -> None:
    """Another spelling would be a difference in every refresh: Kueue's webhook writes `80` for `80000m`."""
    assert Quota(80_000, 2048, 4).quantities == {"cpu": "80", "memory": "2Gi", GPU: "4"}
    assert Quota(7910, 1500, 0).quantities == {"cpu": "7910m", "memory": "1500Mi", GPU: "0"}
    assert Quota(0, 0, 0).quantities == {"cpu": "0", "memory": "0", GPU: "0"}


def test_a_topology_is_used_only_where_nodes_exist_before_a_job_is_admitted() -> None:
    """kueue#5039: Kueue admits no job to a topology without nodes."""
    found = recorded(node_pools={"fast": EFA, "cpu-workers": GUIDE_CPU})
    (flavor,) = [name for name in objects(found, "ResourceFlavor") if name.startswith("fast-")]
    assert objects(found, "ResourceFlavor")[flavor]["spec"]["topologyName"] == "eks-network"
    levels = [each["nodeLabel"] for each in objects(found, "Topology")["eks-network"]["spec"]["levels"]]
    assert levels == [*(f"topology.k8s.aws/network-node-layer-{n}" for n in (1, 2, 3)), "kubernetes.io/hostname"]
    for without in ({"min": 0}, {"interconnect": False}):
        found = recorded(node_pools={"fast": {**EFA, **without}, "cpu-workers": GUIDE_CPU})
        assert not objects(found, "Topology") and "fast" in objects(found, "ResourceFlavor")
    assert not objects(recorded(node_pools={"fast": EFA}, topology=False), "Topology")


def test_a_flavor_with_a_topology_has_another_name_if_something_immutable_changes() -> None:
    def names(**changes: Any) -> set[str]:
        return set(objects(recorded(node_pools={"fast": {**EFA, **changes}}), "ResourceFlavor"))

    assert names() == names(disk_gib=500)
    assert names() != names(labels={"team": "vision"})


def test_pools_that_lack_topology_or_whose_jobs_need_it_are_reported() -> None:
    given: Any = {"cloud": "aws", "node_pools": {"fast": EFA}, "teams": TEAMS, "unqueued": {}, "topology": True}
    assert "admit only jobs that request a topology" in "".join(queues.warnings(given))
    given["node_pools"] = {"fast": {**EFA, "min": 0}}
    assert "it needs `min` equal to `max`" in "".join(queues.warnings(given))
    given["node_pools"] = {"gpu": pool(GUIDE_GPU, labels={f"label-{n}": "x" for n in range(9)})}
    assert "labels: queues do not know label-7, label-8" in "".join(queues.warnings(given))


def test_a_queued_pool_of_gke_has_an_admission_check_on_its_flavor_only() -> None:
    found = recorded("gcp", {"queued": QUEUED, "gpu-workers": GKE_GPU, "cpu-workers": GKE_CPU})
    spec = objects(found, "ClusterQueue")["vision"]["spec"]
    assert spec["admissionChecksStrategy"] == {"admissionChecks": [{"name": "gpuyard-queued", "onFlavors": ["queued"]}]}
    config = objects(found, "ProvisioningRequestConfig")["gpuyard-queued"]["spec"]
    assert config == {"provisioningClassName": "queued-provisioning.gke.io", "managedResources": [GPU]}
    check = objects(found, "AdmissionCheck")["gpuyard-queued"]["spec"]
    assert check["controllerName"] == "kueue.x-k8s.io/provisioning-request"
    tolerated = objects(found, "ResourceFlavor")["queued"]["spec"]["tolerations"]
    assert {"key": "cloud.google.com/gke-queued", "operator": "Exists", "effect": "NoSchedule"} in tolerated
    without = recorded("gcp", {"gpu-workers": GKE_GPU, "cpu-workers": GKE_CPU})
    assert not objects(without, "AdmissionCheck")
    assert "admissionChecksStrategy" not in objects(without, "ClusterQueue")["vision"]["spec"]


def test_a_flavor_has_no_empty_lists() -> None:
    """Kueue omits them when it removes its finalizer; with a topology the API server then refuses the change, and the
    flavor is never deleted."""
    for found in (recorded(), recorded(node_pools={"fast": EFA, "cpu-workers": GUIDE_CPU})):
        assert all(all(each["spec"].values()) for each in objects(found, "ResourceFlavor").values())


def test_a_ladder_of_gke_is_tolerated() -> None:
    ladder = pool(GKE_GPU, capacity=["spot", "on_demand"])
    spec = objects(recorded("gcp", {"gpu-workers": ladder}), "ResourceFlavor")["gpu-workers"]["spec"]
    assert {"key": "cloud.google.com/compute-class", "operator": "Exists", "effect": "NoSchedule"} in spec[
        "tolerations"
    ]


def test_wrong_pools_are_refused_as_the_pools_components_do() -> None:
    assert "node_pools.gpu-workers.machine_types[0]" in refusal(
        node_pools={"gpu-workers": pool(GUIDE_GPU, machine_types=["g6.3xlarge"])}
    )
    assert "node_pools.gpu-workers.maximum" in refusal(node_pools={"gpu-workers": {**GUIDE_GPU, "maximum": 1}})
    assert "cloud = 'azure'" in refusal(cloud="azure")


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"min": None}, "node_pools.gpu.min = None: missing"),
        ({"machine_types": "g6.2xlarge"}, "node_pools.gpu.machine_types = 'g6.2xlarge': not a list"),
        ({"sharing": {"strategy": "mps"}}, "node_pools.gpu.sharing.clients = None: missing"),
        ({"taints": [{"key": "a"}]}, "node_pools.gpu.taints[0].effect = None: missing"),
        ({"labels": {"a": 1}}, "node_pools.gpu.labels.a = 1: not text"),
    ],
)
def test_a_pool_of_another_shape_is_one_error(cloud: str, change: dict[str, Any], path: str) -> None:
    """On AWS a missing field caused a traceback."""
    text = refusal(cloud=cloud, node_pools={"gpu": {**(GUIDE_GPU if cloud == "aws" else GKE_GPU), **change}})
    assert text.startswith("Queues queues: one value cannot work") and path in text


@pytest.mark.parametrize("name", ["", "A", "a" * 63, "-"])
def test_a_team_has_a_name_that_its_namespace_can_have(name: str) -> None:
    text = refusal(teams={name: {}})
    assert "one value cannot work" in text and "not a valid name of a team" in text


def test_large_quotas_are_written_as_kubernetes_writes_them() -> None:
    """Kueue's webhook writes 8000 as 8k: every refresh would find a difference."""
    large: Any = {"machine_types": ["p5.48xlarge"], "min": 0, "max": 1000}
    found = quotas(recorded(node_pools={"large": large}, teams={"vision": {}}), "vision")["large"]
    assert found[GPU] == "8k" and found["cpu"] == "191450"


@pytest.mark.parametrize(("replicas", "surge"), [(9, 1), (10, 0), (20, 0)])
def test_a_server_that_fills_its_pool_is_updated_without_a_surge(replicas: int, surge: int) -> None:
    assert max_surge(resolve("aws", "gpu-workers", GUIDE_GPU), 1, 1, replicas) == surge


def test_a_changed_max_changes_the_quota() -> None:
    """kueue#3183: pool and quota come from one number."""
    larger = {**EKS_POOLS, "gpu-workers": pool(GUIDE_GPU, max=20)}
    assert quotas(recorded(node_pools=larger), "vision")["gpu-workers"][GPU] == "10"
