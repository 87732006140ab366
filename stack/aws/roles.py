"""IAM roles by the rules of an organization: a permissions boundary and a path on every role that the stack creates,
including those inside pulumi-eks."""

import re
from collections.abc import Iterator

import pulumi
from pulumi.runtime import register_resource_transform

from components.checks import Problem

from ..section import Section

_ROLE = "aws:iam/role:Role"
# IAM API: a path begins and ends with '/'. Only characters that an ARN can contain unescaped are accepted.
_PATH = re.compile(r"/([\w+=,.@-]+/)*", re.ASCII)
_BOUNDARY = re.compile(r"arn:aws:iam::(\d{12}|aws):policy/[\w+=,.@/-]+", re.ASCII)
_LONGEST = 512


def problems(iam: Section) -> Iterator[Problem]:
    """What is wrong with `iam`, as far as it is known without asking AWS."""
    if not _PATH.fullmatch(iam.path) or len(iam.path) > _LONGEST:
        yield Problem(
            "path", iam.path, "not a valid IAM path", f"names between '/', up to {_LONGEST} characters, such as /ml/",
            f"write /{iam.path.strip('/')}/",
        )  # fmt: skip
    if iam.permissions_boundary and not _BOUNDARY.fullmatch(iam.permissions_boundary):
        yield Problem(
            "permissions_boundary", iam.permissions_boundary, "not the ARN of a policy",
            "arn:aws:iam::ACCOUNT:policy/NAME", "see `aws iam list-policies --scope Local`",
        )  # fmt: skip


def shape(iam: Section) -> None:
    """Gives the boundary and the path to every role that is registered after this call."""
    if iam.path == "/" and not iam.permissions_boundary:
        return

    def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        if args.type_ != _ROLE:
            return None
        added = {"permissionsBoundary": iam.permissions_boundary} if iam.permissions_boundary else {}
        # An existing role keeps its path: a new path would replace the role, and with the control plane's role the
        # cluster.
        kept = pulumi.ResourceOptions(ignore_changes=["path"])
        return pulumi.ResourceTransformResult(
            props={**args.props, "path": iam.path, **added},
            opts=pulumi.ResourceOptions.merge(args.opts, kept),
        )

    register_resource_transform(transform)
