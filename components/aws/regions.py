"""The supported regions: those of the partition `aws`, as Pulumi's SDK lists them."""

import difflib
from collections.abc import Iterator

from ..checks import Problem

# Other partitions have other ARNs, service principals and endpoint names, and lack some services; the ARNs in this
# library are those of `aws`.
PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
}


def partition(region: str) -> str:
    """The partition of a region, by its name."""
    return next((name for prefix, name in PARTITIONS.items() if region.startswith(prefix)), "aws")


def names() -> list[str]:
    """The regions of the partition `aws`, in alphabetical order."""
    # Imported here because it takes a fifth of a second, and a stack on Google Cloud does not need it.
    from pulumi_aws import Region

    return sorted(region.value for region in Region if partition(region.value) == "aws")


def problems(path: str, region: str) -> Iterator[Problem]:
    """`region` is supported."""
    allowed, other = names(), partition(region)
    if other != "aws":
        yield Problem(
            path, region, f"in the partition {other}, which gpuyard does not support",
            "a region of the partition aws", f"choose one of {', '.join(allowed)}",
        )  # fmt: skip
    elif region not in allowed:
        near = difflib.get_close_matches(region, allowed, n=3) or ["us-east-1"]
        yield Problem(path, region, "unknown region", ", ".join(near), f"pulumi config set {path} {near[0]}")
