"""Tags on AWS resources: which keys and values are valid, and which keys are reserved."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..checks import Problem

# EC2 user guide, "Tag your resources", and IAM's pattern of keys and values: letters and digits of any alphabet.
_TEXT = re.compile(r"[\w .:/=+@-]*")
_KEY_LIMIT, _VALUE_LIMIT = 128, 256
# A resource can have 50. EKS adds six to an instance, the EBS driver seven to a volume, gpuyard three to both.
_MOST = 40
STACK = "gpuyard-stack"
"""Key of the tag that a stack adds to everything that it creates; the value is the stack's name."""
_OWN = re.compile(rf"{STACK}|gpuyard\.dev/.*|Name")
# Load balancers, the autoscaler and the drivers recognize the cluster's resources by these; the EBS driver refuses them
# (aws-ebs-csi-driver, pkg/driver/validation.go).
_OTHERS = re.compile(
    r"([\w.-]*\.)?(kubernetes\.io|k8s\.io|k8s\.aws|csi\.aws\.com)/.*|eks:.*|CSIVolumeName|CSIVolumeSnapshotName"
)


def problems(tags: Mapping[str, str]) -> Iterator[Problem]:
    """What is wrong with the user's tags. Paths begin with `tags`."""
    seen: dict[str, str] = {}
    for key, value in tags.items():
        path = f"tags.{key}"
        twin = seen.setdefault(key.lower(), key)
        if not key or len(key) > _KEY_LIMIT or not _TEXT.fullmatch(key) or "=" in key:
            yield Problem(
                path, value, "the key is not a valid tag key",
                f"1 to {_KEY_LIMIT} letters, digits, blanks and . : / + @ _ - (the EBS driver accepts no =)",
                "rename the key",
            )  # fmt: skip
        elif key.lower().startswith("aws:"):
            yield Problem(path, value, "AWS reserves keys that begin with aws:", "other keys", "rename the key")
        elif _OWN.fullmatch(key):
            yield Problem(path, value, "a tag that gpuyard sets", "other keys", "remove it, or rename the key")
        elif _OTHERS.fullmatch(key):
            yield Problem(
                path, value, "EKS, Kubernetes and their drivers recognize a cluster's resources by such tags",
                "other keys", "remove it, or rename the key",
            )  # fmt: skip
        elif twin != key:
            yield Problem(
                path, value, f"IAM treats it as the same key as {twin}",
                "keys that differ in more than upper and lower case", f"keep {twin} or {key}",
            )  # fmt: skip
        if len(value) > _VALUE_LIMIT or not _TEXT.fullmatch(value):
            yield Problem(
                path, value, "the value is not a valid tag value",
                f"up to {_VALUE_LIMIT} letters, digits, blanks and . : / = + @ _ -", "shorten or reword it",
            )  # fmt: skip
    if len(tags) > _MOST:
        yield Problem(
            "tags", len(tags), "too many tags: a resource can have 50, and EKS needs some of them",
            f"up to {_MOST}", "remove some",
        )  # fmt: skip


def with_tags(args: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with `tags` in a component's arguments. Unlike in `problems`, the stack's own tag is allowed."""
    yield from problems({key: value for key, value in args.get("tags", {}).items() if key != STACK})
