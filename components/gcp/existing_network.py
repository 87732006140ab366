"""An existing VPC, of this project or shared by another one. It is read and never changed."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import arguments, checks
from ..checks import Problem
from . import addresses, identity, places, pool_checks
from .pool_spec import GkeNodePoolSpec, resolve_all

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")

# What GKE's agents need in the host project of a shared VPC (GKE's "Set up clusters with Shared VPC").
_USER = "roles/compute.networkUser"
_HOST_AGENT = "roles/container.hostServiceAgentUser"


class GcpExistingNetworkArgs(TypedDict):
    """A subnetwork of an existing VPC."""

    project: str
    """Id of the cluster's project."""
    region: str
    """Region of the subnetwork, such as us-central1."""
    zones: list[str]
    """Zones of the region for the node pools."""
    network: str
    """Name of the VPC, without a path."""
    subnetwork: str
    """Name of the subnetwork, without a path."""
    host_project: NotRequired[str]
    """Id of the project that owns the network and shares it (Shared VPC). Default: the cluster's
    project."""
    pods_range: NotRequired[str]
    """Name of the subnetwork's secondary range for pods. Default: `pods`."""
    services_range: NotRequired[str]
    """Name of the subnetwork's secondary range for services. Default: `services`."""
    further_pods_ranges: NotRequired[list[str]]
    """Names of further secondary ranges, for the pods of the pools that name them. Default: none."""
    node_pools: NotRequired[dict[str, GkeNodePoolSpec]]
    """Pools by name: the ranges must have room for each of them at its maximum. Default: not checked."""
    pods_per_node: NotRequired[int]
    """The cluster's maximum of pods on a node, 8 to 256. Default: `110`."""
    grant: NotRequired[bool]
    """Whether GKE's agents of this project get their roles in the host project. If not, the owner of the network grants
    them. Default: `false`."""
    services: NotRequired[pulumi.Input[list[str]]]
    """Names of the project's APIs, as an output of the component that enables them: the outputs wait for it. Default:
    none."""


