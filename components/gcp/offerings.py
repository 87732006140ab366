"""What Google offers where the environment is to be: machine types in the zones of pools, Kubernetes in the region.
Asked at preview, before a cluster stands half-made.

Non-goals: capacity of the moment, which nobody but Compute Engine knows, and quotas. In which zones GPUs can be
attached to N1 machines cannot be asked, since the provider has no look-up for it: the list of places knows. It also
answers while a project's APIs are off.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from .. import hardware
from ..checks import Problem
from . import places
from .pool_spec import GkeNodePoolSpec

# What Google's client says of an API that a project has never used ("Compute Engine API has not been used in project …
# before or it is disabled", reason SERVICE_DISABLED, formerly accessNotConfigured).
_DISABLED = ("SERVICE_DISABLED", "accessNotConfigured", "has not been used in project")


# What it says of a zone that does not exist ("Invalid value for field 'zone': 'us-central1-z'. Unknown zone.").
_UNKNOWN = ("Unknown zone", "notFound", "was not found")


class NotEnabled(Exception):
    """The project's APIs are not on yet, so nothing can be asked."""


@dataclass(frozen=True)
class Offerings:
    """`machines`: zone → names of the machine types that it offers, among those that were asked for; without the zones
    that Google does not know. `minors`: Kubernetes minors that the location offers. `newest`: release channel → the
    newest minor in it."""

    machines: Mapping[str, frozenset[str]]
    minors: frozenset[str]
    newest: Mapping[str, str]


def look_up(
    pools: Mapping[str, GkeNodePoolSpec],
    zones: list[str],
    location: str,
    project: str,
    provider: pulumi.ProviderResource,
) -> Offerings:
    """What the zones and the location offer: one call for each zone and one for the versions.

    Raises:
        NotEnabled: the project has not switched the APIs on; a first `up` does.
        pulumi.RunError: Google refuses the question for another reason, such as a right that is not there.
    """
    wanted = sorted({name for pool in pools.values() for machine in _machines(pool) for name in _candidates(machine)})
    opts = pulumi.InvokeOptions(provider=provider)
    # Compute Engine's filters: alternatives in brackets, joined by OR.
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
            f"Google Cloud does not say what it offers: {error}\n"
            f"    fix: log in (`gcloud auth application-default login`), or ask for roles/compute.viewer and "
            f"roles/container.viewer in {project}"
        ) from error
    return Offerings(
        offered,
        frozenset(_minor(version) for version in versions.valid_master_versions),
        {channel: _minor(version) for channel, version in versions.release_channel_latest_version.items()},
    )


def zone_problems(zones: list[str], offerings: Offerings) -> Iterator[Problem]:
    """Zones of the network that Google does not have: not each region has an `a`."""
    known = ", ".join(zone for zone in zones if zone in offerings.machines) or "none of these"
    for index, zone in enumerate(zones):
        if zone not in offerings.machines:
            yield Problem(
                f"zones[{index}]", zone, "there is no such zone", f"those that there are, {known} among them",
                f"see `gcloud compute zones list --filter=region:{zone.rpartition('-')[0]}`",
            )  # fmt: skip


def problems(pools: Mapping[str, GkeNodePoolSpec], zones: list[str], offerings: Offerings) -> Iterator[Problem]:
    """Pools with a machine type that none of their zones offers, or in a zone that does not. `zones`: the network's."""
    for name, pool in pools.items():
        own = [zone for zone in pool.get("zones") or places.standard(zones) if zone in offerings.machines]
        for machine in _machines(pool) if own else []:
            with_it = [zone for zone in own if machine.name in offerings.machines[zone]]
            without = [zone for zone in own if zone not in with_it]
            if not with_it:
                yield _nowhere(f"{name}.machine_types[0]", machine, own, offerings)
            elif without:
                yield Problem(
                    f"{name}.zones", pool.get("zones", []), f"{', '.join(without)} does not offer {machine.name}",
                    f"zones that do: {', '.join(with_it)}", f"write zones: [{', '.join(with_it)}]",
                )  # fmt: skip


def attached_problems(pools: Mapping[str, GkeNodePoolSpec], zones: list[str]) -> Iterator[Problem]:
    """GPUs that Google does not attach in a pool's zones. `zones`: the network's."""
    for name, pool in pools.items():
        if pool["machine_types"][0].startswith("n1-") and "accelerator" in pool:
            yield from _without(name, pool, pool["accelerator"]["type"], zones)


def unasked_problems(pools: Mapping[str, GkeNodePoolSpec], zones: list[str]) -> Iterator[Problem]:
    """GPUs that a pool's zones did not have when the list of places was made: for the time when nobody can be asked."""
    for name, pool in pools.items():
        for machine in _machines(pool):
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
    asked = "switch the APIs on and ask: gcloud services enable compute.googleapis.com container.googleapis.com"
    yield Problem(
        f"{name}.zones", pool.get("zones", []), f"{', '.join(without)} had no {gpu} (list of 2026-11)",
        f"zones that have it: {', '.join(there) or f'none in {region}'}",
        f"write zones: [{', '.join(there)}], or {asked}" if there else f"choose another GPU or region, or {asked}",
    )  # fmt: skip


def version_problems(version: str, channel: str, location: str, offerings: Offerings) -> Iterator[Problem]:
    """A Kubernetes minor that is not in the channel yet. One that GKE has left behind is no mistake in an environment
    that is there: its cluster has moved on; see `warnings`."""
    newest = offerings.newest.get(channel, "")
    if newest and _order(version) > _order(newest):
        known = sorted((minor for minor in offerings.minors if _order(minor) <= _order(newest)), key=_order)
        yield Problem(
            "version", version, f"not yet in the release channel {channel} in {location}", ", ".join(known),
            f"write {newest}, or another releaseChannel",
        )  # fmt: skip


def warnings(version: str, location: str, offerings: Offerings) -> Iterator[str]:
    """What is no mistake but will not work for a new cluster."""
    if offerings.minors and all(_order(version) < _order(minor) for minor in offerings.minors):
        oldest = min(offerings.minors, key=_order)
        yield (
            f"version: GKE offers no {version} in {location} any more: a new cluster is refused, and one that exists "
            f"runs a later one; set version to {oldest} or later"
        )


def _nowhere(path: str, machine: hardware.MachineType, own: list[str], offerings: Offerings) -> Problem:
    there = frozenset().union(*(offerings.machines[zone] for zone in own))
    near = [other for other in _candidates(machine) if other in there][:3]
    elsewhere = sorted(zone for zone, names in offerings.machines.items() if machine.name in names)
    if elsewhere:
        fix = f"use the network's zones {', '.join(elsewhere)}"
    else:
        fix = f"write {near[0]}, or choose other zones" if near else "choose other zones or another region"
    allowed = f"of its kind, {', '.join(own)} have: {', '.join(near) or 'none'}"
    return Problem(path, machine.name, f"not offered in {', '.join(own)}", allowed, fix)


def _candidates(machine: hardware.MachineType) -> list[str]:
    return [machine.name, *(name for name in hardware.successors(machine, 12) if name != machine.name)]


def _machines(pool: GkeNodePoolSpec) -> list[hardware.MachineType]:
    return [machine for name in pool["machine_types"] if (machine := hardware.find(hardware.GCP, name))]


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _order(minor: str) -> list[int]:
    return [int(part) for part in minor.split(".")]
