"""The identity that creates the cluster. EKS gives it an access entry as administrator, and refuses a second one
(ResourceInUseException) ten minutes into the first `up`. So the preview asks AWS for this identity.
"""

import re
from collections.abc import Iterator, Mapping

import pulumi
import pulumi_aws as aws

from ..checks import Problem

_SESSION = re.compile(r"arn:[a-z-]+:sts::(\d{12}):assumed-role/([^/]+)/.*")
_PRINCIPAL = re.compile(r"arn:[a-z-]+:iam::(\d{12}):(role|user)/(.*)")


def same(caller: str, principal: str) -> bool:
    """Whether the identity `caller`, as STS names it, is the IAM role or user `principal`. A session of a role does not
    show the role's path; names of roles are unique within an account, whatever their paths."""
    session, named = _SESSION.fullmatch(caller), _PRINCIPAL.fullmatch(principal)
    if session and named:
        return (named[1], named[2], named[3].rpartition("/")[2]) == (session[1], "role", session[2])
    return caller == principal


def problems(principals: Mapping[str, str], cluster_name: str, provider: pulumi.ProviderResource) -> Iterator[Problem]:
    """Entries for the identity that runs this, if the cluster does not exist yet. Once it exists, only its creator has
    an entry that is not among them. `principals`: path in the file → ARN."""
    if not principals:
        return
    opts = pulumi.InvokeOptions(provider=provider)
    caller = aws.get_caller_identity(opts=opts).arn
    mine = {path: arn for path, arn in principals.items() if same(caller, arn)}
    if not mine or cluster_name in aws.eks.get_clusters(opts=opts).names:
        return
    for path, arn in mine.items():
        yield Problem(
            path, arn,
            "the identity that runs this and creates the cluster: EKS makes it an administrator without an entry",
            "roles and users other than the one that creates the cluster",
            "remove it; to be able to revoke its permissions later, run `pulumi up` as another role",
        )  # fmt: skip
