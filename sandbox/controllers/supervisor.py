"""Runs the real controllers of a cluster next to its control plane, one process for each Deployment.

Pods decide: a process runs as long as a pod of its Deployment is bound to a node and started; it is started again
when a rollout, an eviction or a lost node replaces the pod. So a controller that cannot be scheduled does not run, and
one that is scaled to 0 stops. The pod is ready while the process answers its readiness probe.

A process that ends is started again after 1, 2, 4 … 60 seconds, as a kubelet would. Processes survive the supervisor,
like all processes of the sandbox: the next one finds them by their records. Does not choose programs (programs.py),
translate their pods (container.py, listening.py) or lead calls to them (network.py).
"""

from __future__ import annotations

import ssl
import sys
import threading
import time
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import process
from sandbox.cluster.api import STRATEGIC, Api, ApiError
from sandbox.cluster.control_plane import ControlPlane, name
from sandbox.cluster.port import comes_free
from sandbox.controllers import listening, network, state
from sandbox.controllers.builds import Builds
from sandbox.controllers.container import TOKEN_SECONDS, Container, Missing, Object
from sandbox.controllers.container import ports as names
from sandbox.controllers.monitoring import Monitoring
from sandbox.controllers.network import Endpoint
from sandbox.controllers.outbound import Outbound
from sandbox.controllers.programs import TEMPLATE, Program, deployment_of, program_of
from sandbox.errors import ReportedError
from tools.manifest import TOOLS

BUSY, CALM = 0.3, 4.0
"""Seconds between two rounds: while a process starts, and otherwise."""

_LONGEST_WAIT = 60.0
_PROBE_SECONDS = 1.0


@dataclass
class Unit:
    """The process of one Deployment. `pods`: all its pods that run; it runs for the first one (`in_order`)."""

    namespace: str
    deployment: str
    program: Program
    spec: Object
    pods: list[Object]
    container: Container | None = None
    ready: bool = False
    message: str = "not started yet"
    restarts: int = -1
    not_before: float = 0.0
    ports: dict[int, int] = field(default_factory=dict)
    token_age: float = 0.0

    @property
    def uid(self) -> str:
        return self.pods[0]["metadata"]["uid"]


