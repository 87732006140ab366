"""Names of components that become parts of names in a cloud or in Kubernetes.

An object without an explicit name gets one from Pulumi's provider: the logical name of the resource, '-' and seven
hexadecimal digits. A name that is too long is refused only during the creation; the clouds refuse other characters.
Source: Pulumi, "Resource names", under auto-naming. A program whose config has `pulumi:autonaming` may get other names:
the lengths here are those without it.
"""

import re
from collections.abc import Iterator

from . import checks, naming
from .checks import Problem

_SUFFIX = 8
_IAM = re.compile(r"[\w+=,.@-]+", re.ASCII)
_GOOGLE = re.compile(r"[a-z][-a-z0-9]*", re.IGNORECASE | re.ASCII)


def kubernetes_problems(name: str, kind: str, most: int = checks.OBJECT_NAME_LIMIT) -> Iterator[Problem]:
    """`name` is a valid name for an object of this kind. `most`: characters."""
    if len(name) > most or not checks.OBJECT_NAME.fullmatch(name):
        yield Problem(
            "name", name, f"not a valid name of a {kind}, which has the name of the component",
            f"up to {most} lower-case letters, digits, '-' and '.', first and last a letter or digit",
            "rename the component",
        )  # fmt: skip


def iam_problems(name: str, longest: str, limit: int | None) -> Iterator[Problem]:
    """IAM accepts the names that it gets (IAM user guide, "IAM and AWS STS quotas").

    Args:
        name: the component's.
        longest: what follows it in the longest of the names.
        limit: characters that IAM accepts there; None for names that are cut.
    """
    most = None if limit is None else limit - _SUFFIX - len(longest)
    allowed = f"{f'up to {most} ' if most else ''}letters, digits, '-', '_', '.' and other characters of +=,@"
    if not _IAM.fullmatch(name):
        yield Problem("name", name, "IAM does not accept these characters", allowed, "rename the component")
    elif most and len(name) > most:
        wrong = _too_long(f"{name}{longest}", "IAM", limit)
        yield Problem("name", name, wrong, allowed, "rename the component")


def google_problems(name: str, longest: str) -> Iterator[Problem]:
    """Google Cloud accepts the names that it gets: RFC 1035, in lower case (Compute Engine, "Naming resources").
    `longest`: what follows the component's name in the longest of them."""
    most = naming.GOOGLE_LIMIT - _SUFFIX - len(longest)
    allowed = f"up to {most} letters, digits and '-', the first a letter"
    if not _GOOGLE.fullmatch(name):
        yield Problem("name", name, "Google Cloud does not accept these characters", allowed, "rename the component")
    elif len(name) > most:
        wrong = _too_long(f"{name}{longest}", "Google Cloud", naming.GOOGLE_LIMIT)
        yield Problem("name", name, wrong, allowed, "rename the component")


def _too_long(name: str, cloud: str, limit: int | None) -> str:
    return f"{name} plus Pulumi's {_SUFFIX}-character suffix exceeds {cloud}'s limit of {limit} characters"
