"""Capacity of a GKE pool: how its nodes are bought (rungs, reservations, flex-start) and placed, and the conflicts.

Each rung is a separate node pool, so combinations that the API forbids in one pool (any two of spot, flex-start and a
reservation; a fixed size together with limits) cannot be written. The other rules are here. Sources: the preconditions
of cluster-toolkit's modules/compute/gke-node-pool, GKE's pages on flex-start, queued provisioning, reservations and
compact placement, and the constants of its autoscaler; all of 2026.
"""

import re
from collections.abc import Iterator

from .. import reservations, versions
from ..checks import Problem
from ..pools import Rung
from .pool_spec import GkePool

# Range of a node's maximum run time, in seconds (autoscaler, pkg/autoprovisioning/injection.go).
FLEX_RUN = (600, 604800)
RUN = (30, 10368000)
GRACES = (0, 30, 120)
_GRACE_FROM = (1, 35)
RESERVATION_KEY = "compute.googleapis.com/reservation-name"
# Can be placed compactly as flex-start as well, by a workload policy (cluster-toolkit, modules/compute/gke-node-pool).
_FLEX_COMPACT = ("a3-ultragpu-", "a4-", "h4d-")
_WORDS = {"name": "name", "project": "project", "block": "block", "sub_block": "sub-block"}
_NAME = r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?"
_PROJECT = r"([a-z][-a-z0-9.]*:)?[a-z][-a-z0-9]{4,28}[a-z0-9]"


def problems(made: GkePool, zones: list[str], version: str) -> Iterator[Problem]:
    """What is wrong with how a pool is bought and placed. `zones`: the network's; `version`: the cluster's minor."""
    yield from _unavailable(made)
    yield from _flex(made)
    yield from _queued(made)
    yield from _reservation(made, zones)
    yield from _life(made)
    yield from _grace(made, version)
    yield from _placement(made, zones)


def reservation_values(rung: Rung, made: GkePool) -> list[str]:
    """The reservation that a rung uses, in the API's spelling; empty for any reservation."""
    found = made.spec.get("reservation")
    if rung.capacity != "reserved" or found is None:
        return []
    block = f"/reservationBlocks/{found['block']}" if found.get("block") else ""
    block += f"/reservationSubBlocks/{found['sub_block']}" if found.get("sub_block") else ""
    owner = f"projects/{found['project']}/reservations/" if found.get("project") else ""
    return [f"{owner}{found['name']}{block}"]


def _unavailable(made: GkePool) -> Iterator[Problem]:
    machine, ladder = made.machine, list(made.pool.capacity)
    flex = machine.flex and (bool(made.pool.gpus) or not machine.name.startswith("n1-"))
    for kind, available in (("on_demand", machine.on_demand), ("flex", flex)):
        if kind in ladder and not available:
            kinds = {"reserved": True, "flex": flex, "spot": machine.spot, "on_demand": machine.on_demand}
            others = [rung for rung, there in kinds.items() if there]
            why = "flex-start is for machines with GPUs and H4D" if kind == "flex" else "Google does not offer it"
            rest = [rung for rung in ladder if rung in others] or others[-1:]
            yield Problem(
                "capacity", ladder, f"{machine.name} is not sold as {kind} ({why})", ", ".join(others),
                f"write [{', '.join(rest)}]",
            )  # fmt: skip


def _flex(made: GkePool) -> Iterator[Problem]:
    if "flex" not in made.pool.capacity:
        return
    if made.pool.min and made.pool.capacity[-1] == "flex":
        yield Problem(
            "min", made.spec["min"],
            "flex-start nodes wait for capacity and end after seven days, so none is permanent",
            "0, or a last rung that keeps its nodes", "write 0, or put on_demand at the end of `capacity`",
        )  # fmt: skip
    if made.spec.get("node_repair"):
        yield Problem(
            "node_repair", True, "flex-start nodes are never repaired", "false, or no value",
            "remove it: the other rungs are repaired by default",
        )  # fmt: skip


def _queued(made: GkePool) -> Iterator[Problem]:
    if not made.spec["queued"]:
        return
    if made.pool.capacity != ("flex",):
        yield Problem(
            "queued", True, "queued provisioning is a form of flex-start, and a queued pool runs no other pods",
            "together with `capacity: [flex]`", "write `capacity: [flex]`, or remove `queued`",
        )  # fmt: skip
    asked, policy = made.spec.get("placement"), made.spec.get("placement_policy")
    if made.pool.placement and (asked or policy is not None):
        field, value = ("placement", True) if asked else ("placement_policy", policy)
        yield Problem(
            field, value, "nodes of queued provisioning cannot be placed compactly", "nothing",
            "remove it, or remove `queued`",
        )  # fmt: skip
    if "max_run_seconds" in made.spec:
        yield Problem(
            "max_run_seconds", made.spec["max_run_seconds"],
            "with queued provisioning each request sets its own duration", "nothing",
            "remove it; write maxRunDurationSeconds in the ProvisioningRequest",
        )  # fmt: skip