class Supervisor:
    """Runs the controllers of one cluster. `observe` hands it the cluster's pods; its own thread does the rest."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._api: Api = plane.api()
        self._units: dict[str, Unit] = {}
        self._pods: list[Object] = []
        self._versions: frozenset[tuple[str, str]] | None = None
        self._woken = threading.Event()
        self._stopped = threading.Event()
        self._all: list[Object] = []
        self._shown = ""
        self._builds = Builds()
        self._monitoring = Monitoring(plane, self._builds, lambda: self._all, self.endpoints)
        self._ports: dict[str, dict[int, int]] = {}
        self._routes = network.Routes(self._api, self.endpoints)
        self._close = network.serve(network.listen(plane.folder), self._routes)
        self._outbound: Outbound | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def observe(self, pods: Iterable[Object]) -> None:
        """Takes note of the cluster's pods."""
        self._all = list(pods)
        mine = [pod for pod in self._all if program_of(pod)]
        versions = frozenset((pod["metadata"]["uid"], pod["metadata"]["resourceVersion"]) for pod in mine)
        if versions != self._versions:
            self._pods, self._versions = mine, versions
            self._woken.set()

    def endpoints(self) -> list[Endpoint]:
        """The processes that run, for the network."""
        return [
            Endpoint(unit.namespace, unit.pods[0]["metadata"].get("labels", {}), names(unit.spec), unit.ports)
            for unit in list(self._units.values())
            if unit.ports
        ]

    def stop(self) -> None:
        """Ends the supervision and the way into the cluster; the processes continue."""
        self._stopped.set()
        self._woken.set()
        self._thread.join(10)
        self._monitoring.stop()
        if self._outbound:
            self._outbound.stop()
        self._close()

    # -- the loop ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._woken.clear()
            calm = False
            try:
                if self._versions is not None:  # the pods are not known yet: what runs may be wanted
                    calm = self._sync()
                    self._monitoring.sync(any(u.program.needs_metrics for u in self._units.values()))
                    self._shown = ""
            except Exception as error:  # the loop must continue after any failure; each one is shown once
                if (now := f"{type(error).__name__}: {error}") != self._shown:
                    self._shown = now
                    print(f"controllers failed, tried again: {now}", file=sys.stderr, flush=True)
            self._woken.wait(CALM if calm else BUSY)

    def _sync(self) -> bool:
        """One round. Returns whether everything that should run is ready."""
        wanted = self._wanted()
        for key in [key for key in self._units if key not in wanted]:
            del self._units[key]
        for each in self._running():
            if each.name not in wanted:
                process.stop(each.name, grace=5)
        for key, unit in wanted.items():
            known = self._units.setdefault(key, unit)
            if known.uid != unit.uid:
                known = self._units[key] = unit
            known.pods = unit.pods
            try:
                self._tend(key, known)
            except (ReportedError, ApiError, OSError, Missing, network.Refused) as error:
                known.ready, known.message = False, str(error).splitlines()[0]
            for pod in known.pods:
                self._show(pod, known)
        self._record()
        return all(unit.ready for unit in self._units.values())

    def _wanted(self) -> dict[str, Unit]:
        by_deployment: dict[tuple[str, str], list[Object]] = {}
        for pod in self._pods:
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]:
                where = pod["metadata"]["namespace"], deployment_of(pod)
                by_deployment.setdefault(where, []).append(pod)
        found: dict[str, Unit] = {}
        for (namespace, deployment), pods in by_deployment.items():
            key = name(self._plane.key, f"{namespace}.{deployment}")
            running = process.alive(key)
            pods = in_order(pods, running.data.get("uid", "") if running else "")
            match = program_of(pods[0])
            assert match
            found[key] = Unit(namespace, deployment, *match, pods=pods)
        return found

    def _running(self) -> list[process.Process]:
        mine = name(self._plane.key, "")
        return [each for each in process.all() if each.name.startswith(mine) and "uid" in each.data]

    def _tend(self, key: str, unit: Unit) -> None:
        running = process.alive(key)
        if running and running.data.get("uid") != unit.uid:  # that of an earlier pod
            process.stop(key, grace=5)
            running = None
        if running is None:
            self._start(key, unit)
            return
        if unit.container is None:  # that of an earlier supervisor
            unit.restarts = max(unit.restarts, 0)
            self._adopt(unit, running)
        assert unit.container
        if time.monotonic() - unit.token_age > TOKEN_SECONDS / 2:
            unit.container.renew_token()
            unit.token_age = time.monotonic()
        unit.container.sync_volumes()
        unit.message = _probe(unit)
        unit.ready = not unit.message

    def _start(self, key: str, unit: Unit) -> None:
        unit.ready, unit.ports = False, {}
        if time.monotonic() < unit.not_before:
            return
        if unit.container is not None:
            unit.message = f"its process ended; last line of its log: {process.log_end(key, 1) or 'none'}"
        path = self._builds.path(unit.program.tool)
        if path is None:
            unit.message = self._builds.message(unit.program.tool)
            return
        container = Container(self._api, unit.pods[0], unit.spec, self._folder(unit))
        container.prepare(self._plane.folder / "pki" / "ca.crt")
        unit.token_age = time.monotonic()
        # Others remember its ports: they change only if they are taken.
        inside = {*unit.program.ports, *names(unit.spec).values()}
        ports = self._ports.get(key, {})
        if ports.keys() != inside or not all(map(comes_free, ports.values())):
            ports = {port: process.free_port() for port in inside}
        arguments = listening.arguments(unit.program, container, ports, self._routes.port)
        self._ports[key] = unit.ports = ports
        unit.container = container
        unit.restarts += 1
        unit.not_before = time.monotonic() + min(2.0 ** max(unit.restarts - 1, 0), _LONGEST_WAIT)
        process.start(
            key,
            [path, *arguments],
            env={**listening.environment(unit.program, container), **self._proxy().variables},
            ready=lambda: True,
            what=f"{unit.program.tool} of {self._plane.key}",
            data={"uid": unit.uid, "ports": {str(port): here for port, here in unit.ports.items()}},
            cwd=unit.container.folder,
        )

    def _proxy(self) -> Outbound:
        if self._outbound is None:
            file, monitoring = self._plane.folder / "outbound.json", self._monitoring
            self._outbound = Outbound(file, self._routes, monitoring.server.forward, monitoring.answer)
        return self._outbound

    def _adopt(self, unit: Unit, running: process.Process) -> None:
        unit.ports = {int(port): here for port, here in running.data["ports"].items()}
        self._ports[running.name] = unit.ports
        self._proxy()  # it has the address of the earlier one
        unit.container = Container(self._api, unit.pods[0], unit.spec, self._folder(unit))

    def _folder(self, unit: Unit) -> Path:
        return self._plane.folder / "pods" / f"{unit.namespace}.{unit.deployment}"

    # -- what others see --------------------------------------------------------------------------------------------

    def _show(self, pod: Object, unit: Unit) -> None:
        """Sets the pod's readiness."""
        status = pod["status"]
        conditions = {each["type"]: each for each in status.get("conditions", ())}
        now = conditions.get("Ready", {})
        message = "" if unit.ready else unit.message[:500]
        restarts = max(unit.restarts, 0)
        shown = next((each.get("restartCount", 0) for each in status.get("containerStatuses", ())), 0)
        wanted = ("True" if unit.ready else "False", message, restarts)
        if (now.get("status"), now.get("message", ""), shown) == wanted:
            return
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        condition = {"status": wanted[0], "message": message, "lastTransitionTime": since}
        condition["reason"] = "" if unit.ready else "ContainersNotReady"
        containers = [
            {**each, "ready": unit.ready, "started": unit.ready, "restartCount": restarts}
            for each in status.get("containerStatuses", ())
        ]
        patch = {
            "conditions": [{"type": kind, **condition} for kind in ("ContainersReady", "Ready")],
            "containerStatuses": containers,
        }
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status"
        if found := self._api.patch(path, {"status": patch}, STRATEGIC):
            pod["status"] = found["status"]

    def _record(self) -> None:
        facts = [
            {
                "namespace": unit.namespace,
                "deployment": unit.deployment,
                "program": f"{unit.program.tool} {TOOLS[unit.program.tool].pinned}",
                "ready": unit.ready,
                "restarts": max(unit.restarts, 0),
                "message": unit.message,
            }
            for unit in self._units.values()
        ]
        state.write(self._plane.folder, facts)


