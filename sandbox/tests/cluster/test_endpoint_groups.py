"""Endpoint groups of Services on GKE: their creation, their collection, and their role in ClusterCleanup."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from components.cleanup import cluster_contents
from components.cleanup.cluster_api import Api as OfficialApi
from sandbox.cluster import endpoint_groups
from sandbox.cluster.api import Api, Object
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.endpoint_groups import PATH, PLURAL, EndpointGroups
from sandbox.tests.cluster.conftest import wait
from sandbox.tests.cluster.test_load_balancers import service

EXPOSED = {"cloud.google.com/neg": '{"exposed_ports": {"80": {}}}'}


class FakeGroups:
    """Cloud (sandbox/cluster/endpoint_groups.py) in memory; `used`: groups that are still in use."""

    def __init__(self) -> None:
        self.made: set[str] = set()
        self.used = False

    def names(self, service: Object) -> list[str]:
        meta = service["metadata"]
        return [f"neg-{meta['name']}"] if "cloud.google.com/neg" in (meta.get("annotations") or {}) else []

    def ensure(self, name: str) -> None:
        self.made.add(name)

    def remove(self, name: str) -> bool:
        if not self.used:
            self.made.discard(name)
        return not self.used


@pytest.fixture
def groups(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGroups]:
    """A controller with short rounds; its objects are deleted afterwards."""
    monkeypatch.setattr(endpoint_groups, "PERIOD", 1.0)
    cloud = FakeGroups()
    controller, stopped = EndpointGroups(api, cloud), threading.Event()

    def loop() -> None:
        while not stopped.wait(0.2):
            try:
                controller.sync()
            except Exception:  # the kind is not served yet
                continue

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    yield cloud
    cloud.used = False
    for found in api.list(f"{PATH}/{PLURAL}"):
        api.delete(f"/api/v1/namespaces/{found['metadata']['namespace']}/services/web")
    try:
        wait(lambda: not objects(api), "the end of the groups")
    finally:
        stopped.set()
        thread.join()
    api.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.networking.gke.io")


def objects(api: Api) -> list[str]:
    """Names; empty while the API server does not serve the kind yet."""
    found = api.get(f"{PATH}/{PLURAL}") or {}
    return [each["metadata"]["name"] for each in found.get("items") or ()]


def exposed(api: Api, namespace: str) -> str:
    """Creates a Service whose endpoints another load balancer uses; returns its path."""
    path = service(api, namespace, "web", type="ClusterIP")
    api.patch(path, {"metadata": {"annotations": EXPOSED}})
    wait(lambda: api.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{PLURAL}.networking.gke.io"), "it")
    wait(lambda: "neg-web" in objects(api), "the group")
    return path


def test_a_group_is_created_with_its_service_and_collected_after_its_deletion(
    api: Api, namespace: str, groups: FakeGroups
) -> None:
    path = exposed(api, namespace)
    assert groups.made == {"neg-web"}
    groups.used = True
    api.delete(path)
    time.sleep(2.5 * endpoint_groups.PERIOD)
    assert groups.made == {"neg-web"} and objects(api) == ["neg-web"], "its backend service still uses it"
    groups.used = False
    wait(lambda: not objects(api), "the end of the group")
    assert groups.made == set()


def test_a_destroy_deletes_the_service_and_waits_for_the_group(
    plane: ControlPlane, api: Api, namespace: str, groups: FakeGroups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network cannot be deleted before its endpoint groups."""
    monkeypatch.setattr(cluster_contents, "PAUSE", 0.2)
    path = exposed(api, namespace)
    reported: list[str] = []
    cluster_contents.empty(OfficialApi(plane.kubeconfig.read_text()), reported.append, 60)
    assert groups.made == set() and api.get(path) is None
    assert f"Service {namespace}/web" in reported[0] and f"endpoint group {namespace}/neg-web" in reported[0]
