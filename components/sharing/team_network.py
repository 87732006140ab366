"""The network policy of a team: which connections its pods may open and accept.

The cluster must enforce NetworkPolicies. `EksCluster` and `GkeCluster` do; see `EksTeamAccess` and `GkeTeamAccess` for
other clusters. The node of a pod always reaches it (kubelet's probes): Kubernetes, "Network Policies", under "What you
can't do".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..clouds import CLOUDS
from ..monitoring.targets import NAMESPACE

SCRAPERS = (NAMESPACE, "gmp-system")
"""Namespaces of the Prometheus systems that read the pods' metrics: kube-prometheus-stack's and GKE's."""

NAME_LABEL = "kubernetes.io/metadata.name"
"""Kubernetes' own label of a namespace with its name, which only administrators can change."""

_DNS_PORTS = (("UDP", 53), ("TCP", 53))
# The address of NodeLocal DNSCache, which GKE runs by default from 1.33.1.
_NODE_DNS = "169.254.20.10/32"
# Addresses that are not the internet: RFC 1918, RFC 6598, link-local ones (metadata servers), and class E, which GKE
# accepts for pods.
NOT_INTERNET = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "240.0.0.0/4")
"""Networks that `internet` does not open."""
LINK_LOCAL = "169.254.0.0/16"
"""Addresses of a node's own services: metadata, time, DNS."""


def spec(network: Mapping[str, Any], cloud: str, api_server_cidrs: Any, scrapers: Sequence[str]) -> Any:
    """The spec of the NetworkPolicy, which selects every pod of the namespace.

    Args:
        network: the team's `TeamNetwork`.
        cloud: cloud of the cluster, for the addresses of its services on nodes; empty for neither.
        api_server_cidrs: networks in which the API server has its addresses; plain, or an Output.
        scrapers: namespaces of Prometheus.
    """
    here: dict[str, Any] = {"podSelector": {}}
    incoming = [here, *map(_namespace, [*scrapers, *network.get("ingress_namespaces", [])])]
    incoming += map(_block, network.get("ingress_cidrs", []))
    outgoing: list[dict[str, Any]] = [
        {"to": [here]},
        {
            "to": [_namespace("kube-system"), _block(_NODE_DNS), *map(_block, _dns(cloud))],
            "ports": [{"protocol": protocol, "port": port} for protocol, port in _DNS_PORTS],
        },
    ]
    if cloud:
        outgoing += [
            {"to": [_block(address)], "ports": [_tcp(port) for port in ports]}
            for address, ports in CLOUDS[cloud].identity_addresses.items()
        ]
    if network["api_server"]:
        outgoing.append({"to": api_server_cidrs, "ports": [_tcp(443)]})
    if network["internet"]:
        outgoing.append({"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": list(NOT_INTERNET)}}]})
    if named := network.get("egress_cidrs", []):
        outgoing.append({"to": [_block(cidr) for cidr in named]})
    return {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": incoming}],
        "egress": outgoing,
    }


def blocks(cidrs: Sequence[str]) -> list[dict[str, Any]]:
    """Networks as peers of a policy."""
    return [_block(cidr) for cidr in cidrs]


def _dns(cloud: str) -> Sequence[str]:
    return CLOUDS[cloud].dns_addresses if cloud else ()


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {NAME_LABEL: name}}}


def _block(cidr: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr}}


def _tcp(port: int) -> dict[str, Any]:
    return {"protocol": "TCP", "port": port}
