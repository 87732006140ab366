"""Rights in Google Cloud of what runs in a cluster: roles for a Kubernetes service account itself, by Workload Identity
Federation. No key, no Google service account that stands between, nothing to annotate.

The project has one identity pool, PROJECT.svc.id.goog, for all its clusters: a service account of the same name in the
same namespace of another cluster of the project is the same principal. Keep clusters that must not share rights in
projects of their own.
Source: GKE's "About Workload Identity Federation for GKE" and IAM's "Principal identifiers".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

_ROLE = re.compile(r"roles/[A-Za-z0-9_.]+|(projects|organizations)/[^/]+/roles/[A-Za-z0-9_.]+")
_BASIC = ("roles/owner", "roles/editor", "roles/viewer")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ACCOUNT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


class WorkloadIdentityArgs(TypedDict):
    """`project`: id of the cluster's project. `cluster`: the cluster's name as an output: the project's identity pool
    is there once its first cluster is. `namespace`, `service_account`: who gets the rights, and nobody else. `roles`:
    on the project. `bucket_roles`: on buckets: name of the bucket → roles."""

    project: str
    cluster: pulumi.Input[str]
    namespace: str
    service_account: str
    roles: NotRequired[list[str]]
    bucket_roles: NotRequired[dict[str, list[str]]]


def problems(args: WorkloadIdentityArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, seen without asking Google."""
    yield from namespace_problems("namespace", args["namespace"])
    yield from account_problems("service_account", args["service_account"])
    for index, role in enumerate(args.get("roles", [])):
        yield from _role(f"roles[{index}]", role)
    for bucket, roles in args.get("bucket_roles", {}).items():
        for index, role in enumerate(roles):
            yield from _role(f"bucket_roles.{bucket}[{index}]", role)


def namespace_problems(path: str, namespace: str) -> Iterator[Problem]:
    """`namespace` is a name that Kubernetes takes."""
    if not _NAMESPACE.fullmatch(namespace):
        yield Problem(
            path, namespace, "no name of a Kubernetes namespace", "up to 63 lower-case letters, digits and '-'",
            "correct it",
        )  # fmt: skip


def account_problems(path: str, account: str) -> Iterator[Problem]:
    """`account` is a name that Kubernetes takes."""
    if not _ACCOUNT.fullmatch(account):
        yield Problem(
            path, account, "no name of a Kubernetes service account",
            "lower-case letters, digits, '-' and '.'; not the e-mail address of a Google account", "correct it",
        )  # fmt: skip


def _role(path: str, role: str) -> Iterator[Problem]:
    if role in _BASIC:
        yield Problem(
            path, role, "a basic role, which holds for nearly everything in the project",
            "a role of the service that is needed, such as roles/pubsub.subscriber", "choose a narrower one",
        )  # fmt: skip
    elif not _ROLE.fullmatch(role):
        fix = f"write roles/{role}" if re.fullmatch(r"[a-z]+\.[A-Za-z]+", role) else "see `gcloud iam roles list`"
        yield Problem(path, role, "no name of a role", "roles/SERVICE.NAME, or a role of one's own by its path", fix)


def pool(project: str) -> str:
    """The identity pool of the project's clusters."""
    return f"{project}.svc.id.goog"


def project_number(
    project: pulumi.Input[str], after: pulumi.Input[str], opts: pulumi.InvokeOutputOptions | None = None
) -> pulumi.Output[str]:
    """The project's number, which is in its principals' names. Looked up once `after` is known, which is something that
    the project's APIs must be on for: a preview before that asks nothing."""
    waited = pulumi.Output.all(project, after).apply(lambda values: values[0])
    return gcp.organizations.get_project_output(project_id=waited, opts=opts).number


@dataclass(frozen=True)
class Agents:
    """Google's own accounts that work for a project, as members of roles: `gke` makes clusters, `apis` machines;
    `compute` reads and writes their disks."""

    gke: pulumi.Output[str]
    apis: pulumi.Output[str]
    compute: pulumi.Output[str]


def agents(name: str, project: pulumi.Input[str], parent: pulumi.Resource) -> Agents:
    """The agents of a project, once they are there. Their names follow from the project's number: what the service
    identity says of itself is empty for some services (cloud-foundation-fabric, modules/project)."""
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
    """Roles for one Kubernetes service account. No keys, no Google service account, no rights of the node.

    Does not: make the service account in Kubernetes, nor any role; open a bucket that has no uniform access. What uses
    the rights `depends_on` the component: it then never starts without them (IAM takes up to minutes all the same).
    """

    principal: pulumi.Output[str]
    """The service account as IAM names it: principal://…"""

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:WorkloadIdentity", name, None, opts)
        checks.refuse(problems(args), f"WorkloadIdentity {name}")
        child = pulumi.ResourceOptions(parent=self)
        project = args["project"]
        number = project_number(project, args["cluster"], pulumi.InvokeOutputOptions(parent=self))
        principal = service_account_principal(number, project, args["namespace"], args["service_account"])
        # Roles, not ids, are known at preview: else another role would show what uses the principal as replaced.
        granted: list[pulumi.Output[str]] = []
        for role in args.get("roles", []):
            made = gcp.projects.IAMMember(
                f"{name}-{short(role)}", project=project, role=role, member=principal, opts=child
            )
            granted.append(made.role)
        for bucket, roles in sorted(args.get("bucket_roles", {}).items()):
            for role in roles:
                made = gcp.storage.BucketIAMMember(
                    f"{name}-{bucket}-{short(role)}", bucket=bucket, role=role, member=principal, opts=child
                )
                granted.append(made.role)
        self.principal = pulumi.Output.all(principal, *granted).apply(lambda values: values[0])
        self.register_outputs({"principal": self.principal})


def short(role: str) -> str:
    """A role within a resource's name: container.defaultNodeServiceAccount."""
    return role.rsplit("/", 1)[-1]
