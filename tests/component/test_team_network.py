"""Who may talk to whom in a cluster of two teams: the rules of Kubernetes on the policies of the components."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.sharing.team import Team
from recording.recorder import run
from tests.component.network_policies import Pod, Policies
from tests.component.stage import aws_options

TRAINER, OTHER = Pod("training", "10.0.1.1"), Pod("training", "10.0.1.2")
SERVER = Pod("inference", "10.0.2.1")
DNS = Pod("kube-system", "10.0.3.1", {"k8s-app": "kube-dns"})
PROMETHEUS, COLLECTOR = Pod("monitoring", "10.0.3.2"), Pod("gmp-system", "10.0.3.3")
GATEWAY = Pod("gateway", "10.0.3.4")
METADATA, EKS_AGENT, GKE_METADATA = "169.254.169.254", "169.254.170.23", "169.254.169.252"
PUBLIC, DATABASE, API_SERVER = "203.0.113.9", "10.9.0.5", "10.100.0.1"


def policies(cloud: str = "aws", **network: Any) -> Policies:
    """Two teams; `network` is that of `training`."""

    def program() -> None:
        options = aws_options()
        for team, own in (("training", network), ("inference", {})):
            args: Any = {"team": team, "network": own, "api_server_cidrs": [f"{API_SERVER}/32"]}
            args |= {"cloud": cloud} if cloud else {}
            Team(team, args, pulumi.ResourceOptions.merge(options, None))

    return Policies(run(program))


def test_teams_reach_their_own_pods_and_dns_and_nothing_else() -> None:
    """seed row S22 and security case H4: default deny in both directions."""
    found = policies()
    assert found.connects(TRAINER, OTHER, 29500)
    assert found.connects(TRAINER, DNS, 53, "UDP") and found.connects(TRAINER, DNS, 53)
    assert found.connects(TRAINER, "169.254.20.10", 53, "UDP"), "NodeLocal DNSCache"
    assert not found.connects(TRAINER, DNS, 8181)
    for server in (SERVER, PUBLIC, DATABASE, API_SERVER, GATEWAY):
        assert not found.connects(TRAINER, server, 443), server
    for client in (SERVER, GATEWAY, "10.0.0.9", PUBLIC, Pod("default")):
        assert not found.connects(client, TRAINER, 8080), client


def test_prometheus_reads_metrics_of_every_team() -> None:
    """seed row S22: that of kube-prometheus-stack, and Google's collectors."""
    found = policies()
    for client in (PROMETHEUS, COLLECTOR):
        assert found.connects(client, TRAINER, 9400) and found.connects(client, SERVER, 8080)
        assert not found.connects(TRAINER, client, 9090), "a team cannot query it"


@pytest.mark.parametrize(
    ("cloud", "reached"),
    [
        ("aws", {(EKS_AGENT, 80)}),
        ("gcp", {(METADATA, 80), (METADATA, 8080), (GKE_METADATA, 988), (GKE_METADATA, 987)}),
        ("", set()),
    ],
)
def test_pods_reach_the_metadata_only_where_their_permissions_come_from(
    cloud: str, reached: set[tuple[str, int]]
) -> None:
    """seed row S22: on EKS the node's metadata is denied, also with the internet; on GKE, GKE's own server answers at
    its address."""
    for network in ({}, {"internet": True}):
        found = policies(cloud, **network)
        tried = [(address, port) for address in (METADATA, EKS_AGENT, GKE_METADATA) for port in (80, 8080, 987, 988)]
        assert {each for each in tried if found.connects(TRAINER, *each)} == reached
    assert policies("gcp").connects(TRAINER, METADATA, 53, "UDP"), "Cloud DNS"


def test_the_internet_is_public_addresses_only() -> None:
    found = policies(internet=True)
    assert found.connects(TRAINER, PUBLIC, 443) and not found.connects(SERVER, PUBLIC, 443)
    for inside in (DATABASE, "172.20.0.1", "192.168.1.1", "100.64.3.3", "240.0.0.5", API_SERVER, SERVER):
        assert not found.connects(TRAINER, inside, 443), inside


def test_named_networks_and_namespaces_are_added() -> None:
    found = policies(egress_cidrs=["10.9.0.0/24"], ingress_namespaces=["gateway"], ingress_cidrs=["10.0.0.0/28"])
    assert found.connects(TRAINER, DATABASE, 5432) and not found.connects(TRAINER, "10.9.1.5", 5432)
    assert found.connects(GATEWAY, TRAINER, 8080) and found.connects("10.0.0.9", TRAINER, 8080)
    assert not found.connects(TRAINER, GATEWAY, 8080) and not found.connects(GATEWAY, SERVER, 8080)


def test_a_named_network_opens_no_other_team() -> None:
    """A large network contains the pods of other teams as well: theirs refuse it."""
    found = policies(egress_cidrs=["10.0.0.0/8"])
    assert found.connects(TRAINER, "10.200.0.1", 443) and not found.connects(TRAINER, SERVER, 8080)


def test_the_api_server_is_reached_by_choice() -> None:
    found = policies(api_server=True)
    assert found.connects(TRAINER, API_SERVER, 443) and not found.connects(TRAINER, API_SERVER, 10250)
