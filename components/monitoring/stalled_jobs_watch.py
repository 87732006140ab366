"""Restarts jobs whose GPUs are busy but move no data, and keeps new pods off the node that stopped.

The program that `StalledJobs` runs in the cluster. It uses nothing but Python's standard library, and does one round:

1. Prometheus names the pods for which the alert fires. In a job of several pods these usually wait for one that has
   stopped: the pod of the job whose GPUs are idle or have no metrics. Pods without GPUs, such as a launcher, are no
   part of this. A job with a pod that has just started is left alone: it has been restarted, and loads its data.
2. The node of that pod (of the pod itself, if it is the job's only one) gets a taint, so that no new pod goes there.
   Once it is empty, the autoscaler removes it. No more than `MOST_NODES` have the taint at a time.
3. The pod is evicted: its job starts another one, and budgets are respected. A pod without a controller is left alone,
   since nothing would start it again.

Exit codes: 0 if the round was done, 1 if Prometheus or the API server did not answer.
"""

from __future__ import annotations

import calendar
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

ALERT = "GpuBusyWithoutMemoryTraffic"
USE = "namespace_pod:gpu_utilization_percent:avg10m"
TAINT = "status-taint.cluster-autoscaler.kubernetes.io/stalled"
"""The autoscaler does not expect taints with this prefix on the nodes that it adds (its FAQ, "status taints")."""
IDLE_PERCENT = 10.0
START_MINUTES = 15.0
"""Minutes after its start in which the GPUs of a pod may be idle: it pulls its image and loads data."""
GPU_PREFIX = "nvidia.com/"
"""Beginning of the names of GPUs and their partitions, as containers request them."""
JOB_LABELS = ("jobset.sigs.k8s.io/jobset-name", "batch.kubernetes.io/job-name")
"""Labels that the pods of one job share, the most comprehensive first."""

Object = dict[str, Any]


