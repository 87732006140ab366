"""The node controller runs few rounds while nothing happens: an idle sandbox uses almost no CPU (field case C4)."""

from __future__ import annotations

from sandbox.cluster.controller import CALM, CALM_AFTER, PERIOD, Pace


def test_it_slows_down_without_changes_and_speeds_up_at_the_first_change() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.after("a") == PERIOD
    now[0] = CALM_AFTER
    assert pace.after("a") == PERIOD
    now[0] = CALM_AFTER + 1
    assert pace.after("a") == CALM
    assert pace.after("b") == PERIOD
    now[0] += CALM_AFTER + 1
    assert pace.after("b") == CALM
    assert pace.after(None) == PERIOD  # a failed round is retried soon
