"""Dashboards of Cloud Monitoring."""

from __future__ import annotations

import json
from typing import Any

from sandbox.gcp.mapping import Names
from sandbox.gcp.rows.compute import OWN
from sandbox.gcp.store import Body
from sandbox.gcp.table import Behaviour, Context, Row, number, paths
from sandbox.plugins.provider import Props


def _is_dashboard(value: Any) -> str:
    try:
        found = json.loads(value)
    except (TypeError, ValueError):
        return "it is not JSON"
    return "" if isinstance(found, dict) and found.get("displayName") else "a dashboard needs a displayName"


class _Dashboard(Behaviour):
    def outputs(self, ctx: Context, row: Row, body: Body) -> Props:
        return {"dashboardJson": body["dashboardJson"]}


ROWS = [
    Row(
        token="gcp:monitoring/dashboard:Dashboard",
        kind="Dashboard",
        api="",
        schema="",
        collection="monitoring.dashboards",
        # The API chooses the id. Here it follows from the title, so that an update finds the dashboard again.
        name="projects/{project}/dashboards/{number}",
        names=Names({**OWN, "dashboardJson": "dashboardJson"}),
        replaces=paths("project"),
        autoname=None,
        variables=lambda props: {"number": number(json.loads(props["dashboardJson"])["displayName"])},
        checks={"dashboardJson": _is_dashboard},
        behaviour=_Dashboard(),
    ),
]
