"""The VPC that a cluster lives in: private subnets for nodes, public ones for load balancers and NAT."""

import ipaddress
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

# Address plan: eight equal blocks; zones a to g each own one, the eighth is split into the public subnets. A zone's block
# follows from its letter and never from its place in the list, so that adding a zone moves no other.
_ZONE_LETTERS = "abcdefg"
_BLOCK_BITS = 3
_PUBLIC_BITS = 6
# AWS allows subnets down to /28: six bits below the network.
_LONGEST_PREFIX = 28 - _PUBLIC_BITS

NAT_MODES = ("single", "per_zone", "none")


class AwsNetworkArgs(TypedDict):
    """`cidr`: the VPC's IPv4 network, /16 to /22. `zones`: two or more availability zones of one region, by name.
    `nat`: `single` gateway (default; cheapest), one `per_zone` (survives the loss of a zone) or `none`. `cluster_name`:
    of the cluster whose load balancers find the subnets by tag. `tags`: put on everything."""

    cidr: str
    zones: list[str]
    cluster_name: str
    nat: NotRequired[str]
    tags: NotRequired[dict[str, str]]


def problems(args: AwsNetworkArgs, region: str) -> Iterator[Problem]:
    """Everything that is wrong with a network's arguments in `region`, seen without asking AWS."""
    yield from checks.cidr("cidr", args["cidr"], 16, _LONGEST_PREFIX)
    yield from checks.one_of("nat", args.get("nat", "single"), NAT_MODES)
    zones = args["zones"]
    for index, zone in enumerate(zones):
        if not zone.startswith(region) or zone[len(region) :] not in list(_ZONE_LETTERS):
            yield Problem(
                f"zones[{index}]", zone, f"not an availability zone of {region}",
                f"{region}a to {region}{_ZONE_LETTERS[-1]}, those that your account has",
                f"see `aws ec2 describe-availability-zones --region {region}`",
            )  # fmt: skip
        elif zone in zones[:index]:
            yield Problem(f"zones[{index}]", zone, "named twice", "each zone once", "remove one of them")
    if len(set(zones)) < 2:
        yield Problem(
            "zones", zones, "EKS wants subnets in two zones at least", f"two or more zones of {region}", "add a zone"
        )


