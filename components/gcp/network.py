"""The VPC of a GKE cluster: one subnetwork with ranges for nodes, pods and services, NAT, and optionally flow logs.

No firewall rule is created: GKE creates those that its nodes, pods and load balancers need, and deletes them with the
cluster. No port is opened for webhooks (9443 of Kueue, KubeRay and others) either. The rule that is often copied for
them is for control planes that are peered with the VPC (until GKE 1.28), whose range it names. Current control planes
are connected by Private Service Connect and have no range in the VPC: they call webhooks through the konnectivity
agents, which are pods, and GKE's own rule `gke-…-all` lets pods reach pods on every port.
Sources: GKE's "Automatically created firewall rules" and "About Private Service Connect".
"""

import re
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import arguments, checks, component_names
from ..checks import Problem
from . import addresses, places

PODS = "pods"
SERVICES = "services"

NAT_MODES = ("single", "none")

# Compute Engine: names of secondary ranges.
_RANGE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")

# Ports of a node towards one destination: few for an idle node, many for one that pulls a data set through thousands of
# connections.
_NAT_PORTS = (64, 32768)


class GcpNetworkArgs(TypedDict):
    """A VPC for one GKE cluster."""

    region: str
    """Region of the subnetwork, such as us-central1."""
    zones: list[str]
    """Zones of the region for the node pools. AI zones (us-central1-ai1a) are for the GPU pools that name them."""
    cidr: NotRequired[str]
    """Primary range of the subnetwork, for nodes, in CIDR notation, /8 to /29. It can grow in place. Default:
    `10.0.0.0/16`."""
    pods_cidr: NotRequired[str]
    """Secondary range for pods, /9 to /24. It can neither move nor grow. GKE gives each node twice as many addresses as
    pods, rounded up to a power of two: 256 for 110 pods. Default: `10.64.0.0/14`."""
    services_cidr: NotRequired[str]
    """Secondary range for services, /16 to /27. It can neither move nor grow. Default: `10.68.0.0/20`."""
    further_pods_cidrs: NotRequired[dict[str, str]]
    """Further secondary ranges for pods, by name, /9 to /24: for the pools that name them, and for pools that are
    created when the first range is full. They can be added at any time. Default: none."""
    nat: NotRequired[str]
    """Cloud NAT: single (one gateway, which is regional and survives the loss of a zone) or none. Default: `single`."""
    flow_log_percent: NotRequired[int]
    """Percentage of flows that are sampled into VPC flow logs, 0 to 100; 0 for no log. How long they are kept is set in
    the project (Cloud Logging's bucket `_Default`). Default: `0`."""
    deletion_protection: NotRequired[bool]
    """Whether Pulumi refuses to delete the VPC and the subnetwork. Default: `true`."""
    services: NotRequired[pulumi.Input[list[str]]]
    """Names of the project's APIs, as an output of the component that enables them; passed on to the output `services`.
    Default: none."""


def problems(args: GcpNetworkArgs) -> Iterator[Problem]:
    """Everything that is wrong with a network's arguments, found without asking Google."""
    yield from checks.cidr("cidr", args["cidr"], *addresses.CIDR_PREFIXES)
    yield from checks.cidr("pods_cidr", args["pods_cidr"], *addresses.PODS_PREFIXES)
    yield from checks.cidr("services_cidr", args["services_cidr"], *addresses.SERVICES_PREFIXES)
    nat = args["nat"]
    if nat == "per_zone":
        yield Problem(
            "nat", nat, "Cloud NAT belongs to a region: one gateway survives the loss of a zone",
            ", ".join(NAT_MODES), "write single",
        )  # fmt: skip
    else:
        yield from checks.one_of("nat", nat, NAT_MODES)
    further = args.get("further_pods_cidrs", {})
    for name, cidr in further.items():
        path = f"further_pods_cidrs.{name}"
        if not _RANGE.fullmatch(name) or name in (PODS, SERVICES):
            yield Problem(
                path, cidr, f"the name of the {name} range" if name in (PODS, SERVICES) else "the name is not valid",
                "1 to 63 lower-case letters, digits and '-', beginning with a letter", "rename the range",
            )  # fmt: skip
        yield from checks.cidr(path, cidr, *addresses.PODS_PREFIXES)
    ranges = {
        "cidr": args["cidr"],
        "pods_cidr": args["pods_cidr"],
        "services_cidr": args["services_cidr"],
        **{f"further_pods_cidrs.{name}": cidr for name, cidr in further.items()},
    }
    for path, cidr in ranges.items():
        yield from addresses.range_problems(path, cidr)
    yield from checks.disjoint(ranges)
    yield from places.problems(args["zones"], args["region"])
    percent = args["flow_log_percent"]
    if not 0 <= percent <= 100:
        yield Problem(
            "flow_log_percent", percent, "not a valid percentage", "0 (no log) to 100", "write 50, Google's default"
        )


