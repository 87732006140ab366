"""A VPC that somebody else owns, of this project or shared by another one: it is looked at and left as it is."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import checks, naming
from ..checks import Problem
from . import addresses, identity, network
from .pool_spec import GkeNodePoolSpec

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")

# What GKE's agents need in the project whose network a cluster shares (VPC guide, "Set up clusters with Shared VPC").
_USER = "roles/compute.networkUser"
_HOST_AGENT = "roles/container.hostServiceAgentUser"


class GcpExistingNetworkArgs(TypedDict):
    """`network`, `subnetwork`: their names. `region`: of the subnetwork. `zones`: of that region. `project`: of the
    cluster; `host_project`: of the network, when another one shares it (Shared VPC). `pods_range`, `services_range`:
    names of the subnetwork's secondary ranges (default pods, services). `further_pods_ranges`: names of others for the
    pods of pools that name them. `node_pools`: by name; with them the ranges must have room for every pool at its
    maximum. `pods_per_node`: the cluster's (default 110). `grant`: give GKE's agents of this project their roles in
    the host project (default false: whoever owns it has). `services`: the APIs of the project as an output of what
    switches them on: who uses the network waits for them."""

    project: str
    region: str
    zones: list[str]
    network: str
    subnetwork: str
    host_project: NotRequired[str]
    pods_range: NotRequired[str]
    services_range: NotRequired[str]
    further_pods_ranges: NotRequired[list[str]]
    node_pools: NotRequired[dict[str, GkeNodePoolSpec]]
    pods_per_node: NotRequired[int]
    grant: NotRequired[bool]
    services: NotRequired[pulumi.Input[list[str]]]


def problems(args: GcpExistingNetworkArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, seen without asking Google."""
    yield from network.zone_problems(args["zones"], args["region"])
    for field in ("network", "subnetwork"):
        if not _NAME.fullmatch(args[field]):
            yield Problem(
                field, args[field], f"no name of a {field}",
                "1 to 63 lower-case letters, digits and '-', without a path",
                f"see `gcloud compute networks {'' if field == 'network' else 'subnets '}list`",
            )  # fmt: skip
    host = args.get("host_project", "")
    if host and not naming.GOOGLE_PROJECT.fullmatch(host):
        yield Problem("host_project", host, "no id of a project", "6 to 30 characters, not the number", "correct it")
    if args.get("grant", False) and host in ("", args["project"]):
        yield Problem(
            "grant", True, "the network is of this project: GKE's agents have their roles here", "false",
            "remove it, or name the hostProject",
        )  # fmt: skip
    if args.get("pods_range", network.PODS) == args.get("services_range", network.SERVICES):
        yield Problem(
            "services_range", args.get("services_range", network.SERVICES), "the same as pods_range",
            "a range of its own", "name another range",
        )  # fmt: skip
    taken = [args.get("pods_range", network.PODS), args.get("services_range", network.SERVICES)]
    for index, name in enumerate(args.get("further_pods_ranges", [])):
        if name in taken:
            yield Problem(
                f"further_pods_ranges[{index}]", name, "named already", "each range once", "remove one of them"
            )
        taken.append(name)


