"""PersistentVolumes that are created together with the cluster: their names, the claims that get them, and the folders
of a bucket that they contain."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pulumi_kubernetes as k8s

from .checks import OBJECT_NAME, Problem

CAPACITY = "1Pi"
"""Size of a volume over a bucket: a claim may ask for any size up to this one, and the driver ignores it."""

_VOLUME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
# The characters that object stores call safe, without those that have a meaning in a policy, in a condition (* ? $ and
# quotes) or in a mount option (blanks and commas).
_PREFIX = re.compile(r"([A-Za-z0-9!_.()=@:+-]+/)*[A-Za-z0-9!_.()=@:+-]+/?")


def claim_problems(path: str, claim: str) -> Iterator[Problem]:
    """`claim` is a valid name for a PersistentVolumeClaim."""
    if not OBJECT_NAME.fullmatch(claim):
        yield Problem(
            path, claim, "not a valid name of a claim", "lower-case letters, digits, '-' and '.'", "correct it"
        )


def children(name: str, buckets: Iterable[str]) -> dict[str, str]:
    """Names of the volumes as resources of the component `name` → their paths in its arguments."""
    return {f"{name}-{each}": f"buckets.{each}" for each in buckets}


def claims_problems(wanted: Mapping[str, tuple[str, str]], field: str) -> Iterator[Problem]:
    """No claim gets two volumes: Kubernetes binds it to one of them, and the other stays without a claim.

    Args:
        wanted: name of a volume → namespace and name of its claim.
        field: the field with the name of the claim.
    """
    first: dict[tuple[str, str], str] = {}
    for name, claim in wanted.items():
        if claim in first:
            yield Problem(
                f"buckets.{name}.{field}", claim[1], f"the claim of buckets.{first[claim]} in the namespace {claim[0]}",
                "a separate claim for each volume", "write another name, or another namespace",
            )  # fmt: skip
        first.setdefault(claim, name)


def name_problems(path: str, name: str, value: Any, taken: Mapping[str, str]) -> Iterator[Problem]:
    """`name` is a valid name for a volume, and not one of `taken` (name → what has it). `value`: what the error shows
    as the value at `path`."""
    if name in taken or not _VOLUME.fullmatch(name):
        yield Problem(
            path, value, f"{name} is {taken[name]}" if name in taken else "not a valid name of a Kubernetes volume",
            "1 to 63 lower-case letters, digits and '-', first and last a letter or digit", "rename the volume",
        )  # fmt: skip


def prefix_problems(path: str, prefix: str) -> Iterator[Problem]:
    """`prefix` is empty, or a prefix of object names that a policy and a mount option can contain."""
    if prefix and not (_PREFIX.fullmatch(prefix) and not {".", ".."} & set(prefix.split("/"))):
        yield Problem(
            path, prefix, "not a prefix of object names that can be mounted",
            "folders of letters, digits and ! _ . ( ) = @ : + -, separated by one '/', such as train/images/",
            "remove a '/' at the beginning, '.' and '..' as folders, blanks and wildcards",
        )  # fmt: skip


def like_an_address(bucket: str) -> bool:
    """Whether a name has the form of an IP address: no cloud gives such a name to a bucket."""
    return bool(_ADDRESS.fullmatch(bucket))


def reserved(claim: str, namespace: str) -> k8s.core.v1.ObjectReferenceArgs | None:
    """A volume's `claimRef`: only the claim of that name in that namespace gets the volume. Without a namespace it is
    None, and the first claim that names the volume gets it, in any namespace."""
    if not namespace:
        return None
    return k8s.core.v1.ObjectReferenceArgs(
        api_version="v1", kind="PersistentVolumeClaim", namespace=namespace, name=claim
    )
