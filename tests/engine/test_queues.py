"""Queues in a deployed environment: pool and quota change in one `up`; a pool is held while its nodes are replaced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cluster.api import Api
from sandbox.tests.cluster.loop import wait
from tests.engine.conftest import Project
from tests.engine.test_story import steps

FLAVOR = "/apis/kueue.x-k8s.io/v1beta2/resourceflavors/gpu-workers"
QUEUE = "/apis/kueue.x-k8s.io/v1beta2/clusterqueues/vision"
JOBS = "/apis/batch/v1/namespaces/vision/jobs"
TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def deployed(project: Project) -> Iterator[Project]:
    """The development environment with two teams, up."""
    config = project.config("dev")
    config["gpuyard:teams"] = {"vision": {"guaranteed": {"gpu-workers": 2}}, "nlp": {"guaranteed": {"gpu-workers": 0}}}
    config["gpuyard:nodePools"]["gpu-workers"]["max"] = 2
    project.write("dev", config)
    project.run("up")
    yield project


def api_of(project: Project) -> Api:
    """The API server of the environment's cluster, as its administrator."""
    (folder,) = (project.home / "clusters").iterdir()
    return Api(json.loads((folder / "cluster.json").read_text())["endpoint"], folder / "pki")


def gang(name: str, pods: int, seconds: int) -> dict[str, Any]:
    resources = {"cpu": "1", "memory": "1Gi", "nvidia.com/gpu": 1}
    container = {"name": "main", "image": "example.org/train:1", "resources": {"limits": resources}}
    pod = {"restartPolicy": "Never", "containers": [container], "tolerations": [TOLERATION]}
    template = {"metadata": {"annotations": {"gpuyard.dev/run-seconds": str(seconds)}}, "spec": pod}
    return {"metadata": {"name": name}, "spec": {"parallelism": pods, "completions": pods, "template": template}}


def change(project: Project, **pool: Any) -> str:
    config = project.config("dev")
    config["gpuyard:nodePools"]["gpu-workers"] |= pool
    project.write("dev", config)
    return project.run("up").stdout


def ready(api: Api, name: str) -> int:
    return api.request("GET", f"{JOBS}/{name}")["status"].get("ready", 0)


def test_a_second_up_changes_nothing(deployed: Project) -> None:
    assert {operation for operation, _ in steps(deployed.json("preview", "--json"))} <= {"same"}


def test_a_gang_runs_once_pool_and_quota_have_grown_in_one_up(deployed: Project) -> None:
    """seed row S22; kueue#3183: three pods, of which the pool and the quota take two, are admitted together."""
    api = api_of(deployed)
    api.create(JOBS, gang("gang", 3, 600))
    wait(lambda: api.get(f"{JOBS}/gang") and _pending(api), "the queue", 60)
    change(deployed, max=4)
    wait(lambda: ready(api, "gang") == 3, "the gang", 180)


def _pending(api: Api) -> int:
    return api.request("GET", QUEUE)["status"].get("pendingWorkloads", 0)


def test_a_pool_is_held_replaced_and_released(deployed: Project) -> None:
    """terraform-aws-eks#2905: the running job ends first; afterwards the queue goes on."""
    api = api_of(deployed)
    api.delete(f"{JOBS}/gang")
    api.create(JOBS, gang("train", 1, 20))
    wait(lambda: ready(api, "train") == 1, "the job", 120)
    shown = change(deployed, diskGib=250)
    assert "gpu-workers: its queues admit no new jobs until its nodes are replaced" in shown
    assert "waiting for vision/train" in shown and "gpu-workers: its queues admit jobs again" in shown
    keys = [each["key"] for each in api.request("GET", FLAVOR)["spec"]["nodeTaints"]]
    assert keys == ["nvidia.com/gpu"]
    api.create(JOBS, gang("next", 1, 600))
    wait(lambda: ready(api, "next") == 1, "the next job", 120)
