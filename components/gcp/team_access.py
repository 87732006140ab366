"""Members of teams on GKE: the permission to find and reach the cluster. What they may do in it is for `Team`, which
binds Google groups and users to roles in the teams' namespaces."""

from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import arguments, checks
from ..checks import Problem
from ..sharing import team_checks, team_members
from ..sharing.team_spec import TeamMembers
from . import identity

ROLE = "roles/container.clusterViewer"
"""The role that lets `gcloud` configure kubectl, and nothing in a cluster (GKE, "Configure Google Groups for RBAC")."""


class GkeTeamAccessArgs(TypedDict):
    """The members of all teams of a cluster."""

    project: str
    """Id of the cluster's project."""
    cluster: pulumi.Input[str]
    """Name of the GKE cluster."""
    location: pulumi.Input[str]
    """Region or zone of the cluster."""
    teams: dict[str, TeamMembers]
    """The members by the names of their teams: group:, user: or serviceAccount:, and an address."""
    role: NotRequired[str]
    """Role on the project that every member gets. Default: `roles/container.clusterViewer`."""


def problems(args: GkeTeamAccessArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, found without asking Google."""
    yield from identity.project_problems("project", args["project"])
    yield from identity.role_problems("role", args["role"])
    for team, members in args["teams"].items():
        yield from team_checks.name_problems(f"teams.{team}", team)
        yield from (problem.under(f"teams.{team}") for problem in member_problems(members))


def member_problems(members: Mapping[str, Any]) -> Iterator[Problem]:
    """Members that are not accounts or groups of Google, and members that are named twice."""
    yield from team_members.problems(members)
    for path, member in team_members.paths(members):
        kind, colon, address = member.partition(":")
        if colon and kind in team_members.KINDS and not identity.is_address(address):
            yield Problem(
                path, member, "not an address of Google", f"{kind}:NAME@DOMAIN",
                "write the address of the account or group",
            )  # fmt: skip


def has_groups(teams: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether any member is a Google group, which the cluster knows only with `groups_domain`."""
    return any(member.startswith("group:") for members in teams.values() for _, member in team_members.paths(members))


class GkeTeamAccess(pulumi.ComponentResource):
    """One role in the project for each member of a team, who can then configure kubectl and reach the cluster.

    A member of several teams gets it once. The grants add to what the members have. Google groups also need
    `groups_domain` of `GkeCluster`, and membership in the group gke-security-groups of that domain. If `cluster` and
    `location` are plain names, a preview asks Google whether the cluster enforces NetworkPolicies, and warns if not.
    For a cluster that members reach by its DNS name, check that the role has the permission
    container.clusters.connect, and choose another `role` otherwise.

    Works on any GKE cluster. It needs the provider `gcp`.
    """

    members: pulumi.Output[list[str]]
    """The members, known once they have the role."""

    def __init__(self, name: str, args: GkeTeamAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"GkeTeamAccess {name}", GkeTeamAccessArgs, args, problems)
        super().__init__("gpuyard:index:GkeTeamAccess", name, None, opts)
        every = sorted({member for members in args["teams"].values() for _, member in team_members.paths(members)})
        self.grants = {
            member: gcp.projects.IAMMember(
                f"{name}-{member}",
                project=args["project"],
                role=args["role"],
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for member in every
        }
        """The grants by member."""
        if isinstance(args["cluster"], str) and isinstance(args["location"], str):
            _check(args["cluster"], args["location"], args["project"], self)
        self.members = pulumi.Output.all(*[grant.id for grant in self.grants.values()]).apply(lambda _: every)
        self.register_outputs({"members": self.members})


def _check(cluster: str, location: str, project: str, parent: pulumi.Resource) -> None:
    """Warns if the nodes of an existing cluster do not enforce NetworkPolicies."""
    why = "it has neither Dataplane V2, which only a new cluster can get, nor network policy enforcement"
    try:
        found = gcp.container.get_cluster(
            name=cluster, location=location, project=project, opts=pulumi.InvokeOptions(parent=parent)
        )
        enforced = enforces(found.datapath_provider, found.network_policies)
    except Exception as error:  # the SDK has no narrower class for an invoke that failed
        enforced, why = False, checks.last_line(error)
    if not enforced:
        pulumi.log.warn(
            f"NetworkPolicies may not be enforced in the cluster {cluster}, so teams are not kept apart in the "
            f"network: {why}"
        )


def enforces(datapath: str | None, policies: Any) -> bool:
    """Whether a cluster enforces NetworkPolicies: with Dataplane V2, or with Calico (GKE, "Control communication
    between Pods and Services using network policies")."""
    calico = any((each.get("enabled") if isinstance(each, dict) else each.enabled) for each in policies or [])
    return datapath == "ADVANCED_DATAPATH" or calico
