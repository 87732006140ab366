"""A control plane starts, survives a kill of all its processes, and leaves nothing when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest
import urllib3

from sandbox import process, watch
from sandbox.cluster import control_plane
from sandbox.cluster.control_plane import ControlPlane
from sandbox.errors import SandboxError
from sandbox.tests.cluster.conftest import KEY, wait


def kill_all(plane: ControlPlane) -> None:
    """Kills all processes of the control plane, as in a crash."""
    for part in plane.running():
        running = process.alive(control_plane.name(plane.key, part))
        assert running
        os.kill(running.pid, signal.SIGKILL)
    wait(lambda: not plane.running(), "the end of the processes", 10)


def test_it_is_found_by_key_and_by_endpoint(plane: ControlPlane) -> None:
    """seed row S01: the cluster's endpoint and CA in a kubeconfig reach a real API server."""
    assert control_plane.get(KEY) == plane
    assert control_plane.find(plane.endpoint) == plane
    assert control_plane.all() == [plane]
    assert control_plane.find("https://127.0.0.1:1") is None
    assert control_plane.get("eks-us-east-1-other") is None
    assert plane.version == "1.35"
    assert plane.oidc_issuer.startswith("https://oidc.eks.us-east-1.amazonaws.com/id/")


def test_the_official_client_and_admin_rights_work(plane: ControlPlane) -> None:
    """seed row S01: `ControlPlane.client` is the official client with admin rights."""
    from kubernetes.client import CoreV1Api

    names = {str(item.metadata and item.metadata.name) for item in CoreV1Api(plane.client()).list_namespace().items}
    assert {"default", "kube-system"} <= names


def test_start_is_idempotent(plane: ControlPlane) -> None:
    """A second start finds the same processes."""
    before = {p.name: p.pid for p in process.all()}
    assert control_plane.start(KEY, "1.35", controller=False) == plane
    assert {p.name: p.pid for p in process.all()} == before


def test_a_killed_control_plane_restarts_with_its_objects_endpoint_and_ca(plane: ControlPlane) -> None:
    """A reboot or a kill of every process loses nothing that the cloud's state or a kubeconfig refers to."""
    plane.api().create("/api/v1/namespaces", {"metadata": {"name": "survivor"}})
    kill_all(plane)
    again = control_plane.start(KEY, "1.35", controller=False)
    assert again == plane
    assert plane.api().get("/api/v1/namespaces/survivor")
    assert again.running() == [part for part in control_plane.PARTS if part != "controller"]


def test_a_single_killed_process_is_restarted(plane: ControlPlane) -> None:
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


def test_the_error_for_a_port_in_use_names_the_process_that_uses_it(plane: ControlPlane) -> None:
    """Kubeconfigs contain the API server's port, so it cannot change; etcd's can."""
    kill_all(plane)
    try:
        with socket.socket() as thief:
            thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            thief.bind(("127.0.0.1", int(plane.endpoint.rpartition(":")[2])))
            thief.listen()
            with pytest.raises(SandboxError, match=rf"needs port \d+, which is taken by .* \(pid {os.getpid()}\)"):
                control_plane.start(KEY, "1.35", controller=False)
    finally:  # the other tests use the control plane
        again = control_plane.start(KEY, "1.35", controller=False)
    assert again == plane


def test_a_stopped_control_plane_leaves_no_process_no_folder_and_no_port(sandbox_home: str) -> None:
    """`make down` leaves nothing, and a second stop is not an error."""
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


def test_etcd_accepts_only_the_api_server_and_no_web_page(plane: ControlPlane) -> None:
    """Security case M3: etcd served every Secret of the cluster on plain HTTP, to any user and any web page."""
    port = json.loads((plane.folder / "cluster.json").read_text())["etcd_port"]
    pki = plane.folder / "pki"
    with pytest.raises(urllib3.exceptions.HTTPError):
        urllib3.request("GET", f"http://127.0.0.1:{port}/version", retries=False, timeout=5)
    for cert, key in ((None, None), (pki / "admin.crt", pki / "admin.key")):
        pool = urllib3.PoolManager(
            ca_certs=str(pki / "etcd" / "ca.crt"), cert_file=cert and str(cert), key_file=key and str(key)
        )
        with pytest.raises(urllib3.exceptions.HTTPError):
            pool.request("GET", f"https://127.0.0.1:{port}/version", retries=False, timeout=5)
    store = pki / "etcd"
    pool = urllib3.PoolManager(
        ca_certs=str(store / "ca.crt"), cert_file=str(store / "client.crt"), key_file=str(store / "client.key")
    )
    answer = pool.request("GET", f"https://127.0.0.1:{port}/version", headers={"Origin": "https://page.example"})
    assert answer.status == 200 and "access-control-allow-origin" not in answer.headers


def test_every_port_is_on_loopback_and_requires_a_certificate(plane: ControlPlane) -> None:
    """Security case C1, related: kwok, scheduler and controller manager have no port."""
    pids = {process.alive(control_plane.name(KEY, part)).pid: part for part in plane.running()}  # type: ignore[union-attr]
    found = {(part, address) for pid, part in pids.items() for address in listening(pid)}
    assert {address.rpartition(":")[0] for _, address in found} == {"127.0.0.1"}
    assert {part for part, _ in found} == {"etcd", "kube-apiserver"}
    anonymous = urllib3.PoolManager(ca_certs=str(plane.folder / "pki" / "ca.crt"))
    assert anonymous.request("GET", f"{plane.endpoint}/api/v1/secrets", timeout=5).status in (401, 403)
    for file in plane.folder.rglob("*"):
        if file.suffix in (".key", ".kubeconfig") or file.name == "kubeconfig":
            assert file.stat().st_mode & 0o077 == 0, file


def listening(pid: int) -> list[str]:
    """Addresses on which a process listens."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            inodes.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                host, port = fields[1].split(":")
                address = ".".join(map(str, reversed(bytes.fromhex(host)))) if table == "tcp" else host
                found.append(f"{address}:{int(port, 16)}")
    return found


def test_a_process_that_is_killed_during_an_engine_run_is_restarted(sandbox_home: str) -> None:
    """Reliability case R8."""
    key = "gke-proj-us-central1-watched"
    plane = control_plane.start(key, "1.35")
    reported: list[str] = []
    try:
        running = process.alive(control_plane.name(key, "kube-apiserver"))
        assert running
        with watch.watching(reported.append, 0.2):
            os.kill(running.pid, signal.SIGKILL)
            # The maximum duration of a start, even on a busy machine.
            wait(lambda: reported and plane.api().ready(), "its comeback", 180)
        assert reported == [f"kube-apiserver of {key} ended and was started again"]
    finally:
        control_plane.stop(key)
    with watch.watching(reported.append, 0.1):
        time.sleep(0.5)
    assert len(reported) == 1 and not Path(sandbox_home, "clusters", key).exists()
