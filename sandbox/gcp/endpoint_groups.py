"""Network endpoint groups of a GKE cluster's Services, and the names of GKE's objects for Services (ingress-gce,
pkg/utils/namer).

A Service has groups of nodes (GCE_VM_IP) when its load balancer has a backend service, and groups of pods
(GCE_VM_IP_PORT) for each port that its annotation `cloud.google.com/neg` exposes. They are always empty here.
"""

from __future__ import annotations

import hashlib
import json
import string
from dataclasses import dataclass

from sandbox.cluster.api import Object
from sandbox.gcp import machines
from sandbox.gcp.store import ApiError, Body, Reference, Store
from sandbox.gcp.table import full_name, number, timestamp

GROUPS = "compute.networkEndpointGroups"

_CLASSES = {"networking.gke.io/l4-regional-external": False, "networking.gke.io/l4-regional-internal": True}
_BACKENDS_FROM = (1, 37)
_MOST = 63


@dataclass(frozen=True)
class Place:
    """Where a cluster's load balancers and groups are."""

    project: str
    region: str
    zones: list[str]
    network: str
    subnetwork: str
    version: str


class EndpointGroups:
    """The groups of one GKE cluster (the protocol of sandbox/cluster/endpoint_groups.py)."""

    def __init__(self, project: str, location: str, cluster: str, store: Store | None = None) -> None:
        self.cluster: Reference = ("container.clusters", f"projects/{project}/locations/{location}/clusters/{cluster}")
        self.store = store or Store()

    def names(self, service: Object) -> list[str]:
        found = []
        if serves(service) and has_backend(service, self.place().version):
            found.append(own_name(self.cluster, service))
        meta = service["metadata"]
        for port in sorted(_exposed(service)):
            text = f"{short_id(self.cluster)};{meta['namespace']};{meta['name']};{port}"
            room = _MOST - len(f"k8s1-{short_id(self.cluster)}---{port}-{_base36(text, 8)}")
            names = _cut(meta, room)
            found.append(f"k8s1-{short_id(self.cluster)}-{names}-{port}-{_base36(text, 8)}")
        return found

    def ensure(self, name: str) -> list[Reference]:
        """The groups of that name, one for each zone."""
        place = self.place()
        held = [("compute.networks", place.network), ("compute.subnetworks", place.subnetwork)]
        found = [
            (GROUPS, f"projects/{place.project}/zones/{zone}/networkEndpointGroups/{name}") for zone in place.zones
        ]
        with self.store.transaction():
            for collection, full in found:
                if self.store.find(collection, full) is None:
                    self.store.insert(collection, full, _body(full, place), references=held)
        return found

    def remove(self, name: str) -> bool:
        try:
            with self.store.transaction():
                for collection, full, _ in self.store.select(GROUPS):
                    if full.endswith(f"/{name}"):
                        self.store.delete(collection, full)
        except ApiError as error:
            if error.reason != "resourceInUseByAnotherResource":
                raise
            return False
        return True

    def place(self) -> Place:
        """The network, region and zones of the cluster. Raises ApiError if the cluster does not exist."""
        body = self.store.get(*self.cluster)
        steps = self.cluster[1].split("/")
        known = {"project": steps[1], "location": steps[3]}
        return Place(
            steps[1],
            machines.region_of(steps[3]),
            body["locations"],
            full_name("compute.networks", body.get("network") or "default", known),
            full_name("compute.subnetworks", body.get("subnetwork") or "default", known),
            body["currentMasterVersion"],
        )


def serves(service: Object) -> bool:
    """Whether GKE's own controllers create a load balancer for the Service."""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and spec.get("loadBalancerClass") in (None, *_CLASSES)


def internal(service: Object) -> bool:
    """Whether the load balancer is internal to the VPC."""
    chosen = service["spec"].get("loadBalancerClass")
    return _CLASSES[chosen] if chosen else _annotation(service, "networking.gke.io/load-balancer-type") == "Internal"


def has_backend(service: Object, version: str) -> bool:
    """Whether its load balancer has a backend service instead of a target pool ("LoadBalancer Service parameters")."""
    asked = service["spec"].get("loadBalancerClass") or _annotation(service, "cloud.google.com/l4-rbs") == "enabled"
    minor = tuple(int(part) for part in version.split(".")[:2])
    return bool(asked) or internal(service) or minor >= _BACKENDS_FROM


def own_name(cluster: Reference, service: Object) -> str:
    """`k8s2-CLUSTER-NAMESPACE-NAME-HASH`, with room for a protocol."""
    meta, uid = service["metadata"], short_id(cluster)
    digest = _base36(f"{uid};{meta['namespace']};{meta['name']}", 8)
    return f"k8s2-{uid}-{_cut(meta, _MOST - len(f'k8s2-tcp-{uid}---{digest}'))}-{digest}"


def short_id(cluster: Reference) -> str:
    """Eight hexadecimal digits that identify the cluster."""
    return _base36(cluster[1], 8)


def _cut(meta: Object, room: int) -> str:
    return f"{meta['namespace'][: room // 2]}-{meta['name'][: room - room // 2]}"


def _exposed(service: Object) -> list[str]:
    try:
        return list(json.loads(_annotation(service, "cloud.google.com/neg") or "{}").get("exposed_ports") or {})
    except (ValueError, AttributeError):
        return []  # GKE reports this in an event


def _body(full: str, place: Place) -> Body:
    name, zone = full.rsplit("/", 1)[-1], full.split("/")[3]
    return {
        "name": name,
        "networkEndpointType": "GCE_VM_IP" if name.startswith("k8s2-") else "GCE_VM_IP_PORT",
        "zone": zone,
        "network": place.network,
        "subnetwork": place.subnetwork,
        "id": number(full),
        "selfLink": f"https://www.googleapis.com/compute/v1/{full}",
        "creationTimestamp": timestamp(),
        "_sandbox": {"id": number(full)},
    }


def _annotation(service: Object, name: str) -> str:
    return (service["metadata"].get("annotations") or {}).get(name, "")


def _base36(text: str, length: int) -> str:
    value, digits = int(hashlib.sha256(text.encode()).hexdigest(), 16), string.digits + string.ascii_lowercase
    found = ""
    while len(found) < length:
        value, rest = divmod(value, 36)
        found += digits[rest]
    return found
