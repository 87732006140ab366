"""The VPC that a cluster lives in: private subnets for nodes, public ones for load balancers and NAT, optionally more
addresses for pods, interface endpoints and flow logs."""

from collections.abc import Iterator, Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem
from . import addresses, endpoints, flow_log, retention
from .roles import Roles

NAT_MODES = ("single", "per_zone", "none")

# Subnets for pods' interfaces: "1" use this one, "0" do not, even if the node is in it (VPC CNI, "Enhanced subnet
# discovery"; before 1.22.1 a "0" counted as a "1").
CNI_TAG = "kubernetes.io/role/cni"


class AwsNetworkArgs(TypedDict):
    """`cidr`: the VPC's IPv4 network, /16 to /22. `zones`: two or more availability zones of one region, by name.
    `nat`: `single` gateway (default; cheapest), one `per_zone` (survives the loss of a zone) or `none`. `cluster_name`:
    of the cluster whose load balancers find the subnets by tag. `pods_cidr`: a further network, /13 to /22, that pods
    take all their addresses from. `interface_endpoints`: services out of `endpoints.SERVICES` that are reached inside
    the VPC. `flow_log_days`: how long CloudWatch keeps the log of all traffic; 0 (default) for none.
    `deletion_protection`: Pulumi refuses to delete the VPC (default true). `roles`: a ready-made one (`flow_log`).
    `tags`: put on everything."""

    cidr: str
    zones: list[str]
    cluster_name: str
    nat: NotRequired[str]
    pods_cidr: NotRequired[str]
    interface_endpoints: NotRequired[list[str]]
    flow_log_days: NotRequired[int]
    deletion_protection: NotRequired[bool]
    roles: NotRequired[Roles]
    tags: NotRequired[dict[str, str]]


def problems(args: AwsNetworkArgs, region: str) -> Iterator[Problem]:
    """Everything that is wrong with a network's arguments in `region`, seen without asking AWS."""
    wrong = list(checks.cidr("cidr", args["cidr"], *addresses.PREFIXES))
    yield from wrong
    if not wrong and (reason := addresses.vpc(args["cidr"])):
        yield Problem(
            "cidr", args["cidr"], reason, "private addresses: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10",
            "write 10.0.0.0/16, or a range that your company has free",
        )  # fmt: skip
    yield from checks.one_of("nat", args.get("nat", "single"), NAT_MODES)
    yield from zone_problems(args["zones"], region)
    yield from _pods(args)
    yield from endpoints.problems(args.get("interface_endpoints", []), args.get("nat", "single"))
    yield from retention.problems("flow_log_days", int(args.get("flow_log_days", 0)), off=True)


def zone_problems(zones: list[str], region: str) -> Iterator[Problem]:
    """What is wrong with the names of the zones."""
    for index, zone in enumerate(zones):
        if not zone.startswith(region) or zone[len(region) :] not in list(addresses.ZONE_LETTERS):
            yield Problem(
                f"zones[{index}]", zone, f"not an availability zone of {region}",
                f"{region}a to {region}{addresses.ZONE_LETTERS[-1]}, those that your account has",
                f"see `aws ec2 describe-availability-zones --region {region}`",
            )  # fmt: skip
        elif zone in zones[:index]:
            yield Problem(f"zones[{index}]", zone, "named twice", "each zone once", "remove one of them")
    if len(set(zones)) < 2:
        yield Problem(
            "zones", zones, "EKS wants subnets in two zones at least", f"two or more zones of {region}", "add a zone"
        )


def _pods(args: AwsNetworkArgs) -> Iterator[Problem]:
    pods_cidr = args.get("pods_cidr")
    if pods_cidr is None:
        return
    wrong = list(checks.cidr("pods_cidr", pods_cidr, *addresses.PODS_PREFIXES))
    yield from wrong
    if wrong or list(checks.cidr("cidr", args["cidr"])):
        return
    if reason := addresses.association(args["cidr"], pods_cidr):
        free = next(addresses.for_pods(args["cidr"], None))
        yield Problem(
            "pods_cidr", pods_cidr, reason, "100.64.0.0/10, or what AWS lets into a VPC of such a range",
            f"write {free}",
        )  # fmt: skip


