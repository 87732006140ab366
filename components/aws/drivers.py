"""The common checks of all components that install a CSI driver of EKS."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..checks import Problem
from . import addon, roles, tags


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
