"""Every capacity type of every example pool on EKS runs the pod that the pool is for, by the real scheduler.

Once on the node that the autoscaler expects (sandbox/tests/eks_nodes.py derives it from the group's tags and the
machine type), and once on the node that joins: its GPUs and EFA interfaces are available only after the DaemonSets of
the program's releases run on it. `VARIETY` is an environment with the pools that no example has.
"""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from components import hardware
from recording.recording import Recording
from recording.stacks import record, recorded, settings
from sandbox.aws import machine_types
from sandbox.cluster.api import Api, Object
from sandbox.plugins import chart, stand_in
from sandbox.tests.cluster.conftest import Make, Pods, landed, place, ready
from sandbox.tests.eks_nodes import EFA, Rung, rungs, stacks
from sandbox.workload import TOLERATIONS, plain_pod, training_spec

POOL, CAPACITY = "gpuyard.dev/pool", "gpuyard.dev/capacity"
GPU_DAEMONS = ("nvidia-device-plugin", "dcgm-exporter", "aws-efa-k8s-device-plugin")

ZONE = ["us-east-1a"]
RESERVED = {"reservation": {"id": "cr-0123456789abcdef0"}, "zones": ZONE}
OWN_TAINT = {"key": "team", "value": "vision", "effect": "NoExecute"}
TRAIN = {"min": 0, "max": 1, "labels": {"workload": "gpu-training"}}
VARIETY: dict[str, dict[str, Any]] = {
    "cpu-workers": {"machineTypes": ["m5.2xlarge"], "min": 1, "max": 1},
    "ladder": {**TRAIN, **RESERVED, "machineTypes": ["g6.12xlarge"], "capacity": ["reserved", "spot", "on_demand"]},
    "efa": {
        **TRAIN,
        **RESERVED,
        "machineTypes": ["p5.48xlarge"],
        "interconnect": True,
        "capacity": ["reserved", "spot", "on_demand"],
        "taints": [OWN_TAINT],
    },
    "block": {
        **TRAIN,
        "zones": ZONE,
        "machineTypes": ["p5en.48xlarge"],
        "interconnect": True,
        "capacity": ["reserved"],
        "reservation": {"id": "cr-0123456789abcdef0", "capacityBlock": True},
    },
    "rocket": {**TRAIN, "machineTypes": ["g6.2xlarge"], "image": "bottlerocket", "capacity": ["spot", "on_demand"]},
    "rocket-efa": {
        **TRAIN,
        "zones": ZONE,
        "machineTypes": ["p4d.24xlarge"],
        "image": "bottlerocket",
        "interconnect": True,
    },
    "arm": {**TRAIN, "machineTypes": ["g5g.4xlarge"], "taints": [OWN_TAINT]},
    "scarce": {**TRAIN, "machineTypes": ["g6.2xlarge"], "scratch": False, "diskGib": 120},
    "hpc": {"machineTypes": ["c6in.32xlarge"], "min": 0, "max": 1, "zones": ZONE, "interconnect": True},
    "rocket-cpu": {"machineTypes": ["i4i.2xlarge"], "min": 0, "max": 1, "image": "bottlerocket", "taints": [OWN_TAINT]},
}


@functools.cache
def environment(name: str) -> tuple[Recording, dict[str, Any]]:
    """A recorded stack and its pools as they are in its file."""
    config = settings("dev" if name == "variety" else name)
    if name != "variety":
        return recorded(name), config["gpuyard:nodePools"]
    config["gpuyard:nodePools"] = VARIETY
    return record(config, "dev"), VARIETY


