"""Teams share GPU pools through the library's queues: the real Kueue, the real scheduler, the stand-in autoscaler."""

from __future__ import annotations

import threading
import time
from typing import Any

from components.sharing import flavors
from components.sharing.headroom import Headroom
from recording.recorder import run
from sandbox.tests.cluster.kueue import Cluster
from sandbox.tests.cluster.loop import wait
from tests.cluster.shared import PODS_READY_SECONDS, TOLERATION, Teams, group, shared, sharing
from tests.component.queue_objects import objects, recorded
from tests.component.stage import GKE_CPU, GUIDE_CPU, GUIDE_GPU, aws_options, pool

__all__ = ["shared"]

POOL = "gpuyard.dev/pool"
FOUR: dict[str, Any] = {"gpu-workers": pool(GUIDE_GPU, max=4), "cpu-workers": GUIDE_CPU}


def sizes(cluster: Cluster) -> dict[str, int]:
    return {each.id: each.desired for each in cluster.fleet.groups()}


def homes(teams: Teams, team: str) -> set[str]:
    """The pools on whose nodes the team's pods run."""
    nodes = {each["metadata"]["name"]: each["metadata"]["labels"][POOL] for each in teams.api.list("/api/v1/nodes")}
    return {nodes[each["spec"]["nodeName"]] for each in teams.pods(team) if each["spec"].get("nodeName") in nodes}


def test_two_teams_share_a_full_cluster(shared: Cluster) -> None:
    """seed rows S17, S22: a team borrows what the other does not use, gives it back when that one comes, waits, and
    runs when GPUs are free. The pool never gets more than its `max`. Within a team, long training goes first."""
    with sharing(shared, recorded(node_pools=FOUR), group("gpu-workers", max=4)) as teams:
        for number in range(4):
            teams.submit("vision", f"vision-{number}", seconds=600)
        teams.until(**{f"vision_{number}": "running" for number in range(4)})

        teams.submit("nlp", "gang", pods=2, seconds=600)
        teams.until(gang="running")
        states = teams.states()
        assert sorted(states[f"vision-{number}"] for number in range(4)) == ["running"] * 2 + ["waiting"] * 2

        teams.submit("vision", "long", priority="gpuyard-training", seconds=600)
        teams.until(long="running", gang="running")
        teams.submit("vision", "short", seconds=600)
        teams.submit("nlp", "third", seconds=600)
        time.sleep(2)
        assert teams.states()["long"] == "running" and teams.states()["short"] == teams.states()["third"] == "waiting"
        teams.api.delete(f"/apis/batch/v1/namespaces/{teams.namespaces['nlp']}/jobs/gang")
        teams.until(third="running")
        assert max(size for name, size in shared.fleet.asked if name == "gpu-workers") == 4


def test_jobs_get_the_pool_that_they_can_use(shared: Cluster) -> None:
    """seed rows S07, S09: a job without GPUs never gets a GPU node, also if no other CPU is left; one that selects a
    label gets its pool; resources without a quota keep no job away; a job without toleration waits, and Kueue says
    why."""
    pools = {
        **FOUR,
        "cpu-workers": {**GUIDE_CPU, "min": 2, "max": 2},
        "other": pool(GUIDE_GPU, labels={"workload": "x"}),
    }
    groups = [group("other", labels={"workload": "x"}), group("gpu-workers", max=4)]
    with sharing(shared, recorded(node_pools=pools), *groups) as teams:
        teams.submit("vision", "selects", nodeSelector={"workload": "gpu-training"})
        teams.submit("vision", "cpus", gpus=0, resources={"cpu": "5"}, tolerations=[])
        teams.submit("vision", "too-much", gpus=0, pods=3, resources={"cpu": "6"}, tolerations=[])
        teams.submit("vision", "storage", resources={"ephemeral-storage": "1Gi"}, nodeSelector={POOL: "gpu-workers"})
        teams.submit("vision", "plain", tolerations=[])
        teams.until(selects="running", cpus="running", storage="running", plain="waiting", too_much="waiting")
        assert homes(teams, "vision") == {"gpu-workers", "cpu-workers"}
        assert "untolerated taint {nvidia.com/gpu" in teams.reasons()["plain"]


