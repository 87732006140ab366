"""The firewall rules that GKE writes by itself: they come with a cluster, are nobody's in Pulumi, and go with it.

Their names, sources and targets are GKE's ("Automatically created firewall rules"); rules of load balancers, which its
controllers write inside the cluster, are not simulated, and neither are the endpoint groups of these.
"""

from __future__ import annotations

from sandbox.gcp.store import Body, Reference, Store
from sandbox.gcp.table import full_name, number, timestamp
from sandbox.plugins.provider import Props

FIREWALLS = "compute.firewalls"


def write(store: Store, cluster: Reference, inputs: Props, body: Body) -> None:
    """Makes the rules of a cluster in its network's project; a cluster in the network `default` gets none here."""
    if not body.get("network"):
        return
    network = full_name("compute.networks", body["network"], inputs)
    project, digest = network.split("/")[1], f"{int(number(cluster[1])):x}"[:8]
    nodes, pods = _ranges(store, inputs, body)
    tag = f"gke-{inputs['name']}-{digest}-node"
    for role, ranges, allowed in (
        ("all", pods, [{"IPProtocol": protocol} for protocol in ("tcp", "udp", "icmp", "esp", "ah", "sctp")]),
        ("vms", nodes, [{"IPProtocol": "icmp"}, *({"IPProtocol": p, "ports": ["1-65535"]} for p in ("tcp", "udp"))]),
        ("inkubelet", pods, [{"IPProtocol": "tcp", "ports": ["10255"]}]),
        ("exkubelet", ["0.0.0.0/0"], [{"IPProtocol": "tcp", "ports": ["10255"]}]),
    ):
        # Compute Engine takes names of 63 characters; GKE cuts the cluster's.
        name = f"projects/{project}/global/firewalls/gke-{inputs['name'][:25]}-{digest}-{role}"
        rule: Body = {
            "name": name.rsplit("/", 1)[-1],
            "id": number(name),
            "network": network,
            "direction": "INGRESS",
            "sourceRanges": ranges,
            "targetTags": [tag],
            "denied" if role == "exkubelet" else "allowed": allowed,
            "creationTimestamp": timestamp(),
            "selfLink": f"https://www.googleapis.com/compute/v1/{name}",
            "_sandbox": {"id": number(name)},
        }
        store.insert(FIREWALLS, name, rule, owner=cluster, references=[("compute.networks", network)])


def _ranges(store: Store, inputs: Props, body: Body) -> tuple[list[str], list[str]]:
    """Ranges of the nodes and of the pods."""
    if not body.get("subnetwork"):
        return [], []
    subnet = store.get("compute.subnetworks", full_name("compute.subnetworks", body["subnetwork"], inputs))
    wanted = body.get("ipAllocationPolicy", {}).get("clusterSecondaryRangeName")
    pods = [item["ipCidrRange"] for item in subnet.get("secondaryIpRanges", []) if item.get("rangeName") == wanted]
    return [subnet["ipCidrRange"]], pods
