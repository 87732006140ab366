"""The objects of a chart, rendered in the program: `helm template` with the library's values.

A preview so shows every object, works before the cluster exists, and nothing is installed without Pulumi. A chart is
rendered once per program; the result is also kept next to the fetched packages, since most previews change no values.
"""

import contextlib
import contextvars
import copy
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml

from .. import versions
from ..versions import Chart
from . import helm, images, packages
from .images import ImagesArgs, merged
from .source import ChartsArgs

Object = dict[str, Any]
"""A Kubernetes object as plain data."""

_HOOK = "helm.sh/hook"
_KEPT = 64
"""Results that are kept on disk: a few charts with a few values each."""


@dataclass(frozen=True)
class Request:
    """What is rendered.

    `values`: without those of the chart's images. `kubernetes_version`: the minor that templates see. `kinds`:
    apiVersions that templates see in addition to Kubernetes' own.
    """

    chart: Chart
    namespace: str
    values: Mapping[str, Any]
    charts: ChartsArgs = field(default_factory=lambda: ChartsArgs())
    images: ImagesArgs = field(default_factory=lambda: ImagesArgs())
    kubernetes_version: str = versions.EKS_VERSION
    kinds: tuple[str, ...] = ()


Renderer = Callable[[Request], list[Object]]
"""From a request to the objects, hooks included."""

_memory: dict[str, list[Object]] = {}


def by_helm(request: Request) -> list[Object]:
    """Renders with the program helm.

    Raises:
        pulumi.RunError: the chart cannot be fetched or rendered.
    """
    package = packages.package(request.chart, request.charts)
    values = json.dumps(merged(request.values, _pinned_images(request.chart, request.images)), sort_keys=True)
    key = _key(request, package, values)
    if key not in _memory:
        _memory[key] = _kept(key, lambda: _template(request, package, values))
    return copy.deepcopy(_memory[key])


_renderer: contextvars.ContextVar[Renderer] = contextvars.ContextVar("_renderer", default=by_helm)


@contextlib.contextmanager
def using(renderer: Renderer) -> Iterator[None]:
    """Renders with another function meanwhile: recordings and tests need neither helm nor charts."""
    token = _renderer.set(renderer)
    try:
        yield
    finally:
        _renderer.reset(token)


def renderer(default: Renderer) -> Renderer:
    """The function that renders now, if it is not helm; otherwise `default`."""
    now = _renderer.get()
    return default if now is by_helm else now


def objects(request: Request) -> list[Object]:
    """The objects of a chart, without its tests.

    Raises:
        pulumi.RunError: the chart cannot be fetched or rendered, or has a hook. Pulumi does not run hooks, and those of
            the charts that the library uses download programs: the values must leave none.
    """
    found = []
    for each in _renderer.get()(request):
        hooks = ((each.get("metadata") or {}).get("annotations") or {}).get(_HOOK, "")
        if not hooks:
            found.append(each)
        elif not hooks.startswith("test"):
            meta = each["metadata"]
            raise pulumi.RunError(
                f"chart {request.chart.name} {request.chart.version}: {each['kind']} {meta['name']} is a Helm hook "
                f"({hooks}), which nothing would run.\n    fix: this version of the chart needs other values; use the "
                "version that the library pins"
            )
    return found


def _pinned_images(chart: Chart, images_from: ImagesArgs) -> dict[str, Any]:
    """The images of `versions.py` as values: charts in source repositories name images of a development registry, and
    settings name images of pods that a controller creates later."""
    found: dict[str, Any] = {}
    for image in (each for each in chart.images if each.at):
        name, (_, path) = images.mirrored(image.name, images_from), images.split(image.name)
        named = {"registry": name.removesuffix(f"/{path}"), image.key: path} if image.split else {image.key: name}
        chosen: dict[str, Any] = {**named, "tag": image.tag}
        for part in reversed(image.at.split(".")):
            chosen = {part: chosen}
        found = merged(found, chosen)
    return found


def _template(request: Request, package: Path, values: str) -> list[Object]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "values.json"
        file.touch(mode=0o600)
        file.write_text(values)
        args = ["template", request.chart.name, str(package), "--namespace", request.namespace, "--include-crds"]
        args += ["--kube-version", request.kubernetes_version, "--values", str(file)]
        for each in request.kinds:
            args += ["--api-versions", each]
        name = f"{request.chart.name} {request.chart.version}"
        fix = (
            "check the component's arguments, which become the chart's values, and that the package is the published "
            f"{name}, by its version and its digest: {package}"
        )
        # It reads files of this machine only.
        text = helm.run(f"chart {name}", args, fix=fix, slow="check the load of this machine, and run again")
    return list(parsed(text))


# Parses YAML as Kubernetes does: a lone `=`, an operator in some kinds, is a string.
_Loader: Any = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_Loader.add_constructor("tag:yaml.org,2002:value", lambda loader, node: node.value)


def parsed(text: str) -> Iterator[Object]:
    """The objects of a manifest, and those in a `List`. Parts that contain only comments are skipped."""
    for each in yaml.load_all(text, Loader=_Loader):
        if isinstance(each, dict) and str(each.get("kind", "")).endswith("List") and "items" in each:
            yield from each["items"]
        elif isinstance(each, dict) and each.get("kind"):
            yield each


def _key(request: Request, package: Path, values: str) -> str:
    """The digest of everything that the result follows from."""
    program = Path(helm.program(f"chart {request.chart.name} {request.chart.version}"))
    about = program.stat()
    parts = [str(program), str(about.st_size), str(about.st_mtime_ns), request.namespace, request.kubernetes_version]
    parts += [*request.kinds, values, request.chart.name, request.chart.version]
    digest = hashlib.sha256("\n".join(parts).encode())
    for path in [package] if package.is_file() else sorted(each for each in package.rglob("*") if each.is_file()):
        digest.update(str(path).encode() + b"\n" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _kept(key: str, render: Callable[[], list[Object]]) -> list[Object]:
    file = packages.cache() / "rendered" / f"{key}.json"
    with contextlib.suppress(OSError, ValueError):
        return json.loads(file.read_text())
    found = render()
    with contextlib.suppress(OSError):  # a read-only cache only costs time
        handle, name = tempfile.mkstemp(dir=packages.folder(file.parent.name))
        with os.fdopen(handle, "w") as out:
            json.dump(found, out)
        os.replace(name, file)
        by_age = sorted(file.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)
        for old in by_age[:-_KEPT]:
            old.unlink(missing_ok=True)
    return found
