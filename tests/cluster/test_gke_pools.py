"""Workloads on nodes with the labels and taints of GKE, by the real scheduler: every capacity type of every example,
and of pools that no example has (`VARIETY`); several capacity types in the order of their ComputeClass; and the same
workloads as on EKS.

The nodes are those of the simulated cloud (sandbox/tests/unit/gcp/test_expected_nodes.py compares them with Google's).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from components import hardware
from components.taints import COMPUTE_CLASS_TOLERATION, GPU_TOLERATION
from recording.stacks import recorded
from sandbox.cluster import compute_class
from sandbox.cluster.api import Api, Object
from sandbox.cluster.autoscaler import Autoscaler, Pace
from sandbox.cluster.cloud import Machine
from sandbox.cluster.controller import Controller
from sandbox.cluster.interruption import interrupt
from sandbox.cluster.nodes import NOTICE, Nodes
from sandbox.gcp.fleet import Fleet
from sandbox.tests import eks_nodes
from sandbox.tests.cluster.conftest import Make, Pods, landed, place, ready, running_loop, wait
from sandbox.tests.gke_nodes import GPU, STACKS, Environment, Rung, environment, stack
from sandbox.workload import TOLERATIONS, plain_pod, training_job, training_spec

POOL, CAPACITY = "gpuyard.dev/pool", "gpuyard.dev/capacity"
ACCELERATOR = "cloud.google.com/gke-accelerator"
QUEUED = {"key": "cloud.google.com/gke-queued", "operator": "Exists"}
UNTOLERATED = "untolerated taint"  # the scheduler does not name them
UNBOOTED = 250
"""GiB of ephemeral storage that local SSDs provide and no boot disk here does."""


def grown(found: Environment, *names: str) -> list[Machine]:
    """The machines of an environment with at least one node in each node pool, or in those with these names."""
    for rung in found.rungs:
        if (not names or rung.name in names) and not found.group(rung).desired:
            found.fleet.set_desired(rung.id, 1)
    return found.fleet.machines()


def pod_for(rung: Rung, pool: dict[str, Any]) -> Object:
    """A pod for the pool, with the labels and taints that the pool has in its file.

    GPU pools get the guide's training pod with all GPUs of a node or with one if they are shared; on local SSDs it
    requests more than a boot disk holds.
    """
    machine = hardware.find(hardware.GCP, pool["machineTypes"][0])
    assert machine
    gpus = pool.get("accelerator", {}).get("count", machine.gpus)
    spec = training_spec() if gpus else plain_pod("plain")["spec"]
    resources = json.loads(json.dumps(spec["containers"][0]["resources"]))
    for amounts in resources.values() if gpus else ():
        amounts[GPU] = "1" if "sharing" in pool or "partition" in pool else str(gpus)
    if pool.get("localSsds") or (machine.nvme_gb and pool.get("scratch", True)):
        resources["requests"]["ephemeral-storage"] = resources["limits"]["ephemeral-storage"] = f"{UNBOOTED}Gi"
    wanted = {POOL: rung.pool, CAPACITY: rung.capacity, **pool.get("labels", {})}
    expressions = [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()]
    required = {
        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    }
    own = [{"key": taint["key"], "operator": "Exists"} for taint in pool.get("taints", [])]
    return {
        **spec,
        "containers": [{**spec["containers"][0], "resources": resources}],
        "affinity": {"nodeAffinity": required},
        "tolerations": [*(TOLERATIONS if gpus else []), *own, *([QUEUED] if pool.get("queued") else [])],
    }


def daemon(api: Api, namespace: str, name: str, **spec: Any) -> None:
    """A DaemonSet whose pods tolerate all taints, as those of GKE do."""
    labels = {"app.kubernetes.io/name": name}
    container = {"name": name, "image": f"example.org/{name}:1"}
    template = {"containers": [container], "tolerations": [{"operator": "Exists"}], **spec}
    body = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": template}}
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
    api.request("POST", path, {"metadata": {"name": name}, "spec": body})


@pytest.mark.parametrize("name", STACKS)
def test_every_capacity_type_runs_the_pod_that_its_pool_is_for(
    api: Api, cloud: Make, pods: Pods, name: str, tmp_path: Path
) -> None:
    """seed rows S03, S05, S07, S08, S09, S10 and S12, and a plain pod stays off the GPUs. The program installs no
    DaemonSet: GKE's, with the selector and tolerations of its device plugin, runs on exactly the GPU nodes."""
    made, pools = stack(name)
    found = environment(made, tmp_path)
    machines = grown(found)
    assert {machine.pool for machine in machines} == {*pools}
    homes = {rung.name: {m.node_name for m in machines if m.group == rung.id} for rung in found.rungs}
    on_gpus = {node for rung in found.rungs if rung.gpus for node in homes[rung.name]}
    cloud(machines)
    ready(api, len(machines))

    assert not made.all("kubernetes:helm.sh/v3:Release")
    term = {"matchExpressions": [{"key": ACCELERATOR, "operator": "Exists"}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    daemon(api, pods.namespace, "gke-device-plugin", affinity=affinity)
    if "own-driver" in pools:
        by_hand = {"cloud.google.com/gke-gpu-driver-version": "autoinstall-disabled"}
        daemon(api, pods.namespace, "nvidia-device-plugin", nodeSelector=by_hand)
    assert landed(api, pods.namespace, "gke-device-plugin") == on_gpus

    wanted = {rung.name: pod_for(rung, pools[rung.pool]) for rung in found.rungs}
    wanted |= {f"plain-{number}": plain_pod("plain")["spec"] for number in range(3)}
    # If GKE does not install the driver, the GPUs are allocatable only while a device plugin runs.
    placed = place(pods, wanted, (lambda: cloud(machines)) if "own-driver" in pools else lambda: None)
    wrong = {rung: placed[rung] for rung, nodes in homes.items() if placed[rung] not in nodes}
    assert not wrong
    everywhere = {node for nodes in homes.values() for node in nodes}
    assert {placed[plain] for plain in wanted if plain.startswith("plain-")} <= everywhere - on_gpus

    # A pod without a GPU request that selects the node and tolerates every other taint is refused by the GPU taint.
    others = [COMPUTE_CLASS_TOLERATION, QUEUED, {"key": "team", "operator": "Exists"}]
    for pool in {rung.pool for rung in found.rungs if rung.gpus}:
        spec = {**plain_pod("stubborn")["spec"], "nodeSelector": {POOL: pool}, "tolerations": others}
        pods.make(f"stubborn-{pool}", spec)
        assert UNTOLERATED in pods.unschedulable(f"stubborn-{pool}")


def test_a_shared_gpu_runs_as_many_pods_as_it_has_clients_and_slices(
    api: Api, cloud: Make, pods: Pods, tmp_path: Path
) -> None:
    """seed row S03: four by time-slicing, seven by partitions, and the next one gets no GPU."""
    found = environment(stack("variety")[0], tmp_path)
    room = {"turns": 4, "slices": 7}
    machines = [machine for machine in grown(found, *room) if machine.pool in room]
    cloud(machines)
    ready(api, len(room))
    resources = {"requests": {"cpu": "100m"}, "limits": {GPU: "1"}}
    container = {"name": "main", "image": "example.org/image:1", "resources": resources}

    def spec(pool: str) -> Object:
        return {"containers": [container], "nodeSelector": {POOL: pool}}

    # The API server adds the toleration, because they request a GPU.
    wanted = {f"{pool}-{number}": spec(pool) for pool, clients in room.items() for number in range(clients)}
    placed = place(pods, wanted)
    for machine in machines:
        assert [*placed.values()].count(machine.node_name) == room[machine.pool]
    for pool in room:
        pods.make(f"{pool}-late", spec(pool))
        assert f"Insufficient {GPU}" in pods.unschedulable(f"{pool}-late")


# -- the same workloads on both clouds ---------------------------------------------------------------------------------


def serving() -> Object:
    """A model server with the guide's readiness probe, on the nodes that are for inference."""
    labels = {"app": "serving"}
    term = {"matchExpressions": [{"key": "workload", "operator": "In", "values": ["inference"]}]}
    container = {
        "name": "server",
        "image": "registry.example/serve:1",
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "2", "memory": "8Gi", GPU: "1"}, "limits": {"memory": "8Gi", GPU: "1"}},
        "readinessProbe": {
            "httpGet": {"path": "/health/ready", "port": 8080},
            "initialDelaySeconds": 60,
            "periodSeconds": 10,
            "failureThreshold": 3,
        },
    }
    spec = {
        "containers": [container],
        "tolerations": TOLERATIONS,
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "serving"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


JOBS, DEPLOYMENTS = "/apis/batch/v1/namespaces/{}/jobs", "/apis/apps/v1/namespaces/{}/deployments"
MANIFESTS = {
    JOBS: json.dumps(training_job("training", run_seconds=120)),
    DEPLOYMENTS: json.dumps(serving()),
}
"""Where each workload runs, and its manifest, which is the same on both clouds."""

CLOUDS = {"prod": "eks", "prod-gke": "gke"}


def machines_of(name: str, folder: Path) -> list[Machine]:
    """At least one node for every capacity type of an example on either cloud."""
    if CLOUDS[name] == "gke":
        return grown(environment(recorded(name), folder))
    return [rung.machine(expected=True) for rung in eks_nodes.rungs(recorded(name))]


def test_the_portable_workloads_are_not_specific_to_one_cloud() -> None:
    """Except the toleration of GKE's compute class, which has no effect on EKS."""
    for text in MANIFESTS.values():
        assert text.count("cloud.google.com") == 1 and COMPUTE_CLASS_TOLERATION["key"] in text
        assert not any(word in text for word in ("gke", "eks", "aws", "amazonaws", "present"))


@pytest.mark.parametrize("name", CLOUDS)
def test_the_same_job_and_the_same_server_run_on_both_clouds(
    api: Api, cloud: Make, pods: Pods, name: str, tmp_path: Path
) -> None:
    """seed rows S01, S03, S07, S08, S09, S10 and S16, on the production examples, unchanged."""
    machines = machines_of(name, tmp_path)
    pool_of = {machine.node_name: machine.pool for machine in machines}
    cloud(machines)
    ready(api, len(machines))
    for path, text in MANIFESTS.items():
        api.request("POST", path.format(pods.namespace), json.loads(text))

    def homes() -> dict[str, str] | None:
        there = [pod for pod in api.list(pods.path) if pod["status"].get("phase") == "Running"]
        found = {pod["metadata"]["labels"]["app"]: pool_of[pod["spec"]["nodeName"]] for pod in there}
        return found if len(found) == len(MANIFESTS) else None

    assert wait(homes, "the job and the server", 20) == {"training": "gpu-workers", "serving": "inference"}
    path = f"{DEPLOYMENTS.format(pods.namespace)}/serving"
    wait(lambda: api.request("GET", path)["status"].get("availableReplicas") == 1, "the server's replica")

    # The reason for a second toleration: a ladder's nodes on GKE have a second taint.
    pods.make("one-toleration", {**training_spec(), "tolerations": [GPU_TOLERATION]})
    if CLOUDS[name] == "gke":
        assert UNTOLERATED in pods.unschedulable("one-toleration")
    else:
        pods.running("one-toleration")


# -- a ladder of capacity ----------------------------------------------------------------------------------------------


class Scarce(Fleet):
    """The simulated Google Cloud without capacity of some types: existing machines remain, and no new one is created.
    `asked`: (node pool's logical name, size), in the order of the autoscaler's requests."""

    def __init__(self, found: Environment) -> None:
        super().__init__(found.fleet.project, *found.fleet.cluster.split("/")[3::2], store=found.fleet.store)
        self._names = {rung.id: rung.name for rung in found.rungs}
        self._there: dict[str, set[str]] = {}
        self.asked: list[tuple[str, int]] = []

    def sell_out(self, name: str) -> None:
        self._there[name] = {machine.id for machine in super().machines()}

    def restock(self) -> None:
        self._there.clear()

    def machines(self) -> list[Machine]:
        found = super().machines()
        return [m for m in found if m.id in self._there.get(self._names[m.group], {m.id})]

    def set_desired(self, group_id: str, size: int, zones: Mapping[str, int] | None = None) -> None:
        self.asked.append((self._names[group_id], size))
        super().set_desired(group_id, size, zones)

    def rung_of(self, node: str) -> str:
        return next(self._names[machine.group] for machine in self.machines() if machine.node_name == node)


BACKOFF = 1000
"""Seconds; longer than any test runs."""


@dataclass
class World:
    """An environment on GKE with running controllers. `skipped`: seconds by which the autoscaler's clock is ahead."""

    fleet: Scarce
    skipped: list[float] = field(default_factory=lambda: [0.0])


@pytest.fixture
def world(api: Api, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The stack that the test names, with its ComputeClasses in the cluster."""
    found = environment(stack(request.param)[0], tmp_path)
    made = World(Scarce(found))
    compute_class.install(api)
    kind = f"{compute_class.DEFINITIONS}/computeclasses.cloud.google.com"

    def established() -> bool:
        conditions = api.request("GET", kind).get("status", {}).get("conditions") or ()
        return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)

    wait(established, "the kind")
    for each in found.classes:
        api.request("POST", compute_class.PATH, each)
    pace = Pace(idle=10_000, provision=1, backoff=BACKOFF)
    autoscaler = Autoscaler(api, made.fleet, pace, clock=lambda: time.monotonic() + sum(made.skipped))
    with running_loop(Controller(api, made.fleet, "1.35", autoscaler)):
        ready(api, len(made.fleet.machines()))
        yield made
    for each in found.classes:
        api.delete(f"{compute_class.PATH}/{each['metadata']['name']}")
    Nodes(api, "1.35").sync([], api.list("/api/v1/pods"), api.list("/api/v1/nodes"))
    wait(lambda: not api.list("/api/v1/nodes"), "the end of the nodes")


@pytest.mark.parametrize("world", ["variety"], indirect=True)
def test_capacity_types_are_tried_in_the_order_of_the_compute_class(world: World, pods: Pods) -> None:
    """seed rows S04, S12: the first capacity type first; the next one if no machine is created, and until the retry
    period ends; then the first again. Flex-start is before spot, although its price is higher."""
    spec = {
        **training_spec(),
        "nodeSelector": {POOL: "ladder"},
        "tolerations": [*TOLERATIONS, {"key": "team", "operator": "Exists"}],
    }

    def home(name: str) -> str:
        pods.make(name, spec)
        return world.fleet.rung_of(pods.running(name, 30)["spec"]["nodeName"])

    world.fleet.sell_out("ladder-reserved")
    assert home("first") == "ladder-flex"
    assert world.fleet.asked == [("ladder-reserved", 1), ("ladder-reserved", 0), ("ladder-flex", 1)]
    world.fleet.restock()
    assert home("second") == "ladder-flex"
    assert world.fleet.asked[3:] == [("ladder-flex", 2)]
    world.skipped.append(BACKOFF)
    assert home("third") == "ladder-reserved"
    assert world.fleet.asked[4:] == [("ladder-reserved", 1)]


def disk(api: Api, namespace: str, zone: str) -> str:
    """A claim with an existing persistent disk in that zone; returns the claim's name."""
    name = f"data-{zone[-1]}-{namespace}"
    term = {"matchExpressions": [{"key": "topology.gke.io/zone", "operator": "In", "values": [zone]}]}
    size, modes = {"storage": "10Gi"}, ["ReadWriteOnce"]
    spec = {"storageClassName": "", "accessModes": modes, "volumeName": name, "resources": {"requests": size}}
    api.create(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": spec})
    volume = {
        "capacity": size,
        "accessModes": modes,
        "csi": {"driver": "pd.csi.storage.gke.io", "volumeHandle": f"projects/p/zones/{zone}/disks/{name}"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
        "claimRef": {"kind": "PersistentVolumeClaim", "namespace": namespace, "name": name},
    }
    api.create("/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": volume})
    return name


@pytest.mark.parametrize("world", ["dev-gke"], indirect=True)
def test_a_pool_scales_from_zero_in_the_zone_of_a_pods_disk(api: Api, world: World, pods: Pods) -> None:
    """field case A4: GKE's autoscaler sees a group for each zone of a pool, so a node is added in the zone of the pod's
    disk. On EKS, the autoscaler treats a group over several zones as one in its first zone."""
    claims = {zone: disk(api, pods.namespace, zone) for zone in ("us-central1-b", "us-central1-a")}
    mount = {"name": "data", "mountPath": "/data"}
    for zone, claim in claims.items():
        spec = training_spec()
        spec["containers"][0]["volumeMounts"] = [mount]
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        pods.make(f"in-{zone}", spec)
        node = pods.running(f"in-{zone}", 30)["spec"]["nodeName"]
        (machine,) = [machine for machine in world.fleet.machines() if machine.node_name == node]
        assert (world.fleet.rung_of(node), machine.node.zone) == ("gpu-workers-spot", zone)
    assert world.fleet.asked == [("gpu-workers-spot", 1), ("gpu-workers-spot", 2)]


@pytest.mark.parametrize("world", ["prod-gke"], indirect=True)
def test_a_job_whose_spot_node_is_interrupted_finishes_on_the_next_capacity_type(
    api: Api, world: World, pods: Pods
) -> None:
    """seed rows S12, S13: the node is drained and deleted, no other spot node is available, and the job's next run
    finishes on an on-demand node; the interruption does not count as a failure."""
    jobs = f"/apis/batch/v1/namespaces/{pods.namespace}/jobs"
    api.request("POST", jobs, training_job("training", run_seconds=6))

    def runs() -> dict[str, str]:
        found = api.list(pods.path, labelSelector="app=training")
        return {p["metadata"]["name"]: p["spec"]["nodeName"] for p in found if p["status"]["phase"] == "Running"}

    ((name, node),) = wait(runs, "the first run").items()
    assert world.fleet.rung_of(node) == "gpu-workers-spot"
    world.fleet.sell_out("gpu-workers-spot")
    assert interrupt(api, world.fleet, node, NOTICE["gke"], notice=5) == [f"{pods.namespace}/{name}"]
    second = wait(lambda: {run: at for run, at in runs().items() if run != name}, "the second run")
    assert [world.fleet.rung_of(at) for at in second.values()] == ["gpu-workers"]
    job = wait(lambda: (j := api.request("GET", f"{jobs}/training"))["status"].get("succeeded") and j, "the Job's end")
    assert not job["status"].get("failed")
    assert world.fleet.asked == [("gpu-workers-spot", 1), ("gpu-workers-spot", 0), ("gpu-workers", 1)]
