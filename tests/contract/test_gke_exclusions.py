"""Pools that Google refuses, compared with a list that another project maintains: the preconditions of Cluster
Toolkit's modules/compute/gke-node-pool (main.tf of 2026-06, 29 of them, in its order).

For each precondition, the test has a mistake that gives an error here, or it shows that no node pool of the library can
violate it. Not checked: the contents of a reservation (8), and whether it is active (28). Only Google knows both, and
reports them when the first node is requested. A pool for a future reservation has `min: 0`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.config.gke_pools import GPUS, ZONE, gpu, on
from tests.config.test_errors import reported_problems
from tests.contract.test_gcp import POOLS, added

Inputs = dict[str, Any]
NAMED = {"name": "l4s"}


@dataclass(frozen=True)
class Rule:
    """`number`: in the list; `refused`: what the rule forbids. Then a mistake (a change of dev-gke, with the path and
    text of its error), or a condition that every created node pool meets."""

    number: int
    refused: str
    changes: dict[str, Any] | None = None
    path: str = ""
    words: str = ""
    holds: Callable[[Inputs], bool] | None = None


def nodes(pool: Inputs) -> Inputs:
    return pool["nodeConfig"]


def kind(pool: Inputs) -> str:
    """How the pool uses reservations."""
    return nodes(pool).get("reservationAffinity", {}).get("consumeReservationType", "")


def flex(pool: Inputs) -> bool:
    return nodes(pool).get("flexStart") is True


def queued(pool: Inputs) -> bool:
    return pool.get("queuedProvisioning", {}).get("enabled") is True


def compact(pool: Inputs) -> bool:
    return pool.get("placementPolicy", {}).get("type") == "COMPACT"


def most(pool: Inputs) -> int:
    scaling = pool["autoscaling"]
    return scaling.get("totalMaxNodeCount") or scaling["maxNodeCount"] * len(pool["nodeLocations"])


def least(pool: Inputs) -> int:
    return pool["autoscaling"].get("totalMinNodeCount", pool["autoscaling"].get("minNodeCount", 0))


RULES = [
    Rule(
        1,
        "a block of a reservation without zones",
        gpu(reservation={**NAMED, "block": "b"}, capacity=["reserved"]),
        f"{GPUS}.zones",
        "in every zone of the pool",
        lambda pool: bool(pool["nodeLocations"]),
    ),
    Rule(2, "pods per node without alias addresses", holds=lambda pool: "maxPodsPerNode" not in pool),
    Rule(3, "a fixed size and limits", holds=lambda pool: "nodeCount" not in pool and most(pool) > 0),
    Rule(4, "a fixed size and an initial size", holds=lambda pool: "nodeCount" not in pool),
    Rule(
        5,
        "an initial size outside the limits",
        holds=lambda pool: pool["initialNodeCount"] * len(pool["nodeLocations"]) <= most(pool),
    ),
    Rule(
        6,
        "local SSDs both for pods and as block devices",
        holds=lambda pool: not {"ephemeralStorageLocalSsdConfig", "localNvmeSsdBlockConfig"} <= set(nodes(pool)),
    ),
    Rule(
        7,
        "a specific reservation without exactly one name",
        gpu(reservation={}, capacity=["reserved"], zones=ZONE),
        f"{GPUS}.reservation.name",
        "missing",
        lambda pool: (
            (kind(pool) == "SPECIFIC_RESERVATION")
            == (len(nodes(pool).get("reservationAffinity", {}).get("values", [])) == 1)
        ),
    ),
    Rule(
        8,
        "an invalid name of a reservation",
        gpu(reservation={"name": "projects/p/reservations/l4s"}, capacity=["reserved"], zones=ZONE),
        f"{GPUS}.reservation.name",
        "not a valid name of a reservation",
    ),
    Rule(
        9,
        "an upgrade strategy other than surge and blue-green (Cluster Toolkit supports only surge)",
        gpu(upgrade={"strategy": "short_lived"}),
        f"{GPUS}.upgrade.strategy",
        "surge, blue_green",
    ),
    Rule(
        10,
        "a negative max_unavailable",
        gpu(upgrade={"maxUnavailable": -1}),
        f"{GPUS}.upgrade.maxUnavailable",
        "negative",
    ),
    Rule(11, "a negative max_surge", gpu(upgrade={"maxSurge": -1}), f"{GPUS}.upgrade.maxSurge", "must not be negative"),
    Rule(
        12,
        "max_unavailable and max_surge both 0",
        gpu(upgrade={"maxUnavailable": 0}),
        f"{GPUS}.upgrade",
        "could be upgraded",
    ),
    Rule(
        13,
        "compact placement in several zones",
        gpu(placement=True),
        f"{GPUS}.zones",
        "within one zone",
        lambda pool: not compact(pool) or len(pool["nodeLocations"]) == 1,
    ),
    Rule(
        14,
        "compact placement with blue-green upgrades",
        on("g2-standard-8", placement=True, upgrade={"strategy": "blue_green"}),
        f"{GPUS}.upgrade.strategy",
        "write surge",
    ),
    Rule(
        15,
        "compact placement with queued provisioning",
        on("g2-standard-8", placement=True, capacity=["flex"], queued=True),
        f"{GPUS}.placement",
        "queued provisioning",
        lambda pool: not (compact(pool) and queued(pool)),
    ),
    Rule(
        16,
        "queued provisioning with a reservation",
        gpu(queued=True, capacity=["flex", "reserved"]),
        f"{GPUS}.queued",
        "capacity: [flex]",
        lambda pool: not queued(pool) or kind(pool) == "NO_RESERVATION",
    ),
    Rule(
        17,
        "queued provisioning with a minimum size",
        gpu(queued=True, capacity=["flex"], min=1),
        f"{GPUS}.min",
        "write 0",
        lambda pool: not queued(pool) or least(pool) == 0,
    ),
    # 18 to 20 compare two variables of the module, with which it creates several pools or TPU slices.
    Rule(
        21,
        "flex-start with auto-repair",
        gpu(capacity=["flex"], nodeRepair=True),
        f"{GPUS}.nodeRepair",
        "never repaired",
        lambda pool: not flex(pool) or pool["management"]["autoRepair"] is False,
    ),
    Rule(22, "flex-start of a fixed size", holds=lambda pool: not flex(pool) or "nodeCount" not in pool),
    Rule(
        23,
        "flex-start with a reservation",
        gpu(capacity=["flex"], reservation=NAMED, zones=ZONE),
        f"{GPUS}.capacity",
        "the only one that uses a `reservation`",
        lambda pool: not flex(pool) or kind(pool) == "NO_RESERVATION",
    ),
    Rule(24, "flex-start and spot", holds=lambda pool: not (flex(pool) and nodes(pool)["spot"])),
    Rule(
        25,
        "queued and spot",
        gpu(queued=True, capacity=["spot"]),
        f"{GPUS}.queued",
        "capacity: [flex]",
        lambda pool: not (queued(pool) and nodes(pool)["spot"]),
    ),
    Rule(
        26,
        "spot with a reservation",
        gpu(capacity=["spot"], reservation=NAMED, zones=ZONE),
        f"{GPUS}.capacity",
        "the only one that uses",
        lambda pool: not nodes(pool)["spot"] or kind(pool) in ("", "NO_RESERVATION"),
    ),
    # A topology mode is for A4X, which is not in the table of machines.
    Rule(
        27,
        "a topology mode without a specific reservation",
        on("a4x-highgpu-4g"),
        f"{GPUS}.machineTypes[0]",
        "unknown machine type",
    ),
    Rule(
        29,
        "flex-start with compact placement on machines that do not support it",
        on("a3-highgpu-8g", placement=True, capacity=["flex"]),
        f"{GPUS}.placement",
        "a3-ultragpu, a4 and h4d",
        lambda pool: (
            not (flex(pool) and compact(pool)) or nodes(pool)["machineType"].startswith(("a3-u", "a4-", "h4d-"))
        ),
    ),
]
MISTAKES = [rule for rule in RULES if rule.changes]
HOLD = [rule for rule in RULES if rule.holds]


def test_every_rule_has_a_test() -> None:
    assert [rule.number for rule in RULES] == [number for number in range(1, 30) if number not in (18, 19, 20, 28)]
    assert all(rule.changes or rule.holds for rule in RULES)


@pytest.mark.parametrize("rule", MISTAKES, ids=lambda rule: f"{rule.number}-{rule.refused}")
def test_every_refusal_of_cluster_toolkit_is_one_error(rule: Rule) -> None:
    (found,) = reported_problems("dev-gke", rule.changes or {})
    assert found.path == rule.path
    assert rule.words in f"{found.wrong} {found.allowed} {found.fix}"


@pytest.mark.parametrize("rule", HOLD, ids=lambda rule: f"{rule.number}-{rule.refused}")
def test_every_created_node_pool_passes_the_rules_of_cluster_toolkit(rule: Rule) -> None:
    assert rule.holds is not None
    for case in POOLS:
        for found in added(case):
            assert rule.holds(found.inputs), f"{case}: {found}"
