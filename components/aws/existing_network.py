"""An existing VPC that another team owns: its subnets are checked and tagged for the cluster; nothing else in it is
changed."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments, checks
from ..checks import Problem
from ..hardware import AWS
from ..pools import resolve_all
from . import addresses, network, served_pools
from .pool_spec import EksNodePoolSpec


class AwsExistingNetworkArgs(TypedDict):
    """An existing VPC and the subnets in it that the cluster may use."""

    vpc_id: str
    """Id of the VPC."""
    private_subnet_ids: dict[str, str]
    """Private subnets by zone, in two or more zones of one region, such as us-east-1a. Nodes run there, and need a
    route to AWS's services."""
    cluster_name: str
    """Name of the EKS cluster that will be in the VPC. Its load balancers find their subnets by a tag with this
    name."""
    public_subnet_ids: NotRequired[dict[str, str]]
    """Public subnets by zone, in some or all of the zones of `private_subnet_ids`, for load balancers that face the
    internet. Default: none."""
    node_pools: NotRequired[dict[str, EksNodePoolSpec]]
    """Node pools by name. The subnets must then have enough free addresses for every pool at its maximum.
    Default: free addresses are not checked."""
    needs_internet: NotRequired[bool]
    """Whether nodes pull images from the internet. Each private subnet must then have a route that leads out; where it
    leads is not checked. Default: `false`."""