def _reservation(made: GkePool, zones: list[str]) -> Iterator[Problem]:
    reservation, ladder = made.spec.get("reservation"), list(made.pool.capacity)
    if reservation is None:
        return
    yield from (problem.under("reservation") for problem in reservations.problems(reservation))
    if "reserved" not in ladder:
        yield Problem(
            "capacity", ladder, "has no rung reserved, the only one that uses a `reservation`",
            "a list with reserved", f"write [{', '.join(['reserved', *ladder])}]",
        )  # fmt: skip
    for field, pattern, allowed in (
        ("name", _NAME, "up to 63 lower-case letters, digits and '-', beginning with a letter"),
        ("project", _PROJECT, "the id of the project that owns the reservation"),
        ("block", _NAME, "the name of a block, without a path"),
        ("sub_block", _NAME, "the name of a sub-block, without a path"),
    ):
        value = reservation.get(field)
        if value is not None and not re.fullmatch(pattern, str(value)):
            yield Problem(
                f"reservation.{field}", value, f"not a valid {_WORDS[field]} of a reservation", allowed,
                "see `gcloud compute reservations list`",
            )  # fmt: skip
    if reservation.get("sub_block") and not reservation.get("block"):
        yield Problem(
            "reservation.sub_block", reservation["sub_block"], "a sub-block is part of a block",
            "together with `block`", "name the `block` as well: `gcloud beta compute reservations blocks list NAME`",
        )  # fmt: skip
    if not made.pool.zones and len(zones) > 1:
        yield Problem(
            "zones", [], f"a reservation is in one zone, and {reservation['name']} must be in every zone of the pool",
            f"some of {', '.join(zones)}", f"write the zone of the reservation, such as [{zones[0]}]",
        )  # fmt: skip


def _life(made: GkePool) -> Iterator[Problem]:
    seconds = made.spec.get("max_run_seconds")
    if seconds is None:
        return
    flex = "flex" in made.pool.capacity
    low, high = FLEX_RUN if flex else RUN
    if not low <= seconds <= high:
        yield Problem(
            "max_run_seconds", seconds, f"not a valid run time of a {'flex-start ' if flex else ''}node",
            f"{low} to {high} seconds", f"write {min(max(seconds, low), high)}",
        )  # fmt: skip


def _grace(made: GkePool, version: str) -> Iterator[Problem]:
    seconds = made.spec.get("spot_grace_seconds")
    if seconds is None:
        return
    allowed = ", ".join(map(str, GRACES))
    if seconds not in GRACES:
        yield Problem("spot_grace_seconds", seconds, "not a valid grace period", allowed, "write 120")
    elif "spot" not in made.pool.capacity:
        yield Problem(
            "spot_grace_seconds", seconds, "only spot nodes have one", "together with the rung spot", "remove it"
        )
    elif (minor := versions.minor(version)) and minor < _GRACE_FROM:
        yield Problem(
            "spot_grace_seconds", seconds, f"not supported by Kubernetes {version}", "1.35 and later", "remove it"
        )


def _placement(made: GkePool, zones: list[str]) -> Iterator[Problem]:
    spec, pool, machine = made.spec, made.pool, made.machine
    policy, asked = spec.get("placement_policy"), spec.get("placement")
    if policy is not None and not re.fullmatch(_NAME, policy):
        yield Problem(
            "placement_policy", policy, "not a valid name of a resource policy",
            "up to 63 lower-case letters, digits and '-'", "see `gcloud compute resource-policies list`",
        )  # fmt: skip
    if policy is not None and not pool.placement:
        yield Problem(
            "placement_policy", policy, "only nodes with compact placement use it", "together with `placement: true`",
            "write `placement: true`, or remove it",
        )  # fmt: skip
    if asked and pool.capacity == ("reserved",) and policy is None:
        yield Problem(
            "placement", True, "a reservation is already placed", "false, or the policy that it was created under",
            "remove it, or name the policy in `placement_policy`",
        )  # fmt: skip
    wanted = asked or (pool.placement and policy is not None)
    if wanted and "flex" in pool.capacity and not spec["queued"]:
        if not machine.name.startswith(_FLEX_COMPACT):
            field, value = ("placement", True) if asked else ("placement_policy", policy)
            yield Problem(
                field, value, f"{machine.name} cannot be placed compactly as flex-start",
                "a3-ultragpu, a4 and h4d, or no rung flex", "remove it, or remove flex from `capacity`",
            )  # fmt: skip
        elif policy is None:
            yield Problem(
                "placement_policy", None, "flex-start nodes are placed by a workload policy", "the name of one",
                "create one with `gcloud compute resource-policies create workload-policy NAME --type=HIGH_THROUGHPUT`",
            )  # fmt: skip
    if any(made.compact(rung) for rung in pool.rungs) and machine.compact:
        most = machine.compact - made.upgrade["max_surge"]
        if pool.max > most:
            yield Problem(
                "max", spec["max"], f"more {machine.name} than can be placed compactly during an upgrade",
                f"up to {most}", f"write {most}, or use several pools",
            )  # fmt: skip
