"""The stand-in autoscaler's decisions, one round at a time, with a clock that the test controls."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from sandbox.cluster.autoscaler import DRAINED, PRIORITIES, SAFE_TO_EVICT, Autoscaler, Pace
from sandbox.cluster.cloud import Group
from sandbox.tests.cluster.fake_fleet import FakeFleet, cpu_group, gpu_group, shape
from sandbox.workload import plain_pod, training_spec


class Recorder:
    """Replaces the API server: returns the objects in `lists`, records the writes."""

    def __init__(self) -> None:
        self.lists: dict[str, list] = defaultdict(list)
        self.objects: dict[str, dict] = {}
        self.events: list[tuple[str, str]] = []
        self.evicted: list[str] = []

    def list(self, path: str, **_: str) -> list:
        return self.lists[path]

    def get(self, path: str) -> dict | None:
        return self.objects.get(path)

    def create(self, path: str, body: dict) -> dict:
        if path.endswith("/events"):
            self.events.append((body["reason"], body["message"]))
        return body

    def patch(self, path: str, body: dict, content: str = "") -> dict:
        if path.startswith("/api/v1/nodes/") and path in self.objects:
            self.objects[path]["spec"]["taints"] = body["spec"]["taints"]
        return body

    def request(self, method: str, path: str, body: dict) -> dict:
        assert path.endswith("/eviction")
        self.evicted.append(path.split("/")[-2])
        return {}


class World:
    """A fleet, an API server and an autoscaler that runs a round on request."""

    def __init__(self, *groups: Group) -> None:
        self.api: Any = Recorder()
        self.fleet = FakeFleet(*groups, own_autoscaler=True)
        self.fleet.boot = 0
        self.time = 0.0
        self.scaler = Autoscaler(self.api, self.fleet, Pace(10, 60, 30), clock=lambda: self.time)
        self.pods: list[dict] = []

    def look(self, after: float = 0, nodes: bool = True) -> list[tuple[str, int]]:
        """One round `after` seconds later; returns its requests to the cloud."""
        self.time += after
        machines, before = self.fleet.machines(), len(self.fleet.asked)
        found = [self.node(machine) for machine in machines] if nodes else []
        self.api.lists["/api/v1/pods"] = self.pods
        self.scaler.tick(self.pods, found, machines)
        return self.fleet.asked[before:]

    def node(self, machine) -> dict:
        path = f"/api/v1/nodes/{machine.node_name}"
        resources = dict(machine.node.resources)
        taints = [{"key": t.key, "value": t.value, "effect": t.effect} for t in machine.node.taints]
        node = {
            "kind": "Node",
            "metadata": {
                "name": machine.node_name,
                "uid": machine.id,
                "labels": machine.node.labels,
                "resourceVersion": "",
            },
            "spec": {"taints": taints},
            "status": {"allocatable": resources, "conditions": [{"type": "Ready", "status": "True"}]},
        }
        return self.api.objects.setdefault(path, node)

    def pending(self, name: str, spec: dict, **spec_changes) -> dict:
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
        meta = {"name": name, "uid": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"}
        pod = {"kind": "Pod", "metadata": meta, "spec": {**spec, **spec_changes}, "status": {"conditions": [condition]}}
        self.pods.append(pod)
        return pod

    def running(self, name: str, node: str, **meta) -> dict:
        pod = self.pending(name, plain_pod(name)["spec"], nodeName=node)
        pod["metadata"] |= meta
        pod["status"] = {"phase": "Running"}
        return pod


def cpu_spec(cores: int) -> dict:
    return {"containers": [{"name": "a", "image": "a", "resources": {"requests": {"cpu": str(cores)}}}]}


def test_it_waits_for_a_node_that_starts_in_the_zone_of_a_volume() -> None:
    """field case A4: the node has the zone that it was ordered for, not the template's; no second one is ordered."""
    group = gpu_group()
    there = replace(group.template, zone="us-east-1b")
    world = World(replace(group, elsewhere=(there,)))
    pod = world.pending("train", training_spec(), nodeSelector={"topology.kubernetes.io/zone": "us-east-1b"})
    assert world.look() == [("asg-gpu", 1)]
    (machine,) = world.fleet.machines()
    assert machine.node.zone == pod["spec"]["nodeSelector"]["topology.kubernetes.io/zone"]
    assert world.look(1, nodes=False) == []


def test_it_orders_one_node_and_waits_for_it() -> None:
    """seed row S04: the pod still waits while the node boots and until it advertises its GPU; no second node."""
    world = World(gpu_group())
    world.pending("train", training_spec())
    assert world.look() == [("asg-gpu", 1)]
    assert world.look(1, nodes=False) == []
    assert world.look(1) == []
    assert world.api.events == [("TriggeredScaleUp", "pod triggered scale-up: [{asg-gpu 0->1 (max: 10)}]")]


def test_it_orders_as_many_nodes_as_the_pods_need_together() -> None:
    """seed row S04: three pods of three cores are two nodes of eight."""
    world = World(cpu_group(min=0, desired=0))
    for number in range(3):
        world.pending(f"p{number}", cpu_spec(3))
    assert world.look() == [("asg-cpu", 2)]


