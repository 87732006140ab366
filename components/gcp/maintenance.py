"""Maintenance of a GKE cluster: weekly windows, and exclusions that prevent all or some upgrades.

Google upgrades clusters automatically: the control plane and, in a release channel, the nodes, each of which is drained
and recreated. A training run of weeks does not survive that, so by default only the control plane's patches are
applied. A minor version is applied when `version` is raised, and nodes are upgraded while `hold` is `minor` or
`nothing` (or with `gcloud container clusters upgrade --node-pool`). Both happen anyway when the version's support ends.
Sources: GKE's "Maintenance windows and exclusions"; for the limits of exclusions google/skills, gke-upgrades (2026-08).
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TypedDict

import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem

DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
HOLDS = {"nodes": "NO_MINOR_OR_NODE_UPGRADES", "minor": "NO_MINOR_UPGRADES", "nothing": ""}
SCOPES = {"all": "NO_UPGRADES", "nodes": "NO_MINOR_OR_NODE_UPGRADES", "minor": "NO_MINOR_UPGRADES"}

# GKE requires 48 hours of windows in 32 days, each at least 4 hours long; four weeks have four of each day.
_LEAST_HOURS, _MOST_HOURS = 4, 24
_LEAST_IN_FOUR_WEEKS = 48
# Exclusions from all upgrades: 90 days each, three of them, and 48 hours without in every 92 days. Of all kinds: 20
# (container.v1; the one of `hold` counts).
_LONGEST = timedelta(days=90)
_SPAN, _FREE = 92, 2
_MOST_OF_ALL = 3
# The other exclusions end before the version's support does (terraform-provider-google#20556): 14 months after the
# version was released in the channel Regular, 24 in Extended, and the channel Rapid has it some months earlier.
_SUPPORT = {"EXTENDED": timedelta(days=28 * 30)}
_STANDARD_SUPPORT = timedelta(days=18 * 30)
_MOST = 20

# A Monday in the past: windows and the exclusion of `hold` begin there, so that they change only if they are edited.
_MONDAY = date(2025, 12, 1)
_HELD = "gpuyard-hold"
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
# A day of this century: Python also reads 20270101 and 2027-W01-1, which Google does not.
_DAY = re.compile(r"20\d\d-\d\d-\d\d")


class MaintenanceExclusion(TypedDict):
    """A maintenance exclusion: days on which GKE makes no upgrades, or only some."""

    first: str
    """First day, in UTC, as YYYY-MM-DD."""
    last: str
    """Last day, in UTC, as YYYY-MM-DD. It is part of the exclusion."""
    scope: NotRequired[str]
    """What is not upgraded. all: everything (GKE's NO_UPGRADES), for at most 90 days and in at most three exclusions.
    nodes: nodes and minor versions (NO_MINOR_OR_NODE_UPGRADES). minor: minor versions (NO_MINOR_UPGRADES).
    Default: `all`."""


class Maintenance(TypedDict):
    """When GKE may upgrade a cluster."""

    days: NotRequired[list[str]]
    """Days on which a maintenance window opens: MO, TU, WE, TH, FR, SA, SU. Default: `[SA, SU]`."""
    start: NotRequired[str]
    """Time at which a window opens, in UTC, as HH:MM. Default: `02:00`."""
    hours: NotRequired[int]
    """Length of a window in hours, 4 to 24. All windows of four weeks have at least 48 hours. Default: `6`."""
    hold: NotRequired[str]
    """A maintenance exclusion without a last day: GKE ends it when the version's support ends (UNTIL_END_OF_SUPPORT).
    nodes: minor versions and all upgrades of nodes, including security patches, wait (NO_MINOR_OR_NODE_UPGRADES).
    minor: minor versions wait (NO_MINOR_UPGRADES). nothing: there is no such exclusion. Default: `nodes`."""
    exclusions: NotRequired[dict[str, MaintenanceExclusion]]
    """Maintenance exclusions by name, up to 20 together with the one of `hold`. Default: none."""


def problems(args: Maintenance) -> Iterator[Problem]:
    """Everything that is wrong with the times, found without asking Google."""
    days, hours = args["days"], args["hours"]
    wrong_days = list(_day_problems(days))
    yield from wrong_days
    start = args["start"]
    if not _TIME.fullmatch(start):
        yield Problem(
            "start", start, "not a valid time of day", "HH:MM in UTC, such as 02:00", 'write it in quotes: "02:00"'
        )
    if not _LEAST_HOURS <= hours <= _MOST_HOURS:
        yield Problem("hours", hours, "not a valid length", f"{_LEAST_HOURS} to {_MOST_HOURS}", "write 6")
    elif not wrong_days and (open_hours := 4 * len(days) * hours) < _LEAST_IN_FOUR_WEEKS:
        yield Problem(
            "hours", hours, f"{open_hours} hours in four weeks are less than GKE requires",
            f"{_LEAST_IN_FOUR_WEEKS} hours in four weeks",
            f"write {-(-_LEAST_IN_FOUR_WEEKS // (4 * len(days)))}, or add `days`",
        )  # fmt: skip
    yield from checks.one_of("hold", args["hold"], HOLDS)
    yield from _exclusion_problems(args)


def _day_problems(days: list[str]) -> Iterator[Problem]:
    again = checks.repeated(days)
    for index, day in enumerate(days):
        yield from checks.one_of(f"days[{index}]", day, DAYS)
        if index in again:
            yield Problem(f"days[{index}]", day, "named twice", "each day once", "remove one of them")
    if not days:
        yield Problem("days", [], "no maintenance day: GKE could never apply a patch", ", ".join(DAYS), "name a day")


def _exclusion_problems(args: Maintenance) -> Iterator[Problem]:
    exclusions = args.get("exclusions", {})
    for name, exclusion in exclusions.items():
        if not _NAME.fullmatch(name) or name == _HELD:
            yield Problem(
                f"exclusions.{name}", name, "reserved for `hold`" if name == _HELD else "not a valid name",
                "lower-case letters, digits and '-', beginning with a letter", "rename it",
            )  # fmt: skip
        yield from (problem.under(f"exclusions.{name}") for problem in _span_problems(exclusion))
    whole = [name for name, exclusion in exclusions.items() if exclusion["scope"] == "all"]
    if len(whole) > _MOST_OF_ALL:
        yield Problem(
            "exclusions", whole, f"more than {_MOST_OF_ALL} exclusions from all upgrades", f"{_MOST_OF_ALL} with "
            "`scope: all`", "remove those that have ended, or write `scope: nodes`",
        )  # fmt: skip
    yield from _gap_problems({name: exclusions[name] for name in whole})
    most = _MOST - bool(HOLDS.get(args["hold"]))
    if len(exclusions) > most:
        yield Problem(
            "exclusions", list(exclusions), "too many", f"{most}, in addition to the one of `hold`",
            "remove those that have ended",
        )  # fmt: skip


def _span_problems(exclusion: MaintenanceExclusion) -> Iterator[Problem]:
    scope = exclusion["scope"]
    yield from checks.one_of("scope", scope, SCOPES)
    first, last = _day(exclusion["first"]), _day(exclusion["last"])
    for field, day, text in (("first", first, exclusion["first"]), ("last", last, exclusion["last"])):
        if day is None:
            # Without quotes, YAML reads a day as a time.
            meant = text[:10] if _day(text[:10]) else "2027-01-31"
            yield Problem(field, text, "not a valid day", "YYYY-MM-DD, in quotes", f'write it in quotes: "{meant}"')
    if first is None or last is None:
        return
    if last < first:
        yield Problem("last", exclusion["last"], f"before {first}", f"{first} or later", "swap the two days")
    elif scope == "all" and last - first >= _LONGEST:
        latest = first + _LONGEST - timedelta(days=1)
        yield Problem(
            "last", exclusion["last"], "an exclusion from all upgrades has at most 90 days", f"up to {latest}",
            f"write {latest}, or `scope: nodes`, which may last until the version's support ends",
        )  # fmt: skip


def _gap_problems(exclusions: dict[str, MaintenanceExclusion]) -> Iterator[Problem]:
    """Exclusions from all upgrades that follow each other too closely for GKE to upgrade in between."""
    spans = {name: (_day(each["first"]), _day(each["last"])) for name, each in exclusions.items()}
    known = {name: (first, last) for name, (first, last) in spans.items() if first and last}
    days = {first + timedelta(days=n) for first, last in known.values() for n in range((last - first).days + 1)}
    for name, (first, last) in sorted(known.items(), key=lambda item: item[1]):
        since = [last - timedelta(days=n) for n in range(_SPAN)]
        if last - first < _LONGEST and sum(day not in days for day in since) < _FREE:
            yield Problem(
                f"exclusions.{name}", f"{first} to {last}",
                "leaves GKE less than 48 hours for upgrades in the 92 days before its end",
                "two days without an exclusion in every 92 days", "move it, shorten one, or write `scope: nodes`",
            )  # fmt: skip
            return


def warnings(args: Maintenance, today: date, channel: str) -> Iterator[str]:
    """Exclusions that have ended, which still count towards GKE's limits, and exclusions that outlast every version."""
    latest = today + _SUPPORT.get(channel, _STANDARD_SUPPORT)
    for name, exclusion in args.get("exclusions", {}).items():
        if date.fromisoformat(exclusion["last"]) < today:
            yield f"exclusions.{name}: ended on {exclusion['last']} and has no effect; remove it"
        elif exclusion["scope"] != "all" and date.fromisoformat(exclusion["last"]) > latest:
            yield (
                f"exclusions.{name}.last: {exclusion['last']} is after the end of every version's support, which GKE "
                "refuses; name an earlier day, or use `hold`, which lasts as long as the version"
            )


def policy(args: Maintenance) -> gcp.container.ClusterMaintenancePolicyArgs:
    """The cluster's policy, for times that have no `problems`."""
    days = [day for day in DAYS if day in args["days"]]
    start, hours = args["start"], args["hours"]
    first = _MONDAY + timedelta(days=DAYS.index(days[0]))
    hour, minute = (int(part) for part in start.split(":"))
    end = first + timedelta(days=(hour + hours) // 24)
    exclusions = [
        gcp.container.ClusterMaintenancePolicyMaintenanceExclusionArgs(
            exclusion_name=name,
            start_time=f"{exclusion['first']}T00:00:00Z",
            # The last day is part of the exclusion.
            end_time=f"{_after(exclusion['last'])}T00:00:00Z",
            exclusion_options=gcp.container.ClusterMaintenancePolicyMaintenanceExclusionExclusionOptionsArgs(
                scope=SCOPES[exclusion["scope"]]
            ),
        )
        for name, exclusion in sorted(args.get("exclusions", {}).items())
    ]
    if held := HOLDS[args["hold"]]:
        exclusions.append(
            gcp.container.ClusterMaintenancePolicyMaintenanceExclusionArgs(
                exclusion_name=_HELD,
                start_time=f"{_MONDAY}T00:00:00Z",
                exclusion_options=gcp.container.ClusterMaintenancePolicyMaintenanceExclusionExclusionOptionsArgs(
                    scope=held, end_time_behavior="UNTIL_END_OF_SUPPORT"
                ),
            )
        )
    return gcp.container.ClusterMaintenancePolicyArgs(
        recurring_window=gcp.container.ClusterMaintenancePolicyRecurringWindowArgs(
            start_time=f"{first}T{start}:00Z",
            end_time=f"{end}T{(hour + hours) % 24:02}:{minute:02}:00Z",
            recurrence=f"FREQ=WEEKLY;BYDAY={','.join(days)}",
        ),
        maintenance_exclusions=exclusions,
    )


def _day(text: str) -> date | None:
    if not _DAY.fullmatch(text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _after(text: str) -> date:
    return date.fromisoformat(text) + timedelta(days=1)
