"""IAM roles as an organization wants them: a permissions boundary and a path on every role that the stack makes, those
inside pulumi-eks included."""

import re
from collections.abc import Iterator

import pulumi
from pulumi.runtime import register_resource_transform

from components.checks import Problem

from ..section import Section

_ROLE = "aws:iam/role:Role"
# IAM API: a path begins and ends with '/'; here only what can stand in an ARN without escape.
_PATH = re.compile(r"/([\w+=,.@-]+/)*", re.ASCII)
_BOUNDARY = re.compile(r"arn:aws:iam::(\d{12}|aws):policy/[\w+=,.@/-]+", re.ASCII)
_LONGEST = 512


def problems(iam: Section) -> Iterator[Problem]:
    """What is wrong with `iam`, seen without asking AWS."""
    if not _PATH.fullmatch(iam.path) or len(iam.path) > _LONGEST:
        yield Problem(
            "path", iam.path, "not a path of IAM", f"words between '/', up to {_LONGEST} characters, such as /ml/",
            f"write /{iam.path.strip('/')}/",
        )  # fmt: skip
    if iam.permissions_boundary and not _BOUNDARY.fullmatch(iam.permissions_boundary):
        yield Problem(
            "permissions_boundary", iam.permissions_boundary, "not the ARN of a policy",
            "arn:aws:iam::ACCOUNT:policy/NAME", "see `aws iam list-policies --scope Local`",
        )  # fmt: skip


def shape(iam: Section) -> None:
    """Gives every role from here on the boundary and the path."""
    if iam.path == "/" and not iam.permissions_boundary:
        return

    def transform(args: pulumi.ResourceTransformArgs) -> pulumi.ResourceTransformResult | None:
        if args.type_ != _ROLE:
            return None
        added = {"permissionsBoundary": iam.permissions_boundary} if iam.permissions_boundary else {}
        # A role keeps the path of its creation: another one would be another role, and with the control plane's another
        # cluster.
        kept = pulumi.ResourceOptions(ignore_changes=["path"])
        return pulumi.ResourceTransformResult(
            props={**args.props, "path": iam.path, **added},
            opts=pulumi.ResourceOptions.merge(args.opts, kept),
        )

    register_resource_transform(transform)
