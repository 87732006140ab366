"""The VPC of a cluster: private subnets for nodes, public ones for load balancers and NAT, and optionally
addresses for pods, interface endpoints and a flow log."""

import re
from collections.abc import Iterator, Sequence
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments, checks
from ..checks import Problem
from . import addresses, endpoints, flow_log, retention, roles, tags
from .roles import Roles

ROLES = ("flow_log",)
"""The fields of `Roles` that `AwsNetwork` uses."""
NAT_MODES = ("single", "per_zone", "none")

# Subnets for the network interfaces of pods: "1" use this one, "0" do not, even if the node is in it (VPC CNI,
# "Enhanced subnet discovery"; before 1.22.1 a "0" counted as a "1").
CNI_TAG = "kubernetes.io/role/cni"


class AwsNetworkArgs(TypedDict):
    """A VPC for one cluster."""

    zones: list[str]
    """Two or more availability zones of one region, such as us-east-1a."""
    cluster_name: str
    """Name of the EKS cluster that will be in the VPC. Its load balancers find their subnets by a tag with this
    name."""
    cidr: NotRequired[str]
    """IPv4 network of the VPC, /16 to /22. It cannot change. Every zone gets an eighth of it for its private subnet.
    Default: `10.0.0.0/16`."""
    nat: NotRequired[str]
    """NAT gateways for outgoing traffic: `single` for all zones (cheapest), per_zone for one in each zone (survives the
    loss of a zone), or `none`, which requires `interface_endpoints`. Default: `single`."""
    pods_cidr: NotRequired[str]
    """A second IPv4 network, /13 to /22, from which pods take all their addresses, such as 100.64.0.0/16. Once added,
    it can neither change nor be removed. Default: pods take addresses of the private subnets."""
    interface_endpoints: NotRequired[list[str]]
    """AWS services that get an endpoint inside the VPC: ecr, ec2, eks, eks-auth, sts, autoscaling,
    elasticloadbalancing, elasticfilesystem, logs, monitoring, kms, ssm. S3 always has its gateway endpoint, which costs
    nothing. Default: none."""
    flow_log_days: NotRequired[int]
    """How many days CloudWatch keeps a log of all traffic: 1, 3, 5, 7, 14, 30, 60, 90 or another retention that it
    offers, up to 3653; 0 for no log. Default: `0`."""
    deletion_protection: NotRequired[bool]
    """Whether Pulumi refuses to delete the VPC. Default: `true`."""
    roles: NotRequired[Roles]
    """Existing IAM roles to use instead of new ones: `flow_log`. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags for every resource that can have tags. Default: none."""


def problems(args: AwsNetworkArgs, region: str) -> Iterator[Problem]:
    """Everything that is wrong with the arguments in `region`, checked without calling AWS."""
    cidr = args["cidr"]
    wrong = list(checks.cidr("cidr", cidr, *addresses.PREFIXES))
    yield from wrong
    if not wrong and (reason := addresses.vpc(cidr)):
        yield Problem(
            "cidr", cidr, reason, "private addresses: 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10",
            "write 10.0.0.0/16, or a range that is free in your company",
        )  # fmt: skip
    yield from checks.one_of("nat", args["nat"], NAT_MODES)
    yield from zone_problems(args["zones"], region)
    yield from _pods(args)
    yield from endpoints.problems(args.get("interface_endpoints", []), args["nat"])
    yield from retention.problems("flow_log_days", args["flow_log_days"], off=True)


def _common(args: AwsNetworkArgs) -> Iterator[Problem]:
    """What a stack checks once for all components: roles and tags."""
    yield from (problem.under("roles") for problem in roles.problems(args.get("roles", {}), ROLES))
    yield from tags.with_tags(args)


def zone_problems(zones: list[str], region: str) -> Iterator[Problem]:
    """What is wrong with the names of the zones."""
    again = checks.repeated(zones)
    for index, zone in enumerate(zones):
        if not zone.startswith(region) or zone[len(region) :] not in list(addresses.ZONE_LETTERS):
            yield Problem(
                f"zones[{index}]", zone, f"not an availability zone of {region}",
                f"{region}a to {region}{addresses.ZONE_LETTERS[-1]}, those that your account has",
                f"see `aws ec2 describe-availability-zones --region {region}`",
            )  # fmt: skip
        elif index in again:
            yield Problem(f"zones[{index}]", zone, "named twice", "each zone once", "remove one of them")
    if len(set(zones)) < 2:
        yield Problem(
            "zones", zones, "EKS requires subnets in at least two zones", f"two or more zones of {region}", "add a zone"
        )


def region_of(zones: list[str]) -> str:
    """The region of the first zone, by its name."""
    return re.sub(r"(?<=\d)[a-z]$", "", zones[0]) if zones else ""


