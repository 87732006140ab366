"""The order of GKE's node pools by a ComputeClass: which pools are tried first, and which never."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sandbox.cluster import compute_class
from sandbox.cluster.cloud import Group, NodeShape, Taint
from sandbox.cluster.compute_class import LABEL, NODE_POOL, PATH
from sandbox.tests.cluster.fake_fleet import gpu_group
from sandbox.tests.unit.cluster.test_autoscaler import World
from sandbox.workload import training_spec

RUNGS = ["train-reserved", "train-flex", "train-spot", "train"]


def rung(name: str, *, labelled: bool = True, tainted: bool = True, priority: int = 0) -> Group:
    """A node pool of the ladder `train`, in GKE's API."""
    group = gpu_group()
    template: NodeShape = group.template
    labels = {**template.labels, NODE_POOL: name, **({LABEL: "train"} if labelled else {})}
    taints = (*template.taints, *((Taint(LABEL, "train", "NoSchedule"),) if tainted else ()))
    shape = replace(template, labels=labels, taints=taints)
    return replace(group, id=name, pool=name, template=shape, priority=priority, desired=0, min=0, max=1)


def ordered(world: World, names: list[str]) -> None:
    """The class `train` with a priority for each name."""
    spec = {"priorities": [{"nodepools": [name]} for name in names]}
    world.api.lists[PATH] = [{"metadata": {"name": "train"}, "spec": spec}]


def asked(world: World, pods: int) -> list[str]:
    """Node pools that grow for this number of pods, in order."""
    grown = []
    for number in range(pods):
        world.pending(f"p{number}", training_spec())
        grown += [name for name, _ in world.look(1)]
    return grown


def test_the_rungs_are_tried_in_the_order_of_the_class() -> None:
    """seed row S12: each fits one node here, so each pod uses the next one. By price the order would differ."""
    world = World(*(rung(name, priority=index) for index, name in enumerate(RUNGS)))
    ordered(world, RUNGS)
    assert asked(world, 4) == RUNGS


def test_without_a_class_the_cheapest_pool_grows() -> None:
    world = World(*(rung(name, labelled=False, tainted=False, priority=index) for index, name in enumerate(RUNGS)))
    assert asked(world, 2) == ["train", "train-spot"]


@pytest.mark.parametrize(
    ("group", "classes", "reason"),
    [
        (rung("train"), [], "there is no ComputeClass train"),
        (rung("train", tainted=False), ["train"], "but not the taint (NodepoolMisconfigured)"),
        (rung("train"), ["train-spot"], "no priority of ComputeClass train names its node pool"),
    ],
)
def test_a_pool_that_its_class_does_not_name_never_grows(group: Group, classes: list[str], reason: str) -> None:
    world = World(group)
    if classes:
        ordered(world, classes)
    assert asked(world, 1) == []
    assert any(reason in message for kind, message in world.api.events if kind == "NotTriggerScaleUp")


def test_the_crd_is_created_once() -> None:
    class Server:
        made: list[dict[str, Any]] = []

        def get(self, path: str) -> dict[str, Any] | None:
            return next((each for each in self.made if path.endswith(each["metadata"]["name"])), None)

        def create(self, path: str, body: dict[str, Any]) -> None:
            self.made.append(body)

    server: Any = Server()
    compute_class.install(server)
    compute_class.install(server)
    (kind,) = server.made
    assert (kind["spec"]["group"], kind["spec"]["names"]["kind"]) == ("cloud.google.com", "ComputeClass")
