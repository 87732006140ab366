"""Subnets one by one. As one output, all of them are unknown in a preview that makes another, and whatever stands in a
known one is shown as moved, replaced even."""

from collections.abc import Sequence

import pulumi

SubnetIds = pulumi.Input[list[pulumi.Input[str]]]
"""What components take: a list of ids or of outputs (`private_subnets` of the networks), or an output of a list."""


def of_zones(subnet_ids: SubnetIds, zones: Sequence[str], wanted: Sequence[str]) -> list[pulumi.Input[str]]:
    """The ids of the subnets in the zones `wanted`; `subnet_ids` are those of `zones`, in their order."""
    return [_at(subnet_ids, zones.index(zone)) for zone in wanted]


def _at(subnet_ids: SubnetIds, index: int) -> pulumi.Input[str]:
    if isinstance(subnet_ids, Sequence):
        return subnet_ids[index]
    return pulumi.Output.from_input(subnet_ids).apply(lambda ids: ids[index])
