"""What every story of the demo has in common: lines that the live API has shown, a time limit, an explanation."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar

from rich.console import Console
from rich.markup import escape

from sandbox.cluster.api import Api, Object
from sandbox.cluster.autoscaler import STATUS
from sandbox.cluster.cloud import Fleet
from sandbox.cluster.nodes import GPU
from sandbox.errors import SandboxError

POOL = "gpu-workers"
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
    """A step did not happen in time; the text is what the story waited for."""


class Story(ABC):
    """One run of a story on a cluster of the sandbox. Subclasses tell it in `_story`, one reported line after the
    other; each line is printed after the live API has shown it.

    `namespaces`: those in which it creates objects. `own`: those of them that it creates and deletes itself.
    """

    namespaces: tuple[str, ...] = ()
    own: tuple[str, ...] = ()

    def __init__(
        self,
        key: str,
        api: Api,
        fleet: Fleet,
        console: Console,
        quiet: bool = False,
        bound: float = BOUND_SECONDS,
    ) -> None:
        self.steps: list[Step] = []
        self._key, self._api, self._fleet, self._console = key, api, fleet, console
        self._quiet, self._bound = quiet, bound
        self._begun = time.monotonic()

    def play(self) -> bool:
        """Whether every step happened."""
        try:
            self._require()
            self._tidy()
            self._story()
            ok = True
        except NotObserved as error:
            self._report("this did not happen", str(error), ok=False)
            self._explain()
            ok = False
        finally:
            self._clean()
        return ok

    def _require(self) -> None:
        """Raises SandboxError if the cluster lacks what the story needs."""
        pools = sorted({group.pool for group in self._fleet.groups()})
        if POOL not in pools:
            raise SandboxError(
                f"The cluster {self._key} has no node pool {POOL!r} (it has: {', '.join(pools) or 'none'}).",
                "the demo needs a GPU pool of that name; see Pulumi.dev.yaml",
            )

    @abstractmethod
    def _story(self) -> None:
        """The lines of the story, from a pool at 0."""

    def _clean(self) -> None:
        """Deletes what the story created."""
        for name in self.own:
            self._api.delete(f"/api/v1/namespaces/{name}")

    def _tidy(self) -> None:
        """Removes what an earlier run left, and waits until the pool is empty: the story begins at 0."""
        self._clean()
        paths = [f"/api/v1/namespaces/{name}" for name in self.own]
        self._until("the end of an earlier demo", lambda: not any(map(self._api.get, paths)))
        self._until(f"{POOL} is at 0, where the story begins", lambda: self._size() == 0 and not self._nodes())
        self._report("at rest", f"{POOL} is at 0, {len(self._api.list('/api/v1/nodes'))} other nodes are up")

    def _until(self, what: str, found: Callable[[], T | None], bound: float | None = None) -> T:
        """Waits for a true answer and returns it. Raises NotObserved after the time limit. `bound`: another limit."""
        bound = bound or self._bound
        deadline = time.monotonic() + bound
        with self._console.status(f"waiting: {what}") if not self._quiet else nullcontext():
            while not (answer := found()):
                if time.monotonic() > deadline:
                    raise NotObserved(f"{what} (waited {bound:.0f} s)")
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

    def _note(self, line: str) -> None:
        """Prints a line that is no step."""
        if not self._quiet:
            self._console.print(f"            {line}", markup=False, highlight=False, soft_wrap=True)

    def _explain(self) -> None:
        """Prints what happened instead."""
        lines = self._evidence()
        self.steps.extend(Step("seen instead", False, self.steps[-1].seconds, line) for line in lines)
        for line in lines:
            self._note(line)

    def _evidence(self) -> list[str]:
        """What the cluster shows: the pool, the pods and their events, the autoscaler's last report."""
        lines = [f"pool {POOL}: {self._size()} asked for, nodes: {', '.join(self._nodes()) or 'none'}"]
        events: list[Object] = []
        for name in self.namespaces:
            for pod in self._api.list(f"/api/v1/namespaces/{name}/pods"):
                where = pod["spec"].get("nodeName", "no node")
                lines.append(f"pod {pod['metadata']['name']}: {pod['status'].get('phase')} on {where}")
            events += self._api.list(f"/api/v1/namespaces/{name}/events")
        events.sort(key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        lines += [f"event {e['involvedObject']['name']}: {e['reason']}: {e['message']}" for e in events[-8:]]
        words = (self._api.get(STATUS) or {}).get("data", {}).get("status", "nothing: is an autoscaler in the cluster?")
        return lines + [f"autoscaler: {line}" for line in words.splitlines()[-4:]]

    def _size(self) -> int:
        """The requested number of machines, over all rungs of the pool."""
        return sum(group.desired for group in self._fleet.groups() if group.pool == POOL)

    def _node(self, name: str) -> Object:
        return self._api.request("GET", f"/api/v1/nodes/{name}")

    def _nodes(self) -> list[str]:
        names = {machine.node_name for machine in self._fleet.machines() if machine.pool == POOL}
        return sorted(names & {node["metadata"]["name"] for node in self._api.list("/api/v1/nodes")})


def taint_of(node: Object) -> str:
    """The node's GPU taint as text; empty if it has none."""
    taints = [taint for taint in node["spec"].get("taints") or () if taint["key"] == GPU]
    return f"{taints[0]['key']}={taints[0].get('value', '')}:{taints[0]['effect']}" if taints else ""


def running(pod: Object | None) -> Object | None:
    return pod if pod and pod["status"].get("phase") == "Running" else None


def unschedulable(pod: Object | None) -> str:
    """The scheduler's message about a pod that it could not place."""
    conditions = (pod or {}).get("status", {}).get("conditions") or ()
    return next((c["message"].split(". ")[0] for c in conditions if c.get("reason") == "Unschedulable"), "")
