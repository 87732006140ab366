"""Real Kubernetes control planes, one per simulated cluster: etcd, API server, scheduler, controllers, KWOK.

A plane lives in `.sandbox/clusters/<key>/`: `cluster.json` (ports, issuer, the version that was asked for), `pki/`,
`etcd/`, kubeconfigs and the configuration files of its processes. Its ports and certificates are chosen once, because
the cloud's state and users' kubeconfigs hold them; `start` restarts the processes that ended and does not touch those
that run.

All binaries have one version (tools/kubernetes/go.mod). The version that the cloud was asked for is only data: the
nodes and the cloud's API show it. Everything listens on 127.0.0.1 only. The Go runtime limits the memory of each
process (`LIMITS`, MiB; that of the API server is measured with the kinds of all platforms, the others with the guide's
environment). Does not contain the nodes (nodes.py) or the sizes of groups (autoscaler.py); both run in controller.py.
"""

from __future__ import annotations

import base64
import fcntl
import json
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import urllib3

from sandbox import paths, process
from sandbox.cluster import certificates, command_lines, kwok
from sandbox.cluster.api import Api, ApiError
from sandbox.cluster.key import issuer, parts
from sandbox.cluster.port import comes_free, holder
from sandbox.controllers import state
from sandbox.errors import SandboxError
from tools.provide import provide

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

PARTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "controller")
"""In the order in which they start; they stop in the opposite order."""


@dataclass(frozen=True)
class ControlPlane:
    """One control plane, running or not.

    Attributes:
        version: the Kubernetes version that the cloud was asked for, for example `1.35`.
        ca_data: base64 of the authority's PEM, as clouds report it.
        kubeconfig: admin kubeconfig with everything embedded.
        oidc_issuer: URL; it is not served.
    """

    key: str
    endpoint: str
    ca_data: str
    kubeconfig: Path
    oidc_issuer: str
    version: str

    @property
    def folder(self) -> Path:
        return self.kubeconfig.parent

    def api(self, client: str = "admin", timeout: float = 10) -> Api:
        """The sandbox's own small client. `timeout`: seconds for each answer."""
        return Api(self.endpoint, self.folder / "pki", client, timeout)

    def client(self) -> ApiClient:
        """The official client."""
        from kubernetes.client import Configuration
        from kubernetes.config import new_client_from_config

        configuration = Configuration()
        configuration.proxy = None  # loopback: a proxy from the environment must not be used
        return new_client_from_config(str(self.kubeconfig), client_configuration=configuration)

    def running(self) -> list[str]:
        """Which of `PARTS` run."""
        return [part for part in PARTS if process.alive(name(self.key, part))]


def name(key: str, part: str) -> str:
    """The name of a part's process."""
    return f"{key}.{part}"


def start(key: str, version: str, *, controller: bool = True) -> ControlPlane:
    """Starts the parts of the control plane and its controller that do not run. Returns when it is ready.

    Args:
        key: see key.py.
        version: the Kubernetes version that the cloud was asked for; a later start may raise it (an upgrade).
        controller: whether to start the cloud-side controllers as well; tests run their own.

    Raises SandboxError if a part does not start or its port is taken.
    """
    parts(key)
    with _lock(key):
        return _start(key, version, controller)


def revive(key: str) -> list[str]:
    """Restarts the parts of a control plane that ended, and returns their names. Ignores a control plane that does not
    exist, or that is being created or stopped."""
    with suppress(BlockingIOError), _lock(key, fcntl.LOCK_EX | fcntl.LOCK_NB):
        plane = get(key)
        if plane is None or not _made(plane).exists():
            return []
        missing = [part for part in PARTS if part not in plane.running()]
        if missing:
            _start(key, plane.version, controller=True)
        return missing
    return []


def _made(plane: ControlPlane) -> Path:
    """The file that marks a control plane as created: all its parts have run once."""
    return plane.folder / "made"


