"""What Google offers in the location of an environment: machine types in the zones of its pools, Kubernetes versions.
It is asked at preview, before anything is created.

Not included: current capacity, which only Compute Engine knows, and quotas. The provider has no data source for the
zones in which GPUs can be attached to N1 machines, so these are in the list in `places`. The list is also used while a
project's APIs are not enabled.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from .. import hardware
from ..checks import Problem
from ..pools import machines
from . import places
from .pool_spec import GkeNodePoolSpec

# Google's error for an API that a project has never used ("Compute Engine API has not been used in project …
# before or it is disabled", reason SERVICE_DISABLED, formerly accessNotConfigured).
_DISABLED = ("SERVICE_DISABLED", "accessNotConfigured", "has not been used in project")

# Google's error for a zone that does not exist ("Invalid value for field 'zone': 'us-central1-z'. Unknown zone.").
_UNKNOWN = ("Unknown zone", "notFound", "was not found")


class NotEnabled(Exception):
    """The project's APIs are not enabled yet, so lookups fail."""


@dataclass(frozen=True)
class Offerings:
    """What Google offers."""

    machines: Mapping[str, frozenset[str]]
    """Zone → names of the machine types that it offers, among those that were asked for. Zones that do not exist are
    not in it."""
    minors: frozenset[str]
    """Kubernetes minors that the location offers."""
    newest: Mapping[str, str]
    """Release channel → its newest minor."""


def look_up(
    pools: Mapping[str, GkeNodePoolSpec],
    zones: list[str],
    location: str,
    project: str,
    provider: pulumi.ProviderResource,
) -> Offerings:
    """What the zones and the location offer: one call for each zone and one for the versions.

    Raises:
        NotEnabled: the project's APIs are not enabled; the first `up` enables them.
        pulumi.RunError: Google refuses for another reason, such as a missing permission.
    """
    known = [machine for pool in pools.values() for machine in machines(hardware.GCP, pool)]
    wanted = sorted({name for machine in known for name in _candidates(machine)})
    opts = pulumi.InvokeOptions(provider=provider)
    # Compute Engine's filter syntax: alternatives in brackets, joined by OR.
    filter = " OR ".join(f'(name = "{name}")' for name in wanted)
    offered: dict[str, frozenset[str]] = {}
    try:
        for zone in sorted({*zones, *(zone for pool in pools.values() for zone in pool.get("zones", []))}):
            try:
                found = gcp.compute.get_machine_types(zone=zone, project=project, filter=filter, opts=opts)
            except Exception as error:  # the SDK has no narrower class for an invoke that failed
                if zone in str(error) and any(sign in str(error) for sign in _UNKNOWN):
                    continue
                raise
            offered[zone] = frozenset(machine.name for machine in found.machine_types)
        versions = gcp.container.get_engine_versions(location=location, project=project, opts=opts)
    except Exception as error:  # as above
        if any(sign in str(error) for sign in _DISABLED):
            raise NotEnabled from error
        raise pulumi.RunError(
            f"Google Cloud did not return what it offers: {error}\n"
            f"    fix: log in (`gcloud auth application-default login`), or ask for roles/compute.viewer and "
            f"roles/container.viewer in {project}"
        ) from error
    return Offerings(
        offered,
        frozenset(_minor(version) for version in versions.valid_master_versions),
        {channel: _minor(version) for channel, version in versions.release_channel_latest_version.items()},
    )


def zone_problems(zones: list[str], offerings: Offerings) -> Iterator[Problem]:
    """Zones of the network that do not exist: not every region has an `a`."""
    known = ", ".join(zone for zone in zones if zone in offerings.machines)
    for index, zone in enumerate(zones):
        if zone not in offerings.machines:
            yield Problem(
                f"zones[{index}]", zone, "not an existing zone", f"existing zones{known and f', such as {known}'}",
                f"see `gcloud compute zones list --filter=region:{zone.rpartition('-')[0]}`",
            )  # fmt: skip


