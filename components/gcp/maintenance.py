"""When GKE may upgrade a cluster: weekly windows, what is held back until support ends, and times of rest.

Google upgrades by itself: the control plane and, in a release channel, the nodes, each of which is drained and made
anew. A training run of weeks does not survive that, so by default only the control plane's patches come by themselves.
A minor version comes when `version` is raised, new nodes when `hold` is loosened for a while (or `gcloud container
clusters upgrade --node-pool` is run); both come when the version's support ends.
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

_DEFAULT_DAYS = ["SA", "SU"]
_DEFAULT_START = "02:00"
_DEFAULT_HOURS = 6
# GKE wants 48 hours of windows in 32 days, in pieces of 4 hours at least; a month of weeks has four of each day.
_LEAST_HOURS, _MOST_HOURS = 4, 24
_LEAST_IN_FOUR_WEEKS = 48
# Exclusions of everything: 90 days each, three of them, and 48 hours without in every 92 days. Of all kinds: 20
# (container.v1; the one of `hold` counts).
_LONGEST_REST = timedelta(days=90)
_SPAN, _FREE = 92, 2
_MOST_RESTS = 3
# The other rests end before the version's support does (terraform-provider-google#20556): 14 months after the version
# came into the channel Regular, 24 in Extended, and the channel Rapid has it some months before.
_SUPPORT = {"EXTENDED": timedelta(days=28 * 30)}
_STANDARD_SUPPORT = timedelta(days=18 * 30)
_MOST = 20

# A Monday long ago: windows and what is held count from it, so that no edit of another day changes them.
_MONDAY = date(2025, 12, 1)
_HELD = "gpuyard-hold"
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
# Of this century: Python reads 20270101 and 2027-W01-1 as well, which Google does not.
_DAY = re.compile(r"20\d\d-\d\d-\d\d")


class Rest(TypedDict):
    """A time without upgrades. `first`, `last`: days in UTC, YYYY-MM-DD, both included. `scope`: what rests: `all`
    (default; 90 days at most, three times), `nodes` (nodes and minor versions) or `minor` (minor versions)."""

    first: str
    last: str
    scope: NotRequired[str]


class Maintenance(TypedDict):
    """`days`: MO to SU on which windows open (default SA and SU). `start`: when, in UTC (default 02:00). `hours`: how
    long, 4 to 24 (default 6). `hold`: what waits until the version's support ends: `nodes` (default: minor versions and
    all upgrades of nodes, security patches among them), `minor`, or `nothing`. `rests`: times without upgrades, by
    name."""

    days: NotRequired[list[str]]
    start: NotRequired[str]
    hours: NotRequired[int]
    hold: NotRequired[str]
    rests: NotRequired[dict[str, Rest]]


def problems(args: Maintenance) -> Iterator[Problem]:
    """Everything that is wrong with the times, seen without asking Google."""
    days, hours = args.get("days", _DEFAULT_DAYS), args.get("hours", _DEFAULT_HOURS)
    wrong_days = list(_day_problems(days))
    yield from wrong_days
    start = args.get("start", _DEFAULT_START)
    if not _TIME.fullmatch(start):
        yield Problem("start", start, "no time of the day", "HH:MM in UTC, such as 02:00", 'quote it: start: "02:00"')
    if not _LEAST_HOURS <= hours <= _MOST_HOURS:
        yield Problem("hours", hours, "no possible length", f"{_LEAST_HOURS} to {_MOST_HOURS}", "write 6")
    elif not wrong_days and (open_hours := 4 * len(days) * hours) < _LEAST_IN_FOUR_WEEKS:
        yield Problem(
            "hours", hours, f"{open_hours} hours in four weeks are less than GKE needs to keep a cluster safe",
            f"{_LEAST_IN_FOUR_WEEKS} hours in four weeks",
            f"write hours: {-(-_LEAST_IN_FOUR_WEEKS // (4 * len(days)))}, or add days",
        )  # fmt: skip
    yield from checks.one_of("hold", args.get("hold", "nodes"), HOLDS)
    yield from _rest_problems(args)


def _day_problems(days: list[str]) -> Iterator[Problem]:
    for index, day in enumerate(days):
        yield from checks.one_of(f"days[{index}]", day, DAYS)
        if day in days[:index]:
            yield Problem(f"days[{index}]", day, "named twice", "each day once", "remove one of them")
    if not days:
        yield Problem("days", [], "no maintenance day: GKE could never apply a patch", ", ".join(DAYS), "name a day")


def _rest_problems(args: Maintenance) -> Iterator[Problem]:
    rests = args.get("rests", {})
    for name, rest in rests.items():
        scope = rest.get("scope", "all")
        if not _NAME.fullmatch(name) or name == _HELD:
            yield Problem(
                f"rests.{name}", name, "no possible name", "lower-case letters, digits and '-', first a letter",
                "rename it",
            )  # fmt: skip
        yield from checks.one_of(f"rests.{name}.scope", scope, SCOPES)
        first, last = _day(rest["first"]), _day(rest["last"])
        for field, day, text in (("first", first, rest["first"]), ("last", last, rest["last"])):
            if day is None:
                # YAML makes a time of a day without quotes.
                meant = text[:10] if _day(text[:10]) else "2027-01-31"
                yield Problem(
                    f"rests.{name}.{field}", text, "no day", "YYYY-MM-DD, in quotes", f'write it in quotes: "{meant}"'
                )
        if first is None or last is None:
            continue
        if last < first:
            yield Problem(f"rests.{name}.last", rest["last"], f"before {first}", f"{first} or later", "swap them")
        elif scope == "all" and last - first >= _LONGEST_REST:
            latest = first + _LONGEST_REST - timedelta(days=1)
            yield Problem(
                f"rests.{name}.last", rest["last"], "GKE rests from everything for 90 days at most", f"up to {latest}",
                f"write {latest}, or scope: nodes, which may last until the version's support ends",
            )  # fmt: skip
    whole = [name for name, rest in rests.items() if rest.get("scope", "all") == "all"]
    if len(whole) > _MOST_RESTS:
        yield Problem(
            "rests", whole, f"more than {_MOST_RESTS} rests from everything", f"{_MOST_RESTS} with scope all",
            "remove those that are over, or write scope: nodes",
        )  # fmt: skip
    yield from _gap_problems({name: rests[name] for name in whole})
    most = _MOST - bool(HOLDS.get(args.get("hold", "nodes")))
    if len(rests) > most:
        yield Problem("rests", list(rests), "too many", f"{most} beside what is held", "remove those that are over")


def _gap_problems(rests: dict[str, Rest]) -> Iterator[Problem]:
    """Rests from everything that follow each other so closely that GKE would never get in between."""
    spans = {name: (_day(rest["first"]), _day(rest["last"])) for name, rest in rests.items()}
    known = {name: (first, last) for name, (first, last) in spans.items() if first and last}
    days = {first + timedelta(days=n) for first, last in known.values() for n in range((last - first).days + 1)}
    for name, (first, last) in sorted(known.items(), key=lambda item: item[1]):
        since = [last - timedelta(days=n) for n in range(_SPAN)]
        if last - first < _LONGEST_REST and sum(day not in days for day in since) < _FREE:
            yield Problem(
                f"rests.{name}", f"{first} to {last}", "GKE gets less than 48 hours in the 92 days up to its end",
                "two days without any rest in every 92 days", "move it, shorten one, or write scope: nodes",
            )  # fmt: skip
            return


def warnings(args: Maintenance, today: date, channel: str) -> Iterator[str]:
    """Rests that are over, of which GKE still counts the number, and rests that outlast every version."""
    latest = today + _SUPPORT.get(channel, _STANDARD_SUPPORT)
    for name, rest in args.get("rests", {}).items():
        if date.fromisoformat(rest["last"]) < today:
            yield f"rests.{name}: over since {rest['last']}, and without effect; remove it"
        elif rest.get("scope", "all") != "all" and date.fromisoformat(rest["last"]) > latest:
            yield (
                f"rests.{name}.last: {rest['last']} is after the end of every version's support, which Google refuses; "
                "name an earlier day, or let `hold` do it, which lasts as long as the version"
            )


def policy(args: Maintenance) -> gcp.container.ClusterMaintenancePolicyArgs:
    """The cluster's policy for times without `problems`."""
    days = [day for day in DAYS if day in args.get("days", _DEFAULT_DAYS)]
    start, hours = args.get("start", _DEFAULT_START), int(args.get("hours", _DEFAULT_HOURS))
    first = _MONDAY + timedelta(days=DAYS.index(days[0]))
    hour, minute = (int(part) for part in start.split(":"))
    end = first + timedelta(days=(hour + hours) // 24)
    exclusions = [
        gcp.container.ClusterMaintenancePolicyMaintenanceExclusionArgs(
            exclusion_name=name,
            start_time=f"{rest['first']}T00:00:00Z",
            # The last day is one of rest.
            end_time=f"{_after(rest['last'])}T00:00:00Z",
            exclusion_options=gcp.container.ClusterMaintenancePolicyMaintenanceExclusionExclusionOptionsArgs(
                scope=SCOPES[rest.get("scope", "all")]
            ),
        )
        for name, rest in sorted(args.get("rests", {}).items())
    ]
    if held := HOLDS[args.get("hold", "nodes")]:
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
