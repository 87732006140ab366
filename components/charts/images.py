"""The container images that the library's charts pull, and how one registry of the user's stands for all others.

A registry takes over an image under the name of its own registry: `quay.io/prometheus/prometheus` becomes
`REGISTRY/quay.io/prometheus/prometheus`. That is how a pull-through cache of ECR, Artifactory or Harbor is laid out
when its prefix is the upstream's name; `prefixes` has the others. What a chart renders is held against this table by a
test, where charts can be reached.

Not in here: the images of what the clouds run themselves (EKS's add-ons and the pause image, GKE's system pods). They
come from the cloud's own registry of the region, which private networks reach by its endpoints.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from typing_extensions import NotRequired

from .. import versions
from ..checks import Problem
from ..versions import Chart

PUBLIC = (
    "docker.io", "quay.io", "ghcr.io", "gcr.io", "registry.k8s.io", "nvcr.io", "public.ecr.aws", "mcr.microsoft.com",
)  # fmt: skip
"""Registries of the internet."""

_HOST = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+(:[1-9]\d{0,4})?"
_PATH = r"[a-z0-9]+([._-]+[a-z0-9]+)*"
_REGISTRY = re.compile(rf"{_HOST}(/{_PATH})*")
_PREFIX = re.compile(rf"({_PATH}(/{_PATH})*)?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ECR = re.compile(r"\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?(/.*)?")


class ImagesArgs(TypedDict):
    """Where a cluster's images come from, and which bytes they are."""

    registry: NotRequired[str]
    """Registry that stands for all others, with a path where it has one: `111122223333.dkr.ecr.us-east-1.amazonaws.com`
    or `registry.example.com/mirror`. Default: none, each image comes from its own registry."""
    prefixes: NotRequired[dict[str, str]]
    """Where an image's own registry is found in `registry`, by name: `{quay.io: quay}`; an empty text for its root.
    Default: under its own name."""
    digests: NotRequired[dict[str, str]]
    """Image as `make images` shows it without `registry` → `sha256:` and 64 hexadecimal digits. The node then takes
    these bytes and no others, whatever the tag points to. Default: by tag."""


@dataclass(frozen=True)
class ChartImage:
    """An image of a chart. `name`: with its registry; `tag`: the one that the chart takes. `at`: where it stands in the
    chart's values, with `registry` and `repository` where it is `split`, else with `repository` alone. `digest_at`:
    the value for a digest there, `bare` for one without `sha256:`; where it is empty the tag takes the digest."""

    name: str
    tag: str
    at: str
    split: bool = False
    digest_at: str = ""
    bare: bool = False

    @property
    def reference(self) -> str:
        """NAME:TAG."""
        return f"{self.name}:{self.tag}"


def _operators(name: str, tag: str, at: str) -> ChartImage:
    return ChartImage(name, tag, at, split=True, digest_at="sha", bare=True)


_OPERATOR = "prometheusOperator"
IMAGES: Mapping[Chart, tuple[ChartImage, ...]] = {
    versions.NVIDIA_DEVICE_PLUGIN: (ChartImage("nvcr.io/nvidia/k8s-device-plugin", "v0.20.0", "image"),),
    versions.DCGM_EXPORTER: (ChartImage("nvcr.io/nvidia/k8s/dcgm-exporter", "4.5.3-4.8.2-distroless", "image"),),
    versions.EFA_DEVICE_PLUGIN: (
        ChartImage("602401143452.dkr.ecr.us-west-2.amazonaws.com/eks/aws-efa-k8s-device-plugin", "v0.5.20", "image"),
    ),
    # The component takes the tag of the cluster's minor.
    versions.CLUSTER_AUTOSCALER: (ChartImage("registry.k8s.io/autoscaling/cluster-autoscaler", "v1.35.0", "image"),),
    versions.KUBE_PROMETHEUS_STACK: (
        _operators("quay.io/prometheus/prometheus", "v3.14.0-distroless", "prometheus.prometheusSpec.image"),
        _operators("quay.io/prometheus/alertmanager", "v0.34.0", "alertmanager.alertmanagerSpec.image"),
        _operators("quay.io/prometheus-operator/prometheus-operator", "v0.93.1", f"{_OPERATOR}.image"),
        _operators(
            "quay.io/prometheus-operator/prometheus-config-reloader", "v0.93.1",
            f"{_OPERATOR}.prometheusConfigReloader.image",
        ),
        # Named to the operator; pulled once somebody makes a Prometheus with a Thanos sidecar.
        _operators("quay.io/thanos/thanos", "v0.42.4", f"{_OPERATOR}.thanosImage"),
        _operators("ghcr.io/jkroepke/kube-webhook-certgen", "1.8.7", f"{_OPERATOR}.admissionWebhooks.patch.image"),
        ChartImage(
            "registry.k8s.io/kube-state-metrics/kube-state-metrics", "v2.20.0", "kube-state-metrics.image", True, "sha",
        ),
        ChartImage(
            "quay.io/prometheus/node-exporter", "v1.12.1-distroless", "prometheus-node-exporter.image", True, "digest",
        ),
    ),
}  # fmt: skip
"""Chart → its images with the library's values. Source: values.yaml and templates of each chart's pinned version."""


def split(reference: str) -> tuple[str, str]:
    """(registry, the rest) of an image's reference, as container runtimes take it apart: `nginx` is
    `docker.io/library/nginx`."""
    first, slash, rest = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "docker.io", reference if slash else f"library/{reference}"


def mirrored(reference: str, images: ImagesArgs) -> str:
    """What is pulled for `reference`: the same image in the user's registry, if there is one."""
    registry = images.get("registry", "")
    host, path = split(reference)
    if not registry or reference.startswith(f"{registry}/"):
        return reference
    return "/".join(part for part in (registry, images.get("prefixes", {}).get(host, host), path) if part)


