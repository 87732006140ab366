"""The permissions of a team's service account in Google Cloud, by Workload Identity Federation."""

from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import arguments, child_names
from ..checks import Problem
from . import buckets, identity
from .buckets import GcsBucket


class GkeTeamIdentityArgs(TypedDict):
    """A team's service account and its permissions."""

    project: str
    """Id of the cluster's project."""
    cluster: pulumi.Input[str]
    """Name of the GKE cluster. The project's identity pool exists once its first cluster does."""
    namespace: str
    """Namespace of the team."""
    service_account: str
    """Name of the team's service account. Only its pods have the permissions."""
    buckets: NotRequired[dict[str, GcsBucket]]
    """Buckets that the team's pods may read, and write if they are `writable`, by the names of their volumes: the same
    fields as those of `GcsBuckets`, of which `namespace` and `service_account` have no effect here. Default: none."""
    roles: NotRequired[list[str]]
    """Roles on the project, such as roles/pubsub.subscriber. Default: none."""


def problems(args: GkeTeamIdentityArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, found without asking Google."""
    yield from identity.problems(
        {
            "project": args["project"],
            "cluster": "",
            "namespace": args["namespace"],
            "service_account": args["service_account"],
            "roles": args.get("roles", []),
        }
    )
    yield from buckets.bucket_problems(args.get("buckets", {}))


class GkeTeamIdentity(pulumi.ComponentResource):
    """Roles for a team's service account: on buckets that the team names, and on the project.

    It does not create the service account (`Team`) or buckets. A volume of `GcsBuckets` already gives permissions to
    its `service_account`: do not name that bucket here as well. Workloads should `depends_on` it, so that they
    never start without the permissions (IAM may still take some minutes to apply a role).
    """

    identity: pulumi.Output[str]
    """The service account as IAM names it (principal://…), known once it has the roles."""

    def __init__(self, name: str, args: GkeTeamIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"GkeTeamIdentity {name}", GkeTeamIdentityArgs, args, problems)
        named, roles = args.get("buckets", {}), args.get("roles", [])
        children = {f"{name}-{each}": f"buckets.{each}" for each in named}
        child_names.claim(
            "GkeTeamIdentity", name, opts, {**children, **{f"{name}-{identity.short(role)}": "roles" for role in roles}}
        )
        super().__init__("gpuyard:index:GkeTeamIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        project, namespace, account = args["project"], args["namespace"], args["service_account"]
        number = identity.project_number(project, args["cluster"], pulumi.InvokeOutputOptions(parent=self))
        principal = identity.service_account_principal(number, project, namespace, account)
        self.bucket_members = {
            volume: buckets.grant(f"{name}-{volume}", bucket, principal, self)
            for volume, bucket in sorted(named.items())
        }
        """The grants on buckets, by the names of their volumes."""
        self.project_members = [
            gcp.projects.IAMMember(
                f"{name}-{identity.short(role)}", project=project, role=role, member=principal, opts=child
            )
            for role in roles
        ]
        """The grants on the project, in the order of `roles`."""
        # Roles are known at preview, ids are not: with ids, another role would replace what uses the principal.
        granted = [member.role for member in [*self.bucket_members.values(), *self.project_members]]
        self.identity = pulumi.Output.all(principal, *granted).apply(lambda values: values[0])
        self.register_outputs({"identity": self.identity})
