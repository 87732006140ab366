"""What a team gets in a cluster, declared once for both clouds: its namespace, members, quota, limits and network.

The clouds' own types add the permissions of the team's service account (`EksTeamSpec`, `GkeTeamSpec`).
"""

from typing import TypedDict

from typing_extensions import NotRequired

ADMIN, EDIT, VIEW = "admin", "edit", "view"
LEVELS = (ADMIN, EDIT, VIEW)
"""What a member may do, from most to least; the fields of `TeamMembers`."""

POD_SECURITY = ("restricted", "baseline", "privileged")
"""The levels of Kubernetes' Pod Security Standards, from strictest to none."""


class TeamMembers(TypedDict):
    """The members of a team by what they may do in its namespace. On EKS a member is the ARN of an IAM role or user; on
    GKE, group:NAME@DOMAIN, user:NAME@DOMAIN or serviceAccount:NAME@PROJECT.iam.gserviceaccount.com; for the component
    `Team`, group:NAME or user:NAME, as Kubernetes knows them."""

    admin: NotRequired[list[str]]
    """They may do what `edit` allows, stop and requeue jobs of the team, and create service accounts and ingresses.
    Default: none."""
    edit: NotRequired[list[str]]
    """They may run jobs and servers, read logs, open shells in pods, and use claims and secrets. Default: none."""
    view: NotRequired[list[str]]
    """They may read everything except secrets, including logs. Default: none."""


class TeamQuota(TypedDict):
    """What all pods and claims of a team may use together."""

    cpu: NotRequired[int]
    """CPU cores that pods request. Default: 64 without a queue; none with one, which has its own quota."""
    memory_gib: NotRequired[int]
    """Memory in GiB that pods request. Default: 256 without a queue; none with one."""
    gpus: NotRequired[int]
    """GPUs that pods request. Default: 8 without a queue; none with one."""
    pods: NotRequired[int]
    """Pods that have not finished. Default: `500`."""
    claims: NotRequired[int]
    """PersistentVolumeClaims. Default: `20`."""
    storage_gib: NotRequired[int]
    """GiB that claims request. Default: `2000`."""
    load_balancers: NotRequired[int]
    """Services of type LoadBalancer, with up to 5 ports each, and Ingresses. With 0 there are no node ports either.
    Default: `0`."""


class TeamLimits(TypedDict):
    """Defaults of containers that name no resources, and what one container and one claim may ask for."""

    cpu_millicores: NotRequired[int]
    """CPU request of a container that has none, in thousandths of a core. Default: `500`."""
    memory_mib: NotRequired[int]
    """Memory request and limit of a container that has none, in MiB. A container that names only a larger request is
    refused: it names both. Default: `2048`."""
    max_cpu: NotRequired[int]
    """CPU cores that one container may request or use. Containers without a limit get this one. Default: none."""
    max_memory_gib: NotRequired[int]
    """Memory in GiB that one container may request or use. Default: none."""
    max_claim_gib: NotRequired[int]
    """GiB that one claim may request. Default: `500`."""


class TeamNetwork(TypedDict):
    """With whom the team's pods may talk. Always allowed: pods of the namespace among each other, DNS, the address from
    which pods get their permissions in the cloud, and Prometheus, which reads metrics. Nothing else is, unless it is
    named here."""

    internet: NotRequired[bool]
    """Whether pods may open connections to public addresses. The clouds' own services, such as buckets, have public
    addresses. Default: `false`."""
    egress_cidrs: NotRequired[list[str]]
    """Further networks (CIDRs) to which pods may open connections, such as a database's. Default: none."""
    api_server: NotRequired[bool]
    """Whether pods may call the Kubernetes API. The team's service account then has a token, and may report results of
    Argo Workflows. Default: `false`."""
    ingress_namespaces: NotRequired[list[str]]
    """Namespaces whose pods may open connections to the team's pods, such as that of a gateway. Default: none."""
    ingress_cidrs: NotRequired[list[str]]
    """Networks (CIDRs) outside the cluster that may open connections to the team's pods, such as the subnets of a load
    balancer. Default: none."""


class TeamSpec(TypedDict):
    """What a team gets."""

    namespace: NotRequired[str]
    """Name of the team's namespace. It cannot change: a new namespace would be empty. Default: the team's name."""
    pod_security: NotRequired[str]
    """Pod Security Standard of the namespace: restricted, baseline, or privileged, with which pods can take over a
    node. Default: `baseline`."""
    members: NotRequired[TeamMembers]
    """Who works in the namespace. Default: `{}`, only administrators of the cluster."""
    quota: NotRequired[TeamQuota]
    """What pods and claims may use together. Default: `{}`, where each field has its default."""
    limits: NotRequired[TeamLimits]
    """What one container and one claim may use. Default: `{}`, where each field has its default."""
    network: NotRequired[TeamNetwork]
    """With whom pods may talk. Default: `{}`, where each field has its default."""
    service_account: NotRequired[str]
    """Name of the service account that has the team's permissions in the cloud. Default: the team's name."""
    deletion_protection: NotRequired[bool]
    """Whether the team may not be removed: its namespace would be deleted with everything in it. Set it to `false`, run
    `pulumi up`, and then remove the team. Default: `true`."""
