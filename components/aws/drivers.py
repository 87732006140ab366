"""The common checks of all components that install a CSI driver of EKS."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ..checks import Problem
from . import addon, roles, tags
from .addon import EksAddonArgs
from .roles import Permissions


def problems(args: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the arguments that all of them have: `kubernetes_version`, `addon_versions`, `roles`, `tags`.
    A stack checks these once, where its file has them."""
    wrong = list(addon.kubernetes_problems(args["kubernetes_version"]))
    yield from wrong
    if not wrong:
        versions = args.get("addon_versions", {})
        yield from addon.versions_problems("addon_versions", versions, args["kubernetes_version"])
    yield from (problem.under("roles") for problem in roles.problems(args.get("roles", {})))
    yield from tags.with_tags(args)


def addon_args(name: str, args: Mapping[str, Any], account: str = "", role: str = "", **new: Any) -> EksAddonArgs:
    """The arguments of an add-on that a component installs.

    Args:
        name: EKS's name of the add-on.
        args: the component's arguments.
        account: service account of the add-on that gets a role.
        role: field of `Roles` with an existing role for it.
        new: `policy_arns` or `policy` of a new role. Default: the managed policies in `roles.NEEDS`.
    """
    found: dict[str, Any] = {
        "addon": name,
        "cluster": args["cluster"],
        "kubernetes_version": args["kubernetes_version"],
        "version": args.get("addon_versions", {}).get(name),
        "tags": args.get("tags", {}),
    }
    if account:
        permissions = cast(Permissions, new or {"policy_arns": roles.policy_arns(role)})
        found |= {"service_account": account, **roles.permissions(args.get("roles", {}), role, permissions)}
    return cast(EksAddonArgs, found)