class AwsNetwork(pulumi.ComponentResource):
    """A VPC with a private and a public subnet in each zone, NAT, and an S3 gateway endpoint; with `pods_cidr` a subnet
    for pods in each zone.

    Does not: peer, or adopt an existing VPC (`AwsExistingNetwork`). The default security group loses its rules, so that
    nothing runs with rules that nobody wrote. Nodes `depends_on` the whole component: they need a way out.
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
        self._name, self._args, self._blocks = name, args, addresses.blocks(args["cidr"])
        self._child = pulumi.ResourceOptions(parent=self)

        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args["cidr"],
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            # Another VPC is another environment; nothing that lives in this one could follow.
            opts=pulumi.ResourceOptions(parent=self, protect=args.get("deletion_protection", True)),
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
        tables = self._tables(vpc, self._gateways(public, to_internet))
        pods = self._for_pods(vpc, tables)
        private = {
            zone: self._subnet(
                vpc,
                tables[zone],
                f"private-{zone}",
                self._blocks[f"private-{zone[-1]}"],
                # Pods stay out of the nodes' subnet once they have their own: one that is full of them takes no node.
                {**self._balancers("internal-elb"), **({CNI_TAG: "0"} if pods else {})},
                # Once this has the tag, the CNI puts no pod here, so the pods' subnets come first.
                after=list(pods.values()),
            )
            for zone in zones
        }
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        # Container layers, datasets and checkpoints in S3 do not pass through (and are not billed by) the NAT gateway.
        aws.ec2.VpcEndpoint(
            f"{name}-s3",
            vpc_id=vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in tables.values()],
            policy=endpoints.policy_text(account, "s3"),
            tags=self._tags("s3"),
            opts=self._child,
        )
        tags, pods_cidr = args.get("tags", {}), args.get("pods_cidr")
        if wanted := args.get("interface_endpoints", []):
            joined = addresses.pod_networks(pods_cidr, zones) if pods_cidr else {}
            networks = [args["cidr"], *dict.fromkeys(joined.values())]
            subnets = [subnet.id for subnet in private.values()]
            endpoints.interface_endpoints(name, vpc.id, region, account, wanted, subnets, networks, tags, self)
        if days := int(args.get("flow_log_days", 0)):
            cluster_name, own = args["cluster_name"], self._tags("flow-log")
            role = args.get("roles", {}).get("flow_log", "")
            flow_log.flow_log(f"{name}-flow-log", vpc.id, cluster_name, region, days, own, self, role)

        self.network_id = vpc.id
        # For programs in Python: the VPC's range, the subnets themselves, and their ids one by one (see subnets.py).
        self.cidr = args["cidr"]
        self.private_subnets: list[pulumi.Input[str]] = [subnet.id for subnet in private.values()]
        self.public_subnets: list[pulumi.Input[str]] = [subnet.id for subnet in public.values()]
        self.subnets: list[pulumi.Resource] = [*private.values(), *public.values()]
        self.private_subnet_ids = pulumi.Output.all(*self.private_subnets)
        self.public_subnet_ids = pulumi.Output.all(*self.public_subnets)
        self.register_outputs(
            {
                "networkId": self.network_id,
                "privateSubnetIds": self.private_subnet_ids,
                "publicSubnetIds": self.public_subnet_ids,
            }
        )

    def _tags(self, role: str, **more: str) -> dict[str, str]:
        return {**self._args.get("tags", {}), "Name": f"{self._name}-{role}", **more}

    def _balancers(self, role: str) -> dict[str, str]:
        """Tags by which load balancers of the cluster find a subnet."""
        return {f"kubernetes.io/cluster/{self._args['cluster_name']}": "shared", f"kubernetes.io/role/{role}": "1"}

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
        subnets = {
            zone: self._subnet(vpc, table, f"public-{zone}", self._blocks[f"public-{zone[-1]}"], self._balancers("elb"))
            for zone in self._args["zones"]
        }
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

    def _tables(self, vpc: aws.ec2.Vpc, gateways: dict[str, aws.ec2.NatGateway]) -> dict[str, aws.ec2.RouteTable]:
        """The route table of each zone's private subnets, which leads to the zone's NAT gateway."""
        tables: dict[str, aws.ec2.RouteTable] = {}
        for zone in self._args["zones"]:
            name = f"{self._name}-private-{zone}"
            tables[zone] = aws.ec2.RouteTable(name, vpc_id=vpc.id, tags=self._tags(f"private-{zone}"), opts=self._child)
            if zone in gateways:
                aws.ec2.Route(
                    f"{name}-internet",
                    route_table_id=tables[zone].id,
                    destination_cidr_block="0.0.0.0/0",
                    nat_gateway_id=gateways[zone].id,
                    opts=self._child,
                )
        return tables

    def _for_pods(self, vpc: aws.ec2.Vpc, tables: dict[str, aws.ec2.RouteTable]) -> dict[str, aws.ec2.Subnet]:
        """A subnet for each zone's pods in a secondary network of the VPC; none without `pods_cidr`."""
        pods_cidr, zones = self._args.get("pods_cidr"), self._args["zones"]
        if pods_cidr is None:
            return {}
        own, joined = addresses.pod_blocks(pods_cidr), addresses.pod_networks(pods_cidr, zones)
        networks = {
            network: aws.ec2.VpcIpv4CidrBlockAssociation(
                f"{self._name}-pods-{network.replace('/', '-')}", vpc_id=vpc.id, cidr_block=network, opts=self._child
            )
            for network in dict.fromkeys(joined.values())
        }
        return {
            zone: self._subnet(
                vpc,
                tables[zone],
                f"pods-{zone}",
                own[zone[-1]],
                {CNI_TAG: "1"},
                # A subnet lies in a network that the VPC has.
                after=[networks[joined[zone]]],
            )
            for zone in zones
        }

    def _subnet(
        self,
        vpc: aws.ec2.Vpc,
        table: aws.ec2.RouteTable,
        role: str,
        block: str,
        tags: dict[str, str],
        after: Sequence[pulumi.Resource] = (),
    ) -> aws.ec2.Subnet:
        name = f"{self._name}-{role}"
        subnet = aws.ec2.Subnet(
            name,
            vpc_id=vpc.id,
            availability_zone=role[role.index("-") + 1 :],
            cidr_block=block,
            # NAT gateways and load balancers bring their public addresses; nothing else in here has one.
            map_public_ip_on_launch=False,
            tags={**self._tags(role), **tags},
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)
        return subnet