def original(reference: str, images: ImagesArgs) -> str:
    """The inverse of `mirrored`: where the image in the user's registry comes from; '' for one that is not in it."""
    registry = images.get("registry", "")
    if not registry:
        return reference
    if not reference.startswith(f"{registry}/"):
        return ""
    path = reference.removeprefix(f"{registry}/")
    prefixes = images.get("prefixes", {})
    for host, prefix in sorted(prefixes.items(), key=lambda item: -len(item[1])):
        if prefix and path.startswith(f"{prefix}/"):
            return f"{host}/{path.removeprefix(f'{prefix}/')}"
        if not prefix and "." not in path.partition("/")[0]:
            return f"{host}/{path}"  # what begins with a registry's name is another's
    return path


def values(chart: Chart, images: ImagesArgs, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` (values for the chart) with the images of `images`."""
    found = merged({}, given)
    for image in IMAGES.get(chart, ()):
        tag = at(given, image.at).get("tag") or image.tag
        said: dict[str, Any] = {}
        if images.get("registry"):
            name, (_, path) = mirrored(image.name, images), split(image.name)
            said = (
                {"registry": name.removesuffix(f"/{path}"), "repository": path} if image.split else {"repository": name}
            )
        if digest := images.get("digests", {}).get(f"{image.name}:{tag}"):
            bare = digest.removeprefix("sha256:") if image.bare else digest
            said |= {image.digest_at: bare} if image.digest_at else {"tag": f"{tag}@{digest}"}
        if said:
            for part in reversed(image.at.split(".")):
                said = {part: said}
            found = merged(found, said)
    return found


def of_values(chart: str, given: Mapping[str, Any]) -> set[str]:
    """What a chart pulls with values of the library, by the table: for those who cannot render it."""
    found = {table.name: entries for table, entries in IMAGES.items()}.get(chart, ())
    pulled: set[str] = set()
    for image in found:
        said = at(given, image.at)
        name = image.name
        if said.get("repository"):
            name = "/".join(part for part in (said.get("registry"), said["repository"]) if part)
        tag, digest = said.get("tag") or image.tag, said.get(image.digest_at) if image.digest_at else None
        pulled.add(f"{name}:{tag}" + (f"@sha256:{digest.removeprefix('sha256:')}" if digest else ""))
    return pulled


def at(values: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The map at a dotted path of a chart's values; an empty one where there is none."""
    found: Any = values
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Maps laid over each other as Helm does it: maps are merged, everything else is replaced."""
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        found[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


def problems(images: ImagesArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, seen without asking a registry."""
    registry = images.get("registry", "")
    allowed = "HOST or HOST/PATH in lower case, such as 111122223333.dkr.ecr.us-east-1.amazonaws.com"
    if registry and not _REGISTRY.fullmatch(registry):
        bare = re.sub(r"^[a-z]+://", "", registry).rstrip("/").lower()
        fix = f"write {bare}" if _REGISTRY.fullmatch(bare) else "write the name that images of it begin with"
        yield Problem("registry", registry, "not the name of a registry", allowed, fix)
    elif split(f"{registry}/x")[0] in PUBLIC and registry:
        yield Problem(
            "registry", registry, "a registry of the internet, which holds the images of no other", allowed,
            "name your own registry, or leave images.registry out",
        )  # fmt: skip
    for host, prefix in images.get("prefixes", {}).items():
        if not re.fullmatch(_HOST, host):
            yield Problem(
                f"prefixes.{host}", prefix, "the key is not the name of a registry", "HOST, such as quay.io",
                "write the registry that the images come from",
            )  # fmt: skip
        if not _PREFIX.fullmatch(prefix):
            yield Problem(
                f"prefixes.{host}", prefix, "not a path in a registry",
                "lower-case letters and digits, '.', '_' or '-' between them, '/' between parts",
                "write the prefix as the registry has it, without slashes at its ends",
            )  # fmt: skip
    if images.get("prefixes") and not registry:
        yield Problem("prefixes", images["prefixes"], "prefixes without a registry", "nothing", "add registry")
    for image, digest in images.get("digests", {}).items():
        if not _DIGEST.fullmatch(digest):
            yield Problem(
                f"digests.{image}", digest, "not a digest", "sha256: and 64 hexadecimal digits",
                f"see `crane digest {image}`",
            )  # fmt: skip


def references(charts: Iterable[Chart], tags: Mapping[Chart, str]) -> Iterator[str]:
    """NAME:TAG of every image of the charts; `tags`: of a chart whose tag the library chooses."""
    for chart in charts:
        for image in IMAGES.get(chart, ()):
            yield f"{image.name}:{tags.get(chart) or image.tag}"


def digest_problems(images: ImagesArgs, known: Iterable[str]) -> Iterator[Problem]:
    """Digests for images that the stack does not pull: a moved tag would leave its image unpinned unnoticed."""
    names = sorted(known)
    for image in images.get("digests", {}):
        if image not in names:
            yield Problem(
                f"digests.{image}", images["digests"][image], "not an image of this stack",
                ", ".join(names) or "none: the stack pulls no image", "take the name from `make images`, or remove it",
            )  # fmt: skip


def out_of_reach(registry: str, region: str) -> str:
    """Why a private network of `region` on AWS does not reach a registry; '' where it may (your own registry is
    taken to be in reach)."""
    found = _ECR.fullmatch(registry)
    if found and found[1] != region:
        return f"a registry of {found[1]}: the endpoints of {region} lead to its own registries only"
    return ""
