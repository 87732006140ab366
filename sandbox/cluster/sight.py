"""What the autoscaler sees at one moment: the rooms that there are, and those that are coming.

A GPU node whose GPU does not show yet is still coming if it carries the accelerator label; without the label it is an
ordinary node without GPUs, and the autoscaler will order another one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sandbox.cluster.api import Object
from sandbox.cluster.cloud import Group, Machine, Taint
from sandbox.cluster.eviction import is_daemon
from sandbox.cluster.nodes import GPU, NOTICE, is_ready
from sandbox.cluster.quantity import parse_all
from sandbox.cluster.scheduling import Room, daemon_pod, misfit, requests

ACCELERATOR = ("k8s.amazonaws.com/accelerator", "cloud.google.com/gke-accelerator")


@dataclass
class Sight:
    """Everything that one decision is made from. `rooms` by node name; `coming`: rooms of nodes that are not there yet,
    with their group."""

    groups: Sequence[Group]
    machines: Sequence[Machine]
    pods: Sequence[Object]
    nodes: Sequence[Object]
    daemon_sets: Sequence[Object]
    rooms: dict[str, Room] = field(default_factory=dict)
    coming: list[tuple[Room, Group]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._furnish()

    def everywhere(self) -> list[Room]:
        return [*self.rooms.values(), *(room for room, _ in self.coming)]

    def _furnish(self) -> None:
        """Fills in the rooms: the nodes that are there with what is on them, those to come as their group promises."""
        nodes = {node["metadata"]["name"]: node for node in self.nodes}
        group_of = {
            m.node_name: g.in_zone(m.node.zone)
            for g in self.groups
            for m in self.machines
            if m.group == g.id and g.autoscaled
        }
        for name, node in nodes.items():
            group = group_of.get(name)
            if is_ready(node) and not (group and (is_doomed(node) or _awaits_gpu(node, group))):
                room = _room(node)
                self.rooms[name] = room
            elif group and is_doomed(node):
                self.coming.append((imagine(group, self.daemon_sets, name), group))
                continue
            elif group:
                room = imagine(group, self.daemon_sets, name)
                room.unschedulable = bool(node["spec"].get("unschedulable"))
                self.coming.append((room, group))
            else:
                continue
            for pod in self.pods:
                here = pod["spec"].get("nodeName") == name and pod["status"].get("phase") not in ("Succeeded", "Failed")
                # A coming node has its DaemonSets taken off already.
                if here and (name in self.rooms or not is_daemon(pod)):
                    room.take(pod)
        for group in self.groups:
            there = [machine for machine in self.machines if machine.group == group.id]
            missing = [(m.node_name, group_of.get(m.node_name, group)) for m in there if m.node_name not in nodes]
            missing += [(f"{group.pool} (ordered {number})", group) for number in range(group.desired - len(there))]
            for name, own in missing if group.autoscaled else ():
                self.coming.append((imagine(own, self.daemon_sets, name), own))


def _room(node: Object) -> Room:
    taints = [Taint(t["key"], t.get("value", ""), t["effect"]) for t in node["spec"].get("taints") or ()]
    free = parse_all(node["status"].get("allocatable"))
    unschedulable = bool(node["spec"].get("unschedulable"))
    return Room(node["metadata"]["name"], node["metadata"].get("labels") or {}, taints, free, [], unschedulable)


def imagine(group: Group, daemon_sets: Sequence[Object], name: str) -> Room:
    """The next node of a group, from what the autoscaler may know, with its DaemonSets' pods on it."""
    shape = group.template
    labels = {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": shape.machine_type,
        "topology.kubernetes.io/zone": shape.zone,
        **shape.labels,
        "kubernetes.io/hostname": name,
    }
    room = Room(name, labels, shape.taints, parse_all(shape.resources))
    for daemon_set in daemon_sets:
        pod = daemon_pod(daemon_set)
        if misfit(pod, room) is None:
            room.take(pod)
    return room


def refusal(pod: Object, room: Room, rooms: Sequence[Room], volumes: list[dict]) -> str | None:
    """Why the pod cannot be in one of the rooms, given the others."""
    return misfit(pod, room, [other for other in rooms if other is not room], volumes)


def is_doomed(node: Object) -> bool:
    """Its machine is being reclaimed, and the cloud replaces it: what comes is an empty node of its group."""
    return any(taint["key"] in NOTICE.values() for taint in node["spec"].get("taints") or ())


def _awaits_gpu(node: Object, group: Group) -> bool:
    """A GPU node that says so by its label and does not show its GPU yet counts as still coming."""
    labelled = any(label in (node["metadata"].get("labels") or {}) for label in ACCELERATOR)
    promised = parse_all(group.template.resources).get(GPU, Fraction(0))
    return labelled and promised > parse_all(node["status"].get("allocatable")).get(GPU, Fraction(0))


def waste(pod: Object, option: tuple[Group, Room]) -> Fraction:
    """The share of cpu and memory of the new node that the pod would leave unused."""
    whole, needs = parse_all(option[0].template.resources), requests(pod)
    shares = [1 - needs.get(name, Fraction(0)) / whole[name] for name in ("cpu", "memory") if whole.get(name)]
    return sum(shares, Fraction(0))
