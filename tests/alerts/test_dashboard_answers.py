"""A real Prometheus answers every query of every dashboard, and the pictures in the documentation are its answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.monitoring.dashboards.panel import Dashboard
from pages.dashboards.__main__ import CHOICES, IMAGES, answers, dashboards, lines
from pages.dashboards.server import Prometheus, filled, levels, running
from pages.dashboards.simulated import END
from pages.dashboards.svg import picture
from sandbox.paths import ROOT

pytestmark = [pytest.mark.alerts, pytest.mark.slow]

PAGE = (ROOT / "docs" / "dashboards.md").read_text()
DASHBOARDS = {each.name: each for each in dashboards()[0]}
named = pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=list(DASHBOARDS))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with the simulated day and what the rules record from it."""
    with running(filled(tmp_path_factory.mktemp("prometheus"), dashboards()[1])) as found:
        yield found


@named
def test_every_query_has_an_answer(dashboard: Dashboard, server: Prometheus) -> None:
    """seed row S18: a query that never matches draws an empty panel."""
    for row in dashboard.rows:
        for panel in row.panels:
            empty = [
                query.expr for query, found in zip(panel.queries, lines(server, dashboard, panel, {})) if not found
            ]
            assert not empty, f"{row.title}/{panel.title}"
            # A legend without a label would name all series alike.
            names = [line.name for found in lines(server, dashboard, panel, {}) for line in found]
            assert len(names) == len(set(names)) and not any("{{" in name for name in names), panel.title


@named
def test_the_picture_is_up_to_date(dashboard: Dashboard, server: Prometheus) -> None:
    """Its texts: on another processor a coordinate may differ in the last digit."""
    made = picture(dashboard, answers(server, dashboard, CHOICES.get(dashboard.name, {})), END)
    path = IMAGES / f"dashboard-{dashboard.name}.svg"
    assert _texts(made) == _texts(path.read_text()), "run `python -m pages.dashboards`"
    assert f"(images/{path.name})" in PAGE


def _texts(svg: str) -> list[str]:
    return re.findall(r">([^<]+)</text>", svg)


def test_every_picture_is_of_a_dashboard() -> None:
    assert {path.stem for path in Path(IMAGES).glob("*.svg")} == {f"dashboard-{name}" for name in DASHBOARDS}


def test_a_recording_rule_follows_those_that_it_uses() -> None:
    """Each level is backfilled from the series of those before it."""
    found = [{rule["record"] for rule in level} for level in levels(dashboards()[1])]
    place = {name: index for index, names in enumerate(found) for name in names}
    first, then = "namespace_node:gpus_held:count", "namespace_pool:gpus_held:count"
    assert place[first] < place[then] < place["namespace_pool:gpu_hours_held:sum1h"]
