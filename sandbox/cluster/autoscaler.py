"""The stand-in Cluster Autoscaler: resizes the cloud's node groups for the pods that do not fit.

It knows a group only from the cloud's API (`Group.template`) and acts only where an autoscaler would run: in a cloud
that has its own (GKE), or while a cluster-autoscaler pod runs in the cluster. Like the real one, it

- builds the node that an empty group would add, subtracts what DaemonSets will use, and checks whether the pod fits;
- counts nodes that are being added, and GPU nodes whose GPU is not allocatable yet if they have the accelerator label
  (without the label it orders another node);
- chooses among groups by priority, then by least waste, and of groups that its flags call similar the smallest
  (`balance-similar-node-groups`); never goes over `max` or under `min`. Priorities are those of the ConfigMap that
  the chart makes for its expander (patterns of group names), else those of GKE's compute classes, else the cloud's own;
- reports on the pod what it did or why it could not (events TriggeredScaleUp and NotTriggerScaleUp), and keeps its
  last report in the ConfigMap kube-system/cluster-autoscaler-status;
- gives up on a group whose machines do not start, lowers its size again, and tries other groups for a while; - removes
nodes that have had only DaemonSet pods for some time.

Its times are scaled: `Pace`. It does not consolidate nodes that are merely underused.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import yaml

from sandbox.cluster.api import Api, Object
from sandbox.cluster.cloud import Fleet, Group, Machine
from sandbox.cluster.cluster_view import ClusterView, expected_node, is_being_reclaimed, refusal, waste
from sandbox.cluster.compute_class import Classes
from sandbox.cluster.event import Events
from sandbox.cluster.eviction import evict, is_daemon
from sandbox.cluster.nodes import is_running, now, retaint
from sandbox.cluster.scheduling import NodeInfo

DRAINED = "ToBeDeletedByClusterAutoscaler"
ZONE = "topology.kubernetes.io/zone"
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"
NO_SCALE_DOWN = "cluster-autoscaler.kubernetes.io/scale-down-disabled"
STATUS = "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-status"
PRIORITIES = "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-priority-expander"
EXPENDABLE_BELOW = -10
"""Pods of a lower priority never cause a scale-up (the real one's default)."""


@dataclass(frozen=True)
class Pace:
    """Seconds; the real autoscaler's defaults are 600, 900 and 300.

    idle: how long a node is idle before it is removed. provision: how long a machine may take to become a node.
    backoff: how long a group that failed is not tried again.
    """

    idle: float = 10
    provision: float = 60
    backoff: float = 30

    @staticmethod
    def of_environment() -> Pace:
        """`$GPUYARD_SCALE_DOWN_SECONDS` replaces `idle`."""
        return Pace(idle=float(os.environ.get("GPUYARD_SCALE_DOWN_SECONDS") or Pace.idle))


class Autoscaler:
    def __init__(self, api: Api, fleet: Fleet, pace: Pace | None = None, clock: Callable[[], float] = time.monotonic):
        self._api = api
        self._fleet = fleet
        self._pace = pace or Pace.of_environment()
        self._clock = clock
        self._events = Events(api, "cluster-autoscaler", clock)
        self._idle_since: dict[str, float] = {}
        self._short_since: dict[str, float] = {}
        self._backoff_until: dict[str, float] = {}
        self._words: deque[str] = deque(maxlen=20)
        self._similar: frozenset[str] = frozenset()

    def runs(self, pods: Sequence[Object]) -> bool:
        """Whether an autoscaler would run in the real cluster: the cloud's own, or a pod of a release."""
        return self._fleet.may_act() or any(_is_autoscaler(pod) for pod in pods)

    def tick(self, pods: Sequence[Object], nodes: Sequence[Object], machines: Sequence[Machine]) -> None:
        """One round; called about once a second."""
        if not self.runs(pods):
            self._idle_since.clear()
            return
        self._similar = _similar_by(pods)
        groups = self._fleet.groups()
        waiting = [pod for pod in pods if _needs_help(pod)]
        view = ClusterView(groups, machines, pods, nodes, self._api.list("/apis/apps/v1/daemonsets") if groups else ())
        self._give_up(view)
        used = self._scale_up(view, waiting)
        self._scale_down(view, used)

    # Up

    def _scale_up(self, view: ClusterView, waiting: Sequence[Object]) -> set[str]:
        """Orders nodes for pods that fit on no node. Returns the names of the nodes that pending pods will use."""
        used: set[str] = set()
        ordered: Counter[str] = Counter()
        pinned: dict[str, Counter[str]] = {}
        causes: dict[str, list[Object]] = {}
        classes = Classes.read(self._api, view.groups) if waiting else Classes()
        ranks = self._ranks(view.groups, classes) if waiting else {}
        for pod in sorted(waiting, key=_turn):
            volumes, missing = self._claims(pod)
            node_infos = view.all_nodes()
            home = next((r for r in node_infos if not missing and not refusal(pod, r, node_infos, volumes)), None)
            if home is None and not missing:
                options, reasons = self._options(view, pod, volumes, ordered, classes)
                options.sort(key=lambda option: (-ranks[option[0].id], waste(pod, option), option[0].id))
                if options:
                    group, home = self._balanced(options, ordered)
                    home.name = f"{group.pool} (new {ordered[group.id]})"
                    ordered[group.id] += 1
                    if (zone := home.labels[ZONE]) != group.template.zone:
                        pinned.setdefault(group.id, Counter())[zone] += 1
                    view.coming.append((home, group))
                    causes.setdefault(group.id, []).append(pod)
                else:
                    self._refuse(pod, reasons)
            elif missing:
                self._refuse(pod, [missing])
            if home is not None:
                home.add(pod)
                used.add(home.name)
        for group in view.groups:
            if ordered[group.id]:
                self._order(group, ordered[group.id], causes[group.id], pinned.get(group.id))
        return used

    def _options(
        self, view: ClusterView, pod: Object, volumes: list[dict], ordered: Counter[str], classes: Classes
    ) -> tuple[list[tuple[Group, NodeInfo]], list[str]]:
        """The groups whose next node fits the pod, each with that node, and for the others the reason why it does not
        fit."""
        options, reasons = [], []
        for group in view.groups:
            node_info = expected_node(group, view.daemon_sets, f"{group.pool} (new)")
            if not group.autoscaled:
                reason = "not known to the autoscaler (autoscaling is off, or the group's discovery tags are missing)"
            elif group.queued:
                reason = "its nodes are added for a ProvisioningRequest only"
            elif self._backoff_until.get(group.id, 0) > self._clock():
                reason = "in backoff after failed scale-up"
            elif barred := classes.bars(group):
                reason = barred
            else:
                reason = refusal(pod, node_info, view.all_nodes(), volumes)
                for shape in group.elsewhere if reason else ():
                    there = expected_node(group.in_zone(shape.zone), view.daemon_sets, f"{group.pool} (new)")
                    if not refusal(pod, there, view.all_nodes(), volumes):
                        reason, node_info = None, there
                        break
                if not reason and group.desired + ordered[group.id] >= group.max:
                    reason = f"max node group size reached ({group.max})"
            if reason:
                reasons.append(f"{group.pool} ({group.template.machine_type}): {reason}")
            else:
                options.append((group, node_info))
        return options, reasons

    def _balanced(self, options: list[tuple[Group, NodeInfo]], ordered: Counter[str]) -> tuple[Group, NodeInfo]:
        """The best option, or the smallest group among those that are similar to it."""

        def kind(group: Group) -> list[str | None]:
            return [group.template.labels.get(label) for label in sorted(self._similar)]

        best = options[0]
        if not self._similar or None in kind(best[0]):
            return best
        alike = [option for option in options if kind(option[0]) == kind(best[0])]
        return min(alike, key=lambda option: option[0].desired + ordered[option[0].id])

    def _ranks(self, groups: Sequence[Group], classes: Classes) -> dict[str, int]:
        """Group id → priority. If the ConfigMap has patterns, a group that matches none of them has the lowest priority
        (the real autoscaler does not use it while another one fits)."""
        found = self._api.get(PRIORITIES)
        if found is None:
            return {group.id: classes.rank(group) for group in groups}
        try:
            patterns = yaml.safe_load(found["data"]["priorities"])
            return {
                group.id: max((int(rank) for rank, own in patterns.items() if _means(own, group)), default=-1)
                for group in groups
            }
        except (AttributeError, KeyError, TypeError, ValueError, re.error, yaml.YAMLError) as error:
            self._log(f"priorities are ignored: {error!r}")
            return {group.id: group.priority for group in groups}

    def _order(self, group: Group, count: int, pods: Sequence[Object], zones: Mapping[str, int] | None) -> None:
        size = group.desired + count
        try:
            if zones:
                self._fleet.set_desired(group.id, size, zones)
            else:
                self._fleet.set_desired(group.id, size)
        except Exception as error:  # any error of the cloud's SDK; the real autoscaler backs off in the same way
            self._backoff_until[group.id] = self._clock() + self._pace.backoff
            self._log(f"{group.pool}: the cloud refused {group.desired} -> {size}: {error}")
            for pod in pods:
                self._events.warn(pod, "FailedToScaleUpGroup", f"Scale-up of {group.id} failed: {error}")
            return
        self._log(f"{group.pool}: {group.desired} -> {size} (max {group.max}) for {_names(pods)}")
        for pod in pods:
            message = f"pod triggered scale-up: [{{{group.id} {group.desired}->{size} (max: {group.max})}}]"
            self._events.normal(pod, "TriggeredScaleUp", message)

    def _refuse(self, pod: Object, reasons: Sequence[str]) -> None:
        message = f"pod didn't trigger scale-up: {'; '.join(reasons) or 'there is no node group'}"
        if self._events.normal(pod, "NotTriggerScaleUp", message):
            self._log(f"{_names([pod])}: {message}")

    def _give_up(self, view: ClusterView) -> None:
        """Cancels an order that the cloud does not fill (no capacity), so that another group is tried."""
        moment = self._clock()
        for group in view.groups:
            there = sum(machine.group == group.id for machine in view.machines)
            if not group.autoscaled or group.queued or group.desired <= there:
                self._short_since.pop(group.id, None)
            elif moment - self._short_since.setdefault(group.id, moment) > self._pace.provision:
                del self._short_since[group.id]
                self._backoff_until[group.id] = moment + self._pace.backoff
                size = max(group.min, there)
                self._log(
                    f"{group.pool}: {group.desired - there} machines did not join within {self._pace.provision:.0f} "
                    f"s; back to {size}, not tried again for {self._pace.backoff:.0f} s"
                )
                if size < group.desired:
                    self._fleet.set_desired(group.id, size)

    def _claims(self, pod: Object) -> tuple[list[dict], str | None]:
        """The node affinities of the volumes that the pod's claims are bound to, and why a claim cannot be bound."""
        affinities: list[dict] = []
        for volume in pod["spec"].get("volumes") or ():
            if "persistentVolumeClaim" not in volume:
                continue
            name = volume["persistentVolumeClaim"]["claimName"]
            claim = self._api.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}/persistentvolumeclaims/{name}")
            if claim is None:
                return [], f'persistentvolumeclaim "{name}" not found'
            bound = self._api.get(f"/api/v1/persistentvolumes/{claim['spec'].get('volumeName') or '-'}")
            if bound and (required := (bound["spec"].get("nodeAffinity") or {}).get("required")):
                affinities.append(required)
            elif not bound and self._immediate(claim["spec"].get("storageClassName")):
                return [], f'pod has unbound immediate PersistentVolumeClaim "{name}"'
        return affinities, None

    def _immediate(self, storage_class: str | None) -> bool:
        found = self._api.get(f"/apis/storage.k8s.io/v1/storageclasses/{storage_class}") if storage_class else None
        return not found or found.get("volumeBindingMode") != "WaitForFirstConsumer"

    # Down

    def _scale_down(self, view: ClusterView, used: set[str]) -> None:
        moment = self._clock()
        groups = {group.id: group for group in view.groups}
        left = {group.id: group.desired for group in view.groups}
        nodes = {node["metadata"]["name"]: node for node in view.nodes}
        # A node that never gets the resources of its group's template is removed as well, once no pod waits for it.
        node_infos = {node_info.name: node_info for node_info in view.all_nodes()}
        idle: dict[str, float] = {}
        for machine in view.machines:
            group, node = groups.get(machine.group), nodes.get(machine.node_name)
            node_info = node_infos.get(machine.node_name)
            if node is None or group is None or node_info is None or is_being_reclaimed(node):
                continue
            if not group.autoscaled or machine.node_name in used or not _is_idle(node, node_info.pods, view):
                if _has_taint(node):  # a pod that must stay was scheduled after the node was chosen
                    self._taint(machine.node_name, False)
                continue
            idle[machine.node_name] = self._idle_since.get(machine.node_name, moment)
            if moment - idle[machine.node_name] >= self._pace.idle and left[group.id] > group.min:
                left[group.id] -= 1
                self._remove(machine, group, left[group.id])
        self._idle_since = idle

    def _remove(self, machine: Machine, group: Group, size: int) -> None:
        """Cordons the node, checks again, and removes its machine if no pod was scheduled meanwhile."""
        self._taint(machine.node_name, True)
        pods = self._api.list("/api/v1/pods", fieldSelector=f"spec.nodeName={machine.node_name}")
        movable = [pod for pod in pods if not _stays_behind(pod)]
        for pod in movable:
            if _annotation(pod, SAFE_TO_EVICT) == "true":
                evict(self._api, pod)
        if movable:
            return  # the next round decides: by then the node is empty, or it is uncordoned
        try:
            self._fleet.remove(machine.id)
        except Exception as error:  # any error of the cloud's SDK
            self._log(f"{group.pool}: {machine.node_name} could not be removed: {error}")
            return
        self._log(f"{group.pool}: {size + 1} -> {size}, {machine.node_name} was idle for {self._pace.idle:.0f} s")

    def _taint(self, node: str, on: bool) -> None:
        if on:
            retaint(self._api, node, [{"key": DRAINED, "effect": "NoSchedule", "value": str(int(time.time()))}])
        else:
            retaint(self._api, node, remove=[DRAINED])

    # Reports

    def _log(self, words: str) -> None:
        line = f"{now()} {words}"
        print(line, flush=True)
        self._words.append(line)
        body = {
            "metadata": {
                "name": STATUS.rpartition("/")[2],
                "annotations": {"cluster-autoscaler.kubernetes.io/last-updated": now()},
            },
            "data": {"status": "\n".join(self._words)},
        }
        if not self._api.patch(STATUS, body):
            self._api.create(STATUS.rpartition("/")[0], body)


