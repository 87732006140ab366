"""The Google service account that the nodes of a GKE cluster run as, and its roles."""

import pulumi
import pulumi_gcp as gcp

from .. import naming

# What nodes may do: write logs and metrics (Google's own role for their accounts), pull private images of the project,
# and for image streaming use the project's quota. Pods get their permissions by Workload Identity.
NODE_ROLE = "roles/container.defaultNodeServiceAccount"
PULL_ROLE = "roles/artifactregistry.reader"
STREAM_ROLE = "roles/serviceusage.serviceUsageConsumer"


def create(
    name: str, cluster_name: str, project: pulumi.Output[str], streaming: bool, parent: pulumi.Resource
) -> tuple[gcp.serviceaccount.Account, list[gcp.projects.IAMMember]]:
    """The account, and its roles, without which a node does not become ready."""
    child = pulumi.ResourceOptions(parent=parent)
    account = gcp.serviceaccount.Account(
        f"{name}-nodes",
        project=project,
        account_id=naming.fit(f"{cluster_name}-nodes", naming.SERVICE_ACCOUNT_LIMIT),
        display_name=f"Nodes of the GKE cluster {cluster_name}",
        opts=child,
    )
    wanted = {"role": NODE_ROLE, "pull-role": PULL_ROLE}
    if streaming:
        wanted["stream-role"] = STREAM_ROLE
    roles = [
        gcp.projects.IAMMember(f"{name}-nodes-{suffix}", project=project, role=role, member=account.member, opts=child)
        for suffix, role in wanted.items()
    ]
    return account, roles
