"""Who may talk to whom: Kubernetes' rules for NetworkPolicies, evaluated on the objects of a recording.

A connection needs both ends: the policies that select the client's pod allow its way out, and those that select the
server's pod allow its way in. A pod that no policy of a direction selects is open in that direction. Source:
Kubernetes, "Network Policies". Not evaluated: IPv6, ranges of ports, policies of a cloud's own kinds. A test proves
what the policies say; that a cluster enforces them is for its network plugin.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recording.recording import Recording

KIND = "kubernetes:networking.k8s.io/v1:NetworkPolicy"


@dataclass(frozen=True)
class Pod:
    """A pod with its address and the labels that selectors see."""

    namespace: str
    address: str = "10.0.1.1"
    labels: Mapping[str, str] = field(default_factory=dict)


class Policies:
    """The NetworkPolicies of a cluster."""

    def __init__(self, made: Recording) -> None:
        self.all = [found.inputs for found in made.all(KIND)]

    def connects(self, client: Pod | str, server: Pod | str, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection is allowed. An address in place of a pod is outside the cluster, or on a node."""
        return self._allows("Egress", client, server, port, protocol) and self._allows(
            "Ingress", server, client, port, protocol
        )

    def _allows(self, direction: str, pod: Pod | str, other: Pod | str, port: int, protocol: str) -> bool:
        if isinstance(pod, str):
            return True
        mine = [
            policy
            for policy in self.all
            if policy["metadata"]["namespace"] == pod.namespace
            and direction in policy["spec"]["policyTypes"]
            and _selects(policy["spec"]["podSelector"], pod.labels)
        ]
        way, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
        return not mine or any(
            _of_rule(rule, peers, policy["metadata"]["namespace"], other, port, protocol)
            for policy in mine
            for rule in policy["spec"].get(way, [])
        )


def _of_rule(rule: Mapping[str, Any], peers: str, namespace: str, other: Pod | str, port: int, protocol: str) -> bool:
    ports = rule.get("ports", [])
    if ports and not any(each["protocol"] == protocol and each["port"] == port for each in ports):
        return False
    # A rule without peers allows every peer; in these recordings none is without on purpose.
    assert rule.get(peers), f"{rule} allows everybody"
    return any(_is(peer, namespace, other) for peer in rule[peers])


def _is(peer: Mapping[str, Any], namespace: str, other: Pod | str) -> bool:
    if "ipBlock" in peer:
        address = ipaddress.IPv4Address(other if isinstance(other, str) else other.address)
        block = peer["ipBlock"]
        return address in ipaddress.IPv4Network(block["cidr"]) and not any(
            address in ipaddress.IPv4Network(each) for each in block.get("except", [])
        )
    if isinstance(other, str):
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != namespace:
        return False
    return _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "expressions are not evaluated"
    return selector.get("matchLabels", {}).items() <= labels.items()
