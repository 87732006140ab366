"""Draws the dashboards of docs/dashboards.md, from the answers of a real Prometheus about a simulated day.

python -m pages.dashboards             draws them, in about a minute
python -m pages.dashboards --check exits 1, with instructions, if a picture is not up to date

Not part of `make pages`: it builds Prometheus when it first runs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from components import arguments
from components.monitoring import alerts
from components.monitoring.dashboards import catalog
from components.monitoring.dashboards.panel import BARS, NUMBER, Dashboard, Panel, placed
from components.monitoring.prometheus import PROMETHEUS_OPERATOR
from components.monitoring.rules import sources

from .. import files
from ..picture.pages import DOCS
from .server import Prometheus, filled, running
from .simulated import END
from .svg import Answers, Line, key, picture

FIX = "python -m pages.dashboards"
IMAGES = DOCS / "images"
# List prices of the machines of the simulated fleet; spot has none.
PRICES: list[alerts.NodePrice] = [
    {"machine": "p5.48xlarge", "capacity": "on_demand", "gpus": 8, "dollars_per_hour": 55.04},
    {"machine": "g6.2xlarge", "capacity": "on_demand", "gpus": 1, "dollars_per_hour": 0.9776},
]
POINTS = 96
CHOICES = {"job": {"namespace": "team-a", "pod": "train-1"}, "node": {"node": "train-b"}}
"""Dashboard → what a person has chosen at its top; everything otherwise."""


def dashboards() -> tuple[list[Dashboard], list[dict]]:
    """The dashboards with every panel, and the rules that record their series."""
    args = arguments.cleaned(alerts.AlertsArgs, {"system": PROMETHEUS_OPERATOR, "prices": PRICES})
    found = sources.available(
        PROMETHEUS_OPERATOR, gpu_metrics=True, state_metrics=False, given=frozenset({sources.PRICES})
    )
    return catalog.dashboards(alerts.context(args), found), alerts.groups(args)


def answers(server: Prometheus, dashboard: Dashboard, chosen: Mapping[str, str]) -> Answers:
    """What the server answers to the queries of a dashboard. `chosen`: values of its variables; otherwise all."""
    return {
        key(row.title, panel): [line for each in lines(server, dashboard, panel, chosen) for line in each]
        for row in dashboard.rows
        for panel in row.panels
    }


def lines(server: Prometheus, dashboard: Dashboard, panel: Panel, chosen: Mapping[str, str]) -> list[list[Line]]:
    """The series of each query of a panel."""
    found = []
    for query in panel.queries:
        expr = query.expr
        for variable in dashboard.variables:
            expr = placed(expr, [variable], chosen.get(variable.name, ".*"))
        if panel.kind in (NUMBER, BARS):
            made = [(each["metric"], [each["value"]]) for each in server.at(expr, END)]
        else:
            length = dashboard.hours * 3600
            step = length // POINTS
            made = [(each["metric"], each["values"]) for each in server.range(expr, END - length, END, step)]
        drawn = [
            Line(_name(query.legend, labels), [(float(t), float(v)) for t, v in values if v not in ("NaN", "+Inf")])
            for labels, values in made
        ]
        found.append(sorted((line for line in drawn if line.points), key=lambda line: line.name))
    return found


def _name(legend: str, labels: dict[str, str]) -> str:
    for name, value in labels.items():
        legend = legend.replace(f"{{{{{name}}}}}", value)
    return legend


def pictures() -> dict[Path, str]:
    """File → picture."""
    found, groups = dashboards()
    with tempfile.TemporaryDirectory() as folder, running(filled(Path(folder), groups)) as server:
        return {
            IMAGES / f"dashboard-{each.name}.svg": picture(each, answers(server, each, CHOICES.get(each.name, {})), END)
            for each in found
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m pages.dashboards", description="Pictures of the dashboards")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a picture is out of date")
    check = parser.parse_args(arguments).check
    made = pictures()
    IMAGES.mkdir(exist_ok=True)
    for path in made:
        path.touch()
    return files.update({path: lambda _, text=text: text for path, text in made.items()}, check=check, fix=FIX)


if __name__ == "__main__":
    sys.exit(main())