def test_a_job_on_a_ladder_goes_to_the_next_rung_if_the_first_has_no_machines(shared: Cluster) -> None:
    """seed rows S04, S12: the pool is one flavor, so the autoscaler chooses the rung. In a flavor for the rung alone,
    the job is admitted to the same rung again after each timeout."""
    ladder = pool(GUIDE_GPU, max=4, capacity=["spot", "on_demand"])
    rungs = [
        group("gpu-workers", f"gpu-{kind}", max=4, priority=rank, labels={"gpuyard.dev/capacity": kind})
        for rank, kind in ((2, "spot"), (1, "on_demand"))
    ]
    with sharing(shared, recorded(node_pools={"gpu-workers": ladder, "cpu-workers": GUIDE_CPU}), *rungs) as teams:
        shared.fleet.capacity["gpu-spot"] = 0
        teams.submit("vision", "job")
        teams.until(job="running")
        assert [name for name, size in shared.fleet.asked if size] == ["gpu-spot", "gpu-on_demand"]
        teams.submit("vision", "bound", nodeSelector={"gpuyard.dev/capacity": "spot"})
        wait(lambda: _evicted(teams, "bound"), "the timeout", 2 * PODS_READY_SECONDS + 10)
        teams.until(bound="starting")


def _evicted(teams: Teams, job: str) -> bool:
    counts = teams.workloads().get(job, {}).get("status", {}).get("requeueState") or {}
    return counts.get("count", 0) > 0


def test_a_gang_that_gets_only_a_part_of_its_nodes_is_not_paid_for_long(shared: Cluster) -> None:
    """karpenter#3138: three of four nodes exist. The gang is stopped after the timeout, and the idle nodes are removed:
    the bill is the nodes that came, for the timeout and the time until idle nodes are removed."""
    with sharing(shared, recorded(node_pools=FOUR), group("gpu-workers", max=4)) as teams:
        shared.fleet.capacity["gpu-workers"] = 3
        teams.submit("vision", "gang", pods=4)
        wait(lambda: sizes(shared)["gpu-workers"] == 3, "the nodes", 20)
        started = time.monotonic()
        wait(lambda: _evicted(teams, "gang"), "the timeout", 2 * PODS_READY_SECONDS)
        assert time.monotonic() - started < PODS_READY_SECONDS + 8


def test_a_pool_is_replaced_while_a_job_trains(shared: Cluster) -> None:
    """terraform-aws-eks#2905: the running job gets its time; meanwhile no job is admitted to the pool, others are; and
    after the release the queue goes on."""
    kubeconfig = shared.plane.kubeconfig.read_text()
    lines: list[str] = []
    with sharing(shared, recorded(node_pools=FOUR), group("gpu-workers", max=4)) as teams:
        teams.submit("vision", "train", seconds=8)
        teams.until(train="running")
        held = threading.Thread(target=flavors.hold, args=(kubeconfig, "gpu-workers", 60, lines.append, time.sleep))
        held.start()
        wait(lambda: len(lines) > 1, "the hold")
        teams.submit("nlp", "next", seconds=600)
        teams.submit("nlp", "elsewhere", gpus=0, seconds=600)
        teams.until(elsewhere="running", train="running", next="waiting")
        held.join(30)
        assert not held.is_alive() and teams.states()["train"] == "done" and teams.states()["next"] == "waiting"
        assert (
            "waiting for vision-jobs/train" in lines[1]
            and "untolerated taint {gpuyard.dev/held" in teams.reasons()["next"]
        )
        flavors.release(kubeconfig, "gpu-workers", lines.append)
        teams.until(next="running")


def test_queues_place_by_topology_where_nodes_always_exist(shared: Cluster) -> None:
    """kueue#5039: the gang is on nodes of one network node; from zero, Kueue would admit no job."""
    efa: Any = {"machine_types": ["p4d.24xlarge"], "min": 4, "max": 4, "interconnect": True, "zones": ["us-east-1a"]}
    layers = {f"topology.k8s.aws/network-node-layer-{n}": f"nn-{n}" for n in (1, 2)}
    leaf = "topology.k8s.aws/network-node-layer-3"
    known = {**layers, "k8s.amazonaws.com/accelerator": "nvidia-a100", "topology.kubernetes.io/zone": "us-east-1a"}
    halves = [
        group("fast", f"fast-{half}", "p4d.24xlarge", 8, min=2, max=2, desired=2, labels={**known, leaf: half})
        for half in ("left", "right")
    ]
    found = recorded(node_pools={"fast": efa, "cpu-workers": GUIDE_CPU})
    with sharing(shared, found, *halves) as teams:
        wait(lambda: _gpu_nodes(shared) == 4, "the nodes")
        gang = {"kueue.x-k8s.io/podset-required-topology": leaf}
        teams.submit("vision", "gang", gpus=8, pods=2, annotations=gang)
        teams.submit("vision", "too-wide", gpus=8, pods=3, annotations=gang)
        teams.submit("vision", "plain", gpus=8)
        teams.until(gang="running", too_wide="waiting", plain="waiting")
        nodes = {each["metadata"]["name"]: each["metadata"]["labels"] for each in shared.api.list("/api/v1/nodes")}
        assert len({nodes[each["spec"]["nodeName"]][leaf] for each in teams.pods("vision")}) == 1
        assert "supports only TopologyAwareScheduling" in teams.reasons()["plain"]


