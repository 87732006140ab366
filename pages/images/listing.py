"""The images that a recorded stack pulls: from its charts as Helm renders them, and from the objects of the program
itself."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.charts import images
from components.charts.images import ImagesArgs
from recording.recording import Recording, Resource
from sandbox.errors import SandboxError
from sandbox.plugins import chart
from sandbox.plugins.provider import ProviderError

RELEASE = "kubernetes:helm.sh/v3:Release"
# `--prometheus-config-reloader=quay.io/…:v1`: an operator's arguments name the images that it starts.
_ARGUMENT = re.compile(r"--[a-z-]*(?:image|reloader)=(\S+)")


@dataclass
class Listing:
    """The images of a stack. `images`: image that nodes pull → what uses it. `charts`: release → why its images are
    those of the table; '' if it was rendered. `addons`: those of EKS, from its registry, with their versions ('' for
    EKS's default)."""

    stack: str
    source: ImagesArgs
    images: dict[str, set[str]] = field(default_factory=dict)
    charts: dict[str, str] = field(default_factory=dict)
    addons: dict[str, str] = field(default_factory=dict)

    def add(self, image: str, by: str) -> None:
        self.images.setdefault(image, set()).add(by)

    def elsewhere(self) -> list[str]:
        """Images that do not come from the registry that the stack names."""
        registry = self.source.get("registry", "")
        return sorted(image for image in self.images if registry and not image.startswith(f"{registry}/"))

    def as_json(self) -> dict[str, Any]:
        """JSON for programs, with `upstream`: the registry from which a mirror copies the image."""
        return {
            "stack": self.stack,
            "registry": self.source.get("registry", ""),
            "images": [
                {"image": image, "upstream": images.original(image, self.source) or image, "by": sorted(by)}
                for image, by in sorted(self.images.items())
            ],
            "charts": [
                {"release": name, "rendered": not why, **({"why": why} if why else {})}
                for name, why in sorted(self.charts.items())
            ],
            "addons": [{"name": name, "version": version} for name, version in sorted(self.addons.items())],
        }


def listing(stack: str, made: Recording, source: ImagesArgs) -> Listing:
    """The images of the resources that a stack registered. Raises SandboxError if a chart cannot be rendered."""
    found = Listing(stack, source)
    clusters = made.all("aws:eks/cluster:Cluster") or made.all("gcp:container/cluster:Cluster")
    version = str(
        next((each.inputs.get("version") or each.inputs.get("minMasterVersion") for each in clusters), "") or ""
    )
    for resource in made.resources.values():
        if resource.type == RELEASE:
            _release(found, resource, version)
        elif resource.type == "aws:eks/addon:Addon":
            found.addons[resource.inputs["addonName"]] = str(resource.inputs.get("addonVersion") or "")
        elif resource.package == "kubernetes":
            for image in named(resource.inputs):
                found.add(image, resource.name)
    return found


def _release(found: Listing, release: Resource, version: str) -> None:
    name, values = release.inputs["name"], release.inputs.get("values") or {}
    try:
        located = chart.locate(release.inputs)
        found.charts[name] = located.unreachable
        if located.unreachable:
            pulled = images.of_values(Path(release.inputs["chart"]).name, values)
        else:
            pulled = {image for obj in render(located.path, release.inputs, version) for image in named(obj)}
    except ProviderError as error:
        raise SandboxError(f"The chart of {name} cannot be rendered: {error}", "correct charts.mirror") from None
    for image in pulled:
        found.add(image, name)


def render(path: Path, release: dict[str, Any], version: str) -> Iterator[dict[str, Any]]:
    """The objects of a release, hooks included, as `helm template` has them for that Kubernetes version."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(release.get("values") or {}, file)
        file.flush()
        where = ["--namespace", str(release.get("namespace") or "default"), "--values", file.name, "--skip-tests"]
        kube = ["--kube-version", version] if version else []
        done = chart.helm("template", release["name"], str(path), *where, *kube, timeout=120)
    if done.returncode:
        raise ProviderError(chart.trouble(done.stderr))
    for obj in chart.objects(done.stdout):
        yield from obj.get("items") or [obj] if str(obj["kind"]).endswith("List") else [obj]


def named(obj: Any) -> Iterator[str]:
    """Every image that an object names: of containers, of kinds whose operator starts them, in operators' arguments."""
    if isinstance(obj, dict):
        if obj.get("kind") == "CustomResourceDefinition":
            return
        for key, value in obj.items():
            if key == "image" and isinstance(value, str) and value:
                yield value
            elif key in ("args", "command") and isinstance(value, list):
                yield from (image[1] for each in value if (image := _ARGUMENT.fullmatch(str(each))))
            else:
                yield from named(value)
    elif isinstance(obj, list):
        for each in obj:
            yield from named(each)
