"""The regions that an environment may be in: those of the partition `aws`, as Pulumi's SDK lists them."""

import difflib
from collections.abc import Iterator

from ..checks import Problem

# Other partitions have other ARNs, service principals and endpoint names, and not all that is built here; the ARNs in
# this library are those of `aws`.
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
    """The partition that a region lies in, by its name."""
    return next((name for prefix, name in PARTITIONS.items() if region.startswith(prefix)), "aws")


def names() -> list[str]:
    """The regions of the partition `aws`, in alphabetical order."""
    # Late: it takes a fifth of a second, and on Google Cloud nobody asks.
    from pulumi_aws import Region

    return sorted(region.value for region in Region if partition(region.value) == "aws")


def problems(path: str, region: str) -> Iterator[Problem]:
    """`region` is one in which an environment can be."""
    allowed, other = names(), partition(region)
    if other != "aws":
        yield Problem(
            path, region, f"lies in the partition {other}, for which gpuyard is not made",
            "a region of the partition aws", f"choose one of {', '.join(allowed)}",
        )  # fmt: skip
    elif region not in allowed:
        near = difflib.get_close_matches(region, allowed, n=3) or ["us-east-1"]
        yield Problem(path, region, "unknown region", ", ".join(near), f"pulumi config set {path} {near[0]}")
