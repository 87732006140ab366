"""A team's share of the pools: the fields of a team that its queue is made from."""

from typing import TypedDict

from typing_extensions import NotRequired

TEAM_LABEL = "gpuyard.dev/team"
"""Label of a team's objects, with the team's name. Jobs of namespaces without it do not get the team's quota."""


class TeamQueue(TypedDict):
    """A team's share of the pools."""

    weight: NotRequired[int]
    """The team's part of what no team is guaranteed, relative to the other teams, 1 to 1000. Default: `1`."""
    guaranteed: NotRequired[dict[str, int]]
    """Pool → `nvidia.com/gpu` of it that the team always gets back, also while others use them. CPUs and memory of the
    nodes follow. Default: for each pool, a part by `weight` of what the other teams are not guaranteed."""
