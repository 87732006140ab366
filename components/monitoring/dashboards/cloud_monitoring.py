"""Cloud Monitoring's form of a dashboard: a mosaic of charts with PromQL.

Source: monitoring.v1, Dashboard. A variable is a filter of the type VALUE_ONLY, which PromQL names as ${NAME.value}.
"""

from typing import Any

from .panel import BARS, NUMBER, STACK, Dashboard, Panel, Variable, placed

_UNITS = {
    "percent": "%", "count": "1", "seconds": "s", "celsius": "Cel", "watt": "W", "megahertz": "MHz", "Bps": "By/s",
    "rate": "1/s", "GPU-hours": "h", "dollars": "USD", "dollars/h": "USD/h",
}  # fmt: skip
_WIDTH, _HEIGHT, _LOW, _HEADER = 48, 16, 10, 4


def model(dashboard: Dashboard, cluster: str) -> dict[str, Any]:
    """The dashboard as the API has it, for one cluster of the project."""
    tiles: list[dict[str, Any]] = []
    top = 0
    for row in dashboard.rows:
        tiles.append(_tile(0, top, _WIDTH, _HEADER, {"title": row.title, "sectionHeader": {"dividerBelow": True}}))
        top += _HEADER
        height = _LOW if all(panel.kind == NUMBER for panel in row.panels) else _HEIGHT
        width = _WIDTH // len(row.panels)
        for index, panel in enumerate(row.panels):
            tiles.append(_tile(index * width, top, width, height, _widget(panel, dashboard)))
        top += height
    # A filter without a variable applies to every chart whose series have the label.
    of_cluster = {"filterType": "RESOURCE_LABEL", "labelKey": "cluster", "stringValue": cluster}
    return {
        "displayName": f"{dashboard.title} · {cluster}",
        "labels": {"gpuyard": dashboard.name},
        "dashboardFilters": [of_cluster, *map(_filter, dashboard.variables)],
        "mosaicLayout": {"columns": _WIDTH, "tiles": tiles},
    }


def _tile(left: int, top: int, width: int, height: int, widget: dict[str, Any]) -> dict[str, Any]:
    # The API omits zeros, and a difference would be an update on every `up`.
    place = {"xPos": left, "yPos": top, "width": width, "height": height}
    return {**{name: value for name, value in place.items() if value}, "widget": widget}


def _widget(panel: Panel, dashboard: Dashboard) -> dict[str, Any]:
    queries = [
        {
            "prometheusQuery": placed(query.expr, dashboard.variables, "${NAME.value}"),
            "unitOverride": _UNITS[panel.unit],
        }
        for query in panel.queries
    ]
    limits = [] if panel.warn is None else [{"value": panel.warn}] if panel.warn else [{}]
    if panel.kind == NUMBER:
        above = [{**each, "color": "RED", "direction": "ABOVE"} for each in limits]
        return {"title": panel.title, "scorecard": {"timeSeriesQuery": queries[0], **_some("thresholds", above)}}
    kind = {STACK: "STACKED_AREA", BARS: "STACKED_BAR"}.get(panel.kind, "LINE")
    lines = [
        {
            "timeSeriesQuery": query,
            "plotType": kind,
            "targetAxis": "Y1",
            "legendTemplate": each.legend.replace("{{", "${labels.").replace("}}", "}"),
        }
        for query, each in zip(queries, panel.queries)
    ]
    drawn = [{**each, "targetAxis": "Y1"} for each in limits]
    return {"title": panel.title, "xyChart": {"dataSets": lines, **_some("thresholds", drawn)}}


def _some(name: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: values} if values else {}


def _filter(variable: Variable) -> dict[str, Any]:
    return {"filterType": "VALUE_ONLY", "templateVariable": variable.name, "valueType": "STRING", "stringValue": ".*"}