def problems(pools: Mapping[str, GkeNodePoolSpec], zones: list[str], offerings: Offerings) -> Iterator[Problem]:
    """Pools with a machine type that not all of their zones offer. `zones`: the network's."""
    for name, pool in pools.items():
        own = [zone for zone in pool.get("zones") or places.standard(zones) if zone in offerings.machines]
        for machine in machines(hardware.GCP, pool) if own else []:
            with_it = [zone for zone in own if machine.name in offerings.machines[zone]]
            without = [zone for zone in own if zone not in with_it]
            if not with_it:
                yield _nowhere(f"{name}.machine_types[0]", machine, own, offerings)
            elif without:
                yield Problem(
                    f"{name}.zones", pool.get("zones", []), f"{', '.join(without)} does not offer {machine.name}",
                    f"zones that do: {', '.join(with_it)}", f"write [{', '.join(with_it)}]",
                )  # fmt: skip


def attached_problems(pools: Mapping[str, GkeNodePoolSpec], zones: list[str]) -> Iterator[Problem]:
    """GPUs that Google does not attach to N1 machines in a pool's zones. `zones`: the network's."""
    for name, pool in pools.items():
        if pool["machine_types"][0].startswith("n1-") and "accelerator" in pool:
            yield from _without(name, pool, pool["accelerator"]["type"], zones)


def unasked_problems(pools: Mapping[str, GkeNodePoolSpec], zones: list[str]) -> Iterator[Problem]:
    """GPUs that a pool's zones did not offer when the list of places was written: a substitute while Google cannot be
    asked."""
    for name, pool in pools.items():
        for machine in machines(hardware.GCP, pool):
            if machine.gpus:
                yield from _without(name, pool, machine.gpu, zones)


def _without(name: str, pool: GkeNodePoolSpec, gpu: str, zones: list[str]) -> Iterator[Problem]:
    known = places.ACCELERATORS.get(gpu, frozenset())
    own = places.standard(pool.get("zones") or zones)
    without, with_it = [zone for zone in own if zone not in known], [zone for zone in own if zone in known]
    if not without or not known:
        return
    region = places.region_of(own[0])
    there = with_it or sorted(zone for zone in known if places.region_of(zone) == region)
    enable = "enable the APIs to ask Google: gcloud services enable compute.googleapis.com container.googleapis.com"
    yield Problem(
        f"{name}.zones", pool.get("zones", []), f"{', '.join(without)} did not offer {gpu} in 2026-11",
        f"zones that have it: {', '.join(there) or f'none in {region}'}",
        f"write [{', '.join(there)}], or {enable}" if there else f"choose another GPU or region, or {enable}",
    )  # fmt: skip


def version_problems(version: str, channel: str, location: str, offerings: Offerings) -> Iterator[Problem]:
    """A Kubernetes minor that is not in the channel yet. One that GKE no longer offers is not an error: an existing
    cluster runs a later one; see `warnings`."""
    newest = offerings.newest.get(channel, "")
    if newest and _order(version) > _order(newest):
        known = sorted((minor for minor in offerings.minors if _order(minor) <= _order(newest)), key=_order)
        yield Problem(
            "version", version, f"not yet in the release channel {channel} in {location}", ", ".join(known),
            f"write {newest}, or another `release_channel`",
        )  # fmt: skip


def warnings(version: str, location: str, offerings: Offerings) -> Iterator[str]:
    """Warnings about a version that only an existing cluster can have."""
    if offerings.minors and all(_order(version) < _order(minor) for minor in offerings.minors):
        oldest = min(offerings.minors, key=_order)
        yield (
            f"version: GKE no longer offers {version} in {location}: it refuses a new cluster, and an existing one has "
            f"a later version; write {oldest} or later"
        )


def _nowhere(path: str, machine: hardware.MachineType, own: list[str], offerings: Offerings) -> Problem:
    there = frozenset().union(*(offerings.machines[zone] for zone in own))
    near = [other for other in _candidates(machine) if other in there][:3]
    elsewhere = sorted(zone for zone, names in offerings.machines.items() if machine.name in names)
    if elsewhere:
        fix = f"use the network's zones {', '.join(elsewhere)}"
    else:
        fix = f"write {near[0]}, or choose other zones" if near else "choose other zones or another region"
    allowed = f"of its kind, {', '.join(own)} offer: {', '.join(near) or 'none'}"
    return Problem(path, machine.name, f"not offered in {', '.join(own)}", allowed, fix)


def _candidates(machine: hardware.MachineType) -> list[str]:
    return [machine.name, *(name for name in hardware.successors(machine, 12) if name != machine.name)]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _order(minor: str) -> list[int]:
    return [int(part) for part in minor.split(".")]
