"""AWS permissions for pods: one IAM role per Kubernetes service account, through EKS Pod Identity."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments, checks, child_names, component_names, naming
from ..checks import Problem
from . import tags
from .roles import Permissions, arn_problems

_POLICY = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+", re.ASCII)


class PodIdentityArgs(Permissions):
    """A service account and its permissions."""

    cluster: pulumi.Input[str]
    """Name of the EKS cluster."""
    namespace: str
    """Kubernetes namespace of the service account."""
    service_account: str
    """Name of the Kubernetes service account. Only its pods can assume the role."""
    associate: NotRequired[bool]
    """Whether to create the association between role and service account. Set it to `false` for a managed add-on of
    EKS, which creates the association with the add-on. Default: `true`."""
    tags: NotRequired[dict[str, str]]
    """Tags for the role and the association. Default: none."""


def problems(args: PodIdentityArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, checked without calling AWS."""
    namespace, account = args["namespace"], args["service_account"]
    if not namespace:
        yield Problem("namespace", namespace, "empty", "the name of a namespace", "see `kubectl get namespaces`")
    yield from checks.namespace("namespace", namespace)
    yield from account_problems("service_account", account)
    yield from _policy_problems(args.get("policy_arns", []))
    yield from permission_problems(args)
    yield from tags.with_tags(args)


def permission_problems(args: Mapping[str, Any]) -> Iterator[Problem]:
    """An existing role whose ARN is wrong, or that is named next to permissions, which only a new role gets."""
    if "role_arn" not in args:
        return
    yield from arn_problems("role_arn", args["role_arn"])
    for field in ("policy_arns", "policy"):
        if args.get(field) not in (None, [], {}):
            yield Problem(
                field, "…", "nothing is attached to an existing role", f"either `role_arn` or `{field}`",
                f"attach it to that role and remove `{field}`, or remove `role_arn`",
            )  # fmt: skip


def _policy_problems(arns: list[str]) -> Iterator[Problem]:
    """Attachments are named after their policies, so each name is there once."""
    names: dict[str, str] = {}
    for index, arn in enumerate(arns):
        path, name = f"policy_arns[{index}]", arn.rsplit("/", 1)[-1]
        if not _POLICY.fullmatch(arn):
            yield Problem(
                path, arn, "not the ARN of a policy", "arn:aws:iam::ACCOUNT:policy/NAME",
                "see `aws iam list-policies --scope Local`",
            )  # fmt: skip
        elif name in names:
            yield Problem(
                path, arn, f"has the same name as {names[name]}", "each name once", "remove it, or rename the policy"
            )
        names.setdefault(name, arn)


def account_problems(path: str, account: str) -> Iterator[Problem]:
    """`account` is a valid name for a Kubernetes service account."""
    if not checks.OBJECT_NAME.fullmatch(account):
        yield Problem(
            path, account, "not a valid name of a service account", "up to 253 lower-case letters, digits, '-' and '.'",
            "see `kubectl get serviceaccounts --all-namespaces`",
        )  # fmt: skip


def name_problems(name: str, args: Mapping[str, Any]) -> Iterator[Problem]:
    """IAM accepts the names made of the component's: the role's, which is cut, and that of its policy."""
    if "role_arn" not in args:
        longest, limit = ("", None) if args.get("policy") is None else ("-policy", naming.IAM_POLICY_LIMIT)
        yield from component_names.iam_problems(name, longest, limit)


def trust_policy(cluster_arn: str, namespace: str, service_account: str) -> dict[str, Any]:
    """Trust in EKS Pod Identity for one service account of one cluster. The cluster's ARN tells it from clusters of the
    same name in other accounts and regions. EKS sets the session tags, which its user guide documents for this purpose
    ("Grant Pods access to AWS resources based on tags")."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {
                        "aws:RequestTag/eks-cluster-arn": cluster_arn,
                        "aws:RequestTag/kubernetes-namespace": namespace,
                        "aws:RequestTag/kubernetes-service-account": service_account,
                    }
                },
            }
        ],
    }


class PodIdentity(pulumi.ComponentResource):
    """An IAM role that the pods of one Kubernetes service account assume. It needs no access keys, no OIDC provider and
    no permissions of the node role.

    A resource that uses the role should `depends_on` this component, so that its pods never start without permissions.
    """

    role_arn: pulumi.Output[str]
    """ARN of the role."""

    def __init__(self, name: str, args: PodIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"PodIdentity {name}", PodIdentityArgs, args, problems, lambda given: name_problems(name, given)
        )
        child_names.claim(
            "PodIdentity", name, opts,
            {_attachment(name, arn): f"policy_arns[{n}]" for n, arn in enumerate(args.get("policy_arns", []))},
        )  # fmt: skip
        super().__init__("gpuyard:index:PodIdentity", name, None, opts)
        self.resource: aws.iam.Role | None = None
        """The role that was created; None with `role_arn`."""
        if "role_arn" in args:
            self.role_arn = pulumi.Output.from_input(args["role_arn"])
        else:
            self.resource = self._role(name, args)
            self.role_arn = self.resource.arn
        if args["associate"]:
            aws.eks.PodIdentityAssociation(
                f"{name}-association",
                cluster_name=args["cluster"],
                namespace=args["namespace"],
                service_account=args["service_account"],
                role_arn=self.role_arn,
                tags=args.get("tags", {}),
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"roleArn": self.role_arn})

    def _role(self, name: str, args: PodIdentityArgs) -> aws.iam.Role:
        child = pulumi.ResourceOptions(parent=self)
        cluster, namespace, account = args["cluster"], args["namespace"], args["service_account"]
        asked = pulumi.InvokeOutputOptions(parent=self)
        arn = pulumi.Output.format(
            "arn:aws:eks:{}:{}:cluster/{}",
            aws.get_region_output(opts=asked).region,
            aws.get_caller_identity_output(opts=asked).account_id,
            cluster,
        )
        role = aws.iam.Role(
            f"{name}-role",
            name_prefix=f"{naming.fit(name, naming.IAM_ROLE_LIMIT - 26 - 1)}-",
            description=pulumi.Output.concat(f"{namespace}/{account} in the EKS cluster ", cluster),
            assume_role_policy=arn.apply(lambda found: json.dumps(trust_policy(found, namespace, account))),
            tags=args.get("tags", {}),
            opts=child,
        )
        for given in args.get("policy_arns", []):
            aws.iam.RolePolicyAttachment(_attachment(name, given), role=role.name, policy_arn=given, opts=child)
        policy = args.get("policy")
        if policy is not None:
            aws.iam.RolePolicy(f"{name}-policy", role=role.name, policy=pulumi.Output.json_dumps(policy), opts=child)
        return role


def _attachment(name: str, arn: str) -> str:
    return f"{name}-{arn.rsplit('/', 1)[-1]}"