def _start(key: str, version: str, controller: bool) -> ControlPlane:
    binaries = provide(PARTS[:-1])
    folder = paths.folder("clusters", key)
    facts = _facts(folder, key, version)
    plane = _plane(folder, facts)
    pki = folder / "pki"
    certificates.make(pki, command_lines.SERVICE_IP)
    certificates.make_mutual(pki / "etcd", "etcd", "kube-apiserver")
    certificates.make_front_proxy(pki / "front-proxy")
    for client in certificates.CLIENTS:
        path = folder / ("kubeconfig" if client == "admin" else f"{client}.kubeconfig")
        _write_once(path, certificates.kubeconfig(pki, client, facts["endpoint"], key))
    _write_once(folder / "kwok.yaml", kwok.configuration(facts.get("unreachable", "")))
    _write_once(folder / "scheduler.yaml", command_lines.scheduler(folder))
    _write_once(folder / "egress.yaml", command_lines.egress())
    plane = _plane(folder, facts)
    api = plane.api()
    _check_ports(key, facts, folder)
    ready: dict[str, Callable[[], bool]] = {
        "etcd": _etcd_ready(facts["etcd_port"], pki / "etcd"),
        "kube-apiserver": api.ready,
    }
    ports = {"etcd": facts["etcd_port"], "kube-apiserver": facts["port"]}
    for part, arguments in command_lines.arguments(folder, facts).items():
        process.start(
            name(key, part),
            [str(binaries[part]), *arguments],
            env=command_lines.environment(folder, part),
            ready=ready.get(part, lambda: True),
            timeout=120,
            what=f"{part} of {key}",
            port=ports.get(part),
            cwd=folder,
        )
    if controller:
        _start_controller(plane)
    _await_account(plane, api)
    if controller:
        _made(plane).touch()
    return plane


def set_unreachable(plane: ControlPlane, unreachable: str) -> None:
    """Sets the filter of pods that KWOK ignores because their images cannot be pulled (see reach.py)."""
    folder = plane.folder
    with _lock(plane.key):
        facts = json.loads((folder / "cluster.json").read_text())
        if facts.get("unreachable", "") == unreachable:
            return
        _save(folder / "cluster.json", {**facts, "unreachable": unreachable})
        _write_once(folder / "kwok.yaml", kwok.configuration(unreachable))
        process.stop(name(plane.key, "kwok"), grace=1)
        process.start(
            name(plane.key, "kwok"),
            [str(provide(["kwok"])["kwok"]), *command_lines.arguments(folder, facts)["kwok"]],
            env=command_lines.environment(folder, "kwok"),
            ready=lambda: True,
            what=f"kwok of {plane.key}",
        )


def stop(key: str) -> None:
    """Stops every process of the control plane and removes its folder; does nothing if it does not exist."""
    if not (paths.home() / "clusters" / key).is_dir():
        return
    with _lock(key):
        parts = [name(key, part) for part in PARTS]
        mine = [each.name for each in process.all() if each.name.startswith(name(key, ""))]
        inside = [each for each in mine if each not in parts]
        for each in (parts[-1], *inside, *reversed(parts[:-1])):  # the last part would start those inside again
            # Nothing of it is kept, so no process needs time to finish (the API server would wait for its watchers).
            process.stop(each, grace=1)
        shutil.rmtree(paths.home() / "clusters" / key, ignore_errors=True)


