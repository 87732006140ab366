"""Members of teams on EKS: access entries that map IAM roles and users to the Kubernetes groups of their teams.

Kubernetes groups are used instead of EKS's access policies: AmazonEKSEditPolicy allows changes of NetworkPolicies, and
does not know the kinds of Kueue, JobSet, Kubeflow Trainer, Argo, KServe and KEDA (see `team_roles.py`).
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments, checks
from ..checks import Problem
from ..sharing import team_checks, team_members
from ..sharing.team_spec import TeamMembers
from . import access, tags

ENFORCED = ("enableNetworkPolicy", "true")
"""Setting of the add-on vpc-cni with which the nodes enforce NetworkPolicies, and its value."""


class EksTeamAccessArgs(TypedDict):
    """The members of all teams of a cluster."""

    cluster: pulumi.Input[str]
    """Name of the EKS cluster. Its authentication mode must accept access entries."""
    teams: dict[str, TeamMembers]
    """The members by the names of their teams, as ARNs of IAM roles and users."""
    existing_entries: NotRequired[list[str]]
    """ARNs of members that have an access entry already, as those of `EksCluster` have. No entry is created for them:
    add the groups of `kubernetes_groups` there. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags for the access entries. Default: none."""


def problems(args: EksTeamAccessArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, checked without calling AWS."""
    for team, members in args["teams"].items():
        yield from team_checks.name_problems(f"teams.{team}", team)
        yield from (problem.under(f"teams.{team}") for problem in member_problems(members))
    for index, arn in enumerate(args.get("existing_entries", [])):
        yield from access.principal_problems(f"existing_entries[{index}]", arn)
    yield from tags.with_tags(args)


def member_problems(members: Mapping[str, Any]) -> Iterator[Problem]:
    """Members that are not IAM roles or users, and members that are named twice."""
    for path, arn in team_members.paths(members):
        yield from access.principal_problems(path, arn)
    yield from team_members.repeated(members)


def kubernetes_groups(teams: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Member → its Kubernetes groups: one for each of its teams. EKS allows a principal one access entry, which has all
    of them."""
    found: dict[str, list[str]] = {}
    for team, members in sorted(teams.items()):
        for level, principals in team_members.by_level(members).items():
            for arn in principals:
                found.setdefault(arn, []).append(team_members.group_of(team, level))
    return found


def rbac_members(team: str, members: Mapping[str, Any]) -> dict[str, list[str]]:
    """The members of a team as the component `Team` takes them: the group of each level that has any."""
    return {level: [f"group:{team_members.group_of(team, level)}"] for level in team_members.by_level(members)}


class EksTeamAccess(pulumi.ComponentResource):
    """One access entry for each IAM role or user that is a member of a team, with the groups of all its teams.

    It gives no permissions: `Team` binds the groups to roles in the teams' namespaces (`rbac_members` of this module
    names them). If `cluster` is a plain name, a preview asks EKS whether the add-on vpc-cni enforces NetworkPolicies,
    and warns if not. Members also need the permission `eks:DescribeCluster` to configure kubectl.

    Works on any EKS cluster. It needs the provider `aws`.
    """

    groups: pulumi.Output[dict[str, list[str]]]
    """ARN of a member → its Kubernetes groups, known once the access entries exist."""

    def __init__(self, name: str, args: EksTeamAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"EksTeamAccess {name}", EksTeamAccessArgs, args, problems)
        super().__init__("gpuyard:index:EksTeamAccess", name, None, opts)
        groups = kubernetes_groups(args["teams"])
        self.entries = {
            arn: aws.eks.AccessEntry(
                # Account, kind and name: unique, and the same for a member that moves to another team.
                f"{name}-{arn.removeprefix('arn:aws:iam::')}",
                cluster_name=args["cluster"],
                principal_arn=arn,
                kubernetes_groups=mine,
                tags=args.get("tags", {}),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for arn, mine in groups.items()
            if arn not in args.get("existing_entries", [])
        }
        """The access entries by the ARNs of the members."""
        if isinstance(args["cluster"], str):
            _check(args["cluster"], self)
        self.groups = pulumi.Output.all(*[entry.id for entry in self.entries.values()]).apply(lambda _: groups)
        self.register_outputs({"groups": self.groups})


def _check(cluster: str, parent: pulumi.Resource) -> None:
    """Warns if the nodes of an existing cluster do not enforce NetworkPolicies."""
    why = f"the configuration of the add-on vpc-cni of the cluster {cluster} does not have "
    try:
        found = aws.eks.get_addon(
            addon_name="vpc-cni", cluster_name=cluster, opts=pulumi.InvokeOptions(parent=parent)
        ).configuration_values
    except Exception as error:  # the SDK has no narrower class for an invoke that failed
        found, why = "", f"{checks.last_line(error)}; it is unknown whether it has "
    if not enforces(found):
        pulumi.log.warn(
            f"NetworkPolicies may not be enforced, so teams are not kept apart in the network: {why}"
            f'{ENFORCED[0]}: "{ENFORCED[1]}"'
        )


def enforces(configuration: str | None) -> bool:
    """Whether vpc-cni with this configuration (JSON) enforces NetworkPolicies. Source: EKS user guide, "Limit Pod
    traffic with Kubernetes network policies"."""
    try:
        settings = json.loads(configuration or "{}")
    except ValueError:
        return False
    return isinstance(settings, dict) and str(settings.get(ENFORCED[0], "")).lower() == ENFORCED[1]
