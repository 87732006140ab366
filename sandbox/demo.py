"""The guide's story on a running environment, as a timeline that checks itself.

A training job is pending; the GPU pool scales from 0 to 1; the job's pod runs on the tainted node, and a plain pod does
not; the node is reclaimed as in a spot interruption; the pod runs again on a new node; the job completes; the pool is
at 0 again. Every line is printed after the live API has shown it. If a step does not happen in time, the demo ends and
prints what happened instead. It works on any cluster of the sandbox that has a pool of that name. It deletes its
objects when it ends or is interrupted, and those that a killed demo left behind.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import TypeVar

from rich.console import Console
from rich.markup import escape

from sandbox import paths
from sandbox.cluster import interruption
from sandbox.cluster.api import Api, Object
from sandbox.cluster.autoscaler import STATUS
from sandbox.cluster.cloud import Fleet
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.nodes import GPU, machine_id
from sandbox.cluster.registry import cloud_of
from sandbox.errors import SandboxError
from sandbox.workload import plain_pod, training_job

NAMESPACE = "gpuyard-demo"
POOL = "gpu-workers"
JOB = "training"
PLAIN = "plain"
RUN_SECONDS = 15
BOUND_SECONDS = 90
"""Seconds that a single step may take; on an idle machine each step takes a few seconds."""

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """One line of the timeline. `seconds` since the start."""

    name: str
    ok: bool
    seconds: float
    seen: str


class NotObserved(Exception):
    """A step did not happen in time; the text is what the demo waited for."""


def run(plane: ControlPlane, as_json: bool = False, console: Console | None = None) -> None:
    """Runs the demo on a cluster of the sandbox.

    Args:
        as_json: print one JSON object at the end instead of lines.

    Raises SandboxError if a step did not happen, after it has printed what happened instead.
    """
    api = plane.api()
    if not api.ready():
        raise SandboxError(
            f"The API server of {plane.key} does not answer.", "run `make up` first: it restarts stopped processes"
        )
    demo = Demo(plane.key, api, cloud_of(plane.key).fleet, console or Console(highlight=False), quiet=as_json)
    ok = demo.play()
    if as_json:
        steps = [asdict(step) for step in demo.steps]
        print(json.dumps({"cluster": plane.key, "pool": POOL, "ok": ok, "steps": steps}, indent=1))
    if not ok:
        missed = next(step for step in demo.steps if not step.ok)
        raise SandboxError(
            f"The demo stopped after {missed.seconds:.0f} s: {missed.seen}.",
            f"the lines above show what happened instead; the logs are in {paths.home() / 'run'}",
        )


class Demo:
    """One run of the demo."""

    def __init__(
        self,
        key: str,
        api: Api,
        fleet: Fleet,
        console: Console,
        quiet: bool = False,
        bound: float = BOUND_SECONDS,
        reclaim: Callable[[str, str], list[str]] = interruption.reclaim,
    ) -> None:
        self.steps: list[Step] = []
        self._key, self._api, self._fleet, self._console = key, api, fleet, console
        self._quiet, self._bound, self._reclaim = quiet, bound, reclaim
        self._begun = time.monotonic()

    def play(self) -> bool:
        try:
            self._tidy()
            self._story()
            ok = True
        except NotObserved as error:
            self._report("this did not happen", str(error), ok=False)
            self._explain()
            ok = False
        finally:
            self._api.delete(f"/api/v1/namespaces/{NAMESPACE}")
        return ok

    def _story(self) -> None:
        job = self._start()
        waiting = self._until("the training pod is pending", lambda: _unschedulable(self._pod()))
        self._report("pending", f"{job} asks for 16Gi, 4 cpu, 1 GPU, 50Gi of disk; no node has that: {waiting}")

        self._until(f"{POOL} goes 0 → 1", lambda: self._size() == 1)
        self._report("scaled up", f"{POOL} goes 0 → 1")

        pod = self._until("the training pod runs on a GPU node", lambda: _running(self._pod()))
        found = self._gpu_node(pod)
        node, machine = found["metadata"]["name"], machine_id(found)
        self._report("running", f"{pod['metadata']['name']} runs on {node}, past the taint {_taint(found)}")

        self._api.create(f"/api/v1/namespaces/{NAMESPACE}/pods", plain_pod(PLAIN))
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{PLAIN}"
        plain = self._until("the plain pod runs elsewhere", lambda: _running(self._api.get(path)))
        home = plain["spec"]["nodeName"]
        self._check(not _taint(self._node(home)), f"the plain pod was put on {home}, a GPU node")
        self._report("kept apart", f"a plain pod runs on {home}, a CPU node")

        lost = self._reclaim(self._key, node)
        first = pod["metadata"]["name"]
        self._check(f"{NAMESPACE}/{first}" in lost, f"{first} was not on {node} any more when it was reclaimed")
        self._report("reclaimed", f"spot takes {node} away, and {first} with it")

        again = self._until("the job's pod runs again", lambda: _running(self._pod(but=pod)))
        new = self._gpu_node(again)
        # The new machine may have got the address of the old one, and with it the node's name.
        self._check(machine_id(new) != machine, f"the pod came back on machine {machine}, which should be gone")
        self._report("back", f"{again['metadata']['name']} runs on {new['metadata']['name']}, a new machine")

        path = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs/{JOB}"
        self._until("the job completes", lambda: (self._api.get(path) or {}).get("status", {}).get("succeeded"))
        failed = self._api.request("GET", path)["status"].get("failed", 0)
        self._check(not failed, f"the interruption was counted as a failure of the job ({failed})")
        self._report("done", "the job is complete; the interruption did not count as a failure")

        self._until(f"{POOL} goes back to 0", lambda: self._size() == 0 and not self._nodes())
        self._report("back to zero", f"{POOL} is at 0 again: nothing left to pay for")

    def _start(self) -> str:
        """Creates the namespace and the job."""
        self._api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        account = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"
        self._until("the namespace is ready", lambda: self._api.get(account))
        self._api.create(f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs", training_job(JOB, RUN_SECONDS))
        return f"job {NAMESPACE}/{JOB}"

    def _tidy(self) -> None:
        """Removes what an earlier demo left, and waits until the pool is empty: the demo begins at 0."""
        pools = sorted({group.pool for group in self._fleet.groups()})
        if POOL not in pools:
            raise SandboxError(
                f"The cluster {self._key} has no node pool {POOL!r} (it has: {', '.join(pools) or 'none'}).",
                "the demo needs a GPU pool of that name; see Pulumi.dev.yaml",
            )
        path = f"/api/v1/namespaces/{NAMESPACE}"
        self._api.delete(path)
        self._until("the end of an earlier demo", lambda: self._api.get(path) is None)
        self._until(
            f"{POOL} is at 0, where the story begins",
            lambda: self._size() == 0 and not self._nodes(),
        )
        self._report("at rest", f"{POOL} is at 0, {len(self._api.list('/api/v1/nodes'))} other nodes are up")

    def _until(self, what: str, found: Callable[[], T | None]) -> T:
        """Waits for a true answer and returns it. Raises NotObserved after the time limit."""
        deadline = time.monotonic() + self._bound
        with self._console.status(f"waiting: {what}") if not self._quiet else nullcontext():
            while not (answer := found()):
                if time.monotonic() > deadline:
                    raise NotObserved(f"{what} (waited {self._bound:.0f} s)")
                time.sleep(0.2)
        return answer

    def _check(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise NotObserved(otherwise)

    def _report(self, name: str, seen: str, ok: bool = True) -> None:
        step = Step(name, ok, round(time.monotonic() - self._begun, 1), seen)
        self.steps.append(step)
        if not self._quiet:
            mark = "[green]✓[/]" if ok else "[red]✗[/]"
            line = f"[dim]{step.seconds:6.1f} s[/]  {mark} {escape(f'{name}: {seen}')}"
            self._console.print(line, highlight=False, soft_wrap=True)

    def _explain(self) -> None:
        """Prints what happened instead: the pods and their events, the pool, the autoscaler's last report."""
        lines = [f"pool {POOL}: {self._size()} asked for, nodes: {', '.join(self._nodes()) or 'none'}"]
        for pod in self._api.list(f"/api/v1/namespaces/{NAMESPACE}/pods"):
            where = pod["spec"].get("nodeName", "no node")
            lines.append(f"pod {pod['metadata']['name']}: {pod['status'].get('phase')} on {where}")
        events = self._api.list(f"/api/v1/namespaces/{NAMESPACE}/events")
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        lines += [f"event {e['involvedObject']['name']}: {e['reason']}: {e['message']}" for e in events[-8:]]
        words = (self._api.get(STATUS) or {}).get("data", {}).get("status", "nothing: is an autoscaler in the cluster?")
        lines += [f"autoscaler: {line}" for line in words.splitlines()[-4:]]
        self.steps.extend(Step("seen instead", False, self.steps[-1].seconds, line) for line in lines)
        if not self._quiet:
            for line in lines:
                self._console.print(f"            {line}", markup=False, highlight=False, soft_wrap=True)

    def _size(self) -> int:
        """The requested number of machines, over all rungs of the pool."""
        return sum(group.desired for group in self._fleet.groups() if group.pool == POOL)

    def _nodes(self) -> list[str]:
        names = {machine.node_name for machine in self._fleet.machines() if machine.pool == POOL}
        return sorted(names & {node["metadata"]["name"] for node in self._api.list("/api/v1/nodes")})

    def _pod(self, but: Object | None = None) -> Object | None:
        """The job's youngest pod, other than `but`."""
        pods = self._api.list(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector=f"app={JOB}")
        others = [pod for pod in pods if but is None or pod["metadata"]["uid"] != but["metadata"]["uid"]]
        return max(others, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)

    def _node(self, name: str) -> Object:
        return self._api.request("GET", f"/api/v1/nodes/{name}")

    def _gpu_node(self, pod: Object) -> Object:
        """The pod's node, which must belong to the pool and have the taint, the label and an allocatable GPU."""
        name = pod["spec"]["nodeName"]
        node = self._node(name)
        self._check(name in self._nodes(), f"the training pod runs on {name}, which is not of {POOL}")
        self._check(bool(_taint(node)), f"{name} runs the training pod and has no taint {GPU}")
        self._check(node["metadata"]["labels"].get("workload") == "gpu-training", f"{name} lacks workload=gpu-training")
        self._check(node["status"]["allocatable"].get(GPU, "0") != "0", f"{name} shows no {GPU}")
        return node


def _taint(node: Object) -> str:
    """The node's GPU taint as text; empty if it has none."""
    taints = [taint for taint in node["spec"].get("taints") or () if taint["key"] == GPU]
    return f"{taints[0]['key']}={taints[0].get('value', '')}:{taints[0]['effect']}" if taints else ""


def _running(pod: Object | None) -> Object | None:
    return pod if pod and pod["status"].get("phase") == "Running" else None


def _unschedulable(pod: Object | None) -> str:
    """The scheduler's message about a pod that it could not place."""
    conditions = (pod or {}).get("status", {}).get("conditions") or ()
    return next((c["message"].split(". ")[0] for c in conditions if c.get("reason") == "Unschedulable"), "")
