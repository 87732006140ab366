"""The firewall rules that GKE creates automatically with a cluster and deletes with it. No Pulumi resource owns them.

Names, sources and targets are GKE's ("Automatically created firewall rules"). The cluster itself creates those of load
balancers, which are not deleted with it: load_balancers.py.
"""

from __future__ import annotations

from sandbox.gcp.store import Body, Reference, Store
from sandbox.gcp.table import full_name, number, timestamp
from sandbox.plugins.provider import Props

FIREWALLS = "compute.firewalls"


def write(store: Store, cluster: Reference, inputs: Props, body: Body) -> None:
    """Creates the rules of a cluster in its network's project; a cluster in the network `default` gets none here."""
    if not body.get("network"):
        return
    network = full_name("compute.networks", body["network"], inputs)
    project, digest = network.split("/")[1], _digest(cluster)
    nodes, pods = _ranges(store, inputs, body)
    for role, ranges, allowed in (
        ("all", pods, [{"IPProtocol": protocol} for protocol in ("tcp", "udp", "icmp", "esp", "ah", "sctp")]),
        ("vms", nodes, [{"IPProtocol": "icmp"}, *({"IPProtocol": p, "ports": ["1-65535"]} for p in ("tcp", "udp"))]),
        ("inkubelet", pods, [{"IPProtocol": "tcp", "ports": ["10255"]}]),
        ("exkubelet", ["0.0.0.0/0"], [{"IPProtocol": "tcp", "ports": ["10255"]}]),
    ):
        # Compute Engine names have at most 63 characters; GKE truncates the cluster's name.
        short = f"gke-{inputs['name'][:25]}-{digest}-{role}"
        found = rule(project, short, network, ranges, tag(cluster), allowed, denied=role == "exkubelet")
        name = f"projects/{project}/global/firewalls/{short}"
        store.insert(FIREWALLS, name, found, owner=cluster, references=[("compute.networks", network)])


def rule(
    project: str,
    name: str,
    network: str,
    sources: list[str],
    target: str,
    protocols: list[Body],
    *,
    denied: bool = False,
) -> Body:
    """The body of a rule for ingress to the machines with a tag."""
    full = f"projects/{project}/global/firewalls/{name}"
    return {
        "name": name,
        "id": number(full),
        "network": network,
        "direction": "INGRESS",
        "sourceRanges": sources,
        "targetTags": [target],
        "denied" if denied else "allowed": protocols,
        "creationTimestamp": timestamp(),
        "selfLink": f"https://www.googleapis.com/compute/v1/{full}",
        "_sandbox": {"id": number(full)},
    }


def tag(cluster: Reference) -> str:
    """The network tag that GKE gives the nodes of a cluster."""
    return f"gke-{cluster[1].rsplit('/', 1)[-1]}-{_digest(cluster)}-node"


def _digest(cluster: Reference) -> str:
    return f"{int(number(cluster[1])):x}"[:8]


def _ranges(store: Store, inputs: Props, body: Body) -> tuple[list[str], list[str]]:
    """Ranges of the nodes and of the pods."""
    if not body.get("subnetwork"):
        return [], []
    subnet = store.get("compute.subnetworks", full_name("compute.subnetworks", body["subnetwork"], inputs))
    wanted = body.get("ipAllocationPolicy", {}).get("clusterSecondaryRangeName")
    pods = [item["ipCidrRange"] for item in subnet.get("secondaryIpRanges", []) if item.get("rangeName") == wanted]
    return [subnet["ipCidrRange"]], pods
