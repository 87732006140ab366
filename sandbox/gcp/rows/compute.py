"""VPC networks, subnetworks and firewall rules."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.gcp import machines
from sandbox.gcp.mapping import Names
from sandbox.gcp.store import Body
from sandbox.gcp.table import Behaviour, Context, Row, full_name, invalid, number, paths
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props

_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
OWN = {"deletionPolicy": None, "project": None}
"""The provider's own properties, on nearly every type."""


def gce_name(value: Any) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return ""
    return (
        f"'{value}' must be 1-63 lower-case letters, digits and hyphens, start with a letter and not end with a hyphen"
    )


def cidr(value: Any) -> str:
    try:
        ipaddress.ip_network(value)
        return ""
    except ValueError as error:
        return f"'{value}' is not a valid IP CIDR range: {error}"


def region(value: Any) -> str:
    return "" if value in machines.ZONES else f"Unknown region '{value}'. There are: {', '.join(machines.ZONES)}"


def between(low: float, high: float):
    return lambda value: "" if low <= value <= high else f"must be between {low} and {high}, not {value}"


class _Network(Behaviour):
    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        name = body["selfLink"].split("/v1/")[1]
        return {"networkId": body["id"], "numericId": body["id"], "gatewayIpv4": "", "selfLink": body["selfLink"]} | (
            {"name": name.rsplit("/", 1)[-1]}
        )


