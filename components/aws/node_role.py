"""The role of an EKS cluster's nodes."""

import json
import re
from collections.abc import Iterator

import pulumi
import pulumi_aws as aws

from .. import checks, naming
from ..checks import Problem
from . import roles

_POLICY = re.compile(r"arn:aws:iam::(aws|\d{12}):policy/[\w+=,.@/-]+", re.ASCII)
_MOST_POLICIES = 8


def problems(arns: list[str], existing: str = "") -> Iterator[Problem]:
    """What is wrong with further policies of the role. `existing`: ARN of a role to use instead of a new one."""
    if arns and existing:
        yield Problem(
            "node_policy_arns", arns, f"nothing is attached to an existing role ({existing})", "one of the two",
            "attach them to that role, and remove `node_policy_arns`",
        )  # fmt: skip
    again = checks.repeated(arns)
    for index, arn in enumerate(arns):
        path = f"node_policy_arns[{index}]"
        if not _POLICY.fullmatch(arn):
            yield Problem(
                path, arn, "not the ARN of an IAM policy",
                "arn:aws:iam::aws:policy/NAME or arn:aws:iam::ACCOUNT:policy/NAME", "see `aws iam list-policies`",
            )  # fmt: skip
        elif index in again or roles.name_of(arn) in roles.NEEDS["nodes"].policies:
            yield Problem(path, arn, "all nodes already have it", "each policy once", "remove it")
    if len(arns) > _MOST_POLICIES:
        yield Problem(
            "node_policy_arns", len(arns), "a role can have ten policies, and the nodes' role already has two",
            f"up to {_MOST_POLICIES}", "merge them into fewer policies",
        )  # fmt: skip


def node_role(
    name: str, cluster_name: str, policy_arns: list[str], tags: dict[str, str], parent: pulumi.Resource
) -> pulumi.Output[str]:
    """ARN of a new role with these policies and those that every node needs."""
    child = pulumi.ResourceOptions(parent=parent)
    role = aws.iam.Role(
        name,
        name_prefix=f"{naming.fit(name, naming.IAM_ROLE_LIMIT - 26 - 1)}-",
        description=f"Nodes of the EKS cluster {cluster_name}",
        assume_role_policy=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
                ],
            }
        ),
        tags=tags,
        opts=child,
    )
    for arn in [*policy_arns, *roles.policy_arns("nodes")]:
        owner, label = arn.split(":")[4], arn.partition("policy/")[2]
        # A policy of the account may have the same name as one of AWS's.
        label = label if owner == "aws" else f"{owner}-{label}"
        aws.iam.RolePolicyAttachment(f"{name}-{label}", role=role.name, policy_arn=arn, opts=child)
    return role.arn
