"""The real Kueue next to the control plane: quotas, the autoscaler behind it, and its life as a pod's process."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from sandbox import process
from sandbox.cluster.api import Api
from sandbox.tests.cluster.kueue import API, KEY, NAMESPACE, Cluster, gpu_job, queues, until
from sandbox.tests.cluster.loop import wait

PROCESS = f"{KEY}.{NAMESPACE}.kueue-controller-manager"
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/kueue-controller-manager"


def size(cluster: Cluster, group: str = "asg-gpu") -> int:
    return next(each.desired for each in cluster.fleet.groups() if each.id == group)


def available(api: Api) -> bool:
    return bool(api.request("GET", DEPLOYMENT)["status"].get("availableReplicas"))


def test_jobs_within_the_quota_get_nodes_and_the_next_one_waits(kueue: Cluster) -> None:
    """seed row S19: two GPUs of quota, three jobs: the pool grows to two nodes, and the third starts when one ends."""
    api = kueue.api
    with kueue.queue(gpus=2) as namespace:
        jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"

        def pending() -> list[str]:
            """What Kueue's own API, which the cluster's API server serves, says."""
            found = api.request("GET", f"/apis/visibility.{API}/clusterqueues/{namespace}/pendingworkloads")
            return [each["metadata"]["ownerReferences"][0]["name"] for each in found["items"]]

        for name in ("first", "second"):
            api.create(jobs, gpu_job(name, "team"))
        until(api, namespace, {"first": "Running", "second": "Running"})
        api.create(jobs, gpu_job("third", "team"))
        wait(pending, "a job that waits")
        until(api, namespace, {"first": "Running", "second": "Running", "third": "suspended"})
        assert size(kueue) == 2
        assert pending() == ["third"]
        api.delete(f"{jobs}/first")
        until(api, namespace, {"second": "Running", "third": "Running"})
        assert size(kueue) == 2
    wait(lambda: size(kueue) == 0, "an empty pool")


def test_its_webhooks_refuse_what_kueue_refuses(kueue: Cluster) -> None:
    with kueue.namespace() as namespace:
        flavor, queue, _ = queues(namespace, gpus=2)
        queue["spec"]["resourceGroups"][0]["flavors"][0]["resources"][0]["borrowingLimit"] = 1  # without a cohort
        try:
            kueue.apply(flavor, queue)
        except Exception as error:
            assert "borrowingLimit must be nil when cohort is empty" in str(error)
        else:
            raise AssertionError("it was accepted")
        finally:
            kueue.api.delete(f"/apis/{API}/resourceflavors/{namespace}")


def test_it_acts_as_its_service_account_and_has_no_secret_on_its_command_line(kueue: Cluster) -> None:
    running = process.alive(PROCESS)
    assert running
    folder = kueue.plane.folder / "pods" / f"{NAMESPACE}.kueue-controller-manager"
    token = (folder / "token").read_text()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    found = kueue.api.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)["status"]["user"]
    assert found["username"] == f"system:serviceaccount:{NAMESPACE}:kueue-controller-manager"
    assert token not in Path(f"/proc/{running.pid}/cmdline").read_text()
    assert {path.stat().st_mode & 0o077 for path in (folder, *folder.rglob("*"))} == {0}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_it_listens_only_on_this_machine(kueue: Cluster) -> None:
    running = process.alive(PROCESS)
    assert running
    sockets = {os.readlink(each) for each in Path(f"/proc/{running.pid}/fd").iterdir() if each.is_symlink()}
    addresses = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{running.pid}/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A" and f"socket:[{inode}]" in sockets:
                addresses.append(local.partition(":")[0])
    assert len(addresses) == 4 and set(addresses) == {"0100007F"}, addresses


def test_a_killed_one_is_started_again_and_its_pod_is_not_ready_meanwhile(kueue: Cluster) -> None:
    first = process.alive(PROCESS)
    assert first and available(kueue.api)
    os.kill(first.pid, signal.SIGKILL)
    wait(lambda: not available(kueue.api), "an unavailable Deployment")
    wait(lambda: available(kueue.api), "an available Deployment")
    again = process.alive(PROCESS)
    assert again and again.pid != first.pid
    states = json.loads((kueue.plane.folder / "controllers.json").read_text())
    (facts,) = [each for each in states if each["namespace"] == NAMESPACE]
    assert facts["ready"] and facts["restarts"] >= 1


def test_it_ends_with_its_pods_and_its_webhooks_refuse_then(kueue: Cluster) -> None:
    api = kueue.api
    with kueue.namespace() as namespace:
        api.patch(DEPLOYMENT, {"spec": {"replicas": 0}})
        wait(lambda: process.alive(PROCESS) is None, "the end of the process")
        try:
            kueue.apply(*queues(namespace, gpus=1))
        except Exception as error:
            assert "no program runs for the Service kueue-system/kueue-webhook-service" in str(error)
        else:
            raise AssertionError("it was accepted")
        api.patch(DEPLOYMENT, {"spec": {"replicas": 1}})
        wait(lambda: available(api), "an available Deployment")