class _Subnetwork(Behaviour):
    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        with ctx.store.transaction():
            self._refuse_overlap(ctx, row, inputs, body)
            return super().create(ctx, row, inputs, body)

    def update(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> Body:
        with ctx.store.transaction():
            self._refuse_overlap(ctx, row, inputs, new)
            self._refuse_move(ctx, row, inputs, old, new)
            return super().update(ctx, row, inputs, old, new)

    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        served = super().served(ctx, row, inputs, name)
        served |= {"fingerprint": number(name + str(inputs.get("ipCidrRange")))[:12], "region": inputs["region"]}
        if "ipCidrRange" in inputs:
            served["gatewayAddress"] = str(next(iter(ipaddress.ip_network(inputs["ipCidrRange"]).hosts())))
        return served

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        return {"subnetworkId": int(body["id"]), "region": body["region"]}

    def _refuse_overlap(self, ctx: Context, row: Row, inputs: Props, body: Body) -> None:
        own = row.resource_name(inputs)
        network = full_name("compute.networks", body["network"], inputs)
        for _, name, other in ctx.store.select(row.collection):
            where = {"project": name.split("/")[1]}
            if name == own or full_name("compute.networks", other["network"], where) != network:
                continue
            for wanted in _ranges(body):
                for taken in _ranges(other):
                    if ipaddress.ip_network(wanted).overlaps(ipaddress.ip_network(taken)):
                        raise invalid(
                            f"Invalid IPCidrRange: {wanted} conflicts with existing subnetwork "
                            f"'{name.rsplit('/', 1)[-1]}' in region '{other['region']}'."
                        )

    def _refuse_move(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> None:
        """Refuses a change of a secondary range that a cluster uses."""
        before, after = _secondary(old), _secondary(new)
        for _, name, cluster in ctx.store.select("container.clusters"):
            place = {"project": name.split("/")[1], "location": name.split("/")[3]}
            subnetwork = full_name("compute.subnetworks", cluster.get("subnetwork") or "default", place)
            policy = cluster.get("ipAllocationPolicy", {})
            taken = [policy.get(key) for key in ("clusterSecondaryRangeName", "servicesSecondaryRangeName")]
            taken += policy.get("additionalPodRangesConfig", {}).get("podRangeNames", [])
            pools = ctx.store.select("container.nodePools", under=name)
            taken += [pool.get("networkConfig", {}).get("podRange") for _, _, pool in pools]
            for used in taken:
                if subnetwork == row.resource_name(inputs) and before.get(used) != after.get(used):
                    raise invalid(f"Secondary range '{used}' of the subnetwork is in use by cluster '{name}'.")


def _secondary(body: Body) -> dict[str | None, str]:
    return {item.get("rangeName"): item.get("ipCidrRange", "") for item in body.get("secondaryIpRanges", [])}


def _ranges(body: Body) -> list[str]:
    ranges = [body.get("ipCidrRange"), *(item.get("ipCidrRange") for item in body.get("secondaryIpRanges", []))]
    return [text for text in ranges if text]


def _own_overlap(inputs: Props) -> Iterator[CheckFailure]:
    """Ranges of one subnetwork that overlap each other."""
    named = [("ipCidrRange", inputs.get("ipCidrRange"))]
    secondary = inputs.get("secondaryIpRanges") or []
    if secondary is not UNKNOWN:
        named += [(f"secondaryIpRanges[{i}].ipCidrRange", item.get("ipCidrRange")) for i, item in enumerate(secondary)]
    valid = [(path, ipaddress.ip_network(text)) for path, text in named if isinstance(text, str) and not cidr(text)]
    for index, (path, network) in enumerate(valid):
        for other_path, other in valid[:index]:
            if network.version == other.version and network.overlaps(other):
                yield CheckFailure(path, f"{network} overlaps {other} ({other_path})")


def _shrinks(old: Props, new: Props) -> Iterable[str]:
    """A primary range can grow in place (expandIpCidrRange); anything else needs a new subnetwork."""
    before, after = old.get("ipCidrRange"), new.get("ipCidrRange")
    if not isinstance(before, str) or not isinstance(after, str) or before == after:
        return
    if not ipaddress.ip_network(before).subnet_of(ipaddress.ip_network(after)):  # type: ignore[arg-type]
        yield "ipCidrRange"


REGIONAL = {"region": region, "name": gce_name}
"""Checks of an object in a region."""

ROWS = [
    Row(
        token="gcp:compute/network:Network",
        kind="Network",
        api="compute.beta",
        schema="Network",
        collection="compute.networks",
        name="projects/{project}/global/networks/{name}",
        names=Names(
            {
                **OWN,
                "deleteDefaultRoutesOnCreate": None,
                "deleteBgpAlwaysCompareMed": None,
                "enableUlaInternalIpv6": "enableUlaInternalIpv6",
                "routingMode": "routingConfig.routingMode",
                "bgpAlwaysCompareMed": "routingConfig.bgpAlwaysCompareMed",
                "bgpBestPathSelectionMode": "routingConfig.bgpBestPathSelectionMode",
                "bgpInterRegionCost": "routingConfig.bgpInterRegionCost",
            }
        ),
        replaces=paths(
            """
            name autoCreateSubnetworks description internalIpv6Range networkProfile params params.* project
            """
        ),
        defaults={"autoCreateSubnetworks": True, "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL"},
        checks={"name": gce_name, "mtu": between(1300, 8896)},
        behaviour=_Network(),
    ),
    Row(
        token="gcp:compute/subnetwork:Subnetwork",
        kind="Subnetwork",
        api="compute.beta",
        schema="Subnetwork",
        collection="compute.subnetworks",
        name="projects/{project}/regions/{region}/subnetworks/{name}",
        names=Names(
            {
                **OWN,
                "sendSecondaryIpRangeIfEmpty": None,
                "logConfig.metadataFields": "metadataFields",
                "privateIpv6GoogleAccess": "privateIpv6GoogleAccess",
            },
            # The provider takes the presence of the block for "flow logs on".
            {"logConfig": (lambda value: {**value, "enable": True}, lambda value: _without(value, "enable"))},
        ),
        replaces=paths(
            """
            name network description externalIpv6Prefix internalIpv6Prefix params params.* region
            reservedInternalRange resolveSubnetMask project
            """
        ),
        replaces_too=_shrinks,
        places=("project", "region"),
        references={"network": "compute.networks"},
        checks={
            **REGIONAL,
            "ipCidrRange": cidr,
            "secondaryIpRanges.ipCidrRange": cidr,
            "secondaryIpRanges.rangeName": gce_name,
            "logConfig.flowSampling": between(0, 1),
        },
        validate=_own_overlap,
        behaviour=_Subnetwork(),
    ),
    Row(
        token="gcp:compute/firewall:Firewall",
        kind="Firewall",
        api="compute.beta",
        schema="Firewall",
        collection="compute.firewalls",
        name="projects/{project}/global/firewalls/{name}",
        names=Names(
            {
                **OWN,
                "enableLogging": "logConfig.enable",
                "allows": "allowed",
                "allows.protocol": "IPProtocol",
                "denies": "denied",
                "denies.protocol": "IPProtocol",
            },
            {"logConfig": (lambda value: {**value, "enable": True}, lambda value: _without(value, "enable"))},
        ),
        replaces=paths(
            """
            name direction params project
            """
        ),
        defaults={"priority": 1000, "direction": "INGRESS"},
        references={"network": "compute.networks"},
        checks={
            "name": gce_name,
            "priority": between(0, 65535),
            "sourceRanges": cidr,
            "destinationRanges": cidr,
        },
        validate=lambda inputs: _firewall_rules(inputs),
    ),
]


def _without(value: Props, key: str) -> Props | None:
    rest = {name: item for name, item in value.items() if name != key}
    return rest or None


def _firewall_rules(inputs: Props) -> Iterator[CheckFailure]:
    if inputs.get("allows") and inputs.get("denies"):
        yield CheckFailure("denies", "a firewall has either allows or denies, not both")
    sources = ("sourceRanges", "sourceTags", "sourceServiceAccounts")
    if inputs.get("direction") == "EGRESS":
        for path in (path for path in sources if inputs.get(path)):
            yield CheckFailure(path, "a firewall of direction EGRESS has destinationRanges, not sources")
    elif inputs.get("direction") == "INGRESS" and not any(
        inputs.get(path) is UNKNOWN or inputs.get(path) for path in sources
    ):
        yield CheckFailure("", "one of sourceRanges, sourceTags and sourceServiceAccounts is needed for INGRESS")
