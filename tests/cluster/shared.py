"""A cluster in which Kueue runs with the library's configuration, and teams share the library's queues."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from components import arguments
from components.sharing.kueue import MANAGED, KueueArgs, configuration
from components.sharing.priorities import PRIORITIES
from components.sharing.team_queue import TEAM_LABEL
from recording.recording import Recording
from sandbox.cluster import provisioning
from sandbox.cluster.api import Api, Object
from sandbox.cluster.cloud import Group
from sandbox.tests.cluster.fake_fleet import GPU_TAINT, gpu_group, shape
from sandbox.tests.cluster.kueue import NAMESPACE, Cluster, cluster
from sandbox.tests.cluster.loop import wait
from tests.component.queue_objects import in_order
from tools.manifest import TOOLS
from tools.provide import provide

KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
JOBS = "/apis/batch/v1/namespaces/{}/jobs"
QUEUE = "team"
PODS_READY_SECONDS = 12
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def group(pool: str, name: str = "", machine: str = "g6.2xlarge", gpus: int = 1, **changes: Any) -> Group:
    """A group of a GPU pool, with the labels that its nodes have. `changes`: of the group; `labels`: further ones."""
    labels = {
        "gpuyard.dev/pool": pool,
        "workload": "gpu-training",
        "nvidia.com/gpu.present": "true",
        "k8s.amazonaws.com/accelerator": "nvidia-l4",
        **changes.pop("labels", {}),
    }
    template = shape(machine, 8 * gpus, f"{31 * gpus}Gi", labels, [GPU_TAINT], gpus)
    return gpu_group(id=name or pool, pool=pool, template=template, **changes)


@pytest.fixture(scope="module")
def shared(sandbox_home: str) -> Iterator[Cluster]:
    """The cluster. Times are short: a workload whose pods are not ready is stopped after 12 seconds."""
    provide(["kueue"])
    args: Any = arguments.cleaned(KueueArgs, {})
    found = configuration(args)
    found["waitForPodsReady"] |= {"timeout": f"{PODS_READY_SECONDS}s", "recoveryTimeout": "3s"}
    found["waitForPodsReady"]["requeuingStrategy"] |= {"backoffBaseSeconds": 1, "backoffMaxSeconds": 5}
    values: dict[str, Any] = {
        "managerConfig": {"controllerManagerConfigYaml": json.dumps(found)},
        "controllerManager": {
            "manager": {"image": {"repository": "registry.k8s.io/kueue/kueue", "tag": TOOLS["kueue"].pinned}}
        },
    }
    with cluster("eks-us-east-1-team-tests") as made, tempfile.TemporaryDirectory() as folder:
        provisioning.install(made.api)
        (path := Path(folder, "values.json")).write_text(json.dumps(values))
        made.install("kueue", NAMESPACE, "--values", str(path))
        for each in PRIORITIES:
            policy = "PreemptLowerPriority" if each.preempts else "Never"
            meta = {"metadata": {"name": each.name}, "value": each.value}
            of_pods = {
                "apiVersion": "scheduling.k8s.io/v1",
                "kind": "PriorityClass",
                "preemptionPolicy": policy,
                **meta,
            }
            of_jobs = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "WorkloadPriorityClass", **meta}
            made.apply(of_pods, *([of_jobs] if each.queues else []))
        yield made


def _is_empty(api: Api, path: str) -> bool:
    return not api.list(path)


class Teams:
    """The namespaces of teams, each with a queue, and their jobs."""

    def __init__(self, cluster: Cluster, namespaces: Mapping[str, str]) -> None:
        self.cluster, self.api = cluster, cluster.api
        self.namespaces = namespaces

    def submit(self, team: str, name: str, *, gpus: int = 1, pods: int = 1, seconds: float = 600, **more: Any) -> None:
        """A Job in the team's queue. `more`: `priority`, `annotations`, `resources` and fields of the pod."""
        resources = {"cpu": "1", "memory": "1Gi", **more.pop("resources", {})}
        if gpus:
            resources["nvidia.com/gpu"] = str(gpus)
        labels = {"kueue.x-k8s.io/queue-name": QUEUE}
        if priority := more.pop("priority", ""):
            labels["kueue.x-k8s.io/priority-class"] = priority
        notes = {"gpuyard.dev/run-seconds": str(seconds), **more.pop("annotations", {})}
        container = {"name": "main", "image": "example.org/train:1", "resources": {"limits": resources}}
        spec = {"restartPolicy": "Never", "containers": [container], "tolerations": [TOLERATION], **more}
        self.api.create(
            JOBS.format(self.namespaces[team]),
            {
                "metadata": {"name": name, "labels": labels},
                "spec": {
                    "parallelism": pods,
                    "completions": pods,
                    "template": {"metadata": {"annotations": notes}, "spec": spec},
                },
            },
        )

    def states(self) -> dict[str, str]:
        """Job of any team → waiting, starting, running or done."""
        found: dict[str, str] = {}
        for namespace in self.namespaces.values():
            for job in self.api.list(JOBS.format(namespace)):
                status, spec = job["status"], job["spec"]
                running = status.get("ready", 0) == status.get("active", 0) == spec["parallelism"]
                done = status.get("succeeded", 0) == spec["completions"]
                state = "running" if running else "starting"
                found[job["metadata"]["name"]] = "done" if done else "waiting" if spec.get("suspend") else state
        return found

    def until(self, seconds: float = 40, **wanted: str) -> None:
        """Waits for the states of these jobs, named in Python's spelling."""
        names = {name.replace("_", "-"): state for name, state in wanted.items()}

        def reached() -> bool:
            found = self.states()
            return all(found.get(name) == state for name, state in names.items())

        try:
            wait(reached, "", seconds)
        except AssertionError:
            raise AssertionError(f"{self.states()}, not {names}; {self.reasons()}") from None

    def workloads(self) -> dict[str, Object]:
        """Job → its Workload."""
        paths = [f"{KUEUE}/namespaces/{name}/workloads" for name in self.namespaces.values()]
        found = [each for path in paths for each in self.api.list(path)]
        return {each["metadata"]["ownerReferences"][0]["name"]: each for each in found}

    def reasons(self) -> dict[str, str]:
        """Job → why its Workload has no quota."""
        return {
            job: condition["message"]
            for job, each in self.workloads().items()
            for condition in each.get("status", {}).get("conditions", [])
            if condition["type"] == "QuotaReserved" and condition["status"] == "False"
        }

    def pods(self, team: str) -> list[Object]:
        return self.api.list(f"/api/v1/namespaces/{self.namespaces[team]}/pods")


