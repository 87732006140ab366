"""Who may use an EKS cluster's API in addition to the role that created it: access entries, each with one of EKS's
access policies."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

_POLICIES = "arn:aws:eks::aws:cluster-access-policy"
ACCESS_POLICIES = {
    "admin": f"{_POLICIES}/AmazonEKSClusterAdminPolicy",
    "edit": f"{_POLICIES}/AmazonEKSEditPolicy",
    "view": f"{_POLICIES}/AmazonEKSViewPolicy",
}
# AmazonEKSClusterAdminPolicy also covers cluster-scoped resources; this is its counterpart for namespaces.
NAMESPACE_ADMIN = f"{_POLICIES}/AmazonEKSAdminPolicy"
_PRINCIPAL = re.compile(r"arn:aws:iam::\d{12}:(role|user)/[\w+=,.@/-]+")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([\w+=,.@-]+)/.*")
# Names of entries become names of resources.
_WHO = re.compile(r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?", re.ASCII)
# EKS user guide, "Create access entries".
_RESERVED_GROUPS = ("system:", "eks:", "aws:", "amazon:", "iam:")
# EKS accepts wildcards in the namespaces of a policy: dev-* (EKS user guide, "Associate access policies").
_NAMESPACE = re.compile(r"[a-z0-9*]([a-z0-9*-]{0,61}[a-z0-9*])?")


class Access(TypedDict):
    """An IAM role or user and its permissions in Kubernetes.

    The role that creates the cluster needs no entry: EKS makes it an administrator, which pulumi-eks cannot switch off
    (pulumi-eks#2373) and which add-ons of the same `up` need. EKS refuses a second entry for it
    (ResourceInUseException)."""

    principal_arn: str
    """ARN of the IAM role or user, of this account or another one."""
    level: str
    """Permissions: `admin`, `edit` or `view`."""
    namespaces: NotRequired[list[str]]
    """The namespaces in which they hold; dev-* matches every namespace with that prefix. Default: all of them, and with
    `admin` also cluster-scoped resources."""
    groups: NotRequired[list[str]]
    """Kubernetes groups of the identity, for your own role bindings. When the list becomes empty, EKS keeps the old
    groups: name another one instead. Default: none."""


def problems(entries: Mapping[str, Access]) -> Iterator[Problem]:
    """Everything that is wrong with the entries (by name), checked without calling AWS."""
    first: dict[str, str] = {}
    for who, entry in entries.items():
        if not _WHO.fullmatch(who):
            yield Problem(
                f"access.{who}", entry["principal_arn"], "not a valid name of a resource",
                "up to 63 letters, digits, '-', '_' and '.'", "rename the entry",
            )  # fmt: skip
        yield from _entry(f"access.{who}", entry)
        arn = entry["principal_arn"]
        if arn in first:
            yield Problem(
                f"access.{who}.principal_arn", arn, f"the same as that of access.{first[arn]}",
                "one entry for each role or user", f"keep {first[arn]} or {who}",
            )  # fmt: skip
        first.setdefault(arn, who)


def _entry(path: str, entry: Access) -> Iterator[Problem]:
    yield from checks.one_of(f"{path}.level", entry["level"], ACCESS_POLICIES)
    for index, namespace in enumerate(entry.get("namespaces", [])):
        if not _NAMESPACE.fullmatch(namespace):
            yield Problem(
                f"{path}.namespaces[{index}]", namespace, "not a valid Kubernetes namespace",
                "up to 63 lower-case letters, digits and '-'; '*' for any", "correct it",
            )  # fmt: skip
    for index, group in enumerate(entry.get("groups", [])):
        if group.startswith(_RESERVED_GROUPS):
            yield Problem(
                f"{path}.groups[{index}]", group, "a name that EKS reserves", f"not one that begins with "
                f"{', '.join(_RESERVED_GROUPS)}", "name a group of your own role bindings",
            )  # fmt: skip
    yield from principal_problems(f"{path}.principal_arn", entry["principal_arn"])


def principal_problems(path: str, arn: str) -> Iterator[Problem]:
    """`arn` is that of an IAM role or user for which EKS accepts an access entry."""
    session = _SESSION.fullmatch(arn)
    wrong, fix = "", "see `aws sts get-caller-identity` and `aws iam get-role`"
    if session:
        partition, account, role = session.groups()
        wrong = "a session of a role, which expires; an entry is for the role itself"
        fix = f"write what `aws iam get-role --role-name {role} --query Role.Arn --output text` prints"
        # A role of IAM Identity Center has a path that the session does not show.
        fix += "" if role.startswith("AWSReservedSSO_") else f", usually arn:{partition}:iam::{account}:role/{role}"
    elif arn.endswith(":root"):
        wrong, fix = "the account's root user, which is not for daily work", "name a role that people assume"
    elif ":role/aws-service-role/" in arn:
        wrong, fix = "a service-linked role, for which EKS accepts no entry", "name another role"
    elif re.match("arn:aws-", arn):
        wrong, fix = "in another partition", "name a role or user of an account in the partition aws"
    elif not _PRINCIPAL.fullmatch(arn):
        wrong = "not the ARN of an IAM role or user"
    if wrong:
        allowed = "arn:aws:iam::ACCOUNT:role/NAME or …:user/NAME"
        yield Problem(path, arn, wrong, allowed, fix)


def children(name: str, entries: Iterable[str]) -> dict[str, str]:
    """Names of the entries as resources of the cluster `name` → their paths in its arguments."""
    return {f"{name}-access-{who}": f"access.{who}" for who in entries}


def warnings(entries: Mapping[str, Access]) -> Iterator[str]:
    """Warnings about entries that work but may not be intended."""
    for who, entry in entries.items():
        if entry["level"] == "edit" and not entry.get("namespaces"):
            yield (
                f"access.{who}: `edit` in all namespaces is equivalent to `admin`, because a pod in kube-system can "
                "use the permissions of the components there; name the namespaces"
            )


def entries(
    name: str, wanted: Mapping[str, Access], cluster: eks.Cluster, tags: dict[str, str], parent: pulumi.Resource
) -> None:
    """Creates the entries. pulumi-eks is not used for them, because it protects all its children together with the
    cluster, so an entry could never be removed."""
    for who, access in wanted.items():
        # Before 0.1.0 pulumi-eks created them.
        old = f"{name}-eks-{who}"
        entry = aws.eks.AccessEntry(
            f"{name}-access-{who}",
            cluster_name=cluster.eks_cluster.name,
            principal_arn=access["principal_arn"],
            kubernetes_groups=access.get("groups"),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=parent, aliases=[pulumi.Alias(name=old, parent=cluster)]),
        )
        policy, scope = policy_and_scope(access)
        aws.eks.AccessPolicyAssociation(
            f"{name}-access-{who}-{access['level']}",
            cluster_name=cluster.eks_cluster.name,
            principal_arn=access["principal_arn"],
            policy_arn=policy,
            access_scope=scope,
            opts=pulumi.ResourceOptions(
                parent=entry,
                depends_on=[entry],
                aliases=[pulumi.Alias(name=f"{old}-{access['level']}")],
                # A policy and a principal have one association: deleting the old one last would delete the new one.
                delete_before_replace=True,
            ),
        )


def policy_and_scope(access: Access) -> tuple[str, aws.eks.AccessPolicyAssociationAccessScopeArgs]:
    """EKS's access policy, and its scope."""
    namespaces, policy = access.get("namespaces", []), ACCESS_POLICIES[access["level"]]
    if not namespaces:
        return policy, aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster")
    narrowed = aws.eks.AccessPolicyAssociationAccessScopeArgs(type="namespace", namespaces=namespaces)
    return NAMESPACE_ADMIN if access["level"] == "admin" else policy, narrowed
