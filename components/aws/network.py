"""The VPC that a cluster lives in: private subnets for nodes, public ones for load balancers and NAT."""

import ipaddress
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

# Address plan: eight equal blocks; zones a to g each own one, the eighth is split into the public subnets. A zone's
# block follows from its letter and never from its place in the list, so that adding a zone moves no other.
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
    that nothing runs with rules that nobody wrote. Nodes `depends_on` the whole component: they need a way out.
    """

    network_id: pulumi.Output[str]
    """Id of the VPC."""
    private_subnet_ids: pulumi.Output[list[str]]
    """Private subnets in the order of `zones`."""
    public_subnet_ids: pulumi.Output[list[str]]
    """Public subnets in the order of `zones`."""

    def __init__(self, name: str, args: AwsNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:AwsNetwork", name, None, opts)
        zones = args["zones"]
        region = zones[0][:-1] if zones else ""
        checks.refuse(problems(args, region), f"AwsNetwork {name}")
        self._name, self._args, self._blocks = name, args, _blocks(args["cidr"])
        self._child = pulumi.ResourceOptions(parent=self)

        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args["cidr"],
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            opts=self._child,
        )
        aws.ec2.DefaultSecurityGroup(
            f"{name}-default",
            vpc_id=vpc.id,
            ingress=[],
            egress=[],
            tags=self._tags("default-closed"),
            opts=self._child,
        )
        public, to_internet = self._public(vpc)
        gateways = self._gateways(public, to_internet)
        private, tables = self._private(vpc, gateways)
        # Container layers, datasets and checkpoints in S3 do not pass through (and are not billed by) the NAT gateway.
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables],
            tags=self._tags("s3"),
            opts=self._child,
        )

        self.network_id = vpc.id
        self.private_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in private.values()])
        self.public_subnet_ids = pulumi.Output.all(*[subnet.id for subnet in public.values()])
        self.register_outputs(
            {
                "networkId": self.network_id,
                "privateSubnetIds": self.private_subnet_ids,
                "publicSubnetIds": self.public_subnet_ids,
            }
        )

    def _tags(self, role: str, **more: str) -> dict[str, str]:
        return {**self._args.get("tags", {}), "Name": f"{self._name}-{role}", **more}

    def _public(self, vpc: aws.ec2.Vpc) -> tuple[dict[str, aws.ec2.Subnet], aws.ec2.Route]:
        """A public subnet for each zone, and the route that makes them public."""
        name = f"{self._name}-public"
        gateway = aws.ec2.InternetGateway(
            f"{self._name}-internet", vpc_id=vpc.id, tags=self._tags("internet"), opts=self._child
        )
        table = aws.ec2.RouteTable(name, vpc_id=vpc.id, tags=self._tags("public"), opts=self._child)
        to_internet = aws.ec2.Route(
            f"{name}-internet",
            route_table_id=table.id,
            destination_cidr_block="0.0.0.0/0",
            gateway_id=gateway.id,
            opts=self._child,
        )
        subnets = {zone: self._subnet(vpc, table, "public", zone, "elb") for zone in self._args["zones"]}
        return subnets, to_internet

    def _gateways(self, public: dict[str, aws.ec2.Subnet], to_internet: aws.ec2.Route) -> dict[str, aws.ec2.NatGateway]:
        """The NAT gateway of each zone; with a single one it is the same for all."""
        nat = self._args.get("nat", "single")
        if nat == "none":
            return {}
        made: dict[str, aws.ec2.NatGateway] = {}
        for zone, subnet in public.items():
            if nat == "single" and made:
                made[zone] = next(iter(made.values()))
                continue
            name, tags = f"{self._name}-nat-{zone}", self._tags(f"nat-{zone}")
            address = aws.ec2.Eip(name, domain="vpc", tags=tags, opts=self._child)
            made[zone] = aws.ec2.NatGateway(
                name,
                subnet_id=subnet.id,
                allocation_id=address.id,
                tags=tags,
                # A NAT gateway in a subnet without a route to the internet comes up and carries nothing.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[to_internet]),
            )
        return made

    def _private(
        self, vpc: aws.ec2.Vpc, gateways: dict[str, aws.ec2.NatGateway]
    ) -> tuple[dict[str, aws.ec2.Subnet], list[aws.ec2.RouteTable]]:
        """A private subnet for each zone, with a route table of its own that leads to the zone's NAT gateway."""
        subnets: dict[str, aws.ec2.Subnet] = {}
        tables: list[aws.ec2.RouteTable] = []
        for zone in self._args["zones"]:
            name = f"{self._name}-private-{zone}"
            table = aws.ec2.RouteTable(name, vpc_id=vpc.id, tags=self._tags(f"private-{zone}"), opts=self._child)
            if zone in gateways:
                aws.ec2.Route(
                    f"{name}-internet",
                    route_table_id=table.id,
                    destination_cidr_block="0.0.0.0/0",
                    nat_gateway_id=gateways[zone].id,
                    opts=self._child,
                )
            subnets[zone] = self._subnet(vpc, table, "private", zone, "internal-elb")
            tables.append(table)
        return subnets, tables

    def _subnet(
        self, vpc: aws.ec2.Vpc, table: aws.ec2.RouteTable, kind: str, zone: str, load_balancer: str
    ) -> aws.ec2.Subnet:
        name = f"{self._name}-{kind}-{zone}"
        subnet = aws.ec2.Subnet(
            name,
            vpc_id=vpc.id,
            availability_zone=zone,
            cidr_block=self._blocks[f"{kind}-{zone[-1]}"],
            tags={
                **self._tags(f"{kind}-{zone}"),
                f"kubernetes.io/cluster/{self._args['cluster_name']}": "shared",
                f"kubernetes.io/role/{load_balancer}": "1",
            },
            opts=self._child,
        )
        aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)
        return subnet


def _blocks(cidr: str) -> dict[str, str]:
    """Subnet name (`private-a`, `public-a`, …) → its network."""
    whole = ipaddress.IPv4Network(cidr)
    *privates, last = whole.subnets(prefixlen_diff=_BLOCK_BITS)
    publics = last.subnets(prefixlen_diff=_PUBLIC_BITS - _BLOCK_BITS)
    blocks = {f"private-{letter}": str(block) for letter, block in zip(_ZONE_LETTERS, privates)}
    blocks.update({f"public-{letter}": str(block) for letter, block in zip(_ZONE_LETTERS, publics)})
    return blocks
