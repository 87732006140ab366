"""Network endpoint groups of Services on GKE, as GKE's controller manages them (kubernetes/ingress-gce, pkg/neg),
without endpoints.

Each has a ServiceNetworkEndpointGroup with a finalizer in its Service's namespace. When the Service is deleted, the
groups stay until the controller collects unused ones: every two minutes, here every PERIOD.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from sandbox.cluster.api import Api, Object

PERIOD = 5.0
"""Seconds between two collections."""

FINALIZER = "networking.gke.io/neg-finalizer"
KIND = "ServiceNetworkEndpointGroup"
PATH = "/apis/networking.gke.io/v1beta1"
PLURAL = "servicenetworkendpointgroups"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


class Cloud(Protocol):
    """The endpoint groups of one cluster, by name. Each of its zones has one group of that name."""

    def names(self, service: Object) -> list[str]:
        """Names of the groups that the Service asks for."""
        ...

    def ensure(self, name: str) -> object:
        """Creates the missing ones."""
        ...

    def remove(self, name: str) -> bool:
        """Removes them; returns False if one is still in use."""
        ...


class EndpointGroups:
    """Creates and removes endpoint groups, one `sync` after the other."""

    def __init__(self, api: Api, cloud: Cloud | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._cloud = cloud
        self._clock = clock
        self._installed = False
        self._collected = clock()

    def sync(self) -> None:
        """One round over all Services."""
        if self._cloud is None:
            return
        if not self._installed:
            self._api.create(_DEFINITIONS, definition())
            self._installed = True
        services = self._api.list("/api/v1/services")
        wanted = {
            name: service
            for service in services
            if not service["metadata"].get("deletionTimestamp")
            for name in self._cloud.names(service)
        }
        there = {found["metadata"]["name"]: found for found in self._api.list(f"{PATH}/{PLURAL}")}
        for name in wanted.keys() - there.keys():
            self._cloud.ensure(name)
            meta = wanted[name]["metadata"]
            self._api.create(f"{PATH}/namespaces/{meta['namespace']}/{PLURAL}", _object(name, meta))
        if self._clock() - self._collected >= PERIOD:
            self._collected = self._clock()
            for name in there.keys() - wanted.keys():
                if self._cloud.remove(name):
                    self._delete(there[name])

    def _delete(self, found: Object) -> None:
        path = f"{PATH}/namespaces/{found['metadata']['namespace']}/{PLURAL}/{found['metadata']['name']}"
        self._api.patch(path, {"metadata": {"finalizers": []}})
        self._api.delete(path)


def _object(name: str, owner: Object) -> Object:
    reference = {"apiVersion": "v1", "kind": "Service", "name": owner["name"], "uid": owner["uid"], "controller": True}
    return {
        "apiVersion": "networking.gke.io/v1beta1",
        "kind": KIND,
        "metadata": {
            "name": name,
            "finalizers": [FINALIZER],
            "labels": {
                "networking.gke.io/managed-by": "neg-controller",
                "networking.gke.io/service-name": owner["name"],
            },
            "ownerReferences": [reference],
        },
        "spec": {},
    }


def definition() -> Object:
    """The CustomResourceDefinition; its schema does not restrict the status."""
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": {"type": "object"}, "status": free}}
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": PLURAL[:-1],
        "shortNames": ["svcneg"],
    }
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.networking.gke.io"},
        "spec": {
            "group": "networking.gke.io",
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }
