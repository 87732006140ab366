"""The permissions of a team's service account in AWS: a role by EKS Pod Identity."""

from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments
from ..checks import Problem
from . import buckets, identity
from .buckets import S3Bucket
from .identity import PodIdentity, PodIdentityArgs


class EksTeamIdentityArgs(TypedDict):
    """A team's service account and its permissions."""

    cluster: pulumi.Input[str]
    """Name of the EKS cluster, with the add-on eks-pod-identity-agent."""
    namespace: str
    """Namespace of the team."""
    service_account: str
    """Name of the team's service account. Only its pods can assume the role."""
    buckets: NotRequired[dict[str, S3Bucket]]
    """Buckets that the team's pods may read, and write if they are `writable`, by the names of their volumes: the same
    fields as those of `S3Buckets`. Pods that mount a volume do not need them; `aws s3` and libraries do. Default:
    none."""
    policy_arns: NotRequired[list[str]]
    """ARNs of policies for the role. Default: none."""
    tags: NotRequired[dict[str, str]]
    """Tags for the role and its association. Default: none."""


def problems(args: EksTeamIdentityArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments, checked without calling AWS."""
    yield from identity.problems(_identity(args))
    yield from buckets.bucket_problems(args.get("buckets", {}))


def _identity(args: EksTeamIdentityArgs) -> PodIdentityArgs:
    return {
        "cluster": args["cluster"],
        "namespace": args["namespace"],
        "service_account": args["service_account"],
        "policy_arns": args.get("policy_arns", []),
        "tags": args.get("tags", {}),
    }


class EksTeamIdentity(pulumi.ComponentResource):
    """An IAM role that the pods of a team's service account assume, with access to the buckets that the team names.

    It does not create the service account (`Team`) or buckets. Pods that run as another service account do not have
    the permissions. Workloads should `depends_on` it, so that they never start without them.
    """

    identity: pulumi.Output[str]
    """ARN of the role."""

    def __init__(self, name: str, args: EksTeamIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"EksTeamIdentity {name}", EksTeamIdentityArgs, args, problems,
            lambda given: identity.name_problems(name, {"policy": {}}),
        )  # fmt: skip
        super().__init__("gpuyard:index:EksTeamIdentity", name, None, opts)
        given = _identity(args)
        if named := args.get("buckets", {}):
            asked = pulumi.InvokeOutputOptions(parent=self)
            given["policy"] = buckets.policy(named, aws.get_caller_identity_output(opts=asked).account_id)
        self.resource = PodIdentity(name, given, pulumi.ResourceOptions(parent=self))
        """The role and its association."""
        self.identity = self.resource.role_arn
        self.register_outputs({"identity": self.identity})
