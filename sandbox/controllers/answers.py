"""What simulated pods answer to a scrape: nothing runs in them, so their series are given or follow from the cluster.

A pod answers with the text in its annotation `gpuyard.dev/metrics` (Prometheus' text format). A pod of NVIDIA's DCGM
exporter answers with the series of its node's GPUs: each is held by a pod or idle, and has the values of a busy or an
idle GPU, or those in the annotation of the pod that holds it. Served on 127.0.0.1 to the cluster's Prometheus only.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sandbox.cluster.api import Api, ApiError
from sandbox.cluster.nodes import GPU

Object = dict[str, Any]

ANNOTATION = "gpuyard.dev/metrics"
_DCGM = re.compile(r"(^|/)dcgm-exporter([:@]|$)")

BUSY = {
    "DCGM_FI_DEV_GPU_UTIL": 95.0,
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": 0.95,
    "DCGM_FI_PROF_DRAM_ACTIVE": 0.6,
    "DCGM_FI_DEV_FB_USED": 18000.0,
    "DCGM_FI_DEV_FB_FREE": 4000.0,
    "DCGM_FI_DEV_GPU_TEMP": 62.0,
    "DCGM_FI_DEV_POWER_USAGE": 65.0,
    "DCGM_FI_DEV_SM_CLOCK": 2040.0,
    "DCGM_FI_DEV_XID_ERRORS": 0.0,
}
"""The series of a GPU at work: an NVIDIA L4's, invented."""

IDLE = {
    **dict.fromkeys(BUSY, 0.0),
    "DCGM_FI_DEV_FB_FREE": 22000.0,
    "DCGM_FI_DEV_GPU_TEMP": 35.0,
    "DCGM_FI_DEV_POWER_USAGE": 16.0,
    "DCGM_FI_DEV_SM_CLOCK": 210.0,
}


def answers(pod: Object) -> bool:
    """Whether a scrape of this pod gets an answer."""
    return ANNOTATION in pod["metadata"].get("annotations", {}) or is_exporter(pod)


def is_exporter(pod: Object) -> bool:
    return any(_DCGM.search(each["image"]) for each in pod["spec"]["containers"])


def gpus(node: Object, pods: Iterable[Object]) -> str:
    """The answer of a DCGM exporter on a node with these pods."""
    name, labels = node["metadata"]["name"], node["metadata"].get("labels", {})
    model = labels.get("nvidia.com/gpu.product") or labels.get("k8s.amazonaws.com/accelerator") or "NVIDIA L4"
    holders: list[Object | None] = [
        pod for pod in sorted(pods, key=lambda pod: pod["metadata"]["name"]) for _ in range(_held(pod))
    ]
    total = int(node["status"].get("capacity", {}).get(GPU, 0))
    holders += [None] * (total - len(holders))
    lines: list[str] = []
    for series in BUSY:
        lines.append(f"# TYPE {series} gauge")
        for index, pod in enumerate(holders):
            own = {"gpu": str(index), "UUID": f"GPU-{name}-{index}", "modelName": model, "Hostname": name}
            values = IDLE
            if pod:
                meta = pod["metadata"]
                container = next(each["name"] for each in pod["spec"]["containers"] if _limit(each))
                own |= {"container": container, "namespace": meta["namespace"], "pod": meta["name"]}
                values = {**BUSY, **_given(meta.get("annotations", {}).get(ANNOTATION, ""))}
            text = ",".join(f'{key}="{value}"' for key, value in own.items())
            lines.append(f"{series}{{{text}}} {values[series]:g}")
    return "\n".join(lines) + "\n"


def _given(text: str) -> dict[str, float]:
    found = re.findall(r"^(\w+)(?:\{.*\})? ([-+.\deE]+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found if name in BUSY}


def _limit(container: Mapping[str, Any]) -> int:
    return int(container.get("resources", {}).get("limits", {}).get(GPU, 0))


def _held(pod: Object) -> int:
    return sum(map(_limit, pod["spec"]["containers"]))


class Answers:
    """The server. `pods`: those of the cluster, now."""

    def __init__(self, api: Api, pods: Callable[[], list[Object]], pki: Path) -> None:
        self._api = api
        self._pods = pods
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = outer.text(*self.path.strip("/").partition("/")[::2])
                self.send_response(200 if text is not None else 404)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write((text or "").encode())

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki / "server.crt", pki / "server.key")
        context.load_verify_locations(pki / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def text(self, namespace: str, name: str) -> str | None:
        """A pod's answer; None if it gives none."""
        pods = self._pods()
        pod = next((p for p in pods if (p["metadata"]["namespace"], p["metadata"]["name"]) == (namespace, name)), None)
        if pod is None:
            return None
        given = pod["metadata"].get("annotations", {}).get(ANNOTATION)
        if given or not is_exporter(pod):
            return f"{given.strip()}\n" if given else None
        node = pod["spec"].get("nodeName", "")
        here = [p for p in pods if p["spec"].get("nodeName") == node and p["status"].get("phase") == "Running"]
        try:
            found = self._api.get(f"/api/v1/nodes/{node}")
        except (ApiError, OSError):
            return None
        return gpus(found, here) if found else None