def _pods(args: AwsNetworkArgs) -> Iterator[Problem]:
    cidr, pods_cidr = args["cidr"], args.get("pods_cidr")
    if pods_cidr is None:
        return
    wrong = list(checks.cidr("pods_cidr", pods_cidr, *addresses.PODS_PREFIXES))
    yield from wrong
    if wrong or list(checks.cidr("cidr", cidr)):
        return
    if reason := addresses.association(cidr, pods_cidr):
        free = next(addresses.for_pods(cidr, None))
        yield Problem(
            "pods_cidr", pods_cidr, reason, "100.64.0.0/10, or a range that AWS accepts in a VPC of this `cidr`",
            f"write {free}",
        )  # fmt: skip


class AwsNetwork(pulumi.ComponentResource):
    """A VPC with a private and a public subnet in each zone, NAT, and a gateway endpoint for S3; with `pods_cidr` also
    a subnet for pods in each zone.

    It does not peer the VPC with others and does not adopt an existing one (`AwsExistingNetwork`). The default security
    group loses its rules, so that no resource has open ports by default. Nodes should `depends_on` the whole component,
    because they need the route to the internet.
    """

    network_id: pulumi.Output[str]
    """Id of the VPC."""
    private_subnet_ids: pulumi.Output[dict[str, str]]
    """Id of the private subnet by zone."""
    public_subnet_ids: pulumi.Output[dict[str, str]]
    """Id of the public subnet by zone."""

    def __init__(self, name: str, args: AwsNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"AwsNetwork {name}",
            AwsNetworkArgs,
            args,
            lambda given: problems(given, region_of(given["zones"])),
            _common,
        )
        super().__init__("gpuyard:index:AwsNetwork", name, None, opts)
        zones, region = args["zones"], region_of(args["zones"])
        self.cidr = args["cidr"]
        """IPv4 network of the VPC."""
        self._name, self._args, self._blocks = name, args, addresses.blocks(self.cidr)
        self._child = pulumi.ResourceOptions(parent=self)

        vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=self.cidr,
            enable_dns_hostnames=True,
            enable_dns_support=True,
            tags=self._tags("vpc"),
            # Resources in this VPC cannot move to another one.
            opts=pulumi.ResourceOptions(parent=self, protect=args["deletion_protection"]),
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
                # Once pods have separate subnets, they no longer use this one: full of pods, it would have no room for
                # nodes.
                {**self._balancers("internal-elb"), **({CNI_TAG: "0"} if pods else {})},
                # Once this has the tag, the CNI stops using it for pods, so the pods' subnets must exist first.
                after=list(pods.values()),
            )
            for zone in zones
        }
        account = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=self)).account_id
        # Container layers, data sets and checkpoints in S3 bypass the NAT gateway, which would bill for them.
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
        pods_cidr = args.get("pods_cidr")
        if wanted := args.get("interface_endpoints", []):
            joined = addresses.pod_networks(pods_cidr, zones) if pods_cidr else {}
            networks = [self.cidr, *dict.fromkeys(joined.values())]
            inside = [subnet.id for subnet in private.values()]
            endpoints.interface_endpoints(
                name, vpc.id, region, account, wanted, inside, networks, args.get("tags", {}), self
            )
        if days := args["flow_log_days"]:
            role = args.get("roles", {}).get("flow_log", "")
            flow_log.flow_log(
                f"{name}-flow-log", vpc.id, args["cluster_name"], region, days, self._tags("flow-log"), self, role
            )

        self.resource = vpc
        """The VPC."""
        self.subnet_ids: dict[str, pulumi.Input[str]] = {zone: subnet.id for zone, subnet in private.items()}
        """Private subnets by zone, as one output each: a new zone leaves the others known in a preview."""
        self.load_balancer_subnet_ids: dict[str, pulumi.Input[str]] = {
            zone: subnet.id for zone, subnet in public.items()
        }
        """Public subnets by zone, as one output each."""
        self.subnets: list[pulumi.Resource] = [*private.values(), *public.values()]
        """The subnets, for `depends_on`: load balancers of the cluster are in all of them."""
        self.network_id = vpc.id
        self.private_subnet_ids = pulumi.Output.all(**self.subnet_ids)
        self.public_subnet_ids = pulumi.Output.all(**self.load_balancer_subnet_ids)
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
        """Tags by which the cluster's load balancers find a subnet."""
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
        """Zone → its NAT gateway; with `single` it is the same one for all."""
        nat = self._args["nat"]
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
                # In a subnet without a route to the internet, a NAT gateway starts but forwards nothing.
                opts=pulumi.ResourceOptions(parent=self, depends_on=[to_internet]),
            )
        return made

    def _tables(self, vpc: aws.ec2.Vpc, gateways: dict[str, aws.ec2.NatGateway]) -> dict[str, aws.ec2.RouteTable]:
        """Zone → the route table of its private subnets, with a route to the zone's NAT gateway."""
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
        """Zone → the subnet of its pods, in a secondary network of the VPC; empty without `pods_cidr`."""
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
                # The VPC must have the network first.
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
            # NAT gateways and load balancers get separate public addresses; nothing else needs one.
            map_public_ip_on_launch=False,
            tags={**self._tags(role), **tags},
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        aws.ec2.RouteTableAssociation(name, subnet_id=subnet.id, route_table_id=table.id, opts=self._child)
        return subnet
