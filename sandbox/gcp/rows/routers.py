"""Routers, their NAT gateways, and addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sandbox.gcp.mapping import WRAPPED, Names
from sandbox.gcp.rows.compute import OWN, REGIONAL, cidr
from sandbox.gcp.store import Body, not_found
from sandbox.gcp.table import Behaviour, Context, Row, full_name, invalid, overwrite, paths
from sandbox.plugins.provider import UNKNOWN, CheckFailure, Props


class _Nat(Behaviour):
    """A NAT gateway is an entry in its router's `nats`, and is deleted with the router."""

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
        """Refuses a second gateway, of any router, for all ranges of a subnetwork."""
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
    """The subnetworks whose whole ranges a NAT gateway translates."""
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
            # TEST-NET-3: an address that is never assigned.
            served["address"] = f"203.0.113.{int(served['id']) % 254 + 1}"
        return served

    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        return {"addressId": int(body["id"])}


ROWS = [
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
        checks={**REGIONAL, "bgp.advertisedIpRanges.range": cidr},
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
        checks=REGIONAL,
        validate=_nat_rules,
        variables=_router,
        complete=lambda inputs: {"natIps": inputs["initialNatIps"]} if inputs.get("initialNatIps") else {},
        behaviour=_Nat(),
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
        checks=REGIONAL,
        behaviour=_Address(),
    ),
]