@contextmanager
def sharing(cluster: Cluster, queues: Recording, *groups: Group) -> Iterator[Teams]:
    """The recorded queues in the cluster, with a namespace for each of their teams; all of it is deleted at the end.
    `groups`: the cloud's groups of GPU nodes."""
    api, fleet = cluster.api, cluster.fleet
    made = in_order(queues)
    teams = [each["metadata"]["name"] for each in made if each["kind"] == "ClusterQueue"]
    fleet.only(*groups)
    cluster.apply(*made)
    namespaces: dict[str, str] = {}
    for team in teams:
        name = namespaces[team] = f"{team}-jobs"
        labels = {TEAM_LABEL: team, **MANAGED}
        cluster.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
            {
                "apiVersion": "kueue.x-k8s.io/v1beta2",
                "kind": "LocalQueue",
                "metadata": {"name": QUEUE, "namespace": name},
                "spec": {"clusterQueue": team},
            },
        )
        wait(partial(api.get, f"/api/v1/namespaces/{name}/serviceaccounts/default"), "its service account")
    try:
        yield Teams(cluster, namespaces)
    finally:
        for name in namespaces.values():
            api.request("DELETE", JOBS.format(name), {"propagationPolicy": "Background"})
            api.request("DELETE", f"{KUEUE}/namespaces/{name}/localqueues")
        workloads = [f"{KUEUE}/namespaces/{name}/workloads" for name in namespaces.values()]
        wait(lambda: not any(map(api.list, workloads)), "the end of the jobs")
        for kind in ("clusterqueues", "cohorts", "resourceflavors", "topologies", "admissionchecks"):
            api.request("DELETE", f"{KUEUE}/{kind}")
            wait(partial(_is_empty, api, f"{KUEUE}/{kind}"), f"the end of {kind}")
        paths = [f"/api/v1/namespaces/{name}" for name in namespaces.values()]
        for path in paths:
            api.delete(path)
        wait(lambda: not any(map(api.get, paths)), "the end of the namespaces")
