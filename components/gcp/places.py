"""Google's regions and zones, and which zones offer which GPU: to check names, and while Google cannot be asked.

Zones rarely change, GPUs monthly: those below are from the skypilot-catalog (gcp/vms.csv, v8, read 2026-11), except for
B200 and RTX PRO 6000, which are from Google's page "GPU regions and zones". Google publishes no list by AI zone.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from .. import checks
from ..checks import Problem

_STANDARD = {
    region: tuple(f"{region}-{letter}" for letter in letters)
    for letters, regions in {
        "abc": """
            africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1
            asia-south2 asia-southeast1 asia-southeast2 australia-southeast1 australia-southeast2
            europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west2 europe-west3 europe-west4
            europe-west6 europe-west8 europe-west9 europe-west10 europe-west12 me-central1 me-central2 me-west1
            northamerica-northeast1 northamerica-northeast2 northamerica-south1 southamerica-east1
            southamerica-west1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4
        """,
        "abcf": """
            us-central1
        """,
        "bcd": """
            us-east1 europe-west1
        """,
    }.items()
    for region in regions.split()
}
AI_ZONES = ("us-central1-ai1a", "us-south1-ai1b", "europe-west4-ai1a")
"""Zones for accelerators, apart from the others of their region, with few services (Compute Engine, "AI zones")."""

ZONES = {
    region: (*zones, *(zone for zone in AI_ZONES if zone.rpartition("-")[0] == region))
    for region, zones in _STANDARD.items()
}
"""Zones by region, in order; AI zones last."""

_ACCELERATOR_ZONES = {
    "nvidia-tesla-v100": """
        asia-east1-c europe-west4-abc us-central1-abcf us-east1-bc us-west1-ab
    """,
    "nvidia-tesla-p100": """
        asia-east1-ac australia-southeast1-b europe-west1-bd europe-west4-a us-central1-cf us-east1-bc us-west1-ab
    """,
    "nvidia-tesla-p4": """
        asia-southeast1-abc australia-southeast1-ab europe-west4-bc northamerica-northeast1-abc us-central1-ac
        us-east4-abc us-west2-bc
    """,
    "nvidia-tesla-t4": """
        asia-east1-ac asia-east2-ac asia-northeast1-ac asia-northeast3-bc asia-south1-ab asia-southeast1-abc
        asia-southeast2-ab australia-southeast1-ac europe-central2-bc europe-west1-bcd europe-west2-ab
        europe-west3-b europe-west4-abc me-west1-bc northamerica-northeast1-c southamerica-east1-abc
        us-central1-abcf us-east1-bcd us-east4-abc us-west1-ab us-west2-bc us-west3-b us-west4-ab
    """,
    "nvidia-l4": """
        asia-east1-abc asia-northeast1-abc asia-northeast3-ab asia-south1-abc asia-southeast1-abc
        europe-west1-bc europe-west2-ab europe-west3-ab europe-west4-abc europe-west6-bc me-central2-ac
        northamerica-northeast1-bc northamerica-northeast2-ab us-central1-abc us-east1-bcd us-east4-ac us-west1-abc
        us-west4-ac
    """,
    "nvidia-tesla-a100": """
        asia-northeast1-ac asia-northeast3-ab asia-southeast1-abc europe-west4-ab me-west1-ac us-central1-abcf
        us-east1-b us-west1-b us-west3-b us-west4-b
    """,
    "nvidia-a100-80gb": """
        asia-southeast1-c europe-west4-a us-central1-ac us-east4-c us-east5-ab
    """,
    "nvidia-h100-80gb": """
        asia-east1-c asia-northeast1-b asia-south1-c asia-south2-b asia-southeast1-bc australia-southeast1-c
        europe-north1-c europe-west1-bc europe-west3-c europe-west4-bc europe-west8-c europe-west9-c
        us-central1-abc us-east4-abc us-east5-a us-west1-ab us-west4-a
    """,
    "nvidia-h100-mega-80gb": """
        asia-northeast1-b asia-northeast3-ac asia-south1-c asia-southeast1-bc australia-southeast1-c
        europe-west1-bc europe-west3-ac europe-west4-bc northamerica-northeast2-c us-central1-abc us-east4-abc
        us-east5-a us-west1-ab us-west4-a
    """,
    "nvidia-h200-141gb": """
        asia-south1-b asia-south2-c europe-west1-b europe-west4-a us-central1-b us-east4-b us-east5-a us-south1-b
        us-west1-c
    """,
    "nvidia-b200": """
        asia-southeast1-b europe-west4-b us-central1-b us-east1-b us-east4-b us-south1-b us-west2-c us-west3-bc
    """,
    "nvidia-rtx-pro-6000": """
        asia-southeast1-b europe-west4-c us-central1-abf us-east1-c us-east4-ab us-east5-c us-south1-a
    """,
}
ACCELERATORS = {
    accelerator: frozenset(
        f"{region_letters.rpartition('-')[0]}-{letter}"
        for region_letters in text.split()
        for letter in region_letters.rpartition("-")[2]
    )
    for accelerator, text in _ACCELERATOR_ZONES.items()
}
"""The zones that offer each accelerator, without AI zones."""


_REGION = re.compile(r"[a-z]+-[a-z]+\d+", re.ASCII)
_AI = re.compile(r".+-ai\d+[a-z]")


def region_of(location: str) -> str:
    """The region of a zone or of a region."""
    return location if location in ZONES or not re.fullmatch(r".+\d-(ai\d+)?[a-z]", location) else _parent(location)


def _parent(zone: str) -> str:
    return zone.rpartition("-")[0]


def is_zone(location: str) -> bool:
    """Whether the list has the zone."""
    return location in ZONES.get(region_of(location), ())


def is_ai(zone: str) -> bool:
    """Whether it is an AI zone, by its name."""
    return bool(_AI.fullmatch(zone))


def standard(zones: list[str]) -> list[str]:
    """The zones that are not AI zones: for the cluster, its system pods and every pool that names no AI zone."""
    return [zone for zone in zones if not is_ai(zone)]


def nearest(region: str) -> list[str]:
    """Regions with similar names."""
    return difflib.get_close_matches(region, ZONES, n=3)


def region_problems(path: str, region: str) -> Iterator[Problem]:
    """`region` has the form of a region's name. It may be newer than the list above."""
    if not _REGION.fullmatch(region):
        zone = region_of(region)
        yield Problem(
            path, region, "a zone, not a region" if zone != region else "not the name of a region",
            "a region, such as us-central1",
            f"write {zone}" if zone != region else "see `gcloud compute regions list`",
        )  # fmt: skip


