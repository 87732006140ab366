"""Images that a private network cannot reach: the pod waits for them, and so does everything that waits for the pod."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sandbox.cluster import control_plane
from sandbox.cluster.api import Api
from sandbox.cluster.control_plane import ControlPlane
from sandbox.cluster.controller import Controller
from sandbox.cluster.reach import ECR, Reach
from sandbox.tests.cluster.conftest import Pods, wait

OWN = "111122223333.dkr.ecr.us-east-1.amazonaws.com"
CLOSED = Reach(closed=True, inside=(f"{ECR}us-east-1[.]",))


@pytest.fixture
def closed(plane: ControlPlane) -> Iterator[None]:
    """The cluster without internet access, as the controller configures it before the first node."""
    control_plane.set_unreachable(plane, CLOSED.unreachable)
    yield
    control_plane.set_unreachable(plane, "")


def image(name: str, init: str = "") -> dict:
    first = {"initContainers": [{"name": "first", "image": init}]} if init else {}
    return {"containers": [{"name": "main", "image": name}], **first}


def test_a_pod_with_an_internet_image_starts_only_once_there_is_internet_access(
    plane: ControlPlane, api: Api, pods: Pods, controllers: Controller, closed: None
) -> None:
    """field case A10: ImagePullBackOff, as on EKS without NAT; images of the region's ECR and of private registries
    run."""
    outside = {
        "quay": "quay.io/prometheus/prometheus:v3.14.0",
        "hub": "nginx",
        "team": "team/train:1",
        "nvidia": "nvcr.io/nvidia/k8s-device-plugin:v0.20.0",
        "other-region": OWN.replace("us-east-1", "us-west-2") + "/eks/plugin:1",
        "google": "us-docker.pkg.dev/project/repository/image:1",
    }
    for name, reference in outside.items():
        pods.make(name, image(reference))
    pods.make("first-outside", image(f"{OWN}/train:1", init="busybox:1"))
    pods.make("cache", image(f"{OWN}/quay.io/prometheus/prometheus:v3.14.0"))
    pods.make("house", image("registry.example.com:5000/train:1", init=f"{OWN}/init@sha256:{'0' * 64}"))
    for name in ("cache", "house"):
        pods.running(name)

    def reason(name: str) -> str | None:
        pod = pods.get(name)
        states = (pod or {"status": {}})["status"].get("containerStatuses") or []
        return next((each["state"]["waiting"]["reason"] for each in states if "waiting" in each["state"]), None)

    for name in (*outside, "first-outside"):
        assert wait(lambda name=name: reason(name), f"the pull of {name}") == "ImagePullBackOff", name
    time.sleep(1)
    assert {pod["status"]["phase"] for name in outside if (pod := pods.get(name))} == {"Pending"}
    control_plane.set_unreachable(plane, "")
    for name in (*outside, "first-outside"):
        pods.running(name)
