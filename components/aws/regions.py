"""The supported regions: those of the partition `aws`, as Pulumi's SDK lists them."""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..checks import Problem
from ..plain_values import is_blank

# Names of regions, availability zones (region and a letter) and Local Zones (us-west-2-lax-1a). Sources: EC2 user
# guide, "Regions and Zones"; AWS Local Zones user guide, "Available Local Zones".
_REGION = r"[a-z]{2,4}(?:-[a-z]+)+-\d+"
_ZONE = re.compile(rf"({_REGION})(-[a-z]+-\d+)?[a-z]", re.ASCII)

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


def format_problems(path: str, region: str) -> Iterator[Problem]:
    """`region` has the form of a region's name. It may be newer than the list of `names`."""
    if not re.fullmatch(_REGION, region, re.ASCII):
        zone = _ZONE.fullmatch(region)
        yield Problem(
            path, region, "a zone, not a region" if zone else "not the name of a region", "a region, such as us-east-1",
            f"write {region[:-1]}" if zone else "see `aws ec2 describe-regions`",
        )  # fmt: skip


def subnet_problems(args: Mapping[str, Any], field: str = "subnet_ids") -> Iterator[Problem]:
    """`field` maps zones of one region to their subnets, each subnet once. A stack checks the zones of its network."""
    known: dict[str, str] = {}
    of_region = ""
    for zone, subnet in args.get(field, {}).items():
        path = f"{field}.{zone}"
        if is_blank(subnet):
            yield Problem(path, subnet, "empty", "the id of a subnet", "pass a subnet of the network")
        elif isinstance(subnet, str) and subnet in known:
            yield Problem(
                path, subnet, f"the subnet of {known[subnet]}: a subnet is in one zone", "each subnet once",
                f"pass a subnet of {zone}",
            )  # fmt: skip
        elif isinstance(subnet, str):
            known[subnet] = zone
        found = _ZONE.fullmatch(zone)
        of_region = of_region or (found[1] if found else "")
        if not found:
            yield Problem(
                path, zone, "the key is not the name of a zone", "zones, such as us-east-1a",
                "see `aws ec2 describe-availability-zones`",
            )  # fmt: skip
        elif found[1] != of_region:
            yield Problem(
                path, zone, f"not a zone of {of_region}, as the zones before", f"zones of {of_region}",
                "remove it: a cluster is in one region",
            )  # fmt: skip