def warnings(args: GcpNetworkArgs) -> Iterator[str]:
    """Warnings about settings that work but are rarely intended."""
    if args["nat"] == "none":
        yield (
            "nat: nodes reach Google's APIs and registries (pkg.dev, gcr.io) and nothing else; images of other "
            "registries need a remote repository in Artifact Registry"
        )


class GcpNetwork(pulumi.ComponentResource):
    """A VPC with one subnetwork, Private Google Access, and Cloud NAT for nodes without public addresses.

    It does not adopt an existing network or a shared VPC (`GcpExistingNetwork`), open a firewall port, or set labels
    (Google's networks have none). Node pools should `depends_on` the whole component, because nodes need the route to
    the internet.
    """

    network_id: pulumi.Output[str]
    """Id of the VPC."""
    subnetwork_id: pulumi.Output[str]
    """Id of the subnetwork."""
    pods_range: pulumi.Output[str]
    """Name of the subnetwork's range for pods."""
    services_range: pulumi.Output[str]
    """Name of the subnetwork's range for services."""
    further_pods_ranges: pulumi.Output[list[str]]
    """Names of the subnetwork's further ranges for pods."""
    services: pulumi.Output[list[str]]
    """Names of the project's APIs, known once they are enabled."""

    def __init__(self, name: str, args: GcpNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"GcpNetwork {name}", GcpNetworkArgs, args, problems,
            lambda _: component_names.google_problems(name, "-router"),
        )  # fmt: skip
        super().__init__("gpuyard:index:GcpNetwork", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        further = args.get("further_pods_cidrs", {})
        # Replacing a VPC would replace the whole environment, because its resources cannot move.
        kept = pulumi.ResourceOptions(parent=self, protect=args["deletion_protection"])
        self.resource = gcp.compute.Network(
            f"{name}-vpc", auto_create_subnetworks=False, routing_mode="REGIONAL", opts=kept
        )
        """The VPC."""
        self.subnetwork = gcp.compute.Subnetwork(
            f"{name}-nodes",
            network=self.resource.id,
            region=args["region"],
            ip_cidr_range=args["cidr"],
            # Google's APIs, including its registries and buckets, are reached without NAT and its costs.
            private_ip_google_access=True,
            secondary_ip_ranges=[
                gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=PODS, ip_cidr_range=args["pods_cidr"]),
                gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=SERVICES, ip_cidr_range=args["services_cidr"]),
                *(
                    gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=range, ip_cidr_range=cidr)
                    for range, cidr in further.items()
                ),
            ],
            log_config=_flow_log(args["flow_log_percent"]),
            opts=kept,
        )
        """The subnetwork."""
        if args["nat"] == "single":
            router = gcp.compute.Router(f"{name}-router", network=self.resource.id, region=args["region"], opts=child)
            least, most = _NAT_PORTS
            gcp.compute.RouterNat(
                f"{name}-nat",
                router=router.name,
                region=args["region"],
                nat_ip_allocate_option="AUTO_ONLY",
                source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
                subnetworks=[
                    gcp.compute.RouterNatSubnetworkArgs(
                        name=self.subnetwork.id, source_ip_ranges_to_nats=["ALL_IP_RANGES"]
                    )
                ],
                enable_dynamic_port_allocation=True,
                # Google does not allow it together with dynamic port allocation.
                enable_endpoint_independent_mapping=False,
                min_ports_per_vm=least,
                max_ports_per_vm=most,
                # Only connections that got no port; a log of all connections costs too much.
                log_config=gcp.compute.RouterNatLogConfigArgs(enable=True, filter="ERRORS_ONLY"),
                opts=child,
            )
        self.network_id = self.resource.id
        self.subnetwork_id = self.subnetwork.id
        self.pods_range = pulumi.Output.from_input(PODS)
        self.services_range = pulumi.Output.from_input(SERVICES)
        # Known at preview, and after the subnetwork has them.
        self.further_pods_ranges = (
            self.subnetwork.id.apply(lambda _: list(further)) if further else pulumi.Output.from_input([])
        )
        self.services = pulumi.Output.from_input(args.get("services", []))
        self.register_outputs(
            {
                "networkId": self.network_id,
                "subnetworkId": self.subnetwork_id,
                "podsRange": self.pods_range,
                "servicesRange": self.services_range,
                "furtherPodsRanges": self.further_pods_ranges,
                "services": self.services,
            }
        )


def _flow_log(percent: int) -> gcp.compute.SubnetworkLogConfigArgs | None:
    if not percent:
        return None
    return gcp.compute.SubnetworkLogConfigArgs(
        # One entry for ten minutes of a connection, with the names of machines and pods.
        aggregation_interval="INTERVAL_10_MIN",
        flow_sampling=percent / 100,
        metadata="INCLUDE_ALL_METADATA",
    )
