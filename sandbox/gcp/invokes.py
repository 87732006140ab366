"""The data sources of pulumi-gcp that the sandbox simulates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sandbox.gcp import groups, machines, versions
from sandbox.gcp.store import Body
from sandbox.gcp.table import Context, fill, invalid, number, path_of, rows
from sandbox.plugins.provider import UNKNOWN, Props


def answer(token: str, ctx: Context, args: Props) -> Props:
    """The data source's outputs. ApiError for one that is not simulated or that Google would refuse."""
    if token in _ANSWERS:
        return _ANSWERS[token](ctx, args)
    if token in _LOOKUPS:
        return _look_up(token, ctx, args)
    known = ", ".join(sorted([*_ANSWERS, *_LOOKUPS]))
    raise invalid(f"the data source {token} is not simulated. The sandbox knows {known}")


def _project(ctx: Context, args: Props) -> str:
    project = args.get("project") or ctx.project
    if not project:
        raise invalid("project: required field is not set; set it on the provider: `pulumi config set gcp:project …`")
    return str(project)


def _get_project(ctx: Context, args: Props) -> Props:
    project = str(args.get("projectId") or _project(ctx, args))
    return {
        "id": f"projects/{project}",
        "projectId": project,
        "name": project,
        "number": number(project)[:12],
        "autoCreateNetwork": False,
        "billingAccount": "",
        "deletionPolicy": "PREVENT",
        "effectiveLabels": {},
        "folderId": "",
        "labels": {},
        "orgId": "",
        "pulumiLabels": {},
        "tags": {},
    }


def _get_client_config(ctx: Context, args: Props) -> Props:
    return {
        "id": f'projects/"{ctx.project}"/regions/"{ctx.region}"/zones/"{ctx.zone}"/universeDomain/"googleapis.com"',
        "accessToken": "sandbox",
        "project": ctx.project,
        "region": ctx.region,
        "zone": ctx.zone,
        "defaultLabels": dict(ctx.default_labels),
    }


def _get_engine_versions(ctx: Context, args: Props) -> Props:
    location = str(args.get("location") or ctx.zone or ctx.region)
    if not machines.is_zone(location) and location not in machines.ZONES:
        raise invalid(f'Location "{location}" does not exist.')
    prefix = str(args.get("versionPrefix") or "")
    offered = [version for version in versions.VALID if version.startswith(prefix)]
    if not offered:
        raise invalid(f'No valid versions with the prefix "{prefix}" found.')
    return {
        "id": location,
        "location": location,
        "project": _project(ctx, args),
        "versionPrefix": prefix,
        "validMasterVersions": offered,
        "validNodeVersions": offered,
        "latestMasterVersion": offered[0],
        "latestNodeVersion": offered[0],
        "defaultClusterVersion": versions.default(versions.DEFAULT_CHANNEL),
        "releaseChannelDefaultVersion": {channel: versions.default(channel) for channel in versions.CHANNELS},
        "releaseChannelLatestVersion": {channel: versions.offered(channel)[0] for channel in versions.CHANNELS},
        "releaseChannelUpgradeTargetVersion": {channel: versions.default(channel) for channel in versions.CHANNELS},
    }


def _get_zones(ctx: Context, args: Props) -> Props:
    region = str(args.get("region") or ctx.region)
    if region not in machines.ZONES:
        raise invalid(f"Invalid value for field 'region': '{region}'. Unknown region.")
    if args.get("status") not in (None, "UP", "DOWN"):
        raise invalid(f"status: expected to be one of [UP DOWN], got {args['status']}")
    names = [] if args.get("status") == "DOWN" else list(machines.ZONES[region])
    project = _project(ctx, args)
    return {
        "id": f"projects/{project}/regions/{region}",
        "names": names,
        "project": project,
        "region": region,
        "status": args.get("status"),
    }


def _get_machine_types(ctx: Context, args: Props) -> Props:
    zone = str(args.get("zone") or ctx.zone)
    if not machines.is_zone(zone):
        raise invalid(f"Invalid value for field 'zone': '{zone}'. Unknown zone.")
    project = _project(ctx, args)
    wanted = _filter(str(args.get("filter") or ""))
    found = [_machine_type(machine) for machine in machines.known() if machines.offered_in(machine, zone)]
    return {
        "id": f"projects/{project}/zones/{zone}/machineTypes",
        "project": project,
        "zone": zone,
        "filter": args.get("filter"),
        "machineTypes": [item for item in found if wanted(item)],
    }


