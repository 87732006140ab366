"""What all components that install add-ons of EKS have in common: their checks, and the arguments of an add-on."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from .. import component_names, naming
from ..checks import Problem
from . import addon, roles, tags
from .addon import EksAddonArgs
from .roles import NEEDS, Permissions

ROLES = {
    "vpc-cni": "vpc_cni",
    "aws-ebs-csi-driver": "ebs_csi",
    "aws-efs-csi-driver": "efs_csi",
    "aws-fsx-csi-driver": "fsx_csi",
    "aws-mountpoint-s3-csi-driver": "s3_csi",
}
"""Add-on → field of `Roles`; other add-ons have no AWS permissions."""


def problems(args: Mapping[str, Any], installs: Collection[str]) -> Iterator[Problem]:
    """What is wrong with the arguments that all of them have: `kubernetes_version`, `addon_versions`, `roles`, `tags`.
    A stack checks these once, where its file has them.

    Args:
        args: the arguments.
        installs: the add-ons that the component installs.
    """
    wrong = list(addon.kubernetes_problems(args["kubernetes_version"]))
    yield from wrong
    if not wrong:
        versions = args.get("addon_versions", {})
        yield from addon.versions_problems("addon_versions", versions, args["kubernetes_version"], installs)
    used = role_fields(installs)
    yield from (problem.under("roles") for problem in roles.problems(args.get("roles", {}), used))
    yield from tags.with_tags(args)


def name_problems(name: str, args: Mapping[str, Any], longest: Mapping[str, str]) -> Iterator[Problem]:
    """IAM accepts the names made of the component's.

    Args:
        name: the component's.
        args: its arguments.
        longest: add-on → what follows the component's name in the name of the policy that its new role gets; empty
            for managed policies.
    """
    for addon_name, suffix in longest.items():
        if ROLES[addon_name] not in {role for role, arn in args.get("roles", {}).items() if arn}:
            found = list(component_names.iam_problems(name, suffix, naming.IAM_POLICY_LIMIT if suffix else None))
            yield from found
            if found:
                return


def role_fields(installs: Collection[str]) -> list[str]:
    """The fields of `Roles` that these add-ons use."""
    return [ROLES[name] for name in installs if name in ROLES]


def addon_args(name: str, args: Mapping[str, Any], **new: Any) -> EksAddonArgs:
    """The arguments of an add-on that a component installs.

    Args:
        name: EKS's name of the add-on.
        args: the component's arguments.
        new: `policy_arns` or `policy` of a new role. Default: the managed policies in `roles.NEEDS`.
    """
    found: dict[str, Any] = {
        "addon": name,
        "cluster": args["cluster"],
        "kubernetes_version": args["kubernetes_version"],
        "version": args.get("addon_versions", {}).get(name),
        "tags": args.get("tags", {}),
    }
    if role := ROLES.get(name):
        permissions = cast(Permissions, new or {"policy_arns": roles.policy_arns(role)})
        found |= {
            "service_account": NEEDS[role].service_account,
            **roles.permissions(args.get("roles", {}), role, permissions),
        }
    return cast(EksAddonArgs, found)
