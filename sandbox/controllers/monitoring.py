"""What an operator of Prometheus does in a cluster: its server gets the rules, and scrapes what monitors select.

Both systems: the Prometheus operator's kinds, and Google's managed Prometheus. Rules are evaluated as written. A
monitor leads to the pods that it really selects: those of controllers that run here answer themselves, the others as
answers.py says, and a pod that answers nothing has no series. Everything is scraped every few seconds, whatever its
interval.

Runs only on request (`asked`) and for KEDA: most environments do not need it.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sandbox import paths
from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.control_plane import ControlPlane, name
from sandbox.cluster.key import parts
from sandbox.controllers import answers
from sandbox.controllers.answers import Answers
from sandbox.controllers.builds import Builds
from sandbox.controllers.network import Endpoint
from sandbox.controllers.prometheus import Prometheus

VARIABLE = "GPUYARD_SANDBOX_METRICS"
OPERATOR, GOOGLE = "/apis/monitoring.coreos.com/v1", "/apis/monitoring.googleapis.com/v1"
COLLECTOR = "system:serviceaccount:gmp-system:collector"
"""Google's collector, as the API server knows it."""


def asked() -> bool:
    """Whether this sandbox has a Prometheus: if `GPUYARD_SANDBOX_METRICS=1` was set in one of its commands."""
    mark = paths.home() / "metrics"
    if os.environ.get(VARIABLE) == "1" and not mark.exists():
        paths.folder("metrics")
    return mark.exists()


def server(plane: ControlPlane) -> Prometheus:
    """The Prometheus of a cluster, running or not."""
    return Prometheus(name(plane.key, "prometheus"), plane.folder / "prometheus")