def test_the_first_rung_is_chosen_then_the_least_waste() -> None:
    """seed row S12: priority before price, and the smaller machine among equals."""
    small = replace(cpu_group(min=0, desired=0, template=shape("m5.xlarge", 4, "15Gi", {})), id="small", pool="small")
    large = replace(small, id="large", template=shape("m5.4xlarge", 16, "62Gi", {}))
    world = World(large, small)
    world.pending("p", cpu_spec(3))
    assert world.look() == [("small", 1)]
    world = World(replace(large, priority=5), small)
    world.pending("p", cpu_spec(3))
    assert world.look() == [("large", 1)]


def zones(*flags: str, **sizes: int) -> World:
    """A rung in several zones, one group each, and an autoscaler's pod with these flags."""
    groups = []
    for letter, size in sizes.items():
        labels = {"gpuyard.dev/pool": "web", "gpuyard.dev/capacity": "spot"}
        template = replace(shape("m5.2xlarge", 8, "31Gi", labels), zone=f"us-east-1{letter}")
        groups.append(replace(cpu_group(min=0, desired=size), id=f"web-{letter}", pool="web", template=template))
    world = World(*groups)
    scaler = world.running("ca", "elsewhere", labels={"app.kubernetes.io/name": "aws-cluster-autoscaler"})
    scaler["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    scaler["spec"]["containers"][0]["command"] = ["./cluster-autoscaler", *flags]
    return world


BALANCED = (
    "--balance-similar-node-groups=true",
    "--balancing-label=gpuyard.dev/pool",
    "--balancing-label=gpuyard.dev/capacity",
)


@pytest.mark.parametrize(("flags", "order"), [(BALANCED, ["web-b", "web-a", "web-b"]), ((), ["web-a"] * 3)])
def test_similar_groups_grow_evenly_if_the_flags_request_it(flags: tuple[str, ...], order: list[str]) -> None:
    """field case A4: the zones of a rung, as the real one's BalanceScaleUpBetweenGroups does."""
    world = zones(*flags, a=1, b=0)
    for number in range(4):  # one of them fits on the existing node
        world.pending(f"p{number}", cpu_spec(7))
    groups = {group.id: group.desired for group in world.fleet.groups()}
    world.look(nodes=False)
    grown = {group.id: group.desired - groups[group.id] for group in world.fleet.groups()}
    assert grown == {name: order.count(name) for name in groups}


LADDER = "30:\n  - ^eks-gpu-reserved-\\d+\n20:\n  - ^eks-gpu-spot-\\d+\n10:\n  - ^eks-gpu-\\d+\n"


def ladder() -> World:
    """Three rungs of a pool with their EKS names, and the ConfigMap of the autoscaler's chart; a rung that failed has
    a long backoff."""
    rungs = ("eks-gpu-1", "eks-gpu-spot-1", "eks-gpu-reserved-1")
    world = World(*(replace(gpu_group(max=1), id=rung) for rung in rungs))
    world.scaler._pace = Pace(10, 60, 600)
    world.api.objects[PRIORITIES] = {"data": {"priorities": LADDER}}
    return world


def test_the_priorities_of_the_chart_order_the_groups_of_a_pool() -> None:
    """seed row S04: reserved, then spot, then on demand; a full rung is followed by the next."""
    world = ladder()
    for number, rung in enumerate(("eks-gpu-reserved-1", "eks-gpu-spot-1", "eks-gpu-1")):
        world.pending(f"train-{number}", training_spec())
        assert world.look(1, nodes=False) == [(rung, 1)]


def test_the_next_rung_is_tried_when_a_rung_has_no_capacity() -> None:
    """seed row S12: reserved capacity is used up, spot is not available; on demand is."""
    world = ladder()
    world.fleet.capacity |= {"eks-gpu-reserved-1": 0, "eks-gpu-spot-1": 0}
    world.pending("train", training_spec())
    asked = [call for after in (0, 1, 61, 1, 1, 61, 1) for call in world.look(after)]
    spot, reserved = "eks-gpu-spot-1", "eks-gpu-reserved-1"
    assert asked == [(reserved, 1), (reserved, 0), (spot, 1), (spot, 0), ("eks-gpu-1", 1)]


def test_a_group_that_no_priority_matches_is_last() -> None:
    """The real priority expander does not use such a group while another one fits."""
    world = World(gpu_group(id="another", priority=99), gpu_group(id="eks-gpu-1"))
    world.api.objects[PRIORITIES] = {"data": {"priorities": LADDER}}
    world.pending("train", training_spec())
    assert world.look() == [("eks-gpu-1", 1)]


@pytest.mark.parametrize("text", ["[]", "10: [(]", "ten: [a]", "{"])
def test_invalid_priorities_are_ignored_with_a_warning(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    world = World(gpu_group())
    world.api.objects[PRIORITIES] = {"data": {"priorities": text}}
    world.pending("train", training_spec())
    assert world.look() == [("asg-gpu", 1)]
    assert "priorities are ignored" in capsys.readouterr().out


def test_daemon_sets_use_a_part_of_a_new_node() -> None:
    """Resources of DaemonSets are not available to the pod."""
    world = World(cpu_group(min=0, desired=0))
    daemon = {"metadata": {"namespace": "kube-system"}, "spec": {"template": {"spec": cpu_spec(1)}}}
    world.api.lists["/apis/apps/v1/daemonsets"] = [daemon]
    world.pending("p", cpu_spec(8))
    assert world.look() == []
    assert world.api.events[0][1].endswith("cpu-workers (m5.2xlarge): Insufficient cpu")


@pytest.mark.parametrize(
    "change",
    [
        {"priority": -11},
        {"nodeName": "somewhere"},
    ],
)
def test_expendable_and_placed_pods_are_ignored(change: dict) -> None:
    """Expendable pods and placed ones cause no order."""
    world = World(gpu_group())
    world.pending("train", training_spec(), **change)
    assert world.look() == []


def test_a_refusal_of_the_cloud_is_reported_and_starts_a_backoff() -> None:
    """seed row S04: for example a quota of zero."""
    world = World(gpu_group())
    world.fleet.set_desired = lambda *_: (_ for _ in ()).throw(RuntimeError("VcpuLimitExceeded"))  # type: ignore[method-assign]
    world.pending("train", training_spec())
    world.look()
    assert world.api.events == [("FailedToScaleUpGroup", "Scale-up of asg-gpu failed: VcpuLimitExceeded")]
    world.look(1)
    assert "in backoff after failed scale-up" in world.api.events[-1][1]
    del world.fleet.set_desired
    assert world.look(40) == [("asg-gpu", 1)]


def test_an_order_without_capacity_is_cancelled() -> None:
    """seed row S12: no capacity."""
    world = World(gpu_group())
    world.fleet.capacity["asg-gpu"] = 0
    world.pending("train", training_spec())
    assert world.look() == [("asg-gpu", 1)]
    assert world.look(1) == []
    assert world.look(61) == [("asg-gpu", 0)]


def test_an_idle_node_is_removed_but_never_below_the_minimum() -> None:
    """seed rows S02, S03: 2..20 and 0..10."""
    world = World(cpu_group(desired=3), gpu_group(desired=1))
    world.look()
    assert len(world.fleet.machines()) == 4
    world.look(9)
    assert len(world.fleet.machines()) == 4
    world.look(2)
    assert sorted(m.pool for m in world.fleet.machines()) == ["cpu-workers", "cpu-workers"]
    world.look(20)
    assert len(world.fleet.machines()) == 2


@pytest.mark.parametrize(
    ("meta", "goes"),
    [
        ({}, False),
        ({"annotations": {SAFE_TO_EVICT: "false"}}, False),
        ({"ownerReferences": [{"kind": "DaemonSet"}]}, True),
        ({"annotations": {"kubernetes.io/config.mirror": "x"}}, True),
    ],
)
def test_pods_that_prevent_the_removal_of_a_node(meta: dict, goes: bool) -> None:
    """Pods that may be deleted with their node do not prevent its removal."""
    world = World(cpu_group(min=0, desired=1))
    world.running("p", world.fleet.machines()[0].node_name, **meta)
    world.look()
    world.look(11)
    assert (not world.fleet.machines()) == goes


def test_a_pod_that_may_be_evicted_is_moved_first() -> None:
    """safe-to-evict: the node is cordoned, the pod evicted, and the machine deleted when the node is empty."""
    world = World(cpu_group(min=1, desired=2))
    name = world.fleet.machines()[0].node_name
    world.running("p", name, annotations={SAFE_TO_EVICT: "true"})
    world.running("stays", world.fleet.machines()[1].node_name)
    listed = world.api.list
    world.api.list = lambda path, **query: (
        [
            pod
            for pod in listed(path)
            if query.get("fieldSelector", f"spec.nodeName={name}").endswith(pod["spec"].get("nodeName", ""))
        ]
        if path == "/api/v1/pods"
        else listed(path)
    )
    world.look()
    world.look(11)
    assert world.api.evicted == ["p"]
    assert any(taint["key"] == DRAINED for taint in world.api.objects[f"/api/v1/nodes/{name}"]["spec"]["taints"])
    world.pods = world.pods[1:]
    world.look(1)
    assert [m.node_name for m in world.fleet.machines()] != [name] and len(world.fleet.machines()) == 1


def test_a_node_that_a_pending_pod_needs_is_not_idle() -> None:
    """Between two rounds of the scheduler, a node may appear empty."""
    world = World(cpu_group(min=0, desired=1))
    world.pending("p", cpu_spec(3))
    world.look()
    world.look(30)
    assert len(world.fleet.machines()) == 1


def test_nothing_happens_without_an_autoscaler() -> None:
    """seed row S04: on EKS a release has to run."""
    world = World(gpu_group(), cpu_group(min=0, desired=2))
    world.fleet.own_autoscaler = False
    world.pending("train", training_spec())
    assert world.look() == [] and not world.api.events
    world.look(60)
    assert len(world.fleet.machines()) == 2