def problems(zones: list[str], region: str) -> Iterator[Problem]:
    """What is wrong with the names of a region and its zones."""
    wrong = list(region_problems("region", region))
    yield from wrong or zone_problems(zones, region)
    if not standard(zones):
        only = "only AI zones: the cluster and its system pods need standard zones" if zones else "has no zone"
        yield Problem("zones", zones, only, "one or more standard zones of the region", "add a zone")


def zone_problems(zones: list[str], region: str) -> Iterator[Problem]:
    """What is wrong with the names of the zones."""
    again = checks.repeated(zones)
    for index, zone in enumerate(zones):
        if not re.fullmatch(rf"{re.escape(region)}-(ai\d+)?[a-z]", zone):
            yield Problem(
                f"zones[{index}]", zone, f"not a zone of {region}", f"{region}-a, {region}-b, …",
                f"see `gcloud compute zones list --filter=region:{region}`",
            )  # fmt: skip
        elif index in again:
            yield Problem(f"zones[{index}]", zone, "named twice", "each zone once", "remove one of them")
        elif (known := ZONES.get(region)) and zone not in known and not is_ai(zone):
            yield Problem(
                f"zones[{index}]", zone, f"{region} has no such zone", ", ".join(known),
                f"see `gcloud compute zones list --filter=region:{region}`",
            )  # fmt: skip


def of_one_region(args: Mapping[str, Any]) -> Iterator[Problem]:
    """`zones` are of the region of the first one. A stack checks the zones of its network."""
    for first in args["zones"][:1]:
        wrong = list(region_problems("zones[0]", region_of(first)))
        yield from wrong or zone_problems(args["zones"], region_of(first))


def location_problems(args: Mapping[str, Any]) -> Iterator[Problem]:
    """A plain `location` is the region of `zones`, or a zone of it."""
    location, regions = args["location"], {region_of(zone) for zone in args["zones"]}
    if isinstance(location, str) and region_of(location) not in regions:
        yield Problem(
            "location", location, "neither the region of `zones` nor a zone of it",
            f"the cluster's location, such as {min(regions, default='us-central1')}", "write the region or the zone",
        )  # fmt: skip
