"""The VPC that a GKE cluster lives in: one subnetwork with ranges for pods and services, and NAT."""

from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

PODS = "pods"
SERVICES = "services"


class GcpNetworkArgs(TypedDict):
    """`region`: of the subnetwork. `cidr`: its nodes' range. `pods_cidr`, `services_cidr`: secondary ranges; GKE gives
    each node a /24 of the pods' range (10.4.0.0/14 holds 1,024 nodes). `zones`: of that region, for the node pools.
    `nat`: `single` (default) or `none`."""

    region: str
    cidr: str
    zones: list[str]
    pods_cidr: NotRequired[str]
    services_cidr: NotRequired[str]
    nat: NotRequired[str]


NAT_MODES = ("single", "none")
PODS_CIDR = "10.64.0.0/14"
SERVICES_CIDR = "10.68.0.0/20"


def problems(args: GcpNetworkArgs) -> Iterator[Problem]:
    """Everything that is wrong with a network's arguments, seen without asking Google."""
    yield from checks.cidr("cidr", args["cidr"], 8, 29)
    yield from checks.cidr("pods_cidr", args.get("pods_cidr", PODS_CIDR), 8, 21)
    yield from checks.cidr("services_cidr", args.get("services_cidr", SERVICES_CIDR), 8, 27)
    yield from checks.one_of("nat", args.get("nat", "single"), NAT_MODES)
    yield from checks.disjoint(
        {
            "cidr": args["cidr"],
            "pods_cidr": args.get("pods_cidr", PODS_CIDR),
            "services_cidr": args.get("services_cidr", SERVICES_CIDR),
        }
    )
    region = args["region"]
    for index, zone in enumerate(args["zones"]):
        if zone[:-2] != region or not zone[-1].isalpha():
            yield Problem(
                f"zones[{index}]", zone, f"not a zone of {region}", f"{region}-a, {region}-b, …",
                f"see `gcloud compute zones list --filter=region:{region}`",
            )  # fmt: skip
        elif zone in args["zones"][:index]:
            yield Problem(f"zones[{index}]", zone, "named twice", "each zone once", "remove one of them")
    if not args["zones"]:
        yield Problem("zones", [], "no zone", f"one or more zones of {region}", "add a zone")


class GcpNetwork(pulumi.ComponentResource):
    """A VPC with one subnetwork, Private Google Access, and Cloud NAT for nodes without public addresses.

    Does not: adopt a network or a shared VPC, open any firewall port (GKE makes the rules that it needs).
    """

    network_id: pulumi.Output[str]
    """Id of the VPC."""
    subnetwork_id: pulumi.Output[str]
    """Id of the subnetwork. Nodes `depends_on` the whole component: they need a way out."""

    def __init__(self, name: str, args: GcpNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GcpNetwork", name, None, opts)
        checks.refuse(problems(args), f"GcpNetwork {name}")
        child = pulumi.ResourceOptions(parent=self)
        network = gcp.compute.Network(f"{name}-vpc", auto_create_subnetworks=False, routing_mode="REGIONAL", opts=child)
        subnetwork = gcp.compute.Subnetwork(
            f"{name}-nodes",
            network=network.id,
            region=args["region"],
            ip_cidr_range=args["cidr"],
            private_ip_google_access=True,
            secondary_ip_ranges=[
                gcp.compute.SubnetworkSecondaryIpRangeArgs(
                    range_name=PODS, ip_cidr_range=args.get("pods_cidr", PODS_CIDR)
                ),
                gcp.compute.SubnetworkSecondaryIpRangeArgs(
                    range_name=SERVICES, ip_cidr_range=args.get("services_cidr", SERVICES_CIDR)
                ),
            ],
            opts=child,
        )
        if args.get("nat", "single") == "single":
            router = gcp.compute.Router(f"{name}-router", network=network.id, region=args["region"], opts=child)
            gcp.compute.RouterNat(
                f"{name}-nat",
                router=router.name,
                region=args["region"],
                nat_ip_allocate_option="AUTO_ONLY",
                source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
                subnetworks=[
                    gcp.compute.RouterNatSubnetworkArgs(name=subnetwork.id, source_ip_ranges_to_nats=["ALL_IP_RANGES"])
                ],
                opts=child,
            )
        self.network_id = network.id
        self.subnetwork_id = subnetwork.id
        self.register_outputs({"networkId": self.network_id, "subnetworkId": self.subnetwork_id})
