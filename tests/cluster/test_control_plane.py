"""A control plane starts, survives a kill of everything, and leaves nothing when it is stopped."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from sandbox import process
from sandbox.cluster import control_plane
from sandbox.cluster.control_plane import ControlPlane
from sandbox.errors import SandboxError
from tests.cluster.conftest import KEY, wait


def kill_all(plane: ControlPlane) -> None:
    """What a crash or an impatient person does to it."""
    for part in plane.running():
        running = process.alive(control_plane.name(plane.key, part))
        assert running
        os.kill(running.pid, signal.SIGKILL)
    wait(lambda: not plane.running(), "the end of the processes", 10)


def test_it_is_found_by_key_and_by_endpoint(plane: ControlPlane) -> None:
    """seed row S01: the cluster's endpoint and authority lead a kubeconfig to a real API server."""
    assert control_plane.get(KEY) == plane
    assert control_plane.find(plane.endpoint) == plane
    assert control_plane.all() == [plane]
    assert control_plane.find("https://127.0.0.1:1") is None
    assert control_plane.get("eks-us-east-1-other") is None
    assert plane.version == "1.35"
    assert plane.oidc_issuer.startswith("https://oidc.eks.us-east-1.amazonaws.com/id/")


def test_the_official_client_and_admin_rights_work(plane: ControlPlane) -> None:
    """seed row S01: what `ControlPlane.client` gives is the official client with admin rights."""
    from kubernetes.client import CoreV1Api

    names = {str(item.metadata and item.metadata.name) for item in CoreV1Api(plane.client()).list_namespace().items}
    assert {"default", "kube-system"} <= names


def test_start_is_idempotent(plane: ControlPlane) -> None:
    """A second start finds the same processes."""
    before = {p.name: p.pid for p in process.all()}
    assert control_plane.start(KEY, "1.35", controller=False) == plane
    assert {p.name: p.pid for p in process.all()} == before


def test_a_killed_control_plane_comes_back_with_its_objects_endpoint_and_authority(plane: ControlPlane) -> None:
    """A reboot or a kill of every process loses nothing that the cloud's state or a kubeconfig refers to."""
    plane.api().create("/api/v1/namespaces", {"metadata": {"name": "survivor"}})
    kill_all(plane)
    again = control_plane.start(KEY, "1.35", controller=False)
    assert again == plane
    assert plane.api().get("/api/v1/namespaces/survivor")
    assert again.running() == [part for part in control_plane.PARTS if part != "controller"]


def test_one_part_that_died_is_restarted(plane: ControlPlane) -> None:
    """The others keep running."""
    scheduler = process.alive(control_plane.name(KEY, "kube-scheduler"))
    server = process.alive(control_plane.name(KEY, "kube-apiserver"))
    assert scheduler and server
    os.kill(scheduler.pid, signal.SIGKILL)
    wait(lambda: process.alive(scheduler.name) is None, "its end", 10)
    control_plane.start(KEY, "1.35", controller=False)
    restarted = process.alive(scheduler.name)
    assert restarted and restarted.pid != scheduler.pid
    assert process.alive(server.name) == server


def test_a_taken_port_of_the_api_server_is_named_with_its_holder(plane: ControlPlane) -> None:
    """Bad input: others refer to that port, so it cannot move; etcd's can."""
    kill_all(plane)
    try:
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.bind(("127.0.0.1", int(plane.endpoint.rpartition(":")[2])))
            thief.listen()
            with pytest.raises(SandboxError, match=rf"Port \d+, where the API server .* \(pid {os.getpid()}\)"):
                control_plane.start(KEY, "1.35", controller=False)
    finally:  # the other tests need it
        again = control_plane.start(KEY, "1.35", controller=False)
    assert again == plane


def test_a_stopped_control_plane_leaves_no_process_no_folder_and_no_port(sandbox_home: str) -> None:
    """`make down` leaves nothing, and stopping twice is no error."""
    key = "gke-proj-us-central1-short-lived"
    before = [p.name for p in process.all()]
    short_lived = control_plane.start(key, "1.35", controller=False)
    port = int(short_lived.endpoint.rpartition(":")[2])
    control_plane.stop(key)
    assert [p.name for p in process.all()] == before
    assert not Path(sandbox_home, "clusters", key).exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    control_plane.stop(key)
    assert control_plane.get(key) is None