def _means(patterns: Sequence[str], group: Group) -> bool:
    return any(re.search(pattern, group.id) for pattern in patterns)


def _turn(pod: Object) -> tuple[int, str]:
    """The scheduler's order: by priority, then by age."""
    return -(pod["spec"].get("priority") or 0), pod["metadata"]["creationTimestamp"]


def _needs_help(pod: Object) -> bool:
    meta, spec, status = pod["metadata"], pod["spec"], pod["status"]
    unschedulable = any(
        c["type"] == "PodScheduled" and c["status"] == "False" and c.get("reason") == "Unschedulable"
        for c in status.get("conditions") or ()
    )
    return (
        unschedulable
        and not spec.get("nodeName")
        and not meta.get("deletionTimestamp")
        and not status.get("nominatedNodeName")  # it preempts another pod and needs no new node
        and not is_daemon(pod)
        and (spec.get("priority") or 0) >= EXPENDABLE_BELOW
    )


def _is_idle(node: Object, pods: Sequence[Object], view: ClusterView) -> bool:
    """Whether it has only DaemonSet and mirror pods, and pods that may be evicted and fit on another node."""
    if _annotation(node, NO_SCALE_DOWN) == "true":
        return False
    elsewhere = [node_info for name, node_info in view.node_infos.items() if name != node["metadata"]["name"]]
    for pod in pods:
        if _stays_behind(pod):
            continue
        free = {**pod, "spec": {**pod["spec"], "nodeName": ""}}
        if _annotation(pod, SAFE_TO_EVICT) != "true" or all(refusal(free, r, elsewhere, []) for r in elsewhere):
            return False
    return True


