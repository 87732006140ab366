"""Further security groups of nodes that have the cluster's tag. Kubernetes opens the one security group of a node that
has the tag for its load balancers; if two have it, Kubernetes creates no load balancer (cloud-provider-aws,
findSecurityGroupForInstance; terraform-aws-eks#1441). EKS tags the cluster's group, so EC2 is asked at preview.
"""

from collections.abc import Iterator, Mapping

import pulumi
import pulumi_aws as aws

from ..checks import Problem
from .pool_spec import EksNodePoolSpec


def problems(
    pools: Mapping[str, EksNodePoolSpec], cluster_name: str, provider: pulumi.ProviderResource
) -> Iterator[Problem]:
    """Groups in `security_group_ids` that have the tag. One call, or none if no pool names a group."""
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
                    f"has the tag {tag}, like the cluster's group: Kubernetes would create no load balancer",
                    "groups without it", f"remove the tag: aws ec2 delete-tags --resources {group} --tags Key={tag}",
                )  # fmt: skip