def pod_for(rung: Rung, pool: dict[str, Any]) -> Object:
    """A pod for the pool, with the labels and taints that the pool has in its file.

    GPU pools get the guide's training pod; with interconnect it requests all EFA interfaces of the machine.
    """
    machine = hardware.find(hardware.AWS, pool["machineTypes"][0])
    facts = machine_types.find(pool["machineTypes"][0])
    assert machine and facts
    spec = training_spec() if machine.gpus else plain_pod("plain")["spec"]
    wanted = {POOL: rung.pool, CAPACITY: rung.capacity, **pool.get("labels", {})}
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()]
    terms = [{"matchExpressions": expressions}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    resources = json.loads(json.dumps(spec["containers"][0]["resources"]))
    if pool.get("interconnect"):
        interfaces = str(facts["NetworkInfo"]["EfaInfo"]["MaximumEfaInterfaces"])
        # As in AWS's NCCL test (EKS user guide, node-efa); field case A5.
        pages = {"hugepages-2Mi": "5120Mi"} if machine.gpus else {}
        for kind in ("requests", "limits"):
            resources.setdefault(kind, {}).update({EFA: interfaces, **pages})
    own = [{"key": taint["key"], "operator": "Exists"} for taint in pool.get("taints", [])]
    return {
        **spec,
        "containers": [{**spec["containers"][0], "resources": resources}],
        "affinity": {"nodeAffinity": required},
        "tolerations": [*(TOLERATIONS if machine.gpus else []), *own],
    }


def install(api: Api, namespace: str, made: Recording) -> list[str]:
    """The DaemonSets for GPUs of the program's releases, with the values that it gives them."""
    names = []
    for release in made.all("kubernetes:helm.sh/v3:Release"):
        if release.inputs["name"] not in GPU_DAEMONS:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = stand_in.write(Path(folder), release.inputs["chart"], release.inputs["version"])
            values = Path(folder) / "values.json"
            values.write_text(json.dumps(release.inputs["values"]))
            done = chart.helm("template", release.inputs["name"], str(path), "-n", namespace, "--values", str(values))
        assert done.returncode == 0, done.stderr
        for found in yaml.safe_load_all(done.stdout):
            if found and found["kind"] == "DaemonSet":
                api.request("POST", f"/apis/apps/v1/namespaces/{namespace}/daemonsets", found)
                names.append(found["metadata"]["name"])
            elif found:
                assert found["kind"] == "ServiceAccount", found["kind"]
                api.request("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", found)
    return names


@pytest.mark.parametrize("expected", [True, False], ids=["expected", "joined"])
@pytest.mark.parametrize("stack", [*stacks(), "variety"])
def test_every_capacity_type_runs_the_pod_that_its_pool_is_for(
    api: Api, cloud: Make, pods: Pods, stack: str, expected: bool
) -> None:
    """seed rows S04, S05, S07, S08, S09, S10 and S18: together with the DaemonSets, which run only on GPU nodes."""
    made, pools = environment(stack)
    groups = rungs(made)
    assert {rung.pool for rung in groups} == {*pools}
    machines = [rung.machine(expected) for rung in groups]
    cloud(machines)
    ready(api, len(machines))
    daemons = install(api, pods.namespace, made)

    def on(which: Callable[[Rung], bool]) -> set[str]:
        return {rung.node_name for rung in groups if which(rung)}

    assert daemons, "every example has GPUs"
    wrong = {}
    for daemon in daemons:
        homes = {
            "nvidia-device-plugin": on(lambda rung: rung.gpus > 0 and not rung.bottlerocket),
            "dcgm-exporter": on(lambda rung: rung.gpus > 0),
            "aws-efa-k8s-device-plugin": on(lambda rung: bool(pools[rung.pool].get("interconnect"))),
        }[daemon]
        assert homes, f"{daemon} is installed for nothing"
        if (there := landed(api, pods.namespace, daemon)) != homes:
            wrong[daemon] = f"missing on {homes - there}, unexpected on {there - homes}"
    assert not wrong

    wanted = {rung.name: pod_for(rung, pools[rung.pool]) for rung in groups}
    # The nodes that join get their devices from the plugins' pods; the expected nodes have them from the start.
    found = place(pods, wanted, (lambda: cloud(machines)) if not expected else lambda: None)
    assert {name: where for name, where in found.items() if name in wanted} == {
        rung.name: rung.node_name for rung in groups
    }


def test_without_any_one_tag_the_autoscaler_orders_no_node(api: Api, cloud: Make, pods: Pods) -> None:
    """seed row S04: without any one of these tags no node is ordered for the pod, and the scheduler gives the
    reason."""
    made, pools = environment("variety")
    forgotten = {
        f"label/{POOL}": "node affinity",
        f"label/{CAPACITY}": "node affinity",
        "label/workload": "node affinity",
        "resources/ephemeral-storage": "Insufficient ephemeral-storage",
        f"resources/{EFA}": f"Insufficient {EFA}",
        "resources/hugepages-2Mi": "Insufficient hugepages-2Mi",
        "": "",  # no message: the pod runs
    }
    (rung,) = [found for found in rungs(made) if (found.pool, found.capacity) == ("efa", "on_demand")]
    machines = {
        without: replace(rung.machine(True), id=f"i-{n}", node_name=f"node-{n}.internal", node=rung.expected(without))
        for n, without in enumerate(forgotten)
    }
    cloud([*machines.values()])
    ready(api, len(machines))
    for number, (without, reason) in enumerate(forgotten.items()):
        spec = pod_for(rung, pools["efa"])
        # It may run on this node only.
        terms = spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
        terms[0]["matchFields"] = [
            {"key": "metadata.name", "operator": "In", "values": [machines[without].node_name]},
        ]
        pods.make(f"pod-{number}", spec)
        if reason:
            assert reason in pods.unschedulable(f"pod-{number}"), without
        else:
            pods.running(f"pod-{number}")
