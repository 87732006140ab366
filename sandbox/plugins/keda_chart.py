"""A chart of KEDA, made from the manifests in its module (`config/`): the project publishes its chart elsewhere.

It has the operator, the metrics server, their rights and the kinds, and of the real chart's values those that decide
where and how pods run: images, nodeSelector, tolerations, affinity, priorityClassName, resources, and the annotations
of the operator's service account. It has no admission webhooks, so a wrong ScaledObject is refused by its kind's schema
only. Source of the names: kedacore/charts, keda/values.yaml.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]

_RESOURCES = {"limits": {"cpu": "1", "memory": "1000Mi"}, "requests": {"cpu": "100m", "memory": "100Mi"}}
_METRICS_PORT = 8080
_FOLDERS = ("service_account", "rbac", "manager", "metrics-server")


def write(module: Path, root: Path, version: str) -> None:
    """Writes the chart into `root`."""
    (root / "templates").mkdir(parents=True)
    (root / "crds").mkdir()
    about = {"apiVersion": "v2", "name": "keda", "version": version, "appVersion": version.removeprefix("v")}
    (root / "Chart.yaml").write_text(yaml.safe_dump(about))
    (root / "values.yaml").write_text(yaml.safe_dump(_values()))
    for kind in _kinds(module / "config" / "crd"):
        (root / "crds" / f"{kind['metadata']['name']}.yaml").write_text(yaml.safe_dump(kind))
    texts = [_template(each) for folder in _FOLDERS for each in _objects(module / "config" / folder)]
    (root / "templates" / "objects.yaml").write_text("---\n".join(texts))


def _values() -> Object:
    return {
        "image": {
            "keda": {"registry": "ghcr.io", "repository": "kedacore/keda", "tag": ""},
            "metricsApiServer": {"registry": "ghcr.io", "repository": "kedacore/keda-metrics-apiserver", "tag": ""},
        },
        "resources": {"operator": _RESOURCES, "metricServer": _RESOURCES},
        "serviceAccount": {"operator": {"annotations": {}}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [],
        "affinity": {},
        "priorityClassName": "",
    }


def _objects(folder: Path) -> Iterator[Object]:
    for path in sorted(folder.glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            if each and each["kind"] != "Kustomization":
                yield each


def _template(obj: Object) -> str:
    """The template of an object. A text `@EXPRESSION@` becomes a value of the chart."""
    if obj["kind"] == "Deployment":
        _deployment(obj)
    if obj["kind"] == "ServiceAccount":
        obj["metadata"]["annotations"] = "@.Values.serviceAccount.operator.annotations@"
    text = yaml.safe_dump(obj, sort_keys=False)
    text = re.sub(r"namespace: keda\b", "namespace: {{ .Release.Namespace }}", text)
    text = re.sub(r"app.kubernetes.io/version: latest", "app.kubernetes.io/version: {{ .Chart.AppVersion }}", text)
    return re.sub(r"'@([^@]+)@'|@([^@]+)@", lambda found: f"{{{{ toJson ({found[1] or found[2]}) }}}}", text)


def _deployment(obj: Object) -> None:
    operator = obj["metadata"]["name"] == "keda-operator"
    spec = obj["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    image = f".Values.image.{'keda' if operator else 'metricsApiServer'}"
    tag = f"{image}.tag | default .Chart.AppVersion"
    container["image"] = f'@printf "%s/%s:%s" {image}.registry {image}.repository ({tag})@'
    container["imagePullPolicy"] = "IfNotPresent"
    container["resources"] = f"@.Values.resources.{'operator' if operator else 'metricServer'}@"
    if operator:
        container["args"].append("--enable-webhook-patching=false")
        # The real chart's name of the port, with `prometheus.operator.enabled`.
        container["ports"] = [
            {**port, "name": "metrics"} if port["containerPort"] == _METRICS_PORT else port
            for port in container["ports"]
        ]
    for key in ("nodeSelector", "tolerations", "affinity", "priorityClassName"):
        spec[key] = f"@.Values.{key}@"


def _kinds(folder: Path) -> Iterator[Object]:
    """The kinds, with the changes that KEDA's own installation makes to them."""
    kinds = {each["metadata"]["name"]: each for each in _objects(folder / "bases")}
    for patch in yaml.safe_load((folder / "kustomization.yaml").read_text())["patches"]:
        for operation in yaml.safe_load((folder / patch["path"]).read_text()):
            _change(kinds[patch["target"]["name"]], operation)
    yield from kinds.values()


def _change(obj: Any, operation: Object) -> None:
    """One operation of a JSON patch: `add` or `remove`."""
    *way, last = operation["path"].strip("/").split("/")
    for key in way:
        obj = obj[int(key)] if isinstance(obj, list) else obj[key]
    if operation["op"] == "remove":
        del obj[last]
    elif last == "-":
        obj.append(operation["value"])
    else:
        obj[last] = operation["value"]
