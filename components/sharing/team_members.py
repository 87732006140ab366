"""Members of a team as Kubernetes' RBAC names them: groups and users."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..checks import Problem
from .team_spec import LEVELS

KINDS = {"group": "Group", "user": "User", "serviceAccount": "User"}
"""What a member is → the kind of RBAC's subject."""

_MEMBER = re.compile(r"(group|user|serviceAccount):(\S{1,253})")
# Kubernetes gives these names to its own components, and their groups have all permissions.
_SYSTEM = "system:"


def group_of(team: str, level: str) -> str:
    """The Kubernetes group of a team's members, on a cloud where the cluster maps identities to groups (EKS)."""
    return f"gpuyard:{team}:{level}"


def by_level(members: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The members of each level that has any, from most to least permissions."""
    return {level: given for level in LEVELS if (given := members.get(level, []))}


def subject(member: str) -> Any:
    """The subject of a binding for `KIND:NAME`. A Google service account is a user there, with its address as name."""
    kind, _, name = member.partition(":")
    return {"kind": KINDS[kind], "name": name, "apiGroup": "rbac.authorization.k8s.io"}


def problems(members: Mapping[str, Any]) -> Iterator[Problem]:
    """Members that are not a group or a user of RBAC, and members that are named twice."""
    for path, member in paths(members):
        found = _MEMBER.fullmatch(member)
        if not found or found[2].startswith(_SYSTEM):
            yield Problem(
                path, member, "not a member" if not found else "a group or user of Kubernetes itself",
                "group:NAME, user:NAME or serviceAccount:ADDRESS", "write what it is, ':' and its name",
            )  # fmt: skip
    yield from repeated(members)


def repeated(members: Mapping[str, Any]) -> Iterator[Problem]:
    """Members that are named twice: only the level with more permissions would have an effect."""
    first: dict[str, str] = {}
    for path, member in paths(members):
        if member in first:
            yield Problem(
                path, member, f"the same as {first[member]}", "each member once in a team",
                "keep the level that the member needs",
            )  # fmt: skip
        first.setdefault(member, path)


def paths(members: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(path below the members, member) of every member."""
    for level in LEVELS:
        for index, member in enumerate(members.get(level, [])):
            yield f"{level}[{index}]", member
