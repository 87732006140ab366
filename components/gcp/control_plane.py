"""Endpoints of a GKE cluster's API server: which networks may reach it, and the kubeconfig that uses it.

There are three, which can be combined: the private endpoint inside the VPC (always), the public one for named networks,
and the DNS endpoint, which every identity with IAM permission reaches from anywhere, without a list of networks.
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
                f"public_access_cidrs[{index}]", cidr, "not public addresses: they cannot reach the public endpoint",
                "the networks from which people reach the internet",
                "write it under `private_access_cidrs`, which opens the private endpoint",
            )  # fmt: skip
    for index, cidr in enumerate(private):
        wrong = list(checks.cidr(f"private_access_cidrs[{index}]", cidr))
        yield from wrong
        if not wrong and checks.public(cidr):
            yield Problem(
                f"private_access_cidrs[{index}]", cidr, "public addresses: they cannot reach the private endpoint",
                "networks of the VPC or connected to it, such as 10.20.0.0/16",
                "write it under `public_access_cidrs`, which opens the public endpoint",
            )  # fmt: skip
    if len(public) + len(private) > _MOST_NETWORKS:
        yield Problem(
            "public_access_cidrs", len(public) + len(private), "too many networks", f"{_MOST_NETWORKS} together with "
            "`private_access_cidrs`", "name larger networks, or use `dns_endpoint`",
        )  # fmt: skip


def private_cluster(public: list[str], private: list[str]) -> gcp.container.ClusterPrivateClusterConfigArgs:
    """Nodes without public addresses; a public endpoint only if networks are named for it."""
    return gcp.container.ClusterPrivateClusterConfigArgs(
        enable_private_nodes=True,
        enable_private_endpoint=not public,
        # VPN and interconnect may end in other regions.
        master_global_access_config=gcp.container.ClusterPrivateClusterConfigMasterGlobalAccessConfigArgs(
            enabled=bool(private)
        ),
    )


def authorized_networks(
    public: list[str], private: list[str]
) -> gcp.container.ClusterMasterAuthorizedNetworksConfigArgs:
    """Only these networks have access, from inside the VPC as well; nodes and pods of the cluster always have."""
    return gcp.container.ClusterMasterAuthorizedNetworksConfigArgs(
        cidr_blocks=[
            gcp.container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=cidr)
            for cidr in [*public, *private]
        ],
        gcp_public_cidrs_access_enabled=False,
        private_endpoint_enforcement_enabled=True,
    )


def dns_endpoint(enabled: bool) -> gcp.container.ClusterControlPlaneEndpointsConfigArgs:
    """The DNS endpoint, which every cluster has: open to the internet and guarded by IAM, or closed."""
    return gcp.container.ClusterControlPlaneEndpointsConfigArgs(
        dns_endpoint_config=gcp.container.ClusterControlPlaneEndpointsConfigDnsEndpointConfigArgs(
            allow_external_traffic=enabled
        )
    )


def server(cluster: gcp.container.Cluster, dns: bool) -> pulumi.Output[str]:
    """URL of the API server: with its DNS name, or with its IP address."""
    if not dns:
        return pulumi.Output.concat("https://", cluster.endpoint)
    name = cluster.control_plane_endpoints_config.dns_endpoint_config.endpoint
    return pulumi.Output.concat("https://", name)


def connect_command(cluster: gcp.container.Cluster, project: str, dns: bool) -> pulumi.Output[str]:
    """The command that configures kubectl."""
    return pulumi.Output.format(
        "gcloud container clusters get-credentials {} --location {} --project {}{}",
        cluster.name,
        cluster.location,
        project,
        " --dns-endpoint" if dns else "",
    )


def kubeconfig(name: str, server: str, certificate_authority: str, impersonated: str = "") -> str:
    """The kubeconfig, as JSON.

    Args:
        name: of the cluster, the context and the user.
        server: URL of the API server.
        certificate_authority: in base64; empty for the DNS endpoint, whose certificate is publicly trusted and not
            signed by the cluster's authority (`get-credentials --dns-endpoint` writes none either).
        impersonated: service account to log in as (gcloud's property auth/impersonate_service_account); empty for the
            account that gcloud is logged in as.
    """
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
