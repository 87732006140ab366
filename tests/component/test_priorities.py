"""Priorities and headroom: who gives way to whom."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.sharing.headroom import Headroom
from components.sharing.priorities import Priorities
from recording.recorder import run
from recording.recording import Recording
from tests.component.queue_objects import EKS_POOLS
from tests.component.stage import GUIDE_GPU, aws_options, pool

CLASS = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
OF_JOBS = "kubernetes:kueue.x-k8s.io/v1beta2:WorkloadPriorityClass"


def priorities(**args: Any) -> Recording:
    return run(lambda: Priorities("priorities", args, aws_options()))  # type: ignore[arg-type]


def headroom(nodes: dict[str, int], **args: Any) -> Recording:
    given: Any = {"cloud": "aws", "node_pools": EKS_POOLS, "nodes": nodes, **args}
    return run(lambda: Headroom("headroom", given, aws_options()))


def test_only_serving_makes_the_scheduler_evict_batch_work() -> None:
    """seed row S17: queues decide between jobs. Batch, the lowest but headroom, has nothing to evict but headroom."""
    found = {each.inputs["metadata"]["name"]: each.inputs for each in priorities().all(CLASS)}
    order = sorted(found, key=lambda name: -found[name]["value"])
    assert order == ["gpuyard-serving", "gpuyard-training", "gpuyard-batch", "gpuyard-headroom"]
    preempting = [name for name in order if found[name]["preemptionPolicy"] == "PreemptLowerPriority"]
    assert preempting == ["gpuyard-serving", "gpuyard-batch"]
    assert found["gpuyard-batch"]["value"] == 0 and found["gpuyard-batch"]["globalDefault"] is True
    assert [name for name in order if found[name].get("globalDefault")] == ["gpuyard-batch"]
    assert found["gpuyard-headroom"]["value"] == -10, "the autoscaler ignores lower ones"


def test_a_class_whose_value_or_policy_changes_is_created_again() -> None:
    """The API server refuses such a change, and the provider does not know that."""
    for made in priorities().all(CLASS):
        assert {"value", "preemptionPolicy"} == set(made.options["replaceOnChanges"])
        assert made.options["deleteBeforeReplace"]


def test_jobs_in_queues_have_the_same_priorities_as_pods() -> None:
    """seed row S17"""
    found = priorities()
    pods = {each.inputs["metadata"]["name"]: each.inputs["value"] for each in found.all(CLASS)}
    jobs = {each.inputs["metadata"]["name"]: each.inputs["value"] for each in found.all(OF_JOBS)}
    assert jobs == {name: value for name, value in pods.items() if value >= 0}
    assert not priorities(queues=False).all(OF_JOBS)
    assert not [each for each in priorities(default=False).all(CLASS) if each.inputs.get("globalDefault")]


def test_a_placeholder_takes_one_node_and_gives_way_at_once() -> None:
    (made,) = headroom({"gpu-workers": 2}).all("kubernetes:apps/v1:Deployment")
    assert made.inputs["spec"]["replicas"] == 2
    spec = made.inputs["spec"]["template"]["spec"]
    assert spec["priorityClassName"] == "gpuyard-headroom" and spec["terminationGracePeriodSeconds"] == 0
    assert spec["nodeSelector"] == {"gpuyard.dev/pool": "gpu-workers"}
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    (made,) = headroom({"cpu-workers": 1}).all("kubernetes:apps/v1:Deployment")
    limits = made.inputs["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert 4000 < int(limits["cpu"].rstrip("m")) < 8000, "two placeholders never share a node"


def test_a_placeholder_on_shared_gpus_requests_one_and_takes_the_node_by_its_cpus() -> None:
    """A node refuses a pod that requests more than one shared GPU: the placeholder would be created again and again."""
    shared = pool(GUIDE_GPU, sharing={"strategy": "time_sharing", "clients": 4})
    (made,) = headroom({"gpu-workers": 1}, node_pools={"gpu-workers": shared}).all("kubernetes:apps/v1:Deployment")
    limits = made.inputs["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1" and 4000 < int(limits["cpu"].rstrip("m")) < 8000


@pytest.mark.parametrize(
    ("nodes", "wrong"),
    [
        ({"gpu": 1}, "nodes.gpu = 1: there is no such pool"),
        ({"gpu-workers": 0}, "fix: remove it"),
        ({"gpu-workers": 11}, "the pool has at most 10 nodes"),
    ],
)
def test_headroom_that_a_pool_cannot_have_is_refused(nodes: dict[str, int], wrong: str) -> None:
    with pytest.raises(pulumi.RunError, match=wrong):
        headroom(nodes)


def test_the_image_of_placeholders_comes_from_your_registry() -> None:
    (made,) = headroom({"gpu-workers": 1}, images={"registry": "registry.example.com"}).all(
        "kubernetes:apps/v1:Deployment"
    )
    image = made.inputs["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image.startswith("registry.example.com/registry.k8s.io/pause:")
