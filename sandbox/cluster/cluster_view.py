"""The autoscaler's view of a cluster at one moment: the nodes that exist, and those that are being added.

A GPU node whose GPU is not allocatable yet counts as being added if it has the accelerator label. Without the label it
is an ordinary node without GPUs, and the autoscaler orders another one.
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
from sandbox.cluster.scheduling import NodeInfo, daemon_pod, misfit, requests

ACCELERATOR = ("k8s.amazonaws.com/accelerator", "cloud.google.com/gke-accelerator")


@dataclass
class ClusterView:
    """Everything that one decision is based on.

    `node_infos`: the nodes that exist and are ready, by name. `coming`: the nodes that are being added, with their
    group.
    """

    groups: Sequence[Group]
    machines: Sequence[Machine]
    pods: Sequence[Object]
    nodes: Sequence[Object]
    daemon_sets: Sequence[Object]
    node_infos: dict[str, NodeInfo] = field(default_factory=dict)
    coming: list[tuple[NodeInfo, Group]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fill()

    def all_nodes(self) -> list[NodeInfo]:
        return [*self.node_infos.values(), *(node_info for node_info, _ in self.coming)]

    def _fill(self) -> None:
        """Sets `node_infos`, each with the pods on it, and `coming`, each as its group's template describes it."""
        nodes = {node["metadata"]["name"]: node for node in self.nodes}
        group_of = {
            m.node_name: g.in_zone(m.node.zone)
            for g in self.groups
            for m in self.machines
            if m.group == g.id and g.autoscaled
        }
        for name, node in nodes.items():
            group = group_of.get(name)
            if is_ready(node) and not (group and (is_being_reclaimed(node) or _awaits_gpu(node, group))):
                node_info = _node_info(node)
                self.node_infos[name] = node_info
            elif group and is_being_reclaimed(node):
                self.coming.append((expected_node(group, self.daemon_sets, name), group))
                continue
            elif group:
                node_info = expected_node(group, self.daemon_sets, name)
                node_info.unschedulable = bool(node["spec"].get("unschedulable"))
                self.coming.append((node_info, group))
            else:
                continue
            for pod in self.pods:
                here = pod["spec"].get("nodeName") == name and pod["status"].get("phase") not in ("Succeeded", "Failed")
                # What the DaemonSets use is already subtracted from a node that is being added.
                if here and (name in self.node_infos or not is_daemon(pod)):
                    node_info.add(pod)
        for group in self.groups:
            there = [machine for machine in self.machines if machine.group == group.id]
            missing = [(m.node_name, group_of.get(m.node_name, group)) for m in there if m.node_name not in nodes]
            missing += [(f"{group.pool} (ordered {number})", group) for number in range(group.desired - len(there))]
            for name, own in missing if group.autoscaled else ():
                self.coming.append((expected_node(own, self.daemon_sets, name), own))


def _node_info(node: Object) -> NodeInfo:
    taints = [Taint(t["key"], t.get("value", ""), t["effect"]) for t in node["spec"].get("taints") or ()]
    free = parse_all(node["status"].get("allocatable"))
    unschedulable = bool(node["spec"].get("unschedulable"))
    return NodeInfo(node["metadata"]["name"], node["metadata"].get("labels") or {}, taints, free, [], unschedulable)


def expected_node(group: Group, daemon_sets: Sequence[Object], name: str) -> NodeInfo:
    """The next node of a group, from what the autoscaler knows of the group, with the pods of the DaemonSets on it."""
    shape = group.template
    labels = {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": shape.machine_type,
        "topology.kubernetes.io/zone": shape.zone,
        **shape.labels,
        "kubernetes.io/hostname": name,
    }
    node_info = NodeInfo(name, labels, shape.taints, parse_all(shape.resources))
    for daemon_set in daemon_sets:
        pod = daemon_pod(daemon_set)
        if misfit(pod, node_info) is None:
            node_info.add(pod)
    return node_info


def refusal(pod: Object, node_info: NodeInfo, node_infos: Sequence[NodeInfo], volumes: list[dict]) -> str | None:
    """Why the pod does not fit the node, given the other nodes; None if it fits."""
    return misfit(pod, node_info, [other for other in node_infos if other is not node_info], volumes)


def is_being_reclaimed(node: Object) -> bool:
    """Whether its machine is being reclaimed. The cloud replaces it with an empty node of the same group."""
    return any(taint["key"] in NOTICE.values() for taint in node["spec"].get("taints") or ())


def _awaits_gpu(node: Object, group: Group) -> bool:
    """Whether the node has the label of a GPU node and its GPU is not allocatable yet."""
    labelled = any(label in (node["metadata"].get("labels") or {}) for label in ACCELERATOR)
    promised = parse_all(group.template.resources).get(GPU, Fraction(0))
    return labelled and promised > parse_all(node["status"].get("allocatable")).get(GPU, Fraction(0))


def waste(pod: Object, option: tuple[Group, NodeInfo]) -> Fraction:
    """The share of cpu and memory of the new node that the pod would leave unused."""
    whole, needs = parse_all(option[0].template.resources), requests(pod)
    shares = [1 - needs.get(name, Fraction(0)) / whole[name] for name in ("cpu", "memory") if whole.get(name)]
    return sum(shares, Fraction(0))