class Prometheus:
    """Queries of one Prometheus."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def vector(self, query: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of every series of an instant query."""
        asked = f"{self._url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(asked, timeout=30) as answer:
            found = json.load(answer)["data"]["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]


class Cluster:
    """The API server. `credentials`: the folder with `token` and `ca.crt` that every pod has."""

    def __init__(self, url: str, credentials: Path) -> None:
        self._url = url
        self._token = (credentials / "token").read_text().strip()
        self._tls = ssl.create_default_context(cafile=str(credentials / "ca.crt"))

    def ask(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Object:
        """The answer to a request. Raises urllib.error.HTTPError."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind, "Accept": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30, context=self._tls) as answer:
            return json.load(answer)

    def pods(self, namespace: str, selector: str = "") -> list[Object]:
        query = f"?{urllib.parse.urlencode({'labelSelector': selector})}" if selector else ""
        return self.ask("GET", f"/api/v1/namespaces/{namespace}/pods{query}")["items"]

    def tainted(self) -> set[str]:
        """Names of the nodes with the taint."""
        nodes = self.ask("GET", "/api/v1/nodes")["items"]
        return {each["metadata"]["name"] for each in nodes if any(t["key"] == TAINT for t in taints(each))}

    def taint(self, name: str) -> None:
        """Adds the taint. The list of taints is written as a whole: another change in between is a conflict."""
        node = self.ask("GET", f"/api/v1/nodes/{name}")
        wanted = [*taints(node), {"key": TAINT, "value": "true", "effect": "NoSchedule"}]
        body = {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, "spec": {"taints": wanted}}
        self.ask("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")

    def evict(self, pod: Object) -> None:
        meta = {key: pod["metadata"][key] for key in ("name", "namespace")}
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta}
        # Not a pod of the same name that has taken its place meanwhile.
        body["deleteOptions"] = {"preconditions": {"uid": pod["metadata"]["uid"]}}
        self.ask("POST", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction", body)


def taints(node: Object) -> list[Object]:
    return node["spec"].get("taints") or []


def name_of(pod: Object) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def job_of(pod: Object) -> tuple[str, str]:
    """Label and value that the pods of its job share; two empty texts for a pod of no job."""
    labels = pod["metadata"].get("labels") or {}
    return next(((key, labels[key]) for key in JOB_LABELS if labels.get(key)), ("", ""))


def restarts(pod: Object) -> bool:
    """Whether something starts the pod again."""
    return any(each.get("controller") for each in pod["metadata"].get("ownerReferences") or [])


def holds_gpus(pod: Object) -> bool:
    """Whether a container of the pod requests GPUs or partitions of them."""
    limits = [(each.get("resources") or {}).get("limits") or {} for each in pod["spec"]["containers"]]
    return any(resource.startswith(GPU_PREFIX) for each in limits for resource in each)


def is_starting(pod: Object, minutes: float) -> bool:
    """Whether the pod started less than so many minutes ago."""
    started = calendar.timegm(time.strptime(pod["status"]["startTime"], "%Y-%m-%dT%H:%M:%SZ"))
    return time.time() - started < 60 * minutes


def stopped(members: list[Object], use: dict[tuple[str, str], float]) -> list[Object]:
    """The pods of a job that hold the others up: those whose GPUs are idle or not measured. The only pod of a job is
    the one itself."""
    if len(members) == 1:
        return members
    return [pod for pod in members if use.get(name_of(pod), 0.0) < IDLE_PERCENT]


def stalled_jobs(cluster: Cluster, fired: set[tuple[str, str]]) -> list[list[Object]]:
    """The running pods with GPUs of every job for which the alert fires."""
    found: dict[tuple[str, str, str], list[Object]] = {}
    for namespace in sorted({each[0] for each in fired}):
        running = [pod for pod in cluster.pods(namespace) if pod["status"].get("phase") == "Running"]
        pods = [pod for pod in running if holds_gpus(pod)]
        for pod in pods:
            if name_of(pod) in fired and not pod["metadata"].get("deletionTimestamp"):
                label, job = job_of(pod)
                key = (namespace, label, job or pod["metadata"]["name"])
                found[key] = [each for each in pods if job_of(each) == (label, job)] if job else [pod]
    return list(found.values())


def round_once(
    prometheus: Prometheus,
    cluster: Cluster,
    namespaces: set[str],
    most_nodes: int,
    taint: bool,
    start_minutes: float = START_MINUTES,
) -> None:
    """One round. `namespaces`: the only ones in which it may act."""
    firing = prometheus.vector(f'ALERTS{{alertname="{ALERT}",alertstate="firing"}}')
    fired = {(each["namespace"], each["pod"]) for each, _ in firing if each.get("namespace") in namespaces}
    if not fired:
        print("no job is stalled")
        return
    use = {(each.get("namespace", ""), each.get("pod", "")): value for each, value in prometheus.vector(USE)}
    tainted = cluster.tainted() if taint else set()
    for members in stalled_jobs(cluster, fired):
        if new := [pod for pod in members if is_starting(pod, start_minutes)]:
            print(f"{'/'.join(name_of(new[0]))}: has just started, so its job is left alone")
            continue
        culprits = stopped(members, use)
        for pod in culprits if taint else []:
            node = pod["spec"].get("nodeName", "")
            if not node or node in tainted:
                continue
            if len(tainted) >= most_nodes:
                print(f"{node}: not tainted, since {len(tainted)} nodes are already")
                continue
            cluster.taint(node)
            tainted.add(node)
            print(f"{node}: tainted with {TAINT}, since {'/'.join(name_of(pod))} has stopped")
        # If no pod is idle, all of them wait: one eviction restarts a gang.
        for pod in culprits or members[:1]:
            if not restarts(pod):
                print(f"{'/'.join(name_of(pod))}: left alone, since nothing would start it again")
                continue
            try:
                cluster.evict(pod)
                print(f"{'/'.join(name_of(pod))}: evicted")
            except urllib.error.HTTPError as error:
                if error.code not in (404, 409, 429):  # gone, replaced, or kept by a disruption budget
                    raise
                print(f"{'/'.join(name_of(pod))}: not evicted: {error.reason}")


def main() -> int:
    given = os.environ
    host, port = given.get("KUBERNETES_SERVICE_HOST", ""), given.get("KUBERNETES_SERVICE_PORT", "443")
    try:
        cluster = Cluster(
            given.get("API") or f"https://{host}:{port}",
            Path(given.get("CREDENTIALS", "/var/run/secrets/kubernetes.io/serviceaccount")),
        )
        namespaces = set(given["NAMESPACES"].split(","))
        round_once(
            Prometheus(given["PROMETHEUS"]),
            cluster,
            namespaces,
            int(given["MOST_NODES"]),
            given["TAINT"] == "true",
            float(given.get("START_MINUTES", START_MINUTES)),
        )
    except (OSError, ValueError, KeyError) as error:
        print(f"failed: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
