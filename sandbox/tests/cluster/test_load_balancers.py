"""Services get load balancers, which are deleted with them."""

from __future__ import annotations

from typing import Any

from sandbox.cluster.api import Api
from sandbox.cluster.controller import Controller
from sandbox.cluster.load_balancers import FINALIZER
from sandbox.tests.cluster.conftest import Pods, wait
from sandbox.tests.cluster.fake_balancers import FakeBalancers


def service(api: Api, namespace: str, name: str = "web", **spec: Any) -> str:
    """A Service; returns its path."""
    path = f"/api/v1/namespaces/{namespace}/services"
    body = {"type": "LoadBalancer", "selector": {"app": name}, "ports": [{"port": 80}], **spec}
    api.create(path, {"metadata": {"name": name}, "spec": body})
    return f"{path}/{name}"


def address(api: Api, path: str) -> str:
    def found() -> str:
        ingress = api.request("GET", path)["status"]["loadBalancer"].get("ingress") or [{}]
        return ingress[0].get("hostname", "")

    return wait(found, "the load balancer's address")


def test_a_service_gets_a_load_balancer_and_goes_after_it(
    api: Api, controllers: Controller, balancers: FakeBalancers, namespace: str
) -> None:
    path = service(api, namespace)
    host = address(api, path)
    assert FINALIZER in api.request("GET", path)["metadata"]["finalizers"]
    assert [f"{name}.elb.example.org" for name in balancers.made] == [host]
    api.delete(path)
    wait(lambda: api.get(path) is None, "the end of the Service")
    assert balancers.made == {}


def test_a_service_that_changes_its_type_loses_its_load_balancer(
    api: Api, controllers: Controller, balancers: FakeBalancers, namespace: str
) -> None:
    path = service(api, namespace)
    address(api, path)
    api.patch(path, {"spec": {"type": "ClusterIP"}})
    wait(lambda: not api.request("GET", path)["metadata"].get("finalizers"), "the end of the finalizer")
    assert balancers.made == {}
    assert api.request("GET", path)["status"]["loadBalancer"] == {}


def test_a_service_of_another_controller_is_left_alone(
    api: Api, controllers: Controller, balancers: FakeBalancers, namespace: str
) -> None:
    path = service(api, namespace, "theirs", loadBalancerClass="service.k8s.aws/nlb")
    address(api, service(api, namespace, "ours"))
    assert list(balancers.made.values()) == ["ours"]
    assert not api.request("GET", path)["metadata"].get("finalizers")


def test_a_cloud_that_has_no_place_says_so_on_the_service(
    api: Api, controllers: Controller, balancers: FakeBalancers, namespace: str, pods: Pods
) -> None:
    balancers.full = True
    path = service(api, namespace)
    events = wait(lambda: pods.events("web", "SyncLoadBalancerFailed"), "the event")
    assert "could not find any suitable subnets" in events[0]
    balancers.full = False
    address(api, path)