def _gpu_nodes(cluster: Cluster) -> int:
    nodes = cluster.api.list("/api/v1/nodes")
    return sum("nvidia.com/gpu" in (each["status"].get("allocatable") or {}) for each in nodes)


def test_a_queued_pool_gets_all_nodes_of_a_job_by_a_provisioning_request(shared: Cluster) -> None:
    """GKE: no node is added for pods alone, and all of them before the job is admitted."""
    spec: Any = {
        "machine_types": ["a3-highgpu-8g"],
        "min": 0,
        "max": 3,
        "capacity": ["flex"],
        "queued": True,
        "zones": ["us-central1-a"],
    }
    labels = {
        "cloud.google.com/gke-accelerator": "nvidia-h100-80gb",
        "topology.kubernetes.io/zone": "us-central1-a",
        "k8s.amazonaws.com/accelerator": "",
    }
    queued = group("queued", "queued", "a3-highgpu-8g", 8, max=3, queued=True, labels=labels)
    found = recorded("gcp", {"queued": spec, "cpu-workers": {**GKE_CPU, "machine_types": ["n2-standard-8"]}})
    with sharing(shared, found, queued) as teams:
        teams.submit("vision", "gang", gpus=8, pods=2, seconds=600)
        teams.until(gang="running")
        assert shared.fleet.asked[0] == ("queued", 2)
        teams.submit("nlp", "later", gpus=8, pods=2, seconds=600)
        time.sleep(3)
        assert teams.states()["later"] == "waiting" and sizes(shared)["queued"] == 2


PODS = "/api/v1/namespaces/default/pods"


def pod(name: str, priority: str) -> dict[str, Any]:
    """A pod without a queue that needs a GPU of the pool."""
    limits = {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": 1}
    return {
        "metadata": {"name": name},
        "spec": {
            "priorityClassName": priority,
            "nodeSelector": {POOL: "gpu-workers"},
            "tolerations": [TOLERATION],
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": "example.org/model:1", "resources": {"limits": limits}}],
        },
    }


def _runs(cluster: Cluster, name: str) -> bool:
    found = cluster.api.get(f"{PODS}/{name}")
    return bool(found) and found["status"].get("phase") == "Running"


def _started(teams: Teams) -> int:
    return sum(each["status"].get("phase") == "Running" for each in teams.pods("vision"))


def test_a_model_server_evicts_batch_work_on_full_nodes_and_is_never_evicted_for_it(shared: Cluster) -> None:
    """seed row S17: two GPUs, two jobs. The server takes one of them; the job that lost its pod waits in its queue; a
    training pod evicts neither the server nor the other job."""
    two = {"gpu-workers": pool(GUIDE_GPU, max=2), "cpu-workers": GUIDE_CPU}
    with sharing(shared, recorded(node_pools=two), group("gpu-workers", max=2)) as teams:
        try:
            for name in ("one", "two"):
                teams.submit("vision", name)
            teams.until(one="running", two="running")
            shared.api.create(PODS, pod("server", "gpuyard-serving"))
            wait(lambda: _runs(shared, "server"), "the server", 20)
            shared.api.create(PODS, pod("trainer", "gpuyard-training"))
            time.sleep(4)
            assert _runs(shared, "server") and not _runs(shared, "trainer") and _started(teams) == 1
            shared.api.delete(f"{PODS}/trainer")
            shared.api.delete(f"{PODS}/server")
            teams.until(one="running", two="running")
        finally:
            for name in ("server", "trainer"):
                shared.api.delete(f"{PODS}/{name}")


def test_headroom_gives_its_node_to_a_server_at_once_and_gets_another_one(shared: Cluster) -> None:
    """seed row S17"""
    given: Any = {"cloud": "aws", "node_pools": FOUR, "nodes": {"gpu-workers": 1}}
    made = run(lambda: Headroom("headroom", given, aws_options()))
    kinds = {kind: list(objects(made, kind).values()) for kind in ("Namespace", "Deployment")}
    path = "/api/v1/namespaces/gpuyard-headroom/pods"

    def homes_of(pods: str) -> set[str]:
        running = [each for each in shared.api.list(pods) if each["status"].get("phase") == "Running"]
        return {each["spec"]["nodeName"] for each in running}

    with sharing(shared, recorded(node_pools=FOUR), group("gpu-workers", max=4)):
        try:
            shared.apply(*kinds["Namespace"], *kinds["Deployment"])
            (ready,) = wait(lambda: homes_of(path), "the placeholder", 30)
            shared.api.create(PODS, pod("server", "gpuyard-serving"))
            wait(lambda: _runs(shared, "server"), "the server", 10)
            assert homes_of(PODS) == {ready}
            wait(lambda: homes_of(path) - {ready}, "the next node", 30)
        finally:
            shared.api.delete(f"{PODS}/server")
            shared.api.delete("/api/v1/namespaces/gpuyard-headroom")