class AwsNetwork(pulumi.ComponentResource):
    """A VPC with a private and a public subnet in each zone, NAT, and an S3 gateway endpoint.

    Does not: make interface endpoints, peer, or adopt an existing VPC. The default security group loses its rules, so
    that nothing runs with rules that nobody wrote.
    """

    network_id: pulumi.Output[str]
    """Id of the VPC."""
    private_subnet_ids: pulumi.Output[list[str]]
    """Private subnets in the order of `zones`. Whoever uses them is destroyed before their route to the internet."""
    public_subnet_ids: pulumi.Output[list[str]]
    """Public subnets in the order of `zones`."""

    def __init__(self, name: str, args: AwsNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:AwsNetwork", name, None, opts)
        zones = args["zones"]
        region = zones[0][:-1] if zones else ""
        checks.refuse(problems(args, region), f"AwsNetwork {name}")
        child = pulumi.ResourceOptions(parent=self)
        tags = args.get("tags", {})

        def named(role: str) -> dict[str, str]:
            return {**tags, "Name": f"{name}-{role}"}

        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args["cidr"],
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=named("vpc"),
            opts=child,
        )
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default", vpc_id=vpc.id, ingress=[], egress=[], tags=named("default-closed"), opts=child
        )
        gateway = aws.ec2.InternetGateway(f"{name}-internet", vpc_id=vpc.id, tags=named("internet"), opts=child)
        public_routes = aws.ec2.RouteTable(f"{name}-public", vpc_id=vpc.id, tags=named("public"), opts=child)
        to_internet = aws.ec2.Route(
            f"{name}-public-internet",
            route_table_id=public_routes.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=child,
        )

        blocks = _blocks(args["cidr"])
        cluster_tag = {f"kubernetes.io/cluster/{args['cluster_name']}": "shared"}
        public, private = {}, {}
        public_ready, private_ready = [], []
        for zone in zones:
            letter = zone[-1]
            public[zone] = aws.ec2.Subnet(
                f"{name}-public-{zone}",
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=blocks[f"public-{letter}"],
                tags={**named(f"public-{zone}"), **cluster_tag, "kubernetes.io/role/elb": "1"},
                opts=child,
            )
            association = aws.ec2.RouteTableAssociation(
                f"{name}-public-{zone}",
                subnet_id=public[zone].id,
                route_table_id=public_routes.id,
                opts=child,
            )
            public_ready.append(pulumi.Output.all(public[zone].id, association.id, to_internet.id))

        nat = args.get("nat", "single")
        gateways = {
            zone: self._nat(f"{name}-nat-{zone}", public[zone], to_internet, named(f"nat-{zone}"))
            for zone in (zones if nat == "per_zone" else zones[:1] if nat == "single" else [])
        }
        private_route_tables = []
        for zone in zones:
            private[zone] = aws.ec2.Subnet(
                f"{name}-private-{zone}",
                vpc_id=vpc.id,
                availability_zone=zone,
                cidr_block=blocks[f"private-{zone[-1]}"],
                tags={**named(f"private-{zone}"), **cluster_tag, "kubernetes.io/role/internal-elb": "1"},
                opts=child,
            )
            table = aws.ec2.RouteTable(
                f"{name}-private-{zone}", vpc_id=vpc.id, tags=named(f"private-{zone}"), opts=child
            )
            association = aws.ec2.RouteTableAssociation(
                f"{name}-private-{zone}", subnet_id=private[zone].id, route_table_id=table.id, opts=child
            )
            ready: list[pulumi.Output[str]] = [private[zone].id, association.id]
            if gateways:
                route = aws.ec2.Route(
                    f"{name}-private-{zone}-internet",
                    route_table_id=table.id,
                    destination_cidr_block="0.0.0.0/0",
                    nat_gateway_id=gateways.get(zone, gateways[zones[0]] if nat == "single" else None).id,
                    opts=child,
                )
                ready.append(route.id)
            private_route_tables.append(table.id)
            private_ready.append(pulumi.Output.all(*ready))

        # Container layers, datasets and checkpoints in S3 do not pass through (and are not billed by) the NAT gateway.
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=private_route_tables,
            tags=named("s3"),
            opts=child,
        )

        self.network_id = vpc.id
        # The ids carry their routes as dependencies: a node is never without a way out, neither first nor last.
        self.private_subnet_ids = pulumi.Output.all(*private_ready).apply(lambda subnets: [s[0] for s in subnets])
        self.public_subnet_ids = pulumi.Output.all(*public_ready).apply(lambda subnets: [s[0] for s in subnets])
        self.register_outputs(
            {
                "networkId": self.network_id,
                "privateSubnetIds": self.private_subnet_ids,
                "publicSubnetIds": self.public_subnet_ids,
            }
        )

    def _nat(
        self, name: str, subnet: aws.ec2.Subnet, to_internet: aws.ec2.Route, tags: dict[str, str]
    ) -> aws.ec2.NatGateway:
        address = aws.ec2.Eip(name, domain="vpc", tags=tags, opts=pulumi.ResourceOptions(parent=self))
        return aws.ec2.NatGateway(
            name,
            subnet_id=subnet.id,
            allocation_id=address.id,
            tags=tags,
            # A NAT gateway in a subnet without a route to the internet comes up and carries nothing.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[to_internet]),
        )


def _blocks(cidr: str) -> dict[str, str]:
    """Subnet name (`private-a`, `public-a`, …) → its network."""
    whole = ipaddress.IPv4Network(cidr)
    *privates, last = whole.subnets(prefixlen_diff=_BLOCK_BITS)
    publics = last.subnets(prefixlen_diff=_PUBLIC_BITS - _BLOCK_BITS)
    blocks = {f"private-{letter}": str(block) for letter, block in zip(_ZONE_LETTERS, privates)}
    blocks.update({f"public-{letter}": str(block) for letter, block in zip(_ZONE_LETTERS, publics)})
    return blocks
