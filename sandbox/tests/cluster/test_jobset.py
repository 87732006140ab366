"""The real JobSet next to the control plane, alone and behind Kueue."""

from __future__ import annotations

from sandbox.cluster.api import Object
from sandbox.tests.cluster.kueue import Cluster, gpu_job, until
from sandbox.tests.cluster.loop import wait

API = "jobset.x-k8s.io/v1alpha2"


def job_set(name: str, queue: str, workers: int) -> Object:
    """A set of one leader and some workers, each with a GPU."""

    def jobs(role: str, count: int) -> Object:
        return {"name": role, "replicas": count, "template": {"spec": gpu_job("", queue, seconds=3)["spec"]}}

    return {
        "apiVersion": API,
        "kind": "JobSet",
        "metadata": {"name": name, "labels": {"kueue.x-k8s.io/queue-name": queue}},
        "spec": {"replicatedJobs": [jobs("leader", 1), jobs("worker", workers)]},
    }


def test_a_set_is_admitted_as_a_whole_and_runs_to_its_end(jobset: Cluster) -> None:
    """seed row S23: its three pods start together; one for which the quota is too small does not start at all."""
    api = jobset.api
    with jobset.queue(gpus=3) as namespace:
        sets = f"/apis/{API}/namespaces/{namespace}/jobsets"
        api.create(sets, job_set("large", "team", workers=3))
        api.create(sets, job_set("fits", "team", workers=2))
        names = ("fits-leader-0", "fits-worker-0", "fits-worker-1")
        waiting = dict.fromkeys(("large-leader-0", *(f"large-worker-{n}" for n in range(3))), "suspended")
        until(api, namespace, {**waiting, **dict.fromkeys(names, "Succeeded")})
        status = lambda: api.request("GET", f"{sets}/fits")["status"]  # noqa: E731
        wait(lambda: status().get("terminalState") == "Completed", "the end of the set")


def test_its_webhook_refuses_what_jobset_refuses(jobset: Cluster) -> None:
    with jobset.namespace() as namespace:
        wrong = job_set("wrong", "none", workers=1)
        wrong["spec"]["replicatedJobs"][1]["dependsOn"] = [{"name": "absent", "status": "Ready"}]
        try:
            jobset.api.create(f"/apis/{API}/namespaces/{namespace}/jobsets", wrong)
        except Exception as error:
            assert "replicatedJob: worker cannot depend on replicatedJob: absent" in str(error)
        else:
            raise AssertionError("it was accepted")
