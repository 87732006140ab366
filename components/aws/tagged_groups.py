"""Further security groups of nodes that carry the cluster's own tag. Kubernetes opens that one group of a node for its
load balancers which has the tag, and with two of them it makes no load balancer (cloud-provider-aws,
findSecurityGroupForInstance; terraform-aws-eks#1441). EKS tags the cluster's group; so EC2 is asked at preview.
"""

from collections.abc import Iterator, Mapping

import pulumi
import pulumi_aws as aws

from ..checks import Problem
from .pool_spec import EksNodePoolSpec


def problems(
    pools: Mapping[str, EksNodePoolSpec], cluster_name: str, provider: pulumi.ProviderResource
) -> Iterator[Problem]:
    """Groups in `security_group_ids` that carry the tag. One call, and none where no pool names a group."""
    named = sorted({group for pool in pools.values() for group in pool.get("security_group_ids", [])})
    if not named:
        return
    tag = f"kubernetes.io/cluster/{cluster_name}"
    filters = [("group-id", named), ("tag-key", [tag])]
    tagged = aws.ec2.get_security_groups(
        filters=[aws.ec2.GetSecurityGroupsFilterArgs(name=name, values=values) for name, values in filters],
        opts=pulumi.InvokeOptions(provider=provider),
    ).ids
    for name, pool in pools.items():
        for index, group in enumerate(pool.get("security_group_ids", [])):
            if group in tagged:
                yield Problem(
                    f"{name}.security_group_ids[{index}]", group,
                    f"has the tag {tag}, as the cluster's own group has it: Kubernetes then makes no load balancer",
                    "groups without it", f"take the tag off: aws ec2 delete-tags --resources {group} --tags Key={tag}",
                )  # fmt: skip
