"""Permissions of workloads in Google Cloud: roles for the Kubernetes service account itself, by Workload Identity
Federation. It needs no key, no Google service account in between, and no annotation.

A project has one identity pool, PROJECT.svc.id.goog, for all its clusters: a service account of the same name in the
same namespace of another cluster of the project is the same principal. Put clusters that must not share permissions
into separate projects. Source: GKE's "About Workload Identity Federation for GKE" and IAM's "Principal identifiers".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import arguments, checks, child_names, naming
from ..checks import Problem
from . import bucket_names

_ROLE = re.compile(r"roles/[A-Za-z0-9_.]+|(projects|organizations)/[^/]+/roles/[A-Za-z0-9_.]+")
_ADDRESS = re.compile(r"[^@\s:]{1,64}@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")
_BASIC = ("roles/owner", "roles/editor", "roles/viewer")


class WorkloadIdentityArgs(TypedDict):
    """One Kubernetes service account and the roles that it gets."""

    project: str
    """Id of the cluster's project."""
    cluster: pulumi.Input[str]
    """Name of the GKE cluster. The project's identity pool exists once its first cluster does."""
    namespace: str
    """Kubernetes namespace of the service account."""
    service_account: str
    """Name of the Kubernetes service account. Only pods that run as it have the permissions."""
    roles: NotRequired[list[str]]
    """Roles on the project, such as roles/pubsub.subscriber. Default: none."""
    bucket_roles: NotRequired[dict[str, list[str]]]
    """Roles on Cloud Storage buckets: name of the bucket to its roles. Default: none."""


