"""Load balancers for Services: what a cloud's service controller does, without any traffic.

As in a real cluster (k8s.io/cloud-provider, controllers/service), a Service of type LoadBalancer first gets a
finalizer, then a load balancer in the cloud, then its address in the status. When the Service is deleted, or changes
its type, the load balancer is deleted first and the finalizer last. What is created in the cloud:
sandbox/aws/load_balancers.py and sandbox/gcp/load_balancers.py.
"""

from __future__ import annotations

import ipaddress
from typing import Protocol

from sandbox.cluster.api import Api, Object
from sandbox.cluster.event import Events

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"


class CannotBalance(Exception):
    """The cloud cannot create a load balancer for this Service."""


class Cloud(Protocol):
    """The load balancers of one cluster's cloud, by name."""

    def serves(self, service: Object) -> bool:
        """Whether the cloud's own controller handles this Service, and not another controller."""
        ...

    def ensure(self, name: str, service: Object) -> str:
        """Creates the load balancer if it does not exist; returns its host name or IP address. Raises CannotBalance."""
        ...

    def remove(self, name: str) -> None:
        """Removes it and all that belongs to it; does nothing if it does not exist."""
        ...


class LoadBalancers:
    """Creates and removes the load balancers of Services, one `sync` after the other."""

    def __init__(self, api: Api, events: Events, cloud: Cloud | None) -> None:
        self._api = api
        self._events = events
        self._cloud = cloud

    def sync(self) -> None:
        """One round over all Services."""
        if self._cloud is None:
            return
        for service in self._api.list("/api/v1/services"):
            meta = service["metadata"]
            ours = FINALIZER in (meta.get("finalizers") or ())
            wanted = service["spec"].get("type") == "LoadBalancer" and not meta.get("deletionTimestamp")
            if wanted and not _address(service) and self._cloud.serves(service):
                self._give(self._cloud, service, ours)
            elif ours and not wanted:
                self._take(self._cloud, service)

    def _give(self, cloud: Cloud, service: Object, ours: bool) -> None:
        if not ours:
            finalizers = [*(service["metadata"].get("finalizers") or ()), FINALIZER]
            self._api.patch(_path(service), {"metadata": {"finalizers": finalizers}})
        self._events.normal(service, "EnsuringLoadBalancer", "Ensuring load balancer")
        try:
            address = cloud.ensure(_name(service), service)
        except CannotBalance as error:
            message = f"Error syncing load balancer: failed to ensure load balancer: {error}"
            self._events.warn(service, "SyncLoadBalancerFailed", message)
            return
        status = {"loadBalancer": {"ingress": [{"ip" if _is_number(address) else "hostname": address}]}}
        self._api.patch(f"{_path(service)}/status", {"status": status})
        self._events.normal(service, "EnsuredLoadBalancer", "Ensured load balancer")

    def _take(self, cloud: Cloud, service: Object) -> None:
        self._events.normal(service, "DeletingLoadBalancer", "Deleting load balancer")
        cloud.remove(_name(service))
        if _address(service):
            self._api.patch(f"{_path(service)}/status", {"status": {"loadBalancer": None}})
        left = [each for each in service["metadata"]["finalizers"] if each != FINALIZER]
        self._api.patch(_path(service), {"metadata": {"finalizers": left}})
        self._events.normal(service, "DeletedLoadBalancer", "Deleted load balancer")


def _name(service: Object) -> str:
    """cloud-provider's DefaultLoadBalancerName."""
    return f"a{service['metadata']['uid'].replace('-', '')}"[:32]


def _address(service: Object) -> bool:
    return bool(((service.get("status") or {}).get("loadBalancer") or {}).get("ingress"))


def _is_number(address: str) -> bool:
    try:
        return bool(ipaddress.ip_address(address))
    except ValueError:
        return False


def _path(service: Object) -> str:
    meta = service["metadata"]
    return f"/api/v1/namespaces/{meta['namespace']}/services/{meta['name']}"