def _get_instance_group(ctx: Context, args: Props) -> Props:
    """The instance group of a manager, by its URL, or by name and zone; it reports the number of machines."""
    name, zone = str(args.get("name") or ""), str(args.get("zone") or ctx.zone)
    project = _project(ctx, args)
    if link := path_of(str(args.get("selfLink") or "")):
        _, project, _, zone, _, name = link.split("/")
    found = ctx.store.find(groups.GROUPS, f"projects/{project}/zones/{zone}/instanceGroupManagers/{name}")
    if found is None:
        raise invalid(f"The resource 'projects/{project}/zones/{zone}/instanceGroups/{name}' was not found")
    here = [item for _, item in groups.instances(ctx.store, found["_sandbox"]["pool"]) if item["zone"] == zone]
    return {
        "id": f"projects/{project}/zones/{zone}/instanceGroups/{name}",
        "project": project,
        "zone": zone,
        "name": name,
        "description": "",
        "instances": [item["selfLink"] for item in here],
        "namedPorts": [],
        "network": "",
        "selfLink": found["selfLink"].replace("/instanceGroupManagers/", "/instanceGroups/"),
        "size": len(here),
    }


def _machine_type(machine: machines.MachineType) -> Props:
    return {
        "name": machine.name,
        "description": f"{machine.cpus} vCPUs, {machine.memory_mib / 1024:g} GB RAM",
        "guestCpus": machine.cpus,
        "memoryMb": machine.memory_mib,
        "isSharedCpus": machine.name in ("e2-micro", "e2-small", "e2-medium"),
        "maximumPersistentDisks": 128,
        "maximumPersistentDisksSizeGb": 263168,
        "accelerators": (
            [{"guestAcceleratorType": machine.accelerator, "guestAcceleratorCount": machine.gpus}]
            if machine.gpus
            else []
        ),
        "bundledLocalSsds": [],
        "deprecateds": [],
        "selfLink": "",
    }


def _filter(text: str) -> Callable[[Props], bool]:
    """Compute Engine's list filter, the part of it that is used: comparisons in brackets joined by OR, each a row of
    comparisons joined by AND."""
    ways = [_all_of(part) for part in re.split(r"\)\s*OR\s*\(", text)]
    return lambda item: any(way(item) for way in ways)


def _all_of(text: str) -> Callable[[Props], bool]:
    tests: list[Callable[[Props], bool]] = []
    for part in filter(None, (piece.strip(" ()") for piece in re.split(r"\bAND\b|\)\s*\(", text))):
        match = re.fullmatch(r"(\w+)\s*(=|!=|eq|ne|>=|<=|>|<|:)\s*\"?([^\"]+)\"?", part)
        if not match:
            raise invalid(f"Invalid list filter expression '{part}'")
        tests.append(_comparison(match[1], match[2], match[3].strip()))
    return lambda item: all(test(item) for test in tests)


def _comparison(field: str, operator: str, value: str) -> Callable[[Props], bool]:
    def test(item: Props) -> bool:
        if field not in item:
            raise invalid(f"Invalid list filter expression: unknown field '{field}'")
        have: Any = item[field]
        want: Any = float(value) if isinstance(have, int) and not isinstance(have, bool) else value
        if isinstance(have, bool):
            have = str(have).lower()
        if operator in ("=", "eq", ":"):
            prefix = isinstance(want, str) and want.endswith("*")
            return str(have).startswith(str(want)[:-1]) if prefix else have == want
        if operator in ("!=", "ne"):
            return have != want
        return {">": have > want, "<": have < want, ">=": have >= want, "<=": have <= want}[operator]

    return test


def _look_up(token: str, ctx: Context, args: Props) -> Props:
    """Data sources that are a resource looked up by its name."""
    row = rows()[_LOOKUPS[token]]
    place = {"project": ctx.project, "region": ctx.region, "location": ctx.zone or ctx.region, **args}
    body = row.behaviour.find(ctx, row, place)
    if body is None:
        raise invalid(f"{fill(row.name, place)} not found")
    outputs = {**place, **row.properties(body), **row.behaviour.outputs(ctx, row, body), "id": row.pulumi_id(place)}
    # A data source has every block as a list, also those that a resource has once.
    return {key: value for key, value in _lists(token, outputs).items() if value is not UNKNOWN}


def _lists(token: str, outputs: Body) -> Props:
    from sandbox.plugins.schema import Schema

    shape = Schema("gcp").shape(token).outputs
    result: Props = {}
    for key, value in outputs.items():
        plural = f"{key}s"
        if key in shape:
            result[key] = value
        elif plural in shape and isinstance(value, dict):
            result[plural] = [value]
    return result


_ANSWERS: dict[str, Callable[[Context, Props], Props]] = {
    "gcp:organizations/getProject:getProject": _get_project,
    "gcp:organizations/getClientConfig:getClientConfig": _get_client_config,
    "gcp:container/getEngineVersions:getEngineVersions": _get_engine_versions,
    "gcp:compute/getZones:getZones": _get_zones,
    "gcp:compute/getMachineTypes:getMachineTypes": _get_machine_types,
    "gcp:compute/getInstanceGroup:getInstanceGroup": _get_instance_group,
}

_LOOKUPS = {
    "gcp:container/getCluster:getCluster": "gcp:container/cluster:Cluster",
    "gcp:compute/getNetwork:getNetwork": "gcp:compute/network:Network",
    "gcp:compute/getSubnetwork:getSubnetwork": "gcp:compute/subnetwork:Subnetwork",
    "gcp:serviceaccount/getAccount:getAccount": "gcp:serviceaccount/account:Account",
}
