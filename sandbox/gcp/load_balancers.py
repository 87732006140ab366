"""Load balancers as GKE creates them for a Service of type LoadBalancer: passthrough network load balancers.

An external one has a target pool, unless the Service or the version (1.37) asks for a backend service. An internal one
always has a backend service ("LoadBalancer Service parameters"), which has an endpoint group in each zone of the
cluster. Names are those of cloud-provider-gcp (`k8s-…`) and ingress-gce (`k8s2-…`). Each load balancer has a firewall
rule for its clients. All load balancers of a cluster share one for their health checks.

Only the cluster removes these objects. Objects that exist when the cluster is deleted remain, and block the deletion of
its network. A separate, slower controller removes endpoint groups (endpoint_groups.py).

Not simulated: instances (no traffic is sent), protocols other than TCP, reserved addresses, annotations other than
those for the kind, Ingresses and Gateways.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator

from sandbox.cluster.api import Object
from sandbox.cluster.load_balancers import CannotBalance
from sandbox.gcp import endpoint_groups, firewalls
from sandbox.gcp.endpoint_groups import EndpointGroups, Place
from sandbox.gcp.store import ApiError, Body, Reference, Store
from sandbox.gcp.table import number, timestamp

RULES = "compute.forwardingRules"
POOLS = "compute.targetPools"
BACKENDS = "compute.regionBackendServices"
CHECKS = "compute.healthChecks"
OLD_CHECKS = "compute.httpHealthChecks"
COLLECTIONS = (RULES, POOLS, BACKENDS, firewalls.FIREWALLS, CHECKS, OLD_CHECKS)
"""In the order in which they can be deleted."""

_PROBERS = ["130.211.0.0/22", "35.191.0.0/16", "209.85.152.0/22", "209.85.204.0/22"]
_PROBED = "10256"  # the health check port of kube-proxy and of its replacements
_MOST = 63


class LoadBalancers:
    """The load balancers of one GKE cluster (the protocol of sandbox/cluster/load_balancers.py)."""

    def __init__(self, project: str, location: str, cluster: str, store: Store | None = None) -> None:
        self._groups = EndpointGroups(project, location, cluster, store)
        self._cluster, self._store = self._groups.cluster, self._groups.store

    def serves(self, service: Object) -> bool:
        return endpoint_groups.serves(service)

    def ensure(self, name: str, service: Object) -> str:
        try:
            with self._store.transaction():
                if found := self._parts(name, RULES):  # from an interrupted attempt
                    return found[0][1]["IPAddress"]
                return self._make(name, service)
        except ApiError as error:
            raise CannotBalance(str(error)) from None

    def remove(self, name: str) -> None:
        with self._store.transaction():
            self._remove(name)
            if not [body for body in self._mine(RULES) if body["_sandbox"]["balancer"]]:
                self._remove("")  # the last one also deletes the shared objects

    # -- inside -------------------------------------------------------------------------------------------------------

    def _make(self, name: str, service: Object) -> str:
        place = self._groups.place()
        internal = endpoint_groups.internal(service)
        own = endpoint_groups.own_name(self._cluster, service)
        backend = endpoint_groups.has_backend(service, place.version)
        made = self._backend(place, name, own, internal) if backend else self._pool(place, name)
        rule: Body = {
            # Services from a target pool keep their old name; new external ones have it as well.
            "name": f"k8s2-tcp-{own.removeprefix('k8s2-')}"[:_MOST] if internal else name,
            "IPAddress": self._address(place, name, internal),
            "IPProtocol": "TCP",
            "loadBalancingScheme": "INTERNAL" if internal else "EXTERNAL",
            "region": place.region,
            "description": json.dumps({"kubernetes.io/service-name": _full_name(service)}),
            "backendService" if backend else "target": made[1],
        }
        ports = [str(port["port"]) for port in service["spec"]["ports"]]
        if internal:
            rule |= {"network": place.network, "subnetwork": place.subnetwork, "ports": ports}
        else:
            rule |= {"portRange": f"{min(ports, key=int)}-{max(ports, key=int)}"}
        held = [("compute.networks", place.network), ("compute.subnetworks", place.subnetwork)] if internal else []
        self._insert(RULES, f"projects/{place.project}/regions/{place.region}/forwardingRules", rule, name, made, *held)
        clients = service["spec"].get("loadBalancerSourceRanges") or ["0.0.0.0/0"]
        self._firewall(place, own if backend else f"k8s-fw-{name}", clients, ports, name)
        return rule["IPAddress"]

    def _pool(self, place: Place, name: str) -> Reference:
        """The target pool of the nodes, and its health check."""
        check = f"k8s-{int(number(self._cluster[1])):016x}-node"
        body = {"name": check, "port": int(_PROBED), "requestPath": "/healthz"}
        probed = self._shared(OLD_CHECKS, f"projects/{place.project}/global/httpHealthChecks", body)
        self._firewall(place, f"{check}-http-hc", _PROBERS, [_PROBED], "")
        body = {"name": name, "region": place.region, "healthChecks": [probed[1]], "sessionAffinity": "NONE"}
        return self._insert(POOLS, f"projects/{place.project}/regions/{place.region}/targetPools", body, name, probed)

    def _backend(self, place: Place, name: str, own: str, internal: bool) -> Reference:
        """The backend service, the endpoint groups behind it, and the health check."""
        check = f"k8s2-{endpoint_groups.short_id(self._cluster)}-l4-shared-hc"
        body = {"name": check, "type": "HTTP", "httpHealthCheck": {"port": int(_PROBED), "requestPath": "/healthz"}}
        probed = self._shared(CHECKS, f"projects/{place.project}/global/healthChecks", body)
        self._firewall(place, f"{check}-fw", _PROBERS, [_PROBED], "")
        groups = self._groups.ensure(own)
        scheme = "INTERNAL" if internal else "EXTERNAL"
        body = {
            "name": own,
            "region": place.region,
            "protocol": "TCP" if internal else "UNSPECIFIED",
            "loadBalancingScheme": scheme,
            "healthChecks": [probed[1]],
            "backends": [{"group": group, "balancingMode": "CONNECTION"} for _, group in groups],
        }
        folder = f"projects/{place.project}/regions/{place.region}/backendServices"
        return self._insert(BACKENDS, folder, body, name, probed, *groups)

    def _firewall(self, place: Place, name: str, sources: list[str], ports: list[str], balancer: str) -> None:
        project = place.network.split("/")[1]
        allowed = [{"IPProtocol": "tcp", "ports": ports}]
        body = firewalls.rule(project, name, place.network, sources, firewalls.tag(self._cluster), allowed)
        if not self._store.find(firewalls.FIREWALLS, full := f"projects/{project}/global/firewalls/{name}"):
            body["_sandbox"] |= self._mark(balancer)
            self._store.insert(firewalls.FIREWALLS, full, body, references=[("compute.networks", place.network)])

    def _shared(self, collection: str, folder: str, body: Body) -> Reference:
        """An object that all load balancers of the cluster share; created with the first one."""
        name = f"{folder}/{body['name']}"
        if not self._store.find(collection, name):
            self._insert(collection, folder, body, "")
        return collection, name

    def _insert(self, collection: str, folder: str, body: Body, balancer: str, *references: Reference) -> Reference:
        name = f"{folder}/{body['name']}"
        served = {
            "id": number(name),
            "selfLink": f"https://www.googleapis.com/compute/v1/{name}",
            "creationTimestamp": timestamp(),
            "_sandbox": {"id": number(name), **self._mark(balancer)},
        }
        self._store.insert(collection, name, {**body, **served}, references=references)
        return collection, name

    def _mark(self, balancer: str) -> dict[str, str]:
        return {"balancer": balancer, "cluster": self._cluster[1]}

    def _remove(self, balancer: str) -> None:
        for collection in COLLECTIONS:
            for name, _ in self._parts(balancer, collection):
                self._store.delete(collection, name)

    def _parts(self, balancer: str, collection: str) -> list[tuple[str, Body]]:
        mark = self._mark(balancer)
        found = self._store.select(collection)
        return [(name, body) for _, name, body in found if mark.items() <= body.get("_sandbox", {}).items()]

    def _mine(self, collection: str) -> Iterator[Body]:
        for _, _, body in self._store.select(collection):
            if body.get("_sandbox", {}).get("cluster") == self._cluster[1]:
                yield body

    def _address(self, place: Place, name: str, internal: bool) -> str:
        """An address of the nodes' range, or an unassigned one (TEST-NET-2)."""
        taken = {body["IPAddress"] for _, _, body in self._store.select(RULES)}
        text = "198.51.100.0/24"
        if internal:
            text = self._store.get("compute.subnetworks", place.subnetwork)["ipCidrRange"]
        # From the end, where there are no machines yet. Google reserves the first two and the last two.
        free = (str(each) for each in reversed(list(ipaddress.ip_network(text))[2:-2]) if str(each) not in taken)
        address = next(free, "")
        if not address:
            raise CannotBalance(f"no address is free in {text} for {name}")
        return address


def _full_name(service: Object) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"
