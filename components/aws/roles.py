"""Existing IAM roles, for organizations that do not let stacks create any: the format of their ARNs, and whether IAM
has them with the trust and the policies that they need, checked at preview."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

_ARN = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/([\w+=,.@-]+/)*[\w+=,.@-]{1,64}", re.ASCII)
PODS = "pods.eks.amazonaws.com"
"""The service principal of EKS Pod Identity."""


class Roles(TypedDict):
    """ARNs of existing roles, by their use. They are never changed or deleted, and nothing is attached to them. For an
    omitted field, a new role is created."""

    cluster: NotRequired[str]
    """Role of the control plane. Default: a new role."""
    nodes: NotRequired[str]
    """Role of all nodes. Default: a new role."""
    flow_log: NotRequired[str]
    """Role that writes the VPC's flow log. Default: a new role."""
    vpc_cni: NotRequired[str]
    """Role of the add-on vpc-cni. Default: a new role."""
    ebs_csi: NotRequired[str]
    """Role of the add-on aws-ebs-csi-driver. Default: a new role."""
    efs_csi: NotRequired[str]
    """Role of the add-on aws-efs-csi-driver. Default: a new role."""
    fsx_csi: NotRequired[str]
    """Role of the add-on aws-fsx-csi-driver. Default: a new role."""
    s3_csi: NotRequired[str]
    """Role of the add-on aws-mountpoint-s3-csi-driver. Default: a new role."""
    cluster_autoscaler: NotRequired[str]
    """Role of the Cluster Autoscaler. Default: a new role."""


