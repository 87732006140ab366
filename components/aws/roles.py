"""Ready-made IAM roles, where an organization forbids stacks to make any: how their ARNs look, and whether IAM has them
as they are needed, asked at preview."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

_ARN = re.compile(r"arn:aws:iam::(?P<account>\d{12}):role/([\w+=,.@-]+/)*[\w+=,.@-]{1,64}", re.ASCII)
_PODS = "pods.eks.amazonaws.com"
_MANAGED = "arn:aws:iam::aws:policy/"


class Roles(TypedDict):
    """ARNs of roles that are there already, by what takes them. A role that is left out is made.

    `cluster`: the control plane. `nodes`: all nodes. `flow_log`: the log of the VPC's traffic. `vpc_cni`, `ebs_csi`,
    `efs_csi`, `fsx_csi`, `s3_csi`: the add-ons of EKS. `cluster_autoscaler`: the autoscaler. Roles are never changed
    and never deleted, and policies are not attached to them."""

    cluster: NotRequired[str]
    nodes: NotRequired[str]
    flow_log: NotRequired[str]
    vpc_cni: NotRequired[str]
    ebs_csi: NotRequired[str]
    efs_csi: NotRequired[str]
    fsx_csi: NotRequired[str]
    s3_csi: NotRequired[str]
    cluster_autoscaler: NotRequired[str]


@dataclass(frozen=True)
class Need:
    """What a role needs. `service`: whom it trusts. `policies`: AWS's own ones, without their prefix; none where the
    library writes a policy for the role that it makes."""

    service: str
    policies: tuple[str, ...] = ()

    @property
    def actions(self) -> tuple[str, ...]:
        """How the service takes the role. EKS Pod Identity adds session tags."""
        return ("sts:AssumeRole", "sts:TagSession") if self.service == _PODS else ("sts:AssumeRole",)


NEEDS: Mapping[str, Need] = {
    "cluster": Need("eks.amazonaws.com", ("AmazonEKSClusterPolicy",)),
    # A node registers, pulls images, and nothing else: pods get their rights by Pod Identity, the CNI by its own role.
    "nodes": Need("ec2.amazonaws.com", ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")),
    "flow_log": Need("vpc-flow-logs.amazonaws.com"),
    "vpc_cni": Need(_PODS, ("AmazonEKS_CNI_Policy",)),
    # Without the path service-role/, unlike its predecessor (IAM answers NoSuchEntity).
    "ebs_csi": Need(_PODS, ("AmazonEBSCSIDriverPolicyV2",)),
    "efs_csi": Need(_PODS, ("service-role/AmazonEFSCSIDriverPolicy",)),
    "fsx_csi": Need(_PODS),
    "s3_csi": Need(_PODS),
    "cluster_autoscaler": Need(_PODS),
}
"""By the fields of `Roles`."""


def by_field(roles: Roles) -> dict[str, str]:
    """Field → ARN of the roles that are given."""
    return {who: str(arn) for who, arn in roles.items() if arn}


def name_of(arn: str) -> str:
    """Name of the role, without its path."""
    return arn.rpartition("/")[2]


def policy_arns(who: str) -> list[str]:
    """AWS's own policies of a role, as ARNs."""
    return [f"{_MANAGED}{policy}" for policy in NEEDS[who].policies]


def problems(roles: Roles) -> Iterator[Problem]:
    """What is wrong with the ARNs, seen without asking AWS. Paths are the fields of `Roles`."""
    for who, arn in by_field(roles).items():
        if not _ARN.fullmatch(arn) or "/aws-service-role/" in arn:
            yield Problem(
                who, arn, "not the ARN of a role that a service can be given", "arn:aws:iam::ACCOUNT:role/NAME",
                f"see `aws iam get-role --role-name {name_of(arn) or 'NAME'} --query Role.Arn`",
            )  # fmt: skip


def look_up(roles: Roles, provider: pulumi.ProviderResource) -> Iterator[Problem]:
    """What is wrong with the roles as IAM has them: of another account, missing, not trusting who is to take them,
    without rights. Policies other than AWS's own are taken on trust: nobody but IAM can weigh them."""
    if not roles:
        return
    opts = pulumi.InvokeOptions(provider=provider)
    account = aws.get_caller_identity(opts=opts).account_id
    for who, arn in by_field(roles).items():
        if arn.split(":")[4] != account:
            yield Problem(
                who, arn, f"of another account than {account}, and IAM hands no role to a service across accounts",
                f"arn:aws:iam::{account}:role/NAME", "name a role of this account, or work in the other one",
            )  # fmt: skip
        else:
            yield from _as_it_is(who, arn, opts)


def _as_it_is(who: str, arn: str, opts: pulumi.InvokeOptions) -> Iterator[Problem]:
    name, need = name_of(arn), NEEDS[who]
    try:
        role = aws.iam.get_role(name=name, opts=opts)
        attached = aws.iam.get_role_policy_attachments(role_name=name, opts=opts).attached_policies
        inline = aws.iam.get_role_policies(role_name=name, opts=opts).policy_names
    except Exception as error:  # the SDK has no narrower class for an invoke that failed
        yield Problem(
            who, arn, f"IAM does not show it: {checks.last_line(error)}", "a role of this account, and the rights "
            "iam:GetRole, iam:ListAttachedRolePolicies and iam:ListRolePolicies on it",
            f"see `aws iam get-role --role-name {name}`",
        )  # fmt: skip
        return
    if role.arn != arn:
        yield Problem(who, arn, f"the role {name} is {role.arn}", role.arn, f"write {role.arn}")
    if missing := [action for action in need.actions if not _trusts(role.assume_role_policy, need.service, action)]:
        yield Problem(
            who, arn, f"its trust policy does not let {need.service} take it ({', '.join(missing)})",
            f"a role that trusts {need.service}", f"aws iam update-assume-role-policy --role-name {name}",
        )  # fmt: skip
    has, wanted = {each.policy_arn for each in attached}, policy_arns(who)
    lacks = [each for each in wanted if each not in has]
    if (lacks or not wanted) and not inline and not has - set(wanted):
        yield Problem(
            who, arn, "it lacks a policy that it needs" if wanted else "it has no policy",
            ", ".join(wanted) or "a policy as docs/aws.md shows it, under Identity",
            "; ".join(f"aws iam attach-role-policy --role-name {name} --policy-arn {each}" for each in lacks)
            or f"aws iam put-role-policy --role-name {name}",
        )  # fmt: skip


def _trusts(document: str, service: str, action: str) -> bool:
    """Whether some statement lets the service do so. Conditions are not weighed."""
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
