"""An in-memory cloud: node groups whose machines appear `boot` seconds after the request."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from sandbox.cluster.cloud import DEVICE_LISTS, Group, Machine, NodeShape, Taint
from sandbox.cluster.nodes import EFA, GPU

GPU_TAINT = Taint("nvidia.com/gpu", "true", "NoSchedule")
ZONE = "us-east-1a"


def shape(machine_type: str, cpu: int, memory: str, labels: dict[str, str], taints=(), gpus: int = 0) -> NodeShape:
    resources = {"cpu": str(cpu), "memory": memory, "pods": "58", "ephemeral-storage": "200Gi"}
    if gpus:
        resources["nvidia.com/gpu"] = str(gpus)
    labels = {"node.kubernetes.io/instance-type": machine_type, **labels}
    return NodeShape(labels, tuple(taints), resources, machine_type, ZONE)


def cpu_group(**changes) -> Group:
    """The guide's CPU pool (2..20 m5.2xlarge)."""
    template = shape("m5.2xlarge", 8, "31Gi", {"gpuyard.dev/pool": "cpu-workers"})
    return replace(Group("asg-cpu", "cpu-workers", 2, 20, 2, True, template), **changes)


def gpu_group(accelerator: bool = True, **changes) -> Group:
    """The guide's GPU pool (0..10, one GPU each)."""
    labels = {"gpuyard.dev/pool": "gpu-workers", "workload": "gpu-training", "nvidia.com/gpu.present": "true"}
    if accelerator:
        labels["k8s.amazonaws.com/accelerator"] = "nvidia-l4"
    template = shape("g6.2xlarge", 8, "31Gi", labels, [GPU_TAINT], 1)
    return replace(Group("asg-gpu", "gpu-workers", 0, 10, 0, True, template), **changes)


class FakeFleet:
    """Fleet (sandbox/cluster/cloud.py) of a cloud that grants every request, unless a test configures a refusal.

    `own_autoscaler` and `gpu_ready_by` make it GKE-like; `capacity` limits the machines of a group that really start.
    `node_labels` are the real labels of a group's nodes if they differ from the template.
    """

    def __init__(self, *groups: Group, own_autoscaler: bool = False, gpu_ready_by: str = "device-plugin") -> None:
        self._groups = {group.id: group for group in groups}
        self._machines: dict[str, tuple[Machine, float]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self.own_autoscaler = own_autoscaler
        self.gpu_ready_by = gpu_ready_by
        self.device_lists = DEVICE_LISTS
        self.boot = 0.3
        self.capacity: dict[str, int] = {}
        self.node_labels: dict[str, dict[str, str]] = {}
        self.asked: list[tuple[str, int]] = []

    def groups(self) -> list[Group]:
        with self._lock:
            return list(self._groups.values())

    def machines(self) -> list[Machine]:
        with self._lock:
            for group in self._groups.values():
                have = sum(machine.group == group.id for machine, _ in self._machines.values())
                for _ in range(min(group.desired, self.capacity.get(group.id, group.desired)) - have):
                    self._launch(group)
            return [machine for machine, ready in self._machines.values() if ready <= time.monotonic()]

    def set_desired(self, group_id: str, size: int, zones: Mapping[str, int] | None = None) -> None:
        with self._lock:
            group = self._groups[group_id]
            if not group.min <= size <= group.max:
                raise ValueError(f"{size} is outside {group.min}..{group.max}")
            self.asked.append((group_id, size))
            self.change(group_id, desired=size)
            for zone, count in (zones or {}).items():
                for _ in range(count):
                    self._launch(group.in_zone(zone))

    def change(self, group_id: str, **changes) -> None:
        """A change of a group by the cloud's owner."""
        with self._lock:
            self._groups[group_id] = replace(self._groups[group_id], **changes)

    def restyle(self, node_name: str, **changes) -> None:
        """A change of the group's labels or taints that reaches one machine."""
        with self._lock:
            for machine, ready in list(self._machines.values()):
                if machine.node_name == node_name:
                    self._machines[machine.id] = (replace(machine, node=replace(machine.node, **changes)), ready)

    def remove(self, machine_id: str) -> None:
        with self._lock:
            machine, _ = self._machines.pop(machine_id)
            self.change(machine.group, desired=self._groups[machine.group].desired - 1)

    def reclaim(self, machine_id: str) -> None:
        with self._lock:
            del self._machines[machine_id]

    def may_act(self) -> bool:
        return self.own_autoscaler

    def replace_groups(self, gone: str, *come: Group) -> None:
        """Deletes a group without machines and adds others."""
        with self._lock:
            del self._groups[gone]
            self._groups |= {group.id: group for group in come}

    def only(self, *groups: Group) -> None:
        """Deletes all GPU groups with their machines, and adds others."""
        with self._lock:
            kept = cpu_group().id
            self._machines = {key: each for key, each in self._machines.items() if each[0].group == kept}
            self._groups = {key: each for key, each in self._groups.items() if key == kept}
            self._groups |= {group.id: group for group in groups}
            self.capacity.clear()
            self.asked.clear()

    def clear(self) -> None:
        """Removes all groups and machines."""
        with self._lock:
            self._groups.clear()
            self._machines.clear()

    def _launch(self, group: Group) -> None:
        number = next(self._numbers)
        taken = {machine.node_name for machine, _ in self._machines.values()}
        names = (f"ip-10-0-{n // 250}-{n % 250 + 1}.ec2.internal" for n in itertools.count())
        promised = group.template.resources
        resources = {name: value for name, value in promised.items() if name not in (GPU, EFA)}
        labels = self.node_labels.get(group.id, group.template.labels)
        machine = Machine(
            id=f"i-{number:08x}",
            group=group.id,
            pool=group.pool,
            # A free address is used again, and with it the node's name.
            node_name=next(name for name in names if name not in taken),
            provider_id=f"aws:///{ZONE}/i-{number:08x}",
            node=replace(group.template, labels=labels, resources=resources),
            gpus=int(promised.get(GPU, "0")),
            gpu_ready_by=self.gpu_ready_by,
            spot=False,
            efa=int(promised.get(EFA, "0")),
            device_lists=self.device_lists,
        )
        self._machines[machine.id] = (machine, time.monotonic() + self.boot)