def get(key: str) -> ControlPlane | None:
    """The control plane of that key, running or not."""
    folder = paths.home() / "clusters" / key
    try:
        return _plane(folder, json.loads((folder / "cluster.json").read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError) as error:
        raise SandboxError(
            f"{folder / 'cluster.json'} is damaged ({error}).", "`make down` and `make up` start again from nothing"
        ) from None


def find(endpoint: str) -> ControlPlane | None:
    """The control plane behind an endpoint such as a kubeconfig's `server`."""
    return next((plane for plane in all() if plane.endpoint == endpoint.rstrip("/")), None)


def all() -> list[ControlPlane]:
    """Every control plane of this sandbox, running or not."""
    folder = paths.home() / "clusters"
    found = sorted(folder.glob("*/cluster.json")) if folder.is_dir() else []
    return [plane for path in found if (plane := get(path.parent.name))]


def _facts(folder: Path, key: str, version: str) -> dict:
    """The facts that were chosen at the first start; the version is the current one."""
    path = folder / "cluster.json"
    try:
        facts = json.loads(path.read_text())
    except FileNotFoundError:
        port = process.free_port()
        facts = {
            "key": key,
            "port": port,
            "endpoint": f"https://127.0.0.1:{port}",
            "etcd_port": process.free_port(),
            "issuer": issuer(key, secrets.token_hex(16)),
        }
    except ValueError as error:
        raise SandboxError(
            f"{path} is damaged ({error}).", "`make down` and `make up` start again from nothing"
        ) from None
    if facts.get("version") != version:
        _save(path, {**facts, "version": version})
    return {**facts, "version": version}


def _plane(folder: Path, facts: dict) -> ControlPlane:
    authority = folder / "pki" / "ca.crt"
    return ControlPlane(
        key=facts["key"],
        endpoint=facts["endpoint"],
        ca_data=base64.b64encode(authority.read_bytes()).decode() if authority.exists() else "",
        kubeconfig=folder / "kubeconfig",
        oidc_issuer=facts["issuer"],
        version=facts["version"],
    )


def _check_ports(key: str, facts: dict, folder: Path) -> None:
    """Chooses another etcd port if it is taken, because only our API server knows it. A taken API port is an error: the
    cloud's state and kubeconfigs contain it, so the user must free it."""
    if not process.alive(name(key, "kube-apiserver")) and not comes_free(facts["port"]):
        raise SandboxError(
            f"The API server of {key} needs port {facts['port']}, which is taken by {holder(facts['port'])}.",
            "stop that process and run the command again, or `make down` and `make up` for a new cluster",
        )
    if not process.alive(name(key, "etcd")) and not comes_free(facts["etcd_port"]):
        process.stop(name(key, "kube-apiserver"), grace=1)
        facts["etcd_port"] = process.free_port()
        _save(folder / "cluster.json", facts)


def _start_controller(plane: ControlPlane) -> None:
    if not process.alive(name(plane.key, "controller")):
        state.forget(plane.folder)
    process.start(
        name(plane.key, "controller"),
        [sys.executable, "-m", "sandbox.cluster.controller", plane.key],
        ready=lambda: True,
        what=f"the node controller and autoscaler of {plane.key}",
    )


def _etcd_ready(port: int, pki: Path) -> Callable[[], bool]:
    pool = urllib3.PoolManager(
        cert_file=str(pki / "client.crt"), key_file=str(pki / "client.key"), ca_certs=str(pki / "ca.crt")
    )

    def ready() -> bool:
        try:
            return pool.request("GET", f"https://127.0.0.1:{port}/health", retries=False, timeout=2).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    return ready


def _await_account(plane: ControlPlane, api: Api) -> None:
    """Waits for the service account `default` of the namespace `default`: before it exists, no pod can be created."""

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if api.get("/api/v1/namespaces/default/serviceaccounts/default"):
                return
        except (ApiError, OSError):
            pass
        dead = next((part for part in PARTS[:-1] if not process.alive(name(plane.key, part))), None)
        if dead:
            log = name(plane.key, dead)
            raise SandboxError(
                f"{dead} of {plane.key} ended right after its start.",
                "`make down` and `make up` start again from nothing",
                process.log_end(log),
            )
        time.sleep(0.1)
    raise SandboxError(
        f"The controllers of {plane.key} did not create the default service account within 60 s.",
        "run the command again: a busy machine may need a second try",
        process.log_end(name(plane.key, "kube-controller-manager")),
    )


def _write_once(path: Path, text: str) -> None:
    """Writes the file only if it differs, so that a running process never sees a change without a reason."""
    if path.exists() and path.read_text() == text:
        return
    path.touch(mode=0o600)
    path.write_text(text)


def _save(path: Path, facts: dict) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(facts, indent=1))
    new.replace(path)


@contextmanager
def _lock(key: str, how: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Allows one start or stop of a control plane at a time, over all processes. The lock is outside the plane's
    folder, which `stop` removes."""
    with (paths.folder("run") / f"{key}.lock").open("w") as lock:
        fcntl.flock(lock, how)
        yield