class Monitoring:
    """Keeps the Prometheus of one cluster as its objects say. `pods`: all of the cluster."""

    def __init__(
        self,
        plane: ControlPlane,
        builds: Builds,
        pods: Callable[[], list[Object]],
        endpoints: Callable[[], list[Endpoint]],
    ) -> None:
        self._plane = plane
        self._api: Api = plane.api()
        self._builds = builds
        self._pods = pods
        self._endpoints = endpoints
        self._answers: Answers | None = None
        self.server = server(plane)

    def sync(self, needed: bool) -> None:
        """One round: nothing unless something in the cluster needs it or a user asks for it."""
        if not (needed or asked()):
            return
        program = self._builds.path("prometheus")
        if self._answers is None:
            self.server.configure([], [])
            self._answers = Answers(self._api, self._pods, self.server.folder / "pki")
        scrapes = list(self._scrapes(self._answers.port))
        self.server.configure(list(self._rules()), scrapes)
        if program:
            self.server.start(program)

    def answer(self, host: str) -> str | None:
        """The answer of the first simulated pod behind a Service."""
        name, _, rest = host.partition(".")
        namespace = rest.partition(".")[0]
        service = self._api.get(f"/api/v1/namespaces/{namespace}/services/{name}") if namespace else None
        selector = (service or {"spec": {}})["spec"].get("selector")
        for pod in self._pods() if selector else ():
            meta = pod["metadata"]
            if meta["namespace"] == namespace and selector.items() <= _labels(pod).items() and answers.answers(pod):
                return meta["annotations"].get(answers.ANNOTATION)
        return None

    def stop(self) -> None:
        if self._answers:
            self._answers.stop()

    # -- rules ------------------------------------------------------------------------------------------------------

    def _rules(self) -> Iterator[Object]:
        for path in (f"{OPERATOR}/prometheusrules", f"{GOOGLE}/clusterrules", f"{GOOGLE}/rules"):
            for each in self._list(path):
                meta = each["metadata"]
                for group in each["spec"].get("groups", ()):
                    unique = "/".join(filter(None, (meta.get("namespace"), meta["name"], group["name"])))
                    yield {**group, "name": unique}

    # -- scrapes ----------------------------------------------------------------------------------------------------

    def _scrapes(self, port: int) -> Iterator[Object]:
        services = self._list("/api/v1/services") if self._list(f"{OPERATOR}/servicemonitors") else []
        for each in self._list(f"{OPERATOR}/podmonitors"):
            for endpoint in each["spec"].get("podMetricsEndpoints", ()):
                yield from self._jobs(each, endpoint, port)
        for each in self._list(f"{OPERATOR}/servicemonitors"):
            for service in services:
                if _in_namespace(each, service) and selects(each["spec"]["selector"], _labels(service)):
                    for endpoint in each["spec"].get("endpoints", ()):
                        yield from self._jobs(each, endpoint, port, service)
        for each in (*self._list(f"{GOOGLE}/podmonitorings"), *self._list(f"{GOOGLE}/clusterpodmonitorings")):
            for endpoint in each["spec"].get("endpoints", ()):
                yield from self._jobs(each, endpoint, port)

    def _jobs(self, monitor: Object, endpoint: Object, port: int, service: Object | None = None) -> Iterator[Object]:
        """The jobs of one endpoint: one for pods whose controller runs here, one for the simulated ones."""
        real: list[Object] = []
        simulated: list[Object] = []
        for pod in self._pods():
            target = self._target(monitor, endpoint, pod, service)
            if target is None:
                continue
            labels, inside = target
            meta = pod["metadata"]
            if here := self._running(pod, inside):
                real.append({"targets": [f"127.0.0.1:{here}"], "labels": labels})
            elif answers.answers(pod):
                path = {"__metrics_path__": f"/{meta['namespace']}/{meta['name']}"}
                simulated.append({"targets": [f"127.0.0.1:{port}"], "labels": labels | path})
        relabel = endpoint.get("metricRelabelings") or endpoint.get("metricRelabeling") or ()
        meta = monitor["metadata"]
        whole = "/".join(filter(None, (monitor["kind"], meta.get("namespace"), meta["name"], str(_port(endpoint)))))
        whole += f"/{service['metadata']['name']}" if service else ""
        job = {
            "honor_labels": endpoint.get("honorLabels", False),
            "metrics_path": endpoint.get("path", "/metrics"),
            "relabel_configs": list(map(_snake, endpoint.get("relabelings", ()))),
            "metric_relabel_configs": list(map(_snake, relabel)),
        }
        if real:
            scheme = endpoint.get("scheme", "http").lower()
            secure: Object = {"scheme": scheme}
            if token := self._credentials(monitor, endpoint):
                secure |= {"authorization": {"credentials_file": str(token)}}
            if scheme == "https":
                # A certificate for this machine, whatever the monitor verifies.
                secure |= {"tls_config": {"insecure_skip_verify": True}}
            yield {"job_name": whole, **job, **secure, **self._discovery(whole, real)}
        if simulated:
            secure = {"scheme": "https", "tls_config": self.server.client}
            whole += "/simulated"
            yield {"job_name": whole, **job, **secure, **self._discovery(whole, simulated)}

    def _running(self, pod: Object, port: int) -> int | None:
        """The port here of a pod whose controller runs."""
        for endpoint in self._endpoints():
            if endpoint.namespace == pod["metadata"]["namespace"] and endpoint.labels == _labels(pod):
                return endpoint.ports.get(port)
        return None

    def _target(
        self, monitor: Object, endpoint: Object, pod: Object, service: Object | None
    ) -> tuple[dict[str, str], int] | None:
        """The labels of a pod's series and its port; None if the monitor does not select it."""
        if pod["status"].get("phase") != "Running":
            return None
        wanted = _port(endpoint)
        meta = pod["metadata"]
        if service:
            selector = service["spec"].get("selector") or {}
            if service["metadata"]["namespace"] != meta["namespace"] or not selector.items() <= _labels(pod).items():
                return None
            of = next(
                (each for each in service["spec"].get("ports", ()) if wanted in (each.get("name"), each["port"])), {}
            )
            shown, wanted = wanted, of.get("targetPort") or of.get("port")
        else:
            if not _in_namespace(monitor, pod) or not selects(monitor["spec"]["selector"], _labels(pod)):
                return None
            shown = wanted
        for container in pod["spec"]["containers"]:
            for named in container.get("ports", ()):
                if wanted in (named.get("name"), named["containerPort"]):
                    inside = named["containerPort"]
                    own = {"namespace": meta["namespace"], "pod": meta["name"], "container": container["name"]}
                    own["instance"] = f"{pod['status'].get('podIP', meta['name'])}:{inside}"
                    return own | self._named(monitor, service, str(shown)), inside
        return None

    def _named(self, monitor: Object, service: Object | None, port: str) -> dict[str, str]:
        meta = monitor["metadata"]
        if service:
            return {"job": service["metadata"]["name"], "service": service["metadata"]["name"], "endpoint": port}
        if monitor["kind"] in ("PodMonitoring", "ClusterPodMonitoring"):
            *_, location, cluster = parts(self._plane.key)
            return {"job": meta["name"], "cluster": cluster, "location": location}
        return {"job": f"{meta['namespace']}/{meta['name']}", "endpoint": port}

    def _discovery(self, job: str, targets: Sequence[Object]) -> Object:
        """The file that lists the targets of a job; Prometheus reads it again when it changes."""
        folder = self.server.folder / "targets"
        folder.mkdir(mode=0o700, exist_ok=True)
        path, text = folder / f"{job.replace('/', '.')}.json", json.dumps(targets, indent=1)
        if not path.exists() or path.read_text() != text:
            draft = path.with_suffix(".new")
            draft.write_text(text)
            draft.replace(path)
        return {"file_sd_configs": [{"files": [str(path)]}]}

    def _credentials(self, monitor: Object, endpoint: Object) -> Path | None:
        """The file with the token that an endpoint names; None without one, and if Google's collector may not read it.
        The Prometheus operator reads every Secret."""
        given = (endpoint.get("authorization") or {}).get("credentials") or {}
        google = monitor["apiVersion"] == GOOGLE.removeprefix("/apis/")
        given = given.get("secret") or {} if google else given
        namespace = given.get("namespace") or monitor["metadata"].get("namespace", "default")
        if not given or (google and not self._collector_reads(namespace, given["name"])):
            return None
        secret = self._api.get(f"/api/v1/namespaces/{namespace}/secrets/{given['name']}") or {}
        encoded = (secret.get("data") or {}).get(given["key"])
        if not encoded:
            return None
        path, token = self.server.folder / "tokens" / f"{namespace}.{given['name']}", base64.b64decode(encoded)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if not path.exists() or path.read_bytes() != token:
            draft = path.with_name(f"{path.name}.new")
            draft.touch(mode=0o600)
            draft.write_bytes(token)
            draft.replace(path)
        return path

    def _collector_reads(self, namespace: str, secret: str) -> bool:
        asked = {"namespace": namespace, "name": secret, "resource": "secrets", "verb": "get"}
        review = {"spec": {"user": COLLECTOR, "resourceAttributes": asked}}
        found = self._api.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        return bool(found["status"].get("allowed"))

    def _list(self, path: str) -> list[Object]:
        try:
            return self._api.list(path)
        except ApiError as error:
            if error.status == 404:
                return []
            raise


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector selects these labels."""
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    for each in selector.get("matchExpressions") or ():
        value, values = labels.get(each["key"]), each.get("values", ())
        holds = {
            "In": value in values,
            "NotIn": value not in values,
            "Exists": value is not None,
            "DoesNotExist": value is None,
        }
        if not holds[each["operator"]]:
            return False
    return True


def _port(endpoint: Object) -> Any:
    return endpoint.get("port") or endpoint.get("portNumber") or endpoint.get("targetPort")


def _in_namespace(monitor: Object, obj: Object) -> bool:
    chosen = monitor["spec"].get("namespaceSelector") or {}
    namespace = obj["metadata"]["namespace"]
    # A kind without a namespace selects in all of them.
    own = monitor["metadata"].get("namespace", namespace)
    return bool(chosen.get("any")) or namespace in chosen.get("matchNames", [own])


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def _snake(relabeling: Object) -> Object:
    """A relabelling in the spelling of Prometheus."""
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    return {names.get(key, key): value for key, value in relabeling.items()}
