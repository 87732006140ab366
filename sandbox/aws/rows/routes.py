"""Route tables, routes and associations."""

from __future__ import annotations

import zlib
from typing import Any

from sandbox.aws.rows.network import arn, ec2_tags
from sandbox.aws.table import Call, Row, Scope

_DESTINATIONS = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_TARGETS = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "transitGatewayId": "TransitGatewayId",
    "vpcEndpointId": "VpcEndpointId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
    "localGatewayId": "LocalGatewayId",
    "carrierGatewayId": "CarrierGatewayId",
    "coreNetworkArn": "CoreNetworkArn",
}
# The route table resource has shorter names for its inline routes.
_INLINE = {"cidrBlock": "DestinationCidrBlock", "ipv6CidrBlock": "DestinationIpv6CidrBlock"}
_INLINE_ALL = {**_INLINE, "destinationPrefixListId": "DestinationPrefixListId", **_TARGETS}


def _check_route(inputs: dict[str, Any]) -> list[tuple[str, str]]:
    """The real provider requires exactly one destination and exactly one target."""
    failures = []
    for what, names in (("destination", _DESTINATIONS), ("target", _TARGETS)):
        given = [name for name in names if inputs.get(name) is not None]
        if len(given) != 1:
            failures.append(
                ("", f"exactly one {what} is needed, one of {', '.join(names)}; got {', '.join(given) or 'none'}")
            )
    return failures


def _destination(inputs: dict[str, Any]) -> tuple[str, str]:
    for name, member in _DESTINATIONS.items():
        if inputs.get(name):
            return member, inputs[name]
    raise KeyError("destinationCidrBlock")


def _create_route(scope: Scope) -> dict[str, str]:
    params = {m: scope.inputs[n] for n, m in {**_DESTINATIONS, **_TARGETS}.items() if scope.inputs.get(n)}
    scope.api.call("ec2", "CreateRoute", {"RouteTableId": scope.inputs["routeTableId"], **params})
    return {"hash": str(zlib.crc32(_destination(scope.inputs)[1].encode()))}


def _read_route(scope: Scope) -> dict[str, Any] | None:
    found = scope.api.call("ec2", "DescribeRouteTables", {"RouteTableIds": [scope.inputs["routeTableId"]]})
    member, value = _destination(scope.inputs)
    for route in found["RouteTables"][0]["Routes"]:
        if route.get(member) == value:
            outputs = {name: route[m] for name, m in {**_DESTINATIONS, **_TARGETS}.items() if route.get(m)}
            return {**outputs, "state": route.get("State"), "origin": route.get("Origin")}
    return None


def _replace_route(scope: Scope) -> None:
    member, value = _destination(scope.inputs)
    params = {m: scope.inputs[n] for n, m in _TARGETS.items() if scope.inputs.get(n)}
    scope.api.call("ec2", "ReplaceRoute", {"RouteTableId": scope.inputs["routeTableId"], member: value, **params})


def _delete_route(scope: Scope) -> None:
    member, value = _destination(scope.inputs)
    scope.api.call("ec2", "DeleteRoute", {"RouteTableId": scope.inputs["routeTableId"], member: value})


def _inline_routes(scope: Scope) -> None:
    def keyed(routes: list[dict[str, Any]] | None) -> dict[tuple[str, str], dict[str, Any]]:
        found = {}
        for route in routes or []:
            params = {_INLINE_ALL[key]: value for key, value in route.items() if value and key in _INLINE_ALL}
            member = next(m for m in _DESTINATIONS.values() if m in params)
            found[member, params[member]] = params
        return found

    olds, news = keyed(scope.olds.get("routes")), keyed(scope.inputs.get("routes"))
    for (member, value), params in olds.items():
        if news.get((member, value)) != params:
            scope.api.call("ec2", "DeleteRoute", {"RouteTableId": scope.id, member: value})
    for key, params in news.items():
        if olds.get(key) != params:
            scope.api.call("ec2", "CreateRoute", {"RouteTableId": scope.id, **params})


def _shown_routes(scope: Scope) -> dict[str, Any]:
    found = scope.api.call("ec2", "DescribeRouteTables", {"RouteTableIds": [scope.id]})["RouteTables"][0]
    routes = [
        {name: route[member] for name, member in _INLINE_ALL.items() if route.get(member)}
        for route in found["Routes"]
        if route.get("GatewayId") != "local"
    ]
    return {"routes": routes}


ROWS = [
    Row(
        token="aws:ec2/routeTable:RouteTable",
        service="ec2",
        id="{RouteTableId}",
        create=(Call("CreateRouteTable", {"vpcId": "VpcId"}, answer="RouteTable"), _inline_routes),
        read=(
            Call(
                "DescribeRouteTables",
                fixed={"RouteTableIds": ["{id}"]},
                answer="RouteTables[0]",
                gives={"arn": arn("route-table"), "ownerId": "OwnerId"},
            ),
            _shown_routes,
        ),
        update=(_inline_routes,),
        delete=(Call("DeleteRouteTable", fixed={"RouteTableId": "{id}"}),),
        replaces=frozenset({"vpcId"}),
        tags=ec2_tags("route-table"),
    ),
    Row(
        token="aws:ec2/route:Route",
        service="ec2",
        id="r-{routeTableId}{hash}",
        create=(_create_route,),
        read=(_read_route,),
        update=(_replace_route,),
        delete=(_delete_route,),
        replaces=frozenset({"routeTableId", *_DESTINATIONS}),
        # A table cannot contain the same destination twice.
        delete_first=True,
        check=_check_route,
    ),
    Row(
        token="aws:ec2/routeTableAssociation:RouteTableAssociation",
        service="ec2",
        id="{AssociationId}",
        create=(
            Call(
                "AssociateRouteTable",
                {"routeTableId": "RouteTableId", "subnetId": "SubnetId", "gatewayId": "GatewayId"},
            ),
        ),
        read=(
            Call(
                "DescribeRouteTables",
                fixed={"Filters": [{"Name": "association.route-table-association-id", "Values": ["{id}"]}]},
                answer="RouteTables[].Associations[] | [?RouteTableAssociationId=='{id}'] | [0]",
            ),
        ),
        delete=(Call("DisassociateRouteTable", fixed={"AssociationId": "{id}"}),),
        # The real provider moves an association to another table in place, under a new id. An update of the engine
        # cannot change the id, so here it is replaced. A subnet has one association, so the old one is deleted first.
        replaces=frozenset({"routeTableId", "subnetId", "gatewayId"}),
        delete_first=True,
    ),
]
