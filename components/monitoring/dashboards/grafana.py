"""Grafana's form of a dashboard (schema 39, Grafana 10 and later)."""

from typing import Any

from .panel import BARS, NUMBER, STACK, Dashboard, Panel, Variable, placed

_UNITS = {
    "percent": "percent", "count": "short", "seconds": "s", "celsius": "celsius", "watt": "watt",
    "megahertz": "suffix: MHz", "Bps": "Bps", "rate": "short", "GPU-hours": "suffix: GPU h", "dollars": "currencyUSD",
    "dollars/h": "currencyUSD",
}  # fmt: skip
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _LOW = 24, 8, 5


def model(dashboard: Dashboard) -> dict[str, Any]:
    """The dashboard as Grafana's JSON has it."""
    panels: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        panels.append(_row(row.title, len(panels) + 1, top))
        top += 1
        height = _LOW if all(panel.kind == NUMBER for panel in row.panels) else _HEIGHT
        width = _WIDTH // len(row.panels)
        for index, panel in enumerate(row.panels):
            place = {"x": index * width, "y": top, "w": width, "h": height}
            panels.append(_panel(panel, dashboard, len(panels) + 1, place))
        top += height
    return {
        "uid": f"gpuyard-{dashboard.name}",
        "title": dashboard.title,
        "description": dashboard.text,
        "tags": ["gpuyard"],
        "schemaVersion": 39,
        "editable": False,
        "time": {"from": f"now-{dashboard.hours}h", "to": "now"},
        "refresh": "1m",
        "templating": {"list": [_datasource(), *map(_variable, dashboard.variables)]},
        "links": [{"type": "dashboards", "tags": ["gpuyard"], "title": "gpuyard", "asDropdown": False}],
        "panels": panels,
    }


def _row(title: str, number: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(panel: Panel, dashboard: Dashboard, number: int, place: dict[str, int]) -> dict[str, Any]:
    now = panel.kind in (NUMBER, BARS)
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.warn is not None:
        steps.append({"color": "red", "value": panel.warn})
    custom: dict[str, Any] = {}
    if not now:
        custom = {"drawStyle": "line", "fillOpacity": 30 if panel.kind == STACK else 0, "showPoints": "never"}
        custom["stacking"] = {"mode": "normal" if panel.kind == STACK else "none"}
        custom["thresholdsStyle"] = {"mode": "line" if panel.warn else "off"}
    options: dict[str, Any] = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if now:
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "horizontal"}
    return {
        "id": number,
        "type": {NUMBER: "stat", BARS: "bargauge"}.get(panel.kind, "timeseries"),
        "title": panel.title,
        "description": panel.text,
        "datasource": _SOURCE,
        "gridPos": place,
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": placed(query.expr, dashboard.variables, "$NAME"),
                "legendFormat": query.legend,
                "instant": now,
                "range": not now,
            }
            for index, query in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": _UNITS[panel.unit],
                "min": 0,
                "color": {"mode": "thresholds" if now else "palette-classic"},
                "thresholds": {"mode": "absolute", "steps": steps},
                "custom": custom,
            },
            "overrides": [],
        },
        "options": options,
    }


def _datasource() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _variable(variable: Variable) -> dict[str, Any]:
    return {
        "name": variable.name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": f"label_values({variable.values}, {variable.name})", "refId": "values"},
        "definition": f"label_values({variable.values}, {variable.name})",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
