"""PersistentVolumes that are written down: whose claim takes them."""

import re
from collections.abc import Iterator

import pulumi_kubernetes as k8s

from .checks import Problem

_CLAIM = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def claim_problems(path: str, claim: str) -> Iterator[Problem]:
    """`claim` is a name that Kubernetes takes for a claim."""
    if not _CLAIM.fullmatch(claim):
        yield Problem(
            path, claim, "not a valid name of a claim", "lower-case letters, digits, '-' and '.'", "correct it"
        )


def reserved(claim: str, namespace: str) -> k8s.core.v1.ObjectReferenceArgs | None:
    """A volume's `claimRef`: the claim of that name in that namespace and no other; None leaves the volume to the first
    claim that names it, whatever its namespace."""
    if not namespace:
        return None
    return k8s.core.v1.ObjectReferenceArgs(
        api_version="v1", kind="PersistentVolumeClaim", namespace=namespace, name=claim
    )
