"""VPC networks and what hangs on them."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Any

from sandbox.gcp import machines
from sandbox.gcp.mapping import WRAPPED, Names
from sandbox.gcp.store import Body, not_found
from sandbox.gcp.table import Behaviour, Context, Row, full_name, invalid, number, overwrite, paths
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
        """A secondary range that a cluster lives in stays as it is."""
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


class _Nat(Behaviour):
    """A NAT gateway is an entry in its router's `nats`, and goes with the router."""

    def create(self, ctx: Context, row: Row, inputs: Props, body: Body) -> Body:
        with ctx.store.transaction():
            for collection, name in row.targets(inputs, body):
                ctx.store.get(collection, name)
            if self.find(ctx, row, inputs):
                raise invalid(f"Invalid value for field 'resource.nats': NAT '{body['name']}' exists in the router.")
            self._refuse_second(ctx, row, inputs, body)
            self._change(ctx, row, inputs, lambda nats: [*nats, body])
        return body

    def _refuse_second(self, ctx: Context, row: Row, inputs: Props, body: Body) -> None:
        """All ranges of a subnetwork are one gateway's, of whatever router."""
        wanted = _translated(body, inputs)
        for _, name, router in ctx.store.select("compute.routers"):
            place = {"project": name.split("/")[1], "region": name.split("/")[3]}
            for nat in router.get("nats", []):
                if wanted & _translated(nat, place):
                    raise invalid(
                        "Invalid value for field 'resource.nats[0].subnetworks[0].sourceIpRangesToNat': ''. The "
                        "subnetwork is already configured with ALL_IP_RANGES for Nat which conflicts with the "
                        "specified IpRangeToNatOption options in this Nat."
                    )

    def find(self, ctx: Context, row: Row, place: Props) -> Body | None:
        router = ctx.store.find("compute.routers", row.resource_name(place)) or {}
        return next((nat for nat in router.get("nats", []) if nat["name"] == place["name"]), None)

    def update(self, ctx: Context, row: Row, inputs: Props, old: Body, new: Body) -> Body:
        found = self.find(ctx, row, inputs)
        if found is None:
            raise not_found(f"{row.resource_name(inputs)}/nats/{inputs['name']}")
        body = overwrite(found, old, new)
        self._change(ctx, row, inputs, lambda nats: [body if nat["name"] == body["name"] else nat for nat in nats])
        return body

    def delete(self, ctx: Context, row: Row, place: Props) -> None:
        self._change(ctx, row, place, lambda nats: [nat for nat in nats if nat["name"] != place["name"]])

    def _change(self, ctx: Context, row: Row, place: Props, change: Any) -> None:
        ctx.store.update(
            "compute.routers", row.resource_name(place), lambda body: {**body, "nats": change(body.get("nats", []))}
        )


def _translated(nat: Body, place: Props) -> set[str]:
    """The subnetworks of which a NAT gateway has all ranges."""
    listed = [each for each in nat.get("subnetworks", []) if each.get("sourceIpRangesToNat") == ["ALL_IP_RANGES"]]
    return {full_name("compute.subnetworks", each["name"], place) for each in listed}


def _nat_rules(inputs: Props) -> Iterator[CheckFailure]:
    mode, ips = inputs.get("natIpAllocateOption"), inputs.get("natIps")
    if mode == "MANUAL_ONLY" and not ips and ips is not UNKNOWN and not inputs.get("initialNatIps"):
        yield CheckFailure("natIps", "natIpAllocateOption MANUAL_ONLY needs at least one address")
    if mode == "AUTO_ONLY" and ips:
        yield CheckFailure("natIps", "natIps cannot be set together with natIpAllocateOption AUTO_ONLY")
    listed = inputs.get("sourceSubnetworkIpRangesToNat") == "LIST_OF_SUBNETWORKS"
    if listed and not inputs.get("subnetworks") and inputs.get("subnetworks") is not UNKNOWN:
        yield CheckFailure("subnetworks", "LIST_OF_SUBNETWORKS needs at least one subnetwork")


def _router(inputs: Props) -> Props:
    value = inputs.get("router")
    return {"router": value.rsplit("/", 1)[-1]} if isinstance(value, str) else {}


class _Address(Behaviour):
    def served(self, ctx: Context, row: Row, inputs: Props, name: str) -> Body:
        served = super().served(ctx, row, inputs, name)
        served |= {"status": "RESERVED", "users": []}
        if "address" not in inputs:
            # TEST-NET-3: an address that belongs to nobody.
            served["address"] = f"203.0.113.{int(served['id']) % 254 + 1}"
        return served

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        return {"addressId": int(body["id"])}


_REGION = {"region": region, "name": gce_name}

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
            **_REGION,
            "ipCidrRange": cidr,
            "secondaryIpRanges.ipCidrRange": cidr,
            "secondaryIpRanges.rangeName": gce_name,
            "logConfig.flowSampling": between(0, 1),
        },
        validate=_own_overlap,
        behaviour=_Subnetwork(),
    ),
    Row(
        token="gcp:compute/router:Router",
        kind="Router",
        api="compute.beta",
        schema="Router",
        collection="compute.routers",
        name="projects/{project}/regions/{region}/routers/{name}",
        names=Names(
            {**OWN, "md5AuthenticationKeys": "md5AuthenticationKeys"},
            {"md5AuthenticationKeys": WRAPPED},
        ),
        replaces=paths(
            """
            name encryptedInterconnectRouter nccGateway network params region project
            """
        ),
        places=("project", "region"),
        references={"network": "compute.networks"},
        checks={**_REGION, "bgp.advertisedIpRanges.range": cidr},
    ),
    Row(
        token="gcp:compute/routerNat:RouterNat",
        kind="RouterNat",
        api="compute.beta",
        schema="RouterNat",
        collection="compute.routers",
        name="projects/{project}/regions/{region}/routers/{router}",
        id="{project}/{region}/{router}/{name}",
        names=Names(
            {
                **OWN,
                "region": None,
                "router": None,
                "initialNatIps": None,
                "nat64Subnetworks": "nat64Subnetworks",
                "subnetworks.sourceIpRangesToNats": "sourceIpRangesToNat",
            }
        ),
        replaces=paths(
            """
            name router region project endpointTypes endpointTypes.* initialNatIps type
            """
        ),
        defaults={
            "icmpIdleTimeoutSec": 30,
            "tcpEstablishedIdleTimeoutSec": 1200,
            "tcpTimeWaitTimeoutSec": 120,
            "tcpTransitoryIdleTimeoutSec": 30,
            "type": "PUBLIC",
            "udpIdleTimeoutSec": 30,
        },
        places=("project", "region"),
        references={"subnetworks.name": "compute.subnetworks", "natIps": "compute.addresses"},
        checks=_REGION,
        validate=_nat_rules,
        variables=_router,
        complete=lambda inputs: {"natIps": inputs["initialNatIps"]} if inputs.get("initialNatIps") else {},
        behaviour=_Nat(),
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
    Row(
        token="gcp:compute/address:Address",
        kind="Address",
        api="compute.beta",
        schema="Address",
        collection="compute.addresses",
        name="projects/{project}/regions/{region}/addresses/{name}",
        names=Names({**OWN, "region": None}),
        replaces=paths(
            """
            name region project address addressType description ipCollection ipVersion ipv6EndpointType network
            networkTier prefixLength purpose subnetwork
            """
        ),
        defaults={"addressType": "EXTERNAL"},
        places=("project", "region"),
        references={"subnetwork": "compute.subnetworks", "network": "compute.networks"},
        labels="labels",
        checks=_REGION,
        behaviour=_Address(),
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