def problems(args: GcpExistingNetworkArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, found without asking Google."""
    yield from identity.project_problems("project", args["project"])
    yield from places.problems(args["zones"], args["region"])
    for field in ("network", "subnetwork"):
        if not _NAME.fullmatch(args[field]):
            yield Problem(
                field, args[field], f"not a valid name of a {field}",
                "1 to 63 lower-case letters, digits and '-', without a path",
                f"see `gcloud compute networks {'' if field == 'network' else 'subnets '}list`",
            )  # fmt: skip
    host = args.get("host_project", "")
    if host:
        yield from identity.project_problems("host_project", host)
    if args["grant"] and host in ("", args["project"]):
        yield Problem(
            "grant", True, "the network belongs to this project, in which GKE's agents have their roles", "false",
            "remove it, or name the `host_project`",
        )  # fmt: skip
    if args["pods_range"] == args["services_range"]:
        yield Problem(
            "services_range", args["services_range"], "the same as `pods_range`",
            "another range", "name another range",
        )  # fmt: skip
    taken = [args["pods_range"], args["services_range"]]
    for index, name in enumerate(args.get("further_pods_ranges", [])):
        if name in taken:
            yield Problem(f"further_pods_ranges[{index}]", name, "named twice", "each range once", "remove one of them")
        taken.append(name)
    for name, spec in args.get("node_pools", {}).items():
        found = pool_checks.problems(name, spec, args["zones"])
        yield from (problem.under(f"node_pools.{name}") for problem in found)


class GcpExistingNetwork(pulumi.ComponentResource):
    """A subnetwork of an existing VPC, with ranges for pods and services.

    Does not: create or change anything in the VPC; NAT, firewall rules and flow logs are up to its owner. In a shared
    VPC GKE's agent writes firewall rules only if it has the permissions (compute.firewalls.* in the host project, such
    as by roles/compute.securityAdmin); otherwise the owner writes them.

    The network is read before anything is created, at preview as well: whether it exists, Private Google Access, the
    ranges and their sizes. Not checked are whether a route or NAT leads out, and how much of a range is in use.
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

    def __init__(self, name: str, args: GcpExistingNetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        subject, options = f"GcpExistingNetwork {name}", pulumi.InvokeOptions(parent=self)
        args = arguments.checked(subject, GcpExistingNetworkArgs, args, problems)
        super().__init__("gpuyard:index:GcpExistingNetwork", name, None, opts)
        checks.refuse(_found(args, options), subject)
        host = args.get("host_project") or args["project"]
        subnetwork_id = f"projects/{host}/regions/{args['region']}/subnetworks/{args['subnetwork']}"
        granted = self._grants(name, args, host) if args["grant"] else []
        # What uses the network waits until the agents have their roles. Roles are known at preview, ids are not: with
        # ids, a preview that adds the grants would replace the cluster.
        before = [*granted, args.get("services", [])]
        self.network_id = _after(f"projects/{host}/global/networks/{args['network']}", before)
        self.subnetwork_id = _after(subnetwork_id, before)
        self.pods_range = pulumi.Output.from_input(args["pods_range"])
        self.services_range = pulumi.Output.from_input(args["services_range"])
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


def _found(args: GcpExistingNetworkArgs, opts: pulumi.InvokeOptions) -> Iterator[Problem]:
    """What is wrong with the network and its subnetwork, as Google describes them."""
    host = args.get("host_project") or args["project"]
    try:
        vpc = gcp.compute.get_network(name=args["network"], project=host, opts=opts)
    except Exception as error:  # the SDK has no narrower class for an invoke that failed
        yield Problem(
            "network", args["network"], f"cannot be read: {checks.last_line(error)}", f"a VPC of {host}",
            f"see `gcloud compute networks list --project {host}`",
        )  # fmt: skip
        return
    try:
        subnet = gcp.compute.get_subnetwork(name=args["subnetwork"], project=host, region=args["region"], opts=opts)
    except Exception as error:  # as above
        yield Problem(
            "subnetwork", args["subnetwork"], f"cannot be read: {checks.last_line(error)}",
            f"a subnetwork of {args['network']} in {args['region']}", _list(args, host),
        )  # fmt: skip
        return
    if subnet.network.rsplit("/", 1)[-1] != vpc.name:
        yield Problem(
            "subnetwork", args["subnetwork"], f"is in {subnet.network.rsplit('/', 1)[-1]}",
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
        "pods_range": args["pods_range"],
        "services_range": args["services_range"],
        **{f"further_pods_ranges[{index}]": name for index, name in enumerate(args.get("further_pods_ranges", []))},
    }
    for field, wanted in named.items():
        if wanted not in ranges:
            wrong = True
            yield Problem(
                field, wanted, f"not a secondary range of {args['subnetwork']}", ", ".join(ranges) or "it has none",
                "name one of them, or ask the owner for one",
            )  # fmt: skip
    if not wrong:
        yield from _room(args, subnet.ip_cidr_range, ranges)


def _room(args: GcpExistingNetworkArgs, cidr: str, ranges: dict[str, str]) -> Iterator[Problem]:
    """Whether the ranges have room for the pools at their maximum, without counting what others use of them."""
    pools, further = resolve_all(args.get("node_pools", {})), args.get("further_pods_ranges", [])
    count = addresses.nodes(pools)
    if short := addresses.too_few_addresses(cidr, count):
        yield Problem(
            "subnetwork", args["subnetwork"], f"{cidr}: {short}", "a subnetwork that holds every pool at max",
            "lower `max`, or ask its owner to expand it (`gcloud compute networks subnets expand-ip-range`)",
        )  # fmt: skip
    own = args["pods_range"]
    for name, taken in addresses.needs(pools, args["pods_per_node"]).items():
        if name and name not in further:
            yield Problem(
                "further_pods_ranges", further, f"a pool has its pods in {name}", "every `pods_range` of the pools",
                f"add {name}",
            )  # fmt: skip
        elif short := addresses.too_few_blocks(ranges[name or own], taken):
            yield Problem(
                f"further_pods_ranges[{further.index(name)}]" if name else "pods_range",
                name or own, f"{ranges[name or own]}: {short}", "a range that holds every pool at max",
                "name a larger range, lower `max`, or lower `pods_per_node`",
            )  # fmt: skip


def _list(args: GcpExistingNetworkArgs, host: str) -> str:
    return f"see `gcloud compute networks subnets list --network {args['network']} --project {host}`"
