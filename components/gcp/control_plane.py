"""Ways to the API server of a GKE cluster: who may come from where, and the kubeconfig that leads there.

Three ways, which can be had together: the private endpoint inside the VPC (always), the public one for networks that
are named, and the DNS endpoint, to which everyone with a right in IAM comes from anywhere, without a list of networks.
"""

import json
from collections.abc import Iterator

import pulumi
import pulumi_gcp as gcp

from .. import checks
from ..checks import Problem

# container.v1, MasterAuthorizedNetworksConfig; GKE's page on authorized networks says 100 for private clusters.
_MOST_NETWORKS = 50
# The environment variable of gcloud's property auth/impersonate_service_account.
_IMPERSONATE = "CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT"


def problems(public: list[str], private: list[str]) -> Iterator[Problem]:
    """What is wrong with `public_access_cidrs` and `private_access_cidrs`."""
    for index, cidr in enumerate(public):
        wrong = list(checks.cidr(f"public_access_cidrs[{index}]", cidr))
        yield from wrong
        if not wrong and not checks.public(cidr):
            yield Problem(
                f"public_access_cidrs[{index}]", cidr, "no public addresses: nobody comes to the public endpoint from "
                "there", "the networks from which people reach the internet",
                "write it under privateAccessCidrs, which serves the private endpoint",
            )  # fmt: skip
    for index, cidr in enumerate(private):
        wrong = list(checks.cidr(f"private_access_cidrs[{index}]", cidr))
        yield from wrong
        if not wrong and checks.public(cidr):
            yield Problem(
                f"private_access_cidrs[{index}]", cidr, "public addresses: nobody comes to the private endpoint from "
                "there", "networks of the VPC and of what is connected to it, such as 10.20.0.0/16",
                "write it under publicAccessCidrs, which opens the public endpoint",
            )  # fmt: skip
    if len(public) + len(private) > _MOST_NETWORKS:
        yield Problem(
            "public_access_cidrs", len(public) + len(private), "too many networks", f"{_MOST_NETWORKS} with those of "
            "privateAccessCidrs", "name larger networks, or use dnsEndpoint",
        )  # fmt: skip


def private_cluster(public: list[str], private: list[str]) -> gcp.container.ClusterPrivateClusterConfigArgs:
    """Nodes without public addresses; a public endpoint only for those who are named."""
    return gcp.container.ClusterPrivateClusterConfigArgs(
        enable_private_nodes=True,
        enable_private_endpoint=not public,
        # People and pipelines on VPN and interconnect come in wherever those end, in other regions too.
        master_global_access_config=gcp.container.ClusterPrivateClusterConfigMasterGlobalAccessConfigArgs(
            enabled=bool(private)
        ),
    )


def authorized_networks(
    public: list[str], private: list[str]
) -> gcp.container.ClusterMasterAuthorizedNetworksConfigArgs:
    """Nobody but these, not even from inside the VPC; nodes and pods of the cluster always may."""
    return gcp.container.ClusterMasterAuthorizedNetworksConfigArgs(
        cidr_blocks=[
            gcp.container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=cidr)
            for cidr in [*public, *private]
        ],
        gcp_public_cidrs_access_enabled=False,
        private_endpoint_enforcement_enabled=True,
    )


def dns_endpoint(enabled: bool) -> gcp.container.ClusterControlPlaneEndpointsConfigArgs:
    """The DNS endpoint, which GKE always has, open to the world (and guarded by IAM) or to nobody."""
    return gcp.container.ClusterControlPlaneEndpointsConfigArgs(
        dns_endpoint_config=gcp.container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
            allow_external_traffic=enabled
        )
    )


def server(cluster: gcp.container.Cluster, dns: bool) -> pulumi.Output[str]:
    """Address of the API server, by its name or by its number."""
    if not dns:
        return pulumi.Output.concat("https://", cluster.endpoint)
    name = cluster.control_plane_endpoints_config.dns_endpoint_config.endpoint
    return pulumi.Output.concat("https://", name)


def connect_command(cluster: gcp.container.Cluster, project: str, dns: bool) -> pulumi.Output[str]:
    """What a person types to use kubectl."""
    return pulumi.Output.format(
        "gcloud container clusters get-credentials {} --location {} --project {}{}",
        cluster.name,
        cluster.location,
        project,
        " --dns-endpoint" if dns else "",
    )


def kubeconfig(name: str, server: str, certificate_authority: str, impersonated: str = "") -> str:
    """The kubeconfig, as JSON. `impersonated`: the service account as which it logs in (gcloud's property
    auth/impersonate_service_account; empty: the one that gcloud is logged in as). No `certificate_authority` for the
    DNS endpoint: its certificate is one that the world trusts, and the cluster's own authority did not sign it
    (`get-credentials --dns-endpoint` writes none either)."""
    authority = {"certificate-authority-data": certificate_authority} if certificate_authority else {}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server, **authority}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
            "users": [
                {
                    "name": name,
                    "user": {
                        "exec": {
                            "apiVersion": "client.authentication.k8s.io/v1beta1",
                            "command": "gke-gcloud-auth-plugin",
                            "installHint": "gcloud components install gke-gcloud-auth-plugin",
                            "provideClusterInfo": True,
                            **({"env": [{"name": _IMPERSONATE, "value": impersonated}]} if impersonated else {}),
                        }
                    },
                }
            ],
        }
    )