class GcpExistingNetwork(pulumi.ComponentResource):
    """A subnetwork of an existing VPC, with ranges for pods and services.

    Does not: make or change anything in the VPC; NAT, firewall rules and flow logs are its owner's. In a shared VPC
    GKE's agent writes firewall rules only where its owner lets it (compute.firewalls.* in the host project, such as
    roles/compute.securityAdmin); else they are the owner's as well.

    The network is looked at before anything is made, at preview too: whether it is there, Private Google Access, the
    ranges and their sizes. Whether a route or NAT leads out, and how much of a range is taken, is not seen.
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
    """The project's APIs, for what needs them and not the network."""

    def __init__(self, name: str, args: GcpExistingNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:GcpExistingNetwork", name, None, opts)
        checks.refuse(problems(args), f"GcpExistingNetwork {name}")
        checks.refuse(_look(args, pulumi.InvokeOptions(parent=self)), f"GcpExistingNetwork {name}")
        host = args.get("host_project") or args["project"]
        subnetwork_id = f"projects/{host}/regions/{args['region']}/subnetworks/{args['subnetwork']}"
        granted = self._grants(name, args, host) if args.get("grant", False) else []
        # Who uses it waits until the agents have their roles. Roles, not ids, are known at preview: else every preview
        # that adds them would show a cluster which is there as one to be replaced.
        before = [*granted, args.get("services", [])]
        self.network_id = _after(f"projects/{host}/global/networks/{args['network']}", before)
        self.subnetwork_id = _after(subnetwork_id, before)
        self.pods_range = pulumi.Output.from_input(args.get("pods_range", network.PODS))
        self.services_range = pulumi.Output.from_input(args.get("services_range", network.SERVICES))
        self.further_pods_ranges = pulumi.Output.from_input(args.get("further_pods_ranges", []))
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

    def _grants(self, name: str, args: GcpExistingNetworkArgs, host: str) -> list[pulumi.Output[str]]:
        child = pulumi.ResourceOptions(parent=self)
        agents = identity.agents(name, args["project"], self)
        users = [
            gcp.compute.SubnetworkIAMMember(
                f"{name}-{who}-network-user",
                project=host,
                region=args["region"],
                subnetwork=args["subnetwork"],
                role=_USER,
                member=member,
                opts=child,
            ).role
            for who, member in (("gke", agents.gke), ("apis", agents.apis))
        ]
        agent = gcp.projects.IAMMember(
            f"{name}-gke-host-agent", project=host, role=_HOST_AGENT, member=agents.gke, opts=child
        )
        return [*users, agent.role]


def _after(value: str, others: Sequence[Any]) -> pulumi.Output[str]:
    return pulumi.Output.all(value, *others).apply(lambda values: values[0])


def _look(args: GcpExistingNetworkArgs, opts: pulumi.InvokeOptions) -> Iterator[Problem]:
    """What Google says of the network and its subnetwork."""
    host = args.get("host_project") or args["project"]
    try:
        vpc = gcp.compute.get_network(name=args["network"], project=host, opts=opts)
    except Exception as error:  # the SDK has no narrower class for an invoke that failed
        yield Problem(
            "network", args["network"], f"cannot be looked at: {checks.last_line(error)}", f"a VPC of {host}",
            f"see `gcloud compute networks list --project {host}`",
        )  # fmt: skip
        return
    try:
        subnet = gcp.compute.get_subnetwork(name=args["subnetwork"], project=host, region=args["region"], opts=opts)
    except Exception as error:  # as above
        yield Problem(
            "subnetwork", args["subnetwork"], f"cannot be looked at: {checks.last_line(error)}",
            f"a subnetwork of {args['network']} in {args['region']}", _list(args, host),
        )  # fmt: skip
        return
    if subnet.network.rsplit("/", 1)[-1] != vpc.name:
        yield Problem(
            "subnetwork", args["subnetwork"], f"lies in {subnet.network.rsplit('/', 1)[-1]}",
            f"a subnetwork of {args['network']}", _list(args, host),
        )  # fmt: skip
        return
    if not subnet.private_ip_google_access:
        yield Problem(
            "subnetwork", args["subnetwork"],
            "without Private Google Access: private nodes do not reach Google's APIs and registries",
            "a subnetwork that has it",
            f"ask its owner for `gcloud compute networks subnets update {args['subnetwork']} --region {args['region']} "
            f"--project {host} --enable-private-ip-google-access`",
        )  # fmt: skip
    ranges = {found.range_name: found.ip_cidr_range for found in subnet.secondary_ip_ranges}
    wrong = False
    named = {
        "pods_range": args.get("pods_range", network.PODS),
        "services_range": args.get("services_range", network.SERVICES),
        **{f"further_pods_ranges[{index}]": name for index, name in enumerate(args.get("further_pods_ranges", []))},
    }
    for field, wanted in named.items():
        if wanted not in ranges:
            wrong = True
            yield Problem(
                field, wanted, f"no secondary range of {args['subnetwork']}", ", ".join(ranges) or "it has none",
                "name one of them, or ask the owner for one",
            )  # fmt: skip
    if not wrong:
        yield from _room(args, subnet.ip_cidr_range, ranges)


def _room(args: GcpExistingNetworkArgs, cidr: str, ranges: dict[str, str]) -> Iterator[Problem]:
    """The pools at their maximum against the whole of the ranges, whatever others take of them."""
    pools, further = addresses.sound(args.get("node_pools", {}), args["zones"]), args.get("further_pods_ranges", [])
    count = addresses.nodes(pools)
    if short := addresses.too_few_addresses(cidr, count):
        yield Problem(
            "subnetwork", args["subnetwork"], f"{cidr}: {short}", "a subnetwork that holds every pool at max",
            "lower max, or ask its owner to expand it (`gcloud compute networks subnets expand-ip-range`)",
        )  # fmt: skip
    own = args.get("pods_range", network.PODS)
    for name, taken in addresses.needs(pools, args.get("pods_per_node", addresses.PODS_PER_NODE)).items():
        if name and name not in further:
            yield Problem(
                "further_pods_ranges", further, f"a pool has its pods in {name}", "every pods_range of the pools",
                f"add {name}",
            )  # fmt: skip
        elif short := addresses.too_few_blocks(ranges[name or own], taken):
            yield Problem(
                f"further_pods_ranges[{further.index(name)}]" if name else "pods_range",
                name or own, f"{ranges[name or own]}: {short}", "a range that holds every pool at max",
                "name a larger range, lower max, or lower podsPerNode",
            )  # fmt: skip


def _list(args: GcpExistingNetworkArgs, host: str) -> str:
    return f"see `gcloud compute networks subnets list --network {args['network']} --project {host}`"
