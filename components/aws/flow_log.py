"""The log of all traffic in a VPC: the flow log, its log group, and a role that may write only there."""

import json
from typing import Any

import pulumi
import pulumi_aws as aws

from .. import naming


def flow_log(
    name: str,
    vpc_id: pulumi.Input[str],
    cluster_name: str,
    region: str,
    days: int,
    tags: dict[str, str],
    parent: pulumi.Resource,
    role_arn: str = "",
) -> aws.ec2.FlowLog:
    """The flow log and what it needs.

    Args:
        name: of the flow log; log group and role have the same.
        vpc_id: the VPC.
        cluster_name: names the log group.
        region: of the VPC.
        days: retention; one of `retention.LOG_DAYS`.
        tags: for all of them.
        parent: the network.
        role_arn: an existing role to use instead of a new one.
    """
    child = pulumi.ResourceOptions(parent=parent)
    group = aws.cloudwatch.LogGroup(
        name, name=f"/aws/vpc/{cluster_name}/flow-log", retention_in_days=days, tags=tags, opts=child
    )
    arn, rights = (role_arn, []) if role_arn else _role(name, group, cluster_name, region, tags, child)
    return aws.ec2.FlowLog(
        name,
        vpc_id=vpc_id,
        traffic_type="ALL",
        log_destination=group.arn,
        iam_role_arn=arn,
        tags=tags,
        # Without permissions the first delivery fails, and AWS tries again much later.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=rights),
    )


def _role(
    name: str,
    group: aws.cloudwatch.LogGroup,
    cluster_name: str,
    region: str,
    tags: dict[str, str],
    child: pulumi.ResourceOptions,
) -> tuple[pulumi.Input[str], list[pulumi.Resource]]:
    """(the role's ARN, its policy)."""
    role = aws.iam.Role(
        name,
        name_prefix=f"{naming.fit(name, naming.IAM_ROLE_LIMIT - 26 - 1)}-",
        description=f"Flow log of the VPC of {cluster_name}",
        assume_role_policy=group.arn.apply(lambda arn: json.dumps(_trust(arn, region))),
        tags=tags,
        opts=child,
    )
    policy = aws.iam.RolePolicy(
        name, role=role.name, policy=group.arn.apply(lambda arn: json.dumps(_may_write(arn))), opts=child
    )
    return role.arn, [policy]


def _trust(group_arn: str, region: str) -> dict[str, Any]:
    """Trust in the flow logs of this account and region (VPC guide, "IAM role for publishing flow logs")."""
    account = group_arn.split(":")[4]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "vpc-flow-logs.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": account},
                    "ArnLike": {"aws:SourceArn": f"arn:aws:ec2:{region}:{account}:vpc-flow-log/*"},
                },
            }
        ],
    }


def _may_write(group_arn: str) -> dict[str, Any]:
    """Permission to write to one log group. CreateLogGroup is missing, so that a deleted group does not come back."""

    def allow(*actions: str, on: list[str]) -> dict[str, Any]:
        return {"Effect": "Allow", "Action": [f"logs:{action}" for action in actions], "Resource": on}

    return {
        "Version": "2012-10-17",
        "Statement": [
            allow("CreateLogStream", "PutLogEvents", "DescribeLogStreams", on=[group_arn, f"{group_arn}:*"]),
            allow("DescribeLogGroups", on=["*"]),  # names only; accepts no narrower resource
        ],
    }