def problems(args: WorkloadIdentityArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, found without asking Google."""
    yield from project_problems("project", args["project"])
    yield from namespace_problems("namespace", args["namespace"])
    yield from account_problems("service_account", args["service_account"])
    yield from _roles("roles", args.get("roles", []))
    for bucket, roles in args.get("bucket_roles", {}).items():
        yield from bucket_names.problems(f"bucket_roles.{bucket}", bucket)
        yield from _roles(f"bucket_roles.{bucket}", roles)


def project_problems(path: str, project: str) -> Iterator[Problem]:
    """`project` is not the id of a project."""
    if not naming.GOOGLE_PROJECT.fullmatch(project):
        yield Problem(
            path, project, "not a valid project id", "6 to 30 lower-case letters, digits and '-', not the number",
            "see `gcloud projects list`",
        )  # fmt: skip


def namespace_problems(path: str, namespace: str) -> Iterator[Problem]:
    """`namespace` is not a valid name in Kubernetes."""
    if not namespace:
        yield Problem(path, namespace, "not the name of a Kubernetes namespace", "a name", "name the namespace")
    yield from checks.namespace(path, namespace)


def account_problems(path: str, account: str) -> Iterator[Problem]:
    """`account` is not a valid name in Kubernetes."""
    if not checks.OBJECT_NAME.fullmatch(account):
        yield Problem(
            path, account, "not a valid name of a Kubernetes service account",
            "lower-case letters, digits, '-' and '.'; not the e-mail address of a Google account", "correct it",
        )  # fmt: skip


def is_address(text: str) -> bool:
    """Whether a text is the address of an account or a group."""
    return bool(_ADDRESS.fullmatch(text))


def _roles(path: str, roles: list[str]) -> Iterator[Problem]:
    """Grants are named after the last part of their roles, so each of these is there once."""
    first: dict[str, str] = {}
    again = checks.repeated(roles)
    for index, role in enumerate(roles):
        yield from role_problems(f"{path}[{index}]", role)
        other = first.setdefault(short(role), role)
        if index in again:
            yield Problem(f"{path}[{index}]", role, "named twice", "each role once", "remove one of them")
        elif other != role:
            yield Problem(
                f"{path}[{index}]", role, f"has the same last part as {other}", "each last part once",
                "remove it, or grant it with a second `WorkloadIdentity`",
            )  # fmt: skip


def role_problems(path: str, role: str) -> Iterator[Problem]:
    if role in _BASIC:
        yield Problem(
            path, role, "a basic role, which grants access to nearly everything in the project",
            "a role of the service that is needed, such as roles/pubsub.subscriber", "choose a narrower one",
        )  # fmt: skip
    elif not _ROLE.fullmatch(role):
        fix = f"write roles/{role}" if re.fullmatch(r"[a-z]+\.[A-Za-z]+", role) else "see `gcloud iam roles list`"
        yield Problem(path, role, "not a valid name of a role", "roles/SERVICE.NAME, or the path of a custom role", fix)


def pool(project: str) -> str:
    """The identity pool of the project's clusters."""
    return f"{project}.svc.id.goog"


def project_number(
    project: pulumi.Input[str], after: pulumi.Input[str], opts: pulumi.InvokeOutputOptions | None = None
) -> pulumi.Output[str]:
    """The project's number, which is part of its principals' names. It is looked up only when `after` is known, an
    output that needs the project's APIs. So a preview before they are enabled makes no lookup."""
    waited = pulumi.Output.all(project, after).apply(lambda values: values[0])
    return gcp.organizations.get_project_output(project_id=waited, opts=opts).number


@dataclass(frozen=True)
class Agents:
    """Google's own accounts that work for a project, as members of roles."""

    gke: pulumi.Output[str]
    """Creates clusters."""
    apis: pulumi.Output[str]
    """Creates machines."""
    compute: pulumi.Output[str]
    """Reads and writes the disks of machines."""


def agents(name: str, project: pulumi.Input[str], parent: pulumi.Resource) -> Agents:
    """The agents of a project, known once they exist. Their names follow from the project's number: the e-mail address
    that the service identity returns is empty for some services (cloud-foundation-fabric, modules/project)."""
    gke = gcp.projects.ServiceIdentity(
        f"{name}-gke-agent",
        project=project,
        service="container.googleapis.com",
        opts=pulumi.ResourceOptions(parent=parent),
    )
    number = project_number(project, gke.id, pulumi.InvokeOutputOptions(parent=parent))
    return Agents(
        pulumi.Output.concat("serviceAccount:service-", number, "@container-engine-robot.iam.gserviceaccount.com"),
        pulumi.Output.concat("serviceAccount:", number, "@cloudservices.gserviceaccount.com"),
        pulumi.Output.concat("serviceAccount:service-", number, "@compute-system.iam.gserviceaccount.com"),
    )


def service_account_principal(
    number: pulumi.Input[str], project: str, namespace: str, service_account: str
) -> pulumi.Output[str]:
    """One Kubernetes service account, as IAM names it."""
    return pulumi.Output.concat(
        "principal://iam.googleapis.com/projects/", number, "/locations/global/workloadIdentityPools/", pool(project),
        f"/subject/ns/{namespace}/sa/{service_account}",
    )  # fmt: skip


def namespace_principals(number: pulumi.Input[str], project: str, namespace: str) -> pulumi.Output[str]:
    """Every Kubernetes service account of a namespace, as IAM names them."""
    return pulumi.Output.concat(
        "principalSet://iam.googleapis.com/projects/", number, "/locations/global/workloadIdentityPools/",
        pool(project), f"/namespace/{namespace}",
    )  # fmt: skip


class WorkloadIdentity(pulumi.ComponentResource):
    """Roles for one Kubernetes service account. It needs no keys, no Google service account and no permissions of the
    node. It does not create the Kubernetes service account or any role, and does not work for a bucket without uniform
    bucket-level access. Workloads that use the permissions should `depends_on` the component, so that they never start
    without them (IAM may still take some minutes to apply a role).
    """

    principal: pulumi.Output[str]
    """The service account as IAM names it (principal://…), known once it has the roles."""

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"WorkloadIdentity {name}", WorkloadIdentityArgs, args, problems)
        names = {
            f"{name}-{bucket}-{short(role)}": f"bucket_roles.{bucket}"
            for bucket, roles in args.get("bucket_roles", {}).items()
            for role in roles
        }
        child_names.claim("WorkloadIdentity", name, opts, names)
        super().__init__("gpuyard:index:WorkloadIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        project = args["project"]
        number = project_number(project, args["cluster"], pulumi.InvokeOutputOptions(parent=self))
        principal = service_account_principal(number, project, args["namespace"], args["service_account"])
        self.project_members = [
            gcp.projects.IAMMember(f"{name}-{short(role)}", project=project, role=role, member=principal, opts=child)
            for role in args.get("roles", [])
        ]
        """The grants on the project, in the order of `roles`."""
        self.bucket_members = [
            gcp.storage.BucketIAMMember(
                f"{name}-{bucket}-{short(role)}", bucket=bucket, role=role, member=principal, opts=child
            )
            for bucket, roles in sorted(args.get("bucket_roles", {}).items())
            for role in roles
        ]
        """The grants on buckets, by bucket and then in the order of its roles."""
        # Roles are known at preview, ids are not: with ids, another role would replace what uses the principal.
        granted = [member.role for member in [*self.project_members, *self.bucket_members]]
        self.principal = pulumi.Output.all(principal, *granted).apply(lambda values: values[0])
        self.register_outputs({"principal": self.principal})


def short(role: str) -> str:
    """A role as part of a resource's name, such as container.defaultNodeServiceAccount."""
    return role.rsplit("/", 1)[-1]