def problems(args: AwsExistingNetworkArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, checked without calling AWS."""
    zones = list(args["private_subnet_ids"])
    for problem in network.zone_problems(zones, network.region_of(zones)):
        path = "" if problem.path == "zones" else f".{problem.value}"
        yield replace(problem, path=f"private_subnet_ids{path}")
    yield from zone_problems(args, zones, "private_subnet_ids")
    yield from id_problems(args)
    yield from served_pools.problems(args.get("node_pools", {}), zones)


def zone_problems(args: AwsExistingNetworkArgs, zones: list[str], of: str) -> Iterator[Problem]:
    """Subnets in none of the zones, and zones without a private subnet. `of`: the field that has the zones."""
    for field, subnets in _subnets(args).items():
        for zone, subnet in subnets.items():
            if zone not in zones:
                yield Problem(
                    f"{field}.{zone}", subnet, "not a zone of the network", ", ".join(zones),
                    f"add it to `{of}`, or remove it",
                )  # fmt: skip
    for zone in zones:
        if zone not in args["private_subnet_ids"]:
            yield Problem(
                f"private_subnet_ids.{zone}", None, "missing: the zone has no subnet for nodes",
                f"a private subnet in each of {', '.join(zones)}", f"add one in {zone}, or remove the zone",
            )  # fmt: skip


def id_problems(args: AwsExistingNetworkArgs) -> Iterator[Problem]:
    """What is wrong with the ids."""
    if not re.fullmatch(r"vpc-[0-9a-f]{8,17}", args["vpc_id"]):
        yield Problem(
            "vpc_id", args["vpc_id"], "not a valid VPC id", "vpc- and 8 to 17 hexadecimal digits",
            "see `aws ec2 describe-vpcs`",
        )  # fmt: skip
    seen: dict[str, str] = {}
    for field, subnets in _subnets(args).items():
        for zone, subnet in subnets.items():
            path = f"{field}.{zone}"
            if not re.fullmatch(r"subnet-[0-9a-f]{8,17}", subnet):
                yield Problem(
                    path, subnet, "not a valid subnet id", "subnet- and 8 to 17 hexadecimal digits",
                    f"see `aws ec2 describe-subnets --filters Name=vpc-id,Values={args['vpc_id']}`",
                )  # fmt: skip
            elif subnet in seen:
                yield Problem(
                    path, subnet, f"already used as the {seen[subnet]}", "each subnet once", "name another subnet"
                )
            seen.setdefault(subnet, f"{field.split('_')[0]} subnet of {zone}")


def _subnets(args: AwsExistingNetworkArgs) -> dict[str, dict[str, str]]:
    return {"private_subnet_ids": args["private_subnet_ids"], "public_subnet_ids": args.get("public_subnet_ids", {})}


class AwsExistingNetwork(pulumi.ComponentResource):
    """Subnets of an existing VPC, tagged so that the cluster's load balancers find them.

    It creates or changes nothing else in the VPC: routes, NAT, endpoints and flow logs are up to its owner.

    Before anything is created, at preview as well, it checks the VPC's DNS attributes and each subnet's VPC, zone,
    public addresses and free addresses; with `needs_internet` also that a route leads out.
    """

    network_id: pulumi.Output[str]
    """Id of the VPC."""
    private_subnet_ids: pulumi.Output[dict[str, str]]
    """Id of the private subnet by zone."""
    public_subnet_ids: pulumi.Output[dict[str, str]]
    """Id of the public subnet by zone; empty if there are none."""

    def __init__(self, name: str, args: AwsExistingNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"AwsExistingNetwork {name}", AwsExistingNetworkArgs, args, problems)
        super().__init__("gpuyard:index:AwsExistingNetwork", name, None, opts)
        owned = _Owned(args, pulumi.InvokeOptions(parent=self))
        checks.refuse(owned.problems(), f"AwsExistingNetwork {name}")
        self._name, self._cluster_name = name, args["cluster_name"]

        private, public = _subnets(args).values()
        self.cidr = owned.cidr
        """IPv4 network of the VPC."""
        self.subnets: list[pulumi.Resource] = []
        """The tags that mark the subnets as the cluster's, for `depends_on`: load balancers of the cluster are in all
        of the subnets."""
        self.subnet_ids = self._tagged("private", "internal-elb", private)
        """Private subnets by zone, as one output each: a new zone leaves the others known in a preview."""
        self.load_balancer_subnet_ids = self._tagged(
            "public", "elb", {zone: public[zone] for zone in private if zone in public}
        )
        """Public subnets by zone, as one output each."""
        self.network_id = pulumi.Output.from_input(args["vpc_id"])
        self.private_subnet_ids = pulumi.Output.all(**self.subnet_ids)
        self.public_subnet_ids = _all(self.load_balancer_subnet_ids)
        self.register_outputs(
            {
                "networkId": self.network_id,
                "privateSubnetIds": self.private_subnet_ids,
                "publicSubnetIds": self.public_subnet_ids,
            }
        )

    def _tagged(self, kind: str, role: str, subnets: dict[str, str]) -> dict[str, pulumi.Input[str]]:
        """Zone → id of the subnet, known once it has the cluster's tag: what uses the id waits for the tag."""
        ids: dict[str, pulumi.Input[str]] = {}
        for zone, subnet in subnets.items():
            name = f"{self._name}-{kind}-{zone}"
            aws.ec2.Tag(
                f"{name}-role",
                resource_id=subnet,
                key=f"kubernetes.io/role/{role}",
                value="1",
                # Other clusters in the VPC need it as well, so it is kept when this cluster is deleted.
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
            mine = aws.ec2.Tag(
                f"{name}-cluster",
                resource_id=subnet,
                key=f"kubernetes.io/cluster/{self._cluster_name}",
                value="shared",
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.subnets.append(mine)
            ids[zone] = mine.resource_id
        return ids


class _Owned:
    """The VPC and its subnets as AWS describes them."""

    def __init__(self, args: AwsExistingNetworkArgs, opts: pulumi.InvokeOptions) -> None:
        self._args, self._opts = args, opts
        self.cidr = ""

    def problems(self) -> Iterator[Problem]:
        vpc_id = self._args["vpc_id"]
        try:
            vpc = aws.ec2.get_vpc(id=vpc_id, opts=self._opts)
        except Exception as error:  # the SDK has no narrower class for an invoke that failed
            yield Problem(
                "vpc_id", vpc_id, f"AWS does not show it: {checks.last_line(error)}",
                "a VPC of this account and region", "see `aws ec2 describe-vpcs`",
            )  # fmt: skip
            return
        self.cidr = vpc.cidr_block
        for enabled, attribute in (
            (vpc.enable_dns_support, "enable-dns-support"),
            (vpc.enable_dns_hostnames, "enable-dns-hostnames"),
        ):
            if not enabled:
                yield Problem(
                    "vpc_id", vpc_id, f"{attribute} is off: nodes cannot resolve the cluster's private endpoint",
                    "a VPC with both DNS attributes",
                    f"ask its owner to run `aws ec2 modify-vpc-attribute --vpc-id {vpc_id} --{attribute}`",
                )  # fmt: skip
        wrong: list[Problem] = []
        looked: dict[str, aws.ec2.GetSubnetResult] = {}
        for field, subnets in _subnets(self._args).items():
            for zone, subnet_id in subnets.items():
                found = self._look(f"{field}.{zone}", subnet_id)
                if isinstance(found, Problem):
                    wrong.append(found)
                    continue
                wrong += _misplaced(f"{field}.{zone}", zone, found, vpc_id)
                if field == "private_subnet_ids":
                    looked[zone] = found
        yield from wrong
        if not wrong and "node_pools" in self._args:
            yield from self._room(looked)
        if not wrong and self._args["needs_internet"]:
            yield from self._internet_routes(looked)

    def _look(self, path: str, subnet_id: str) -> aws.ec2.GetSubnetResult | Problem:
        try:
            return aws.ec2.get_subnet(id=subnet_id, opts=self._opts)
        except Exception as error:  # as above
            vpc_id = self._args["vpc_id"]
            return Problem(
                path, subnet_id, f"AWS does not show it: {checks.last_line(error)}", f"a subnet of {vpc_id}",
                f"see `aws ec2 describe-subnets --filters Name=vpc-id,Values={vpc_id}`",
            )  # fmt: skip

    def _room(self, private: dict[str, aws.ec2.GetSubnetResult]) -> Iterator[Problem]:
        """The pools at their maximum against the subnets, and against those that the owner keeps for pods."""
        zones = list(private)
        needs = addresses.of_zones(resolve_all(AWS, self._args.get("node_pools", {})), zones)
        ours = f"kubernetes.io/cluster/{self._args['cluster_name']}"
        pods = self._for_pods([subnet.id for subnet in private.values()])
        for zone, subnet in private.items():
            # Once the cluster exists, its own nodes take some of the addresses: then the whole subnet counts.
            exists = ours in subnet.tags
            room = addresses.Room(
                _addresses(subnet, exists),
                sum(_addresses(each, exists) for each in pods if each.availability_zone == zone),
                shared=subnet.tags.get(network.CNI_TAG) != "0",
            )
            if short := addresses.shortage({zone: needs[zone]}, {zone: room}):
                yield Problem(
                    f"private_subnet_ids.{zone}", subnet.id, f"the pools at their maximum need more addresses: {short}",
                    "a subnet that has room for every pool at `max` with all its pods",
                    f"name a larger subnet, lower `max`, or ask the owner for one in {zone} with the tag "
                    f"{network.CNI_TAG} = 1",
                )  # fmt: skip

    def _internet_routes(self, private: dict[str, aws.ec2.GetSubnetResult]) -> Iterator[Problem]:
        for zone, subnet in private.items():
            routes = [route.cidr_block for route in self._table(subnet).routes]
            if "0.0.0.0/0" not in routes:
                yield Problem(
                    f"private_subnet_ids.{zone}", subnet.id,
                    "no route leads out of it, and images come from registries of the internet",
                    "a subnet with a route for 0.0.0.0/0, or images from a registry inside the network",
                    "pull images from such a registry, or ask the owner for a route, for example to a NAT gateway",
                )  # fmt: skip

    def _table(self, subnet: aws.ec2.GetSubnetResult) -> aws.ec2.GetRouteTableResult:
        """The subnet's route table: its own, else the VPC's main one."""
        try:
            return aws.ec2.get_route_table(subnet_id=subnet.id, opts=self._opts)
        except Exception:  # no association: the SDK has no narrower class for an invoke that failed
            main = aws.ec2.GetRouteTableFilterArgs(name="association.main", values=["true"])
            return aws.ec2.get_route_table(vpc_id=subnet.vpc_id, filters=[main], opts=self._opts)

    def _for_pods(self, but: list[str]) -> list[aws.ec2.GetSubnetResult]:
        filters = [
            aws.ec2.GetSubnetsFilterArgs(name="vpc-id", values=[self._args["vpc_id"]]),
            aws.ec2.GetSubnetsFilterArgs(name=f"tag:{network.CNI_TAG}", values=["1"]),
        ]
        found = aws.ec2.get_subnets(filters=filters, opts=self._opts).ids
        return [aws.ec2.get_subnet(id=each, opts=self._opts) for each in found if each not in but]


def _addresses(subnet: aws.ec2.GetSubnetResult, whole: bool) -> int:
    return addresses.usable(subnet.cidr_block) if whole else subnet.available_ip_address_count


def _all(ids: dict[str, pulumi.Input[str]]) -> pulumi.Output[dict[str, str]]:
    # `Output.all()` of nothing is a list.
    return pulumi.Output.all(**ids) if ids else pulumi.Output.from_input({})


def _misplaced(path: str, zone: str, subnet: aws.ec2.GetSubnetResult, vpc_id: str) -> Iterator[Problem]:
    if subnet.vpc_id != vpc_id:
        yield Problem(
            path, subnet.id, f"in {subnet.vpc_id}", f"a subnet of {vpc_id}",
            f"see `aws ec2 describe-subnets --filters Name=vpc-id,Values={vpc_id}`",
        )  # fmt: skip
    if subnet.availability_zone != zone:
        yield Problem(
            path, subnet.id, f"in {subnet.availability_zone}", f"a subnet in {zone}",
            f"name it under {subnet.availability_zone}, and one of {zone} here",
        )  # fmt: skip
    if path.startswith("private") and subnet.map_public_ip_on_launch:
        yield Problem(
            path, subnet.id, "a public subnet: its machines get public addresses",
            "a subnet with map-public-ip-on-launch off", "name a private subnet, or move it to `public_subnet_ids`",
        )  # fmt: skip
