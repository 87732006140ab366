"""Kubernetes versions that EKS offers, with their support dates, and the AMI releases that belong to them.

Dates: AWS's "Kubernetes release calendar on EKS". The status of a version follows from the dates and today's date.
Release names are the sandbox's own: they have the form of the real ones (`1.35.0-20260714`), but the same July date for
all. Image ids are derived from the release name.
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

from sandbox.aws.eks.backend import Answer, Backend, EksError, invalid

DEFAULT = "1.35"
STANDARD_SUPPORT = "STANDARD_SUPPORT"
AMI_DATE = "20260714"

# version: (release on EKS, end of standard support, end of extended support, patch level)
_CALENDAR = {
    "1.31": ("2024-09-26", "2025-11-26", "2026-11-26", 13),
    "1.32": ("2025-01-23", "2026-03-23", "2027-03-23", 9),
    "1.33": ("2025-05-29", "2026-07-29", "2027-07-29", 5),
    "1.34": ("2025-10-02", "2026-12-02", "2027-12-02", 2),
    "1.35": ("2026-01-27", "2027-03-27", "2028-03-27", 0),
}

_VARIANTS = {
    "AL2023_x86_64_STANDARD": "x86_64/standard",
    "AL2023_ARM_64_STANDARD": "arm64/standard",
    "AL2023_x86_64_NVIDIA": "x86_64/nvidia",
    "AL2023_ARM_64_NVIDIA": "arm64/nvidia",
    "AL2023_x86_64_NEURON": "x86_64/neuron",
}


def known(version: str) -> str:
    """Returns the version if EKS offers it; refuses it otherwise."""
    if version not in _CALENDAR:
        raise invalid(f"unsupported Kubernetes version {version}")
    return version


def minor(version: str) -> int:
    return int(version.split(".")[1])


def status(version: str) -> str:
    """The support status in EKS's spelling, today in UTC; a period ends at the start of its last day."""
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    _, standard, extended, _ = _CALENDAR[version]
    return STANDARD_SUPPORT if today < standard else "EXTENDED_SUPPORT" if today < extended else "UNSUPPORTED"


def release(version: str) -> str:
    """The AMI release version that a new node group of this Kubernetes version gets."""
    return f"{version}.{_CALENDAR[version][3]}-{AMI_DATE}"


def image(region: str, ami_type: str, release_version: str) -> str:
    """The (made-up, stable) id of an EKS-optimized image."""
    digest = hashlib.sha256(f"{region}/{ami_type}/{release_version}".encode()).hexdigest()
    return f"ami-{digest[:17]}"


def parameters(region: str) -> dict[str, str]:
    """The public SSM parameters under /aws/service/eks/optimized-ami/, by name."""
    found = {}
    for version in _CALENDAR:
        for ami_type, variant in _VARIANTS.items():
            name = release(version)
            base = f"/aws/service/eks/optimized-ami/{version}/amazon-linux-2023/{variant}"
            architecture, flavour = variant.split("/")
            image_name = f"amazon-eks-node-al2023-{architecture}-{flavour}-{version}-v{AMI_DATE}"
            for folder in ("recommended", image_name):
                found[f"{base}/{folder}/image_id"] = image(region, ami_type, name)
                found[f"{base}/{folder}/release_version"] = name
                found[f"{base}/{folder}/image_name"] = image_name
    return found


def describe_cluster_versions(backend: Backend, params: dict[str, Any]) -> Answer:
    found = []
    for version, (released, standard, extended, patch) in sorted(_CALENDAR.items(), reverse=True):
        state = status(version)
        found.append(
            {
                "clusterVersion": version,
                "clusterType": "eks",
                "defaultPlatformVersion": "eks.3",
                "defaultVersion": version == DEFAULT,
                "releaseDate": _epoch(released),
                "endOfStandardSupportDate": _epoch(standard),
                "endOfExtendedSupportDate": _epoch(extended),
                "status": state.lower().replace("_", "-"),
                "versionStatus": state,
                "kubernetesPatchVersion": f"{version}.{patch}",
            }
        )
    if wanted := params.get("clusterVersions"):
        unknown = sorted(set(wanted) - set(_CALENDAR))
        if unknown:
            raise EksError("InvalidParameterException", f"unsupported Kubernetes version {', '.join(unknown)}")
        found = [each for each in found if each["clusterVersion"] in wanted]
    if params.get("defaultOnly"):
        found = [each for each in found if each["defaultVersion"]]
    if wanted := params.get("versionStatus") or params.get("status"):
        wanted = wanted.upper().replace("-", "_")
        found = [each for each in found if each["versionStatus"] == wanted]
    elif not params.get("includeAll") and not params.get("clusterVersions"):
        found = [each for each in found if each["versionStatus"] != "UNSUPPORTED"]
    return {"clusterVersions": found}


def _epoch(day: str) -> float:
    return datetime.datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()
