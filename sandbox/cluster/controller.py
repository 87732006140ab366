"""`python -m sandbox.cluster.controller KEY`: the cloud-side controllers of one cluster, in one process.

About once a second: nodes from machines (nodes.py), volumes for claims (volumes.py) and snapshots of them
(snapshots.py), endpoint groups and load balancers for Services (endpoint_groups.py, load_balancers.py), group sizes
(autoscaler.py).
Whatever fails is printed once and tried again: a cloud or an API server that is away for a moment is normal here.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence

from sandbox.cluster import control_plane, endpoint_groups, key, load_balancers, reach
from sandbox.cluster.api import Api
from sandbox.cluster.autoscaler import Autoscaler
from sandbox.cluster.cloud import Fleet
from sandbox.cluster.endpoint_groups import EndpointGroups
from sandbox.cluster.event import Events
from sandbox.cluster.load_balancers import LoadBalancers
from sandbox.cluster.nodes import Nodes
from sandbox.cluster.snapshots import Snapshots, cloud_controller
from sandbox.cluster.volumes import Disks, Volumes, cloud_disks, cloud_drivers
from sandbox.errors import SandboxError

PERIOD = 0.7
"""Seconds between two looks."""

DRIVERS_EVERY = 2.0
"""Seconds between two questions about what the cloud runs in the cluster: CSI drivers, the snapshot controller."""


class Controller:
    """All loops over one cluster; `look` is one round of them. `disks`, `balancers` and `groups` (of endpoints) are
    those of its cloud. `new_machines`: called before a machine that was not there becomes a node."""

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
    ) -> None:
        self._api = api
        self._fleet = fleet
        self._nodes = Nodes(api, version)
        self._autoscaler = autoscaler or Autoscaler(api, fleet)
        self.volumes = Volumes(api, Events(api, "persistentvolume-provisioner"), disks)
        self.snapshots = Snapshots(api, Events(api, "snapshot-controller"))
        self._groups = EndpointGroups(api, groups)
        self._balancers = LoadBalancers(api, Events(api, "service-controller"), balancers)
        self._new_machines = new_machines
        self._machines: set[str] = set()

    def look(self) -> None:
        machines = self._fleet.machines()
        if (there := {machine.id for machine in machines}) - self._machines:
            self._new_machines()
        self._machines = there
        pods = self._api.list("/api/v1/pods")
        nodes = self._api.list("/api/v1/nodes")
        if self._nodes.sync(machines, pods, nodes):
            pods, nodes = self._api.list("/api/v1/pods"), self._api.list("/api/v1/nodes")
        self.volumes.sync(nodes)
        self.snapshots.sync()
        self._groups.sync()
        self._balancers.sync()
        self._autoscaler.tick(pods, nodes, machines)


def main(cluster: str) -> None:
    plane = control_plane.get(cluster)
    if plane is None:
        raise SandboxError(f"There is no control plane {cluster!r}.", "`python -m sandbox status` lists the clusters")
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    ask_reach = reach.cloud(cluster)

    def align_reach() -> None:
        control_plane.set_unreachable(plane, ask_reach().unreachable)

    controller = Controller(
        plane.api(),
        key.fleet(cluster),
        plane.version,
        disks=cloud_disks(cluster),
        balancers=load_balancers.cloud(cluster),
        groups=endpoint_groups.cloud(cluster),
        new_machines=align_reach,
    )
    drivers, snapshots = cloud_drivers(cluster), cloud_controller(cluster)
    asked, trouble = float("-inf"), ""
    while not stopped.wait(PERIOD):
        try:
            if time.monotonic() - asked > DRIVERS_EVERY:
                controller.volumes.install(drivers())
                controller.snapshots.install(snapshots())
                align_reach()  # routes come and go
                asked = time.monotonic()
            controller.look()
            trouble = ""
        except Exception as error:  # the loop must outlive any failure; each one is shown once
            if (now := f"{type(error).__name__}: {error}") != trouble:
                trouble = now
                print(f"trouble, tried again: {trouble}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except SandboxError as error:
        sys.exit(str(error))
