"""Cluster keys: `eks-<region>-<name>` and `gke-<project>-<location>-<name>`."""

from __future__ import annotations

import re

from sandbox.errors import SandboxError

_EKS = re.compile(r"eks-(?P<region>[a-z]{2,}(?:-[a-z]+)+-\d+)-(?P<name>.+)")
# The first part of the text that looks like a location is the location. A zone is preferred to a region, so the key of
# a regional cluster whose name starts with "a-" … "f-" would be parsed wrongly; such names are not used.
_GKE = re.compile(r"gke-(?P<project>.+?)-(?P<location>[a-z]+-[a-z]+\d+(?:-[a-f](?=-))?)-(?P<name>.+)")


def eks(region: str, name: str) -> str:
    return f"eks-{region}-{name}"


def gke(project: str, location: str, name: str) -> str:
    return f"gke-{project}-{location}-{name}"


def parts(key: str) -> tuple[str, ...]:
    """("eks", region, name) or ("gke", project, location, name)."""
    for cloud, pattern in (("eks", _EKS), ("gke", _GKE)):
        if match := pattern.fullmatch(key):
            return (cloud, *match.groups())
    raise SandboxError(
        f"{key!r} is not a valid cluster key.",
        "write eks-<region>-<name> or gke-<project>-<location>-<name>; `python -m sandbox status` lists them",
    )


def issuer(key: str, number: str) -> str:
    """The address that the cloud would give the cluster's OIDC issuer; `number`: the issuer's 32 hexadecimal digits."""
    cloud, *rest = parts(key)
    if cloud == "eks":
        suffix = "amazonaws.com.cn" if rest[0].startswith("cn-") else "amazonaws.com"
        return f"https://oidc.eks.{rest[0]}.{suffix}/id/{number.upper()}"
    project, location, name = rest
    return f"https://container.googleapis.com/v1/projects/{project}/locations/{location}/clusters/{name}"
