"""`python -m sandbox.cluster.controller KEY`: the cloud-side controllers of one cluster, in one process.

About once a second, less often while nothing happens: nodes from machines (nodes.py), volumes for claims (volumes.py)
and snapshots of them (snapshots.py), endpoint groups and load balancers for Services (endpoint_groups.py,
load_balancers.py), nodes for ProvisioningRequests (provisioning.py), group sizes (autoscaler.py). In the same process:
the supervision of the controllers that really run (sandbox/controllers).
A failure is printed once and tried again: it is normal that a cloud or an API server does not answer for a moment.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Hashable, Sequence

from sandbox.cluster import control_plane, endpoint_groups, load_balancers
from sandbox.cluster.api import Api, ApiError
from sandbox.cluster.autoscaler import Autoscaler
from sandbox.cluster.cloud import Fleet
from sandbox.cluster.endpoint_groups import EndpointGroups
from sandbox.cluster.event import Events
from sandbox.cluster.load_balancers import LoadBalancers
from sandbox.cluster.nodes import Nodes
from sandbox.cluster.provisioning import Provisioning
from sandbox.cluster.registry import cloud_of
from sandbox.cluster.snapshots import Snapshots
from sandbox.cluster.volumes import Disks, Volumes
from sandbox.controllers.supervisor import Supervisor
from sandbox.errors import ReportedError, SandboxError

PERIOD = 0.7
"""Seconds between two rounds."""

CALM = 4.0
"""Seconds between two rounds once nothing has changed for CALM_AFTER seconds. A change of a pod starts a round
immediately; a change in the cloud is seen in the next round."""

CALM_AFTER = 20.0

DRIVERS_EVERY = 2.0
"""Seconds between two checks of what the cloud runs in the cluster: CSI drivers, the snapshot controller."""


class Controller:
    """All loops over one cluster; `run_once` is one round of them. `disks`, `balancers` and `groups` (of endpoints) are
    those of its cloud. `new_machines`: called before a new machine becomes a node. `supervisor`: of the controllers
    that really run; without it, their pods do not become ready."""

    def __init__(
        self,
        api: Api,
        fleet: Fleet,
        version: str,
        autoscaler: Autoscaler | None = None,
        disks: Sequence[Disks] = (),
        balancers: load_balancers.Cloud | None = None,
        groups: endpoint_groups.Cloud | None = None,
        new_machines: Callable[[], None] = lambda: None,
        supervisor: Supervisor | None = None,
    ) -> None:
        self._api = api
        self._fleet = fleet
        self._nodes = Nodes(api, version)
        self._autoscaler = autoscaler or Autoscaler(api, fleet)
        self.volumes = Volumes(api, Events(api, "persistentvolume-provisioner"), disks)
        self.snapshots = Snapshots(api, Events(api, "snapshot-controller"))
        self._groups = EndpointGroups(api, groups)
        self._balancers = LoadBalancers(api, Events(api, "service-controller"), balancers)
        self._provisioning = Provisioning(api, fleet)
        self._new_machines = new_machines
        self._supervisor = supervisor
        self._machines: set[str] = set()

    def run_once(self) -> Hashable:
        """Runs one round. Returns what it observed; if two rounds observed the same, nothing happened in between."""
        machines = self._fleet.machines()
        if (there := {machine.id for machine in machines}) - self._machines:
            self._new_machines()
        self._machines = there
        pods = self._api.list("/api/v1/pods")
        if self._supervisor:
            self._supervisor.observe(pods)
        nodes = self._api.list("/api/v1/nodes")
        if self._nodes.sync(machines, pods, nodes):
            pods, nodes = self._api.list("/api/v1/pods"), self._api.list("/api/v1/nodes")
        self.volumes.sync(nodes)
        self.snapshots.sync()
        self._groups.sync()
        self._balancers.sync()
        self._provisioning.sync(machines, pods, nodes)
        self._autoscaler.tick(pods, nodes, machines)
        versions = frozenset(pod["metadata"].get("resourceVersion") for pod in pods)
        return frozenset(self._machines), frozenset(node["metadata"]["name"] for node in nodes), versions


class Pace:
    """How long to wait for the next round: short while something changes, longer once nothing has changed for some
    time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: Hashable = None
        self._since = clock()

    def after(self, seen: Hashable) -> float:
        """Seconds to wait after a round that observed this; None for a round that failed."""
        if seen is None or seen != self._seen:
            self._seen, self._since = seen, self._clock()
        return CALM if self._clock() - self._since > CALM_AFTER else PERIOD


def _wake(api: Api, woken: threading.Event) -> None:
    """Sets the event whenever a pod changes, so that a pending pod does not wait for the next round."""
    while True:
        try:
            for _ in api.watch("/api/v1/pods"):
                woken.set()
        except (ApiError, OSError):
            pass
        time.sleep(CALM)


def main(cluster: str) -> None:
    plane = control_plane.get(cluster)
    if plane is None:
        raise SandboxError(f"There is no control plane {cluster!r}.", "`python -m sandbox status` lists the clusters")
    supervisor = Supervisor(plane)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    cloud = cloud_of(cluster)

    def align_reach() -> None:
        control_plane.set_unreachable(plane, cloud.reach().unreachable)

    controller = Controller(
        plane.api(),
        cloud.fleet,
        plane.version,
        disks=cloud.disks,
        balancers=cloud.load_balancers,
        groups=cloud.endpoint_groups,
        new_machines=align_reach,
        supervisor=supervisor,
    )
    asked, trouble, wait, pace, woken = float("-inf"), "", PERIOD, Pace(), threading.Event()
    threading.Thread(target=_wake, args=(plane.api(), woken), daemon=True).start()
    while not stopped.wait(PERIOD):
        while wait > PERIOD and not woken.is_set() and not stopped.is_set():
            wait -= PERIOD
            woken.wait(PERIOD)
        woken.clear()
        seen = None
        try:
            if time.monotonic() - asked > DRIVERS_EVERY:
                controller.volumes.install(cloud.csi_drivers())
                controller.snapshots.install(cloud.runs_snapshot_controller())
                align_reach()  # routes are added and deleted
                asked = time.monotonic()
            seen = controller.run_once()
            trouble = ""
        except Exception as error:  # the loop must continue after any failure; each one is shown once
            if (now := f"{type(error).__name__}: {error}") != trouble:
                trouble = now
                print(f"failed, tried again: {trouble}", file=sys.stderr, flush=True)
        wait = pace.after(seen)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ReportedError as error:
        sys.exit(str(error))