def _stays_behind(pod: Object) -> bool:
    """Whether a pod may be deleted with its node."""
    done = pod["status"].get("phase") in ("Succeeded", "Failed")
    return done or is_daemon(pod) or _annotation(pod, "kubernetes.io/config.mirror") is not None


def _is_autoscaler(pod: Object) -> bool:
    """The chart calls it `aws-cluster-autoscaler` by default (cloud provider + chart name)."""
    label = (pod["metadata"].get("labels") or {}).get("app.kubernetes.io/name", "")
    return label.endswith("cluster-autoscaler") and is_running(pod)


def _similar_by(pods: Sequence[Object]) -> frozenset[str]:
    """Labels whose values make groups similar, from the flags of the autoscaler's pod; none if it does not balance.
    Its rules without `balancing-label` are not simulated: a group with nodes and an empty one differ by them."""
    running = next((pod for pod in pods if _is_autoscaler(pod)), None)
    container = running["spec"]["containers"][0] if running else {}
    flags = [flag.partition("=") for key in ("command", "args") for flag in container.get(key) or ()]
    if ("--balance-similar-node-groups", "=", "true") not in flags:
        return frozenset()
    return frozenset(value for name, _, value in flags if name == "--balancing-label")


def _has_taint(node: Object) -> bool:
    return any(taint["key"] == DRAINED for taint in node["spec"].get("taints") or ())


def _annotation(obj: Object, key: str) -> str | None:
    return (obj["metadata"].get("annotations") or {}).get(key)


def _names(pods: Sequence[Object]) -> str:
    return ", ".join(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods)
