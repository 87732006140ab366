"""Which pods fit which nodes; sandbox/tests/cluster/test_scheduling.py compares with the real scheduler."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.cluster.cloud import Taint
from sandbox.cluster.quantity import parse_all
from sandbox.cluster.scheduling import NodeInfo, daemon_pod, misfit, requests, selector_matches
from sandbox.workload import plain_pod, training_spec

GPU_TAINT = Taint("nvidia.com/gpu", "true", "NoSchedule")
TRAINING = {"metadata": {"name": "train"}, "spec": training_spec()}
BIG = {"cpu": "7910m", "memory": "30Gi", "pods": "58", "ephemeral-storage": "180Gi", "nvidia.com/gpu": "1"}


def gpu_room(**changes) -> NodeInfo:
    labels = changes.pop("labels", {"workload": "gpu-training"})
    free = {**BIG, **changes.pop("free", {})}
    return NodeInfo("gpu", labels, (GPU_TAINT,), parse_all({k: v for k, v in free.items() if v}), **changes)


def test_the_guides_pod_fits_the_guides_node() -> None:
    """seed rows S07, S08, S09, S10: toleration, requests, affinity and disk."""
    assert misfit(TRAINING, gpu_room()) is None


@pytest.mark.parametrize(
    ("node_info", "reason"),
    [
        (gpu_room(labels={}), "node(s) didn't match Pod's node affinity/selector"),
        (gpu_room(free={"nvidia.com/gpu": ""}), "Insufficient nvidia.com/gpu"),
        (gpu_room(free={"cpu": "3910m"}), "Insufficient cpu"),
        (gpu_room(free={"memory": "15Gi"}), "Insufficient memory"),
        (gpu_room(free={"ephemeral-storage": "20Gi"}), "Insufficient ephemeral-storage"),
        (gpu_room(free={"pods": "0"}), "Too many pods"),
        (gpu_room(unschedulable=True), "node(s) were unschedulable"),
    ],
)
def test_each_missing_requirement_is_named(node_info: NodeInfo, reason: str) -> None:
    """seed rows S08, S09, S10: with the scheduler's messages."""
    assert misfit(TRAINING, node_info) == reason


def test_a_plain_pod_does_not_fit_a_tainted_node() -> None:
    """seed row S07."""
    assert misfit(plain_pod("plain"), gpu_room()) == "node(s) had untolerated taint(s) {nvidia.com/gpu: true}"


def test_requests_are_those_of_the_peak() -> None:
    """Init containers run one after the other next to their sidecars; limits replace missing requests."""
    spec = {
        "initContainers": [
            {"restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
            {"resources": {"requests": {"cpu": "5"}}},
        ],
        "containers": [{"resources": {"limits": {"cpu": "2", "nvidia.com/gpu": "1"}}}],
        "overhead": {"memory": "10Mi"},
    }
    assert requests({"spec": spec}) == parse_all({"cpu": 6, "nvidia.com/gpu": 1, "memory": "10Mi", "pods": 1})


def test_a_full_node_accepts_no_more_pods() -> None:
    node_info = gpu_room()
    node_info.add(TRAINING)
    assert misfit(TRAINING, node_info) in ("Insufficient nvidia.com/gpu", "Insufficient cpu", "Insufficient memory")
    assert node_info.free["nvidia.com/gpu"] == 0


def test_a_bound_volume_of_another_zone_keeps_the_pod_away() -> None:
    """seed row S11: an EBS volume is in one zone."""
    here = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a"]}]}]}
    assert misfit(plain_pod("p"), NodeInfo("n", {"zone": "a"}, (), parse_all(BIG)), (), [here]) is None
    conflict = misfit(plain_pod("p"), NodeInfo("n", {"zone": "b"}, (), parse_all(BIG)), (), [here])
    assert conflict == "node(s) had volume node affinity conflict"


def test_a_daemon_sets_pod_tolerates_what_its_controller_adds() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    pod = daemon_pod({"metadata": {"namespace": "kube-system"}, "spec": {"template": template}})
    node_info = NodeInfo("n", {}, (Taint("node.kubernetes.io/disk-pressure", "", "NoSchedule"),), parse_all(BIG))
    assert misfit(pod, node_info) is None
    assert misfit(plain_pod("p"), node_info)


labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)


@given(labels, labels)
def test_match_labels_are_equivalent_to_in_expressions(wanted: dict[str, str], have: dict[str, str]) -> None:
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()]
    exact = selector_matches({"matchLabels": wanted}, have)
    assert exact == selector_matches({"matchExpressions": expressions}, have) == (wanted.items() <= have.items())


@given(labels, st.sampled_from("abc"), st.sets(st.sampled_from("xyz"), min_size=1))
def test_opposite_operators_are_opposites(have: dict[str, str], key: str, values: set[str]) -> None:
    def holds(operator: str, **more: list[str]) -> bool:
        return selector_matches({"matchExpressions": [{"key": key, "operator": operator, **more}]}, have)

    assert holds("In", values=[*values]) != holds("NotIn", values=[*values])
    assert holds("Exists") != holds("DoesNotExist")


@given(st.integers(0, 20), st.integers(1, 8))
def test_as_many_pods_fit_as_there_is_cpu(cores: int, each: int) -> None:
    node_info = NodeInfo("n", {}, (), {"cpu": Fraction(cores), "pods": Fraction(99), "memory": Fraction(10**12)})
    pod = {"spec": {"containers": [{"resources": {"requests": {"cpu": str(each)}}}]}}
    count = 0
    while misfit(pod, node_info) is None:
        node_info.add(pod)
        count += 1
    assert count == cores // each
