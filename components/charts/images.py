"""The container images that charts pull, and how one registry of yours replaces all others.

A registry has an image under the name of its original registry: `quay.io/prometheus/prometheus` becomes
`REGISTRY/quay.io/prometheus/prometheus`. Pull-through caches of ECR, Artifactory and Harbor are laid out like this if
their prefix is the original registry's name; `prefixes` is for the others. `versions.py` lists the images of each
chart; where charts can be reached, a test compares that list with what the charts render.

Not included: the images of components that the clouds themselves run (EKS's add-ons and the pause image, GKE's system
pods). They come from the cloud's own registry of the region, which private networks reach through its endpoints.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypedDict

from typing_extensions import NotRequired

from ..checks import Problem
from ..versions import CHARTS, CLUSTER_AUTOSCALER, CLUSTER_AUTOSCALER_IMAGE, Chart

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
    """Where a cluster's images come from, and their digests."""

    registry: NotRequired[str]
    """Your registry, which has all images, with a path if there is one:
    111122223333.dkr.ecr.us-east-1.amazonaws.com or registry.example.com/mirror. Default: none, each image comes from
    its original registry."""
    prefixes: NotRequired[dict[str, str]]
    """Original registry → the path of its images in `registry`, such as {quay.io: quay}; an empty text for the root.
    Needs `registry`. Default: the original registry's name."""
    digests: NotRequired[dict[str, str]]
    """Image as NAME:TAG in its original registry → `sha256:` and 64 hexadecimal digits. Nodes then run exactly this
    content, even if the tag changes. Default: none, by tag."""


def split(reference: str) -> tuple[str, str]:
    """(registry, the rest) of an image's reference, as container runtimes split it: `nginx` is
    `docker.io/library/nginx`."""
    first, slash, rest = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "docker.io", reference if slash else f"library/{reference}"


def mirrored(reference: str, images: ImagesArgs) -> str:
    """What is pulled for `reference`: the same image in your registry, if `images` names one."""
    registry = images.get("registry", "")
    host, path = split(reference)
    if not registry or reference.startswith(f"{registry}/"):
        return reference
    return "/".join(part for part in (registry, images.get("prefixes", {}).get(host, host), path) if part)


def original(reference: str, images: ImagesArgs) -> str:
    """The inverse of `mirrored`: where an image in your registry comes from; '' for one that is not in it."""
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
            return f"{host}/{path}"  # a path that begins with a registry's name is that registry's
    return path


def values(chart: Chart, images: ImagesArgs, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` (values for the chart) with the images of `images`."""
    found = merged({}, given)
    for image in chart.images:
        tag = at(given, image.at).get("tag") or image.tag
        chosen: dict[str, Any] = {}
        if images.get("registry"):
            name, (_, path) = mirrored(image.name, images), split(image.name)
            chosen = (
                {"registry": name.removesuffix(f"/{path}"), "repository": path} if image.split else {"repository": name}
            )
        if digest := images.get("digests", {}).get(f"{image.name}:{tag}"):
            bare = digest.removeprefix("sha256:") if image.bare else digest
            chosen |= {image.digest_at: bare} if image.digest_at else {"tag": f"{tag}@{digest}"}
        if chosen:
            for part in reversed(image.at.split(".")):
                chosen = {part: chosen}
            found = merged(found, chosen)
    return found


def of_values(chart: str, given: Mapping[str, Any]) -> set[str]:
    """What a chart pulls with the library's values, by `versions.py`: for machines that cannot render the chart."""
    pulled: set[str] = set()
    for image in (image for known in CHARTS if known.name == chart for image in known.images):
        here = at(given, image.at)
        name = image.name
        if here.get("repository"):
            name = "/".join(part for part in (here.get("registry"), here["repository"]) if part)
        tag, digest = here.get("tag") or image.tag, here.get(image.digest_at) if image.digest_at else None
        pulled.add(f"{name}:{tag}" + (f"@sha256:{digest.removeprefix('sha256:')}" if digest else ""))
    return pulled


def at(values: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """The map at a dotted path of a chart's values; an empty one if there is none."""
    found: Any = values
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Two maps merged as Helm merges values: maps are merged recursively, everything else is replaced."""
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        found[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return found


def problems(images: ImagesArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, found without a call to a registry."""
    registry = images.get("registry", "")
    allowed = "HOST or HOST/PATH in lower case, such as 111122223333.dkr.ecr.us-east-1.amazonaws.com"
    if registry and not _REGISTRY.fullmatch(registry):
        bare = re.sub(r"^[a-z]+://", "", registry).rstrip("/").lower()
        fix = f"write {bare}" if _REGISTRY.fullmatch(bare) else "write the name with which its images begin"
        yield Problem("registry", registry, "not the name of a registry", allowed, fix)
    elif split(f"{registry}/x")[0] in PUBLIC and registry:
        yield Problem(
            "registry", registry, "a public registry: it does not have the images of the others", allowed,
            "write your own registry, or remove `registry`",
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
        yield Problem("prefixes", images["prefixes"], "prefixes without a registry", "nothing", "add `registry`")
    for image, digest in images.get("digests", {}).items():
        if not _DIGEST.fullmatch(digest):
            yield Problem(
                f"digests.{image}", digest, "not a digest", "sha256: and 64 hexadecimal digits",
                f"see `crane digest {image}`",
            )  # fmt: skip


def references(charts: Iterable[Chart], tags: Mapping[Chart, str]) -> Iterator[str]:
    """NAME:TAG of every image of the charts; `tags`: of charts whose tag the library chooses."""
    for chart in charts:
        for image in chart.images:
            yield f"{image.name}:{tags.get(chart) or image.tag}"


def of_library() -> list[str]:
    """NAME:TAG of every image of the library's charts, on every version of Kubernetes."""
    tags = CLUSTER_AUTOSCALER_IMAGE.values()
    return [each for tag in tags for each in references(CHARTS, {CLUSTER_AUTOSCALER: tag})]


def digest_problems(images: ImagesArgs, known: Iterable[str]) -> Iterator[Problem]:
    """Digests for images that are not in `known`: after a change of tag, the image would silently be unpinned."""
    names = sorted(set(known))
    for image in images.get("digests", {}):
        if image not in names:
            near = difflib.get_close_matches(image, names, n=1)
            yield Problem(
                f"digests.{image}", images["digests"][image], "not an image that is pulled here",
                ", ".join(names) or "none: no image is pulled",
                f"write {near[0]}, or remove it" if near else "remove it",
            )  # fmt: skip


def out_of_reach(registry: str, region: str) -> str:
    """Why a private network of `region` on AWS does not reach a registry; '' if it may reach it. Your own registry
    counts as reachable."""
    found = _ECR.fullmatch(registry)
    if found and found[1] != region:
        return f"a registry of {found[1]}: the endpoints of {region} lead to registries of {region} only"
    return ""