def in_order(pods: list[Object], uid: str) -> list[Object]:
    """The pods of a Deployment, first the one that its process runs for: that of `uid` as long as it is of the newest
    revision, so that another replica restarts nothing; otherwise the newest."""
    newest_first = sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], reverse=True)
    revision = newest_first[0]["metadata"]["labels"][TEMPLATE]

    def is_kept(pod: Object) -> bool:
        return pod["metadata"]["uid"] == uid and pod["metadata"]["labels"][TEMPLATE] == revision

    return sorted(newest_first, key=is_kept, reverse=True)


def _probe(unit: Unit) -> str:
    """Why a process is not ready; "" if it is. Without a probe, one that runs is ready."""
    check = (unit.spec.get("readinessProbe") or {}).get("httpGet")
    if not check:
        return ""
    port = names(unit.spec).get(check["port"], 0) if isinstance(check["port"], str) else check["port"]
    scheme = check.get("scheme", "HTTP").lower()
    url = f"{scheme}://127.0.0.1:{unit.ports[port]}{check.get('path', '/')}"
    direct = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl._create_unverified_context()),  # as the kubelet
    )
    try:
        direct.open(url, timeout=_PROBE_SECONDS).close()
    except OSError as error:
        return f"its readiness probe fails: {getattr(error, 'reason', error)}"
    return ""
