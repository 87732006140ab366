"""Interface endpoints: AWS services inside the VPC, under their usual names."""

import json
from collections.abc import Iterator
from typing import Any

import pulumi
import pulumi_aws as aws

from .. import checks
from ..checks import Problem

# The services that the parts of a cluster call, and the names of their endpoints after com.amazonaws.REGION. (S3 has
# its gateway endpoint, which costs nothing.)
SERVICES = {
    "ecr": ("ecr.api", "ecr.dkr"),  # images
    "ec2": ("ec2",),  # VPC CNI, EBS driver
    "eks": ("eks",),  # nodes that join the cluster, autoscaler
    "eks-auth": ("eks-auth",),  # Pod Identity
    "sts": ("sts",),  # identities of pods and people
    "autoscaling": ("autoscaling",),  # autoscaler
    "elasticloadbalancing": ("elasticloadbalancing",),  # load balancer controller
    "elasticfilesystem": ("elasticfilesystem",),  # EFS driver
    "logs": ("logs",),
    "monitoring": ("monitoring",),
    "kms": ("kms",),
    "ssm": ("ssm",),
}
# Without NAT, AWS services can only be reached through endpoints (EKS guide, "Deploy private clusters with limited
# internet access"; gpuyard's storage includes the EFS driver).
NEEDED_WITHOUT_NAT = (
    "ecr",
    "sts",
    "ec2",
    "eks",
    "eks-auth",
    "autoscaling",
    "elasticloadbalancing",
    "elasticfilesystem",
)


def count(wanted: list[str]) -> int:
    """Number of endpoints; each has one address in each zone."""
    return sum(len(SERVICES[name]) for name in wanted)


def problems(wanted: list[str], nat: str) -> Iterator[Problem]:
    """What is wrong with `interface_endpoints`."""
    again = checks.repeated(wanted)
    for index, name in enumerate(wanted):
        if index in again:
            yield Problem(f"interface_endpoints[{index}]", name, "named twice", "each service once", "remove one")
        yield from checks.one_of(f"interface_endpoints[{index}]", name, SERVICES)
    missing = [name for name in NEEDED_WITHOUT_NAT if name not in wanted]
    # An error, not a warning: this network has no other route to AWS, so its nodes would never become ready. A network
    # with another route, such as a transit gateway, is an existing one.
    if nat == "none" and missing:
        yield Problem(
            "interface_endpoints", wanted,
            f"without NAT, nodes cannot reach {', '.join(missing)} and never become ready",
            f"at least {', '.join(NEEDED_WITHOUT_NAT)}", f"add {', '.join(missing)}, or write `nat: single`",
        )  # fmt: skip


# Calls without an identity of the account: a pod that exchanges its token for a role (IRSA) has none yet.
_ANONYMOUS = {"sts": ["sts:AssumeRoleWithWebIdentity", "sts:AssumeRoleWithSAML"]}


def policy(account: str, service: str) -> dict[str, Any]:
    """The policy of an endpoint: it accepts identities of this account, whose own policies limit them further. So an
    attacker in a pod cannot send data out with access keys of another account. S3 accepts reads of any identity,
    because container layers (ECR signs their URLs), operating system packages and public data sets are in buckets of
    other accounts."""
    everybody: dict[str, Any] = {"Effect": "Allow", "Principal": "*", "Resource": "*"}
    ours = {**everybody, "Action": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": account}}}
    statements = [{"Sid": "OurOwn", **ours}]
    if service == "s3":
        statements.append({"Sid": "ReadOnly", **everybody, "Action": ["s3:GetObject*", "s3:ListBucket"]})
    if service in _ANONYMOUS:
        statements.append({"Sid": "NoIdentityYet", **everybody, "Action": _ANONYMOUS[service]})
    return {"Version": "2012-10-17", "Statement": statements}


def policy_text(account: pulumi.Output[str], service: str) -> pulumi.Output[str]:
    """`policy` as JSON."""
    return account.apply(lambda found: json.dumps(policy(found, service)))


def interface_endpoints(
    name: str,
    vpc_id: pulumi.Input[str],
    region: str,
    account: pulumi.Output[str],
    wanted: list[str],
    subnets: list[pulumi.Output[str]],
    networks: list[str],
    tags: dict[str, str],
    parent: pulumi.Resource,
) -> None:
    """One endpoint for each of the `wanted` services, in all `subnets`, open to HTTPS from the VPC's `networks`, for
    identities of `account`."""
    child = pulumi.ResourceOptions(parent=parent)
    group = aws.ec2.SecurityGroup(
        f"{name}-endpoints",
        vpc_id=vpc_id,
        description="AWS services, called from within the VPC",
        tags={**tags, "Name": f"{name}-endpoints"},
        opts=child,
    )
    for network in networks:
        aws.vpc.SecurityGroupIngressRule(
            f"{name}-endpoints-{network.replace('/', '-')}",
            security_group_id=group.id,
            cidr_ipv4=network,
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            tags=tags,
            opts=child,
        )
    for service in (each for chosen in wanted for each in SERVICES[chosen]):
        aws.ec2.VpcEndpoint(
            f"{name}-{service}",
            vpc_id=vpc_id,
            service_name=f"com.amazonaws.{region}.{service}",
            vpc_endpoint_type="Interface",
            subnet_ids=subnets,
            security_group_ids=[group.id],
            private_dns_enabled=True,
            policy=policy_text(account, service),
            tags={**tags, "Name": f"{name}-{service}"},
            opts=child,
        )
