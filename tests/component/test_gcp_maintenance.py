"""Maintenance windows and exclusions of a GKE cluster."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from components.gcp.cluster import problems
from tests.component.gke_cluster import filled, inputs


def span(first: str, last: str, **others: str) -> dict[str, str]:
    """An exclusion in 2027."""
    return {"first": f"2027-{first}", "last": f"2027-{last}", **others}


class TestMaintenance:
    def policy(self, **times: Any) -> dict[str, Any]:
        return inputs(maintenance=times)["maintenancePolicy"]

    def test_node_upgrades_and_minor_versions_are_excluded_until_support_ends(self) -> None:
        for made in (inputs()["maintenancePolicy"], self.policy()):
            (held,) = made["maintenanceExclusions"]
            assert held["exclusionOptions"] == {
                "scope": "NO_MINOR_OR_NODE_UPGRADES",
                "endTimeBehavior": "UNTIL_END_OF_SUPPORT",
            }
            assert "endTime" not in held, "one of the two, never both"

    def test_the_exclusion_starts_before_the_end_of_every_version(self) -> None:
        """cluster-toolkit#6063: GKE sets the end to the end of the version's support, which must be after the start. If
        the start were the day of creation, a cluster with an unsupported version could not be created."""
        (held,) = self.policy()["maintenanceExclusions"]
        assert date.fromisoformat(held["startTime"][:10]) < date(2026, 8, 3), "the end of 1.33"

    @pytest.mark.parametrize(("hold", "scope"), [("minor", "NO_MINOR_UPGRADES"), ("nothing", None)])
    def test_a_smaller_exclusion_scope_is_an_option(self, hold: str, scope: str | None) -> None:
        found = [each["exclusionOptions"]["scope"] for each in self.policy(hold=hold).get("maintenanceExclusions", [])]
        assert found == ([scope] if scope else [])

    @pytest.mark.parametrize(
        ("times", "start", "end", "rule"),
        [
            ({}, "2025-12-06T02:00:00Z", "2025-12-06T08:00:00Z", "FREQ=WEEKLY;BYDAY=SA,SU"),
            ({"days": ["SU", "WE"], "start": "22:30", "hours": 8}, "2025-12-03T22:30:00Z", "2025-12-04T06:30:00Z",
             "FREQ=WEEKLY;BYDAY=WE,SU"),
            ({"days": ["MO"], "start": "00:00", "hours": 24}, "2025-12-01T00:00:00Z", "2025-12-02T00:00:00Z",
             "FREQ=WEEKLY;BYDAY=MO"),
        ],
    )  # fmt: skip
    def test_windows_are_on_their_days_and_can_pass_midnight(
        self, times: dict[str, Any], start: str, end: str, rule: str
    ) -> None:
        window = self.policy(**times)["recurringWindow"]
        assert (window["startTime"], window["endTime"], window["recurrence"]) == (start, end, rule)
        assert date.fromisoformat(start[:10]).strftime("%a").upper()[:2] in rule, "it begins on one of its days"

    def test_an_exclusion_lasts_through_its_last_day(self) -> None:
        exclusions = {"launch": {"first": "2026-12-20", "last": "2027-01-03"}, "audit": {
            "first": "2027-03-01", "last": "2027-08-31", "scope": "nodes"}}  # fmt: skip
        audit, launch, _ = self.policy(exclusions=exclusions)["maintenanceExclusions"]
        assert (launch["startTime"], launch["endTime"]) == ("2026-12-20T00:00:00Z", "2027-01-04T00:00:00Z")
        assert launch["exclusionOptions"] == {"scope": "NO_UPGRADES"}
        assert audit["exclusionOptions"] == {"scope": "NO_MINOR_OR_NODE_UPGRADES"}

    @pytest.mark.parametrize(
        ("times", "path", "words"),
        [
            ({"days": ["Sunday"]}, "days[0]", "MO, TU, WE"),
            ({"days": ["SA", "SA"]}, "days[1]", "named twice"),
            ({"start": "2 am"}, "start", "HH:MM"),
            ({"start": "24:00"}, "start", "HH:MM"),
            ({"hours": 3}, "hours", "4 to 24"),
            ({"hours": 25}, "hours", "4 to 24"),
            ({"hours": 5}, "hours", "write 6"),
            ({"days": ["SU"]}, "hours", "write 12"),
            ({"days": []}, "days", "name a day"),
            ({"hold": "all"}, "hold", "nodes, minor, nothing"),
            ({"exclusions": {"Christmas": span("12-20", "12-31")}}, "exclusions.Christmas", "rename"),
            ({"exclusions": {"gpuyard-hold": span("12-20", "12-31")}}, "exclusions.gpuyard-hold", "for `hold`"),
            ({"exclusions": {"x": {"first": "20.12.2026", "last": "2027-01-03"}}}, "exclusions.x.first", "YYYY-MM-DD"),
            ({"exclusions": {"x": span("01-04", "01-03")}}, "exclusions.x.last", "swap the two days"),
            ({"exclusions": {"x": span("01-01", "04-01")}}, "exclusions.x.last", "write 2027-03-31"),
            ({"exclusions": {"x": span("01-01", "02-01", scope="pods")}}, "exclusions.x.scope", "all"),
            (
                {"exclusions": {f"x{n}": {"first": f"202{n}-01-01", "last": f"202{n}-02-01"} for n in range(6, 10)}},
                "exclusions",
                "scope: nodes",
            ),
            (
                {"exclusions": {f"x{n}": {"first": f"20{n}-01-01", "last": f"20{n}-02-01", "scope": "minor"}
                           for n in range(27, 47)}},
                "exclusions",
                "19, in addition to the one of `hold`",
            ),
        ],
    )  # fmt: skip
    def test_invalid_times_are_refused(self, times: dict[str, Any], path: str, words: str) -> None:
        (found,) = problems(filled(maintenance=times))
        assert found.path == f"maintenance.{path}" and words in f"{found.allowed} {found.fix} {found.wrong}", found

    def test_the_longest_exclusion_is_accepted(self) -> None:
        longest = {"x": {"first": "2027-01-01", "last": "2027-03-31"}}
        assert not list(problems(filled(maintenance={"exclusions": longest})))
