"""Optional features of a GKE cluster: autoscaling profile, Gateway API, DNS, Binary Authorization, Google groups."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi_gcp as gcp

from .. import checks
from ..checks import Problem

# Value of the argument → the API's (container.v1beta1).
PROFILES = {"balanced": "BALANCED", "optimize_utilization": "OPTIMIZE_UTILIZATION"}
GATEWAYS = {"disabled": "CHANNEL_DISABLED", "standard": "CHANNEL_STANDARD"}
DNS = {"kube_dns": "KUBE_DNS", "cloud_dns": "CLOUD_DNS"}
_KINDS = {"autoscaling_profile": PROFILES, "gateway_api": GATEWAYS, "dns": DNS}
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
# GKE reads only the groups within this one ("Configure Google Groups for RBAC").
_GROUP = "gke-security-groups@"


def problems(args: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the features among a cluster's arguments."""
    for field, known in _KINDS.items():
        if field in args:
            yield from checks.one_of(field, args[field], known)
    domain = args.get("groups_domain", "")
    if domain and not _DOMAIN.fullmatch(domain):
        yield Problem(
            "groups_domain", domain, "not a valid domain", "the domain of your Google Workspace, such as example.com",
            f"write the domain alone; GKE reads the group {_GROUP}DOMAIN",
        )  # fmt: skip


def autoscaling(args: Mapping[str, Any]) -> gcp.container.ClusterClusterAutoscalingArgs | None:
    """`optimize_utilization` removes nodes sooner and fills them more. GKE creates no node pools automatically."""
    if "autoscaling_profile" not in args:
        return None
    return gcp.container.ClusterClusterAutoscalingArgs(
        enabled=False, autoscaling_profile=PROFILES[args["autoscaling_profile"]]
    )


def gateway_api(args: Mapping[str, Any]) -> gcp.container.ClusterGatewayApiConfigArgs | None:
    """The CustomResourceDefinitions of the Gateway API, and GKE's controller."""
    if "gateway_api" not in args:
        return None
    return gcp.container.ClusterGatewayApiConfigArgs(channel=GATEWAYS[args["gateway_api"]])


def dns(args: Mapping[str, Any]) -> gcp.container.ClusterDnsConfigArgs | None:
    """Cloud DNS answers on each node, instead of the pods of kube-dns; names are valid in the cluster only."""
    if "dns" not in args:
        return None
    provider = DNS[args["dns"]]
    scope = "CLUSTER_SCOPE" if provider == "CLOUD_DNS" else None
    return gcp.container.ClusterDnsConfigArgs(cluster_dns=provider, cluster_dns_scope=scope)


def binary_authorization(args: Mapping[str, Any]) -> gcp.container.ClusterBinaryAuthorizationArgs | None:
    """Only images that the project's policy allows may run."""
    if not args["binary_authorization"]:
        return None
    return gcp.container.ClusterBinaryAuthorizationArgs(evaluation_mode="PROJECT_SINGLETON_POLICY_ENFORCE")


def groups(args: Mapping[str, Any]) -> gcp.container.ClusterAuthenticatorGroupsConfigArgs | None:
    """RBAC accepts the Google groups within the domain's group for GKE."""
    if not args.get("groups_domain"):
        return None
    return gcp.container.ClusterAuthenticatorGroupsConfigArgs(security_group=f"{_GROUP}{args['groups_domain']}")