@dataclass(frozen=True)
class Need:
    """What a role needs."""

    service: str
    """Service principal that assumes the role."""
    user: str
    """What uses the role; for pods `NAMESPACE/SERVICE_ACCOUNT`."""
    policy_arns: tuple[str, ...] = ()
    """ARNs of managed policies; empty if the library writes a policy for a new role."""

    @property
    def service_account(self) -> str:
        """For pods, the name of their service account."""
        return self.user.rpartition("/")[2]

    @property
    def policies(self) -> tuple[str, ...]:
        """Names of the managed policies."""
        return tuple(map(name_of, self.policy_arns))

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions with which the service assumes the role. EKS Pod Identity adds session tags."""
        return ("sts:AssumeRole", "sts:TagSession") if self.service == PODS else ("sts:AssumeRole",)


def _managed(*policies: str) -> tuple[str, ...]:
    return tuple(f"arn:aws:iam::aws:policy/{policy}" for policy in policies)


NEEDS: Mapping[str, Need] = {
    "cluster": Need("eks.amazonaws.com", "the control plane", _managed("AmazonEKSClusterPolicy")),
    # A node registers and pulls images, nothing else: pods get their permissions by Pod Identity, the CNI by its own
    # role.
    "nodes": Need(
        "ec2.amazonaws.com",
        "all nodes",
        _managed("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"),
    ),
    "flow_log": Need("vpc-flow-logs.amazonaws.com", "the log of the VPC's traffic"),
    "vpc_cni": Need(PODS, "kube-system/aws-node", _managed("AmazonEKS_CNI_Policy")),
    # Without the path service-role/, unlike its predecessor (IAM answers NoSuchEntity).
    "ebs_csi": Need(PODS, "kube-system/ebs-csi-controller-sa", _managed("AmazonEBSCSIDriverPolicyV2")),
    "efs_csi": Need(PODS, "kube-system/efs-csi-controller-sa", _managed("service-role/AmazonEFSCSIDriverPolicy")),
    "fsx_csi": Need(PODS, "kube-system/fsx-csi-controller-sa"),
    "s3_csi": Need(PODS, "kube-system/s3-csi-driver-sa"),
}
"""By the fields of `Roles`, without those of the table of add-ons: `addons.needs` has all."""


class Permissions(TypedDict):
    """The permissions of a service account: an existing role, or what a new one has."""

    role_arn: NotRequired[pulumi.Input[str]]
    """ARN of an existing role for the service account, instead of a new one. It excludes `policy_arns` and `policy`:
    nothing is attached to an existing role. Default: a new role."""
    policy_arns: NotRequired[list[str]]
    """ARNs of managed policies to attach to the new role. Default: none."""
    policy: NotRequired[pulumi.Input[dict[str, Any]]]
    """Policy document to put into the new role. Default: none."""


def permissions(given: Roles, field: str, new: Permissions) -> Permissions:
    """The existing role of a field, else those of a new one."""
    existing = by_field(given)
    return {"role_arn": existing[field]} if field in existing else new


def by_field(roles: Roles) -> dict[str, str]:
    """Field → ARN of the roles that are given."""
    return {field: str(arn) for field, arn in roles.items()}


def name_of(arn: str) -> str:
    """Name of a role or a policy, without its path."""
    return arn.rpartition("/")[2]


def policy_arns(field: str) -> list[str]:
    """ARNs of the AWS managed policies that a role needs."""
    return list(NEEDS[field].policy_arns)


def problems(roles: Roles, used: Collection[str] | None = None) -> Iterator[Problem]:
    """What is wrong with the ARNs, checked without calling AWS. Paths are the fields of `Roles`. `used`: the fields
    that the component uses; None for all."""
    for field, arn in by_field(roles).items():
        if used is not None and field not in used:
            yield Problem(
                field, arn, "nothing here uses this role", ", ".join(used) or "no role",
                "remove it, or pass it to the component that uses it",
            )  # fmt: skip
        else:
            yield from arn_problems(field, arn)


def arn_problems(path: str, arn: Any) -> Iterator[Problem]:
    """A plain `arn` is that of a role that a service can assume. None, and an Output, are not checked."""
    if arn == "":
        yield Problem(path, arn, "empty", "arn:aws:iam::ACCOUNT:role/NAME", "remove it, or write the ARN")
    elif isinstance(arn, str) and (not _ARN.fullmatch(arn) or "/aws-service-role/" in arn):
        yield Problem(
            path, arn, "not the ARN of a role that a service can assume", "arn:aws:iam::ACCOUNT:role/NAME",
            f"see `aws iam get-role --role-name {name_of(arn) or 'NAME'} --query Role.Arn`",
        )  # fmt: skip


def look_up(roles: Roles, needs: Mapping[str, Need], provider: pulumi.ProviderResource) -> Iterator[Problem]:
    """What is wrong with the roles as IAM has them: in another account, missing, without trust in the service that
    assumes them, or without permissions. Permissions in your own policies are not evaluated. `needs`: by the fields of
    `Roles`."""
    if not roles:
        return
    opts = pulumi.InvokeOptions(provider=provider)
    account = aws.get_caller_identity(opts=opts).account_id
    for field, arn in by_field(roles).items():
        if arn.split(":")[4] != account:
            yield Problem(
                field, arn, f"not in the account {account}, and a service cannot assume a role of another account",
                f"arn:aws:iam::{account}:role/NAME", "name a role of this account, or work in the other account",
            )  # fmt: skip
        else:
            yield from _existing(field, arn, needs[field], opts)


def _existing(field: str, arn: str, need: Need, opts: pulumi.InvokeOptions) -> Iterator[Problem]:
    name = name_of(arn)
    try:
        role = aws.iam.get_role(name=name, opts=opts)
        attached = aws.iam.get_role_policy_attachments(role_name=name, opts=opts).attached_policies
        inline = aws.iam.get_role_policies(role_name=name, opts=opts).policy_names
    except Exception as error:  # the SDK has no narrower class for an invoke that failed
        yield Problem(
            field, arn, f"IAM does not show it: {checks.last_line(error)}",
            "a role of this account, and the permissions iam:GetRole, iam:ListAttachedRolePolicies and "
            "iam:ListRolePolicies on it",
            f"see `aws iam get-role --role-name {name}`",
        )  # fmt: skip
        return
    if role.arn != arn:
        yield Problem(field, arn, f"the role {name} is {role.arn}", role.arn, f"write {role.arn}")
    if missing := [action for action in need.actions if not _trusts(role.assume_role_policy, need.service, action)]:
        yield Problem(
            field, arn, f"its trust policy does not let {need.service} assume it ({', '.join(missing)})",
            f"a role that trusts {need.service}", f"aws iam update-assume-role-policy --role-name {name}",
        )  # fmt: skip
    has, wanted = {each.policy_arn for each in attached}, need.policy_arns
    lacks = [each for each in wanted if each not in has]
    if (lacks or not wanted) and not inline and not has - set(wanted):
        yield Problem(
            field, arn, "it lacks a policy that it needs" if wanted else "it has no policy",
            ", ".join(wanted) or "a policy as in docs/aws.md, under Identity",
            "; ".join(f"aws iam attach-role-policy --role-name {name} --policy-arn {each}" for each in lacks)
            or f"aws iam put-role-policy --role-name {name}",
        )  # fmt: skip


def _trusts(document: str, service: str, action: str) -> bool:
    """Whether a statement allows the service this action. Conditions are not evaluated."""
    statements = _listed(json.loads(document).get("Statement", []))
    return any(
        each.get("Effect") == "Allow"
        and service in _listed((each.get("Principal") or {}).get("Service", []))
        and any(given.lower() in (action.lower(), "sts:*") for given in _listed(each.get("Action", [])))
        for each in statements
        if isinstance(each.get("Principal"), dict)
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
