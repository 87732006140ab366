"""When EKS repairs unhealthy nodes of a pool, and what it does about each of NVIDIA's XIDs.

Sources: EKS's API (NodeRepairConfig) and its user guide ("Automatically repair nodes in EKS clusters"); the XIDs that
make a node unhealthy are those of eks-node-monitoring-agent v1.7.0 (monitors/nvidia/dcgm/dcgm_policies.go). The agent
reports every other XID as an event, which no repair follows.
"""

from collections.abc import Iterator
from typing import TypedDict

import pulumi_aws as aws
from typing_extensions import NotRequired

from .. import arguments, checks
from ..checks import Problem

XIDS = (46, 48, 54, 62, 63, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 142, 143, 151, 155, 156, 158)
"""The XIDs that make a node unhealthy."""

ACTIONS = {"replace": "Replace", "reboot": "Reboot", "none": "NoAction"}
"""Value of the argument → the API's."""

_PERCENTAGES = ("max_unhealthy_percentage", "max_parallel_percentage")
_MOST_MINUTES = 1440


class EksNodeRepair(TypedDict):
    """When EKS repairs unhealthy nodes of a pool."""

    max_unhealthy_percentage: NotRequired[int]
    """While more than this share of a node group is unhealthy, 1 to 100 percent, EKS repairs none of its nodes: a fault
    of so many is rarely one of the nodes. Default: EKS's rule, 20 in groups of more than five nodes."""
    max_parallel_percentage: NotRequired[int]
    """Share of the unhealthy nodes that are repaired at the same time, 1 to 100 percent. Default: EKS's rule."""
    xids: NotRequired[dict[str, str]]
    """XID of a GPU error → what EKS does: replace, reboot or none. Default: EKS's own table, in which some XIDs reboot
    the node and others replace it."""
    xid_wait_minutes: NotRequired[int]
    """Minutes from an error of `xids` to its repair, 1 to 1440. Default: `10`."""


def problems(repair: EksNodeRepair, enabled: bool) -> Iterator[Problem]:
    """What is wrong with a pool's `repair`. `enabled`: its `node_repair`."""
    repair = arguments.cleaned(EksNodeRepair, repair)
    if not enabled:
        yield Problem(
            "repair", dict(repair), "`node_repair` is false, so nothing is repaired", "together with `node_repair`",
            "remove it, or remove `node_repair`",
        )  # fmt: skip
    for field in _PERCENTAGES:
        if field in repair and not 1 <= repair[field] <= 100:
            fix = "remove it for EKS's rule, or set `node_repair: false` to repair nothing"
            yield Problem(f"repair.{field}", repair[field], "outside the range", "1 to 100", fix)
    if not 1 <= repair["xid_wait_minutes"] <= _MOST_MINUTES:
        yield Problem(
            "repair.xid_wait_minutes", repair["xid_wait_minutes"], "outside the range", f"1 to {_MOST_MINUTES}",
            "write 10",
        )  # fmt: skip
    for xid, action in repair.get("xids", {}).items():
        path = f"repair.xids.{xid}"
        if xid not in map(str, XIDS):
            yield Problem(
                path, action, "no XID that makes a node unhealthy: EKS never acts on it",
                ", ".join(map(str, XIDS)), "remove it",
            )  # fmt: skip
        yield from checks.one_of(path, action, ACTIONS)


def config(enabled: bool, repair: EksNodeRepair | None) -> aws.eks.NodeGroupNodeRepairConfigArgs:
    """The settings of a node group."""
    given = arguments.cleaned(EksNodeRepair, repair or {})
    overrides = [
        aws.eks.NodeGroupNodeRepairConfigNodeRepairConfigOverrideArgs(
            node_monitoring_condition="AcceleratedHardwareReady",
            node_unhealthy_reason=f"NvidiaXID{xid}Error",
            min_repair_wait_time_mins=given["xid_wait_minutes"],
            repair_action=ACTIONS[action],
        )
        for xid, action in sorted(given.get("xids", {}).items(), key=lambda each: int(each[0]))
    ]
    return aws.eks.NodeGroupNodeRepairConfigArgs(
        enabled=enabled,
        max_unhealthy_node_threshold_percentage=given.get("max_unhealthy_percentage"),
        max_parallel_nodes_repaired_percentage=given.get("max_parallel_percentage"),
        node_repair_config_overrides=overrides or None,
    )
