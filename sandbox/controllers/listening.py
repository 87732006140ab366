"""Tells a controller to listen on 127.0.0.1, on ports that are free here, and to use its files in its folder.

Kueue and JobSet read a configuration file of one shape; the file that the chart wrote is kept, except for what depends
on the place where it runs. One process runs for a Deployment, so it needs no election of a leader, which would delay
its start after a kill.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from sandbox.controllers.container import Container
from sandbox.controllers.programs import Program

CERTIFICATES = "/tmp/k8s-webhook-server/serving-certs"
"""Where controllers look for the certificate of their webhooks, if their configuration names no other folder."""

_HOST = "127.0.0.1"


def arguments(
    program: Program, container: Container, ports: Mapping[int, int], address: Callable[[str, int], int]
) -> list[str]:
    """The program's arguments. `ports`: port in the container → port here; `address`: host and port of the cluster →
    port here."""
    given = container.arguments()
    if program.tool == "keda-operator":
        return [*given, *_keda_operator(container, ports)]
    if program.tool == "keda-adapter":
        return [*given, *_keda_adapter(container, ports, address)]
    flags = [argument for argument in given if not argument.startswith("--config=")]
    path = next((argument.partition("=")[2] for argument in given if argument.startswith("--config=")), "")
    settings = yaml.safe_load(Path(path).read_text()) if path else {}
    changed = container.folder / "configuration.yaml"
    changed.touch(mode=0o600)
    changed.write_text(yaml.safe_dump(configuration(program, settings, container, ports)))
    return [*flags, f"--config={changed}", f"--kubeconfig={container.kubeconfig}"]


def configuration(
    program: Program, settings: Mapping[str, Any], container: Container, ports: Mapping[int, int]
) -> dict[str, Any]:
    """The chart's configuration with the addresses and folders of this machine."""

    def address(of: str, key: str, default: int) -> str:
        port = (settings.get(of) or {}).get(key, f":{default}").rpartition(":")[2]
        return f"{_HOST}:{ports[int(port)]}"

    webhook = settings.get("webhook") or {}
    folder = webhook.get("certDir") or CERTIFICATES
    found = {
        **settings,
        "health": {
            **(settings.get("health") or {}),
            "healthProbeBindAddress": address("health", "healthProbeBindAddress", 8081),
        },
        "metrics": {**(settings.get("metrics") or {}), "bindAddress": address("metrics", "bindAddress", 8443)},
        "webhook": {
            **webhook,
            "host": _HOST,
            "port": ports[int(webhook.get("port", 9443))],
            "certDir": str(container.mounts.get(folder, folder)),
        },
        "leaderElection": {**(settings.get("leaderElection") or {}), "leaderElect": False},
    }
    if program.tool == "kueue":
        found["namespace"] = settings.get("namespace") or container.namespace
        found["visibilityServer"] = {"bindAddress": _HOST, "bindPort": ports[8082]}
    return found


def _keda_operator(container: Container, ports: Mapping[int, int]) -> list[str]:
    return [
        "--leader-elect=false",
        f"--metrics-bind-address={_HOST}:{ports[8080]}",
        f"--health-probe-bind-address={_HOST}:{ports[8081]}",
        f"--metrics-service-bind-address={_HOST}:{ports[9666]}",
        f"--cert-dir={container.mounts['/certs']}",
    ]


def _keda_adapter(container: Container, ports: Mapping[int, int], address: Callable[[str, int], int]) -> list[str]:
    operator = f"keda-operator.{container.namespace}.svc.cluster.local"
    return [
        f"--bind-address={_HOST}",
        f"--secure-port={ports[6443]}",
        f"--port={ports[8080]}",
        f"--metrics-service-address={_HOST}:{address(operator, 9666)}",
        f"--metrics-service-grpc-authority={operator}",
        *(f"--{of}-kubeconfig={container.kubeconfig}" for of in ("lister", "authentication", "authorization")),
    ]


def environment(program: Program, container: Container) -> dict[str, str]:
    """The variables of its process: those of its container, and limits as for the control plane's processes."""
    return {
        "PATH": os.defpath,
        "HOME": str(container.folder),
        "TMPDIR": str(container.folder),
        "KUBECONFIG": str(container.kubeconfig),
        "GOMEMLIMIT": f"{program.memory}MiB",
        "GOGC": "50",
        "GOMAXPROCS": str(min(4, os.cpu_count() or 1)),
        # KEDA reads it from a file that only a pod has.
        "KEDA_CLUSTER_OBJECT_NAMESPACE": container.namespace,
        **container.environment(),
    }
