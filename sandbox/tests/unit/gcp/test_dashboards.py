"""Dashboards of Cloud Monitoring: created, changed in place, refused if they are not dashboards."""

from __future__ import annotations

import json

from sandbox.tests.unit.gcp.stage import Cloud

DASHBOARD = "gcp:monitoring/dashboard:Dashboard"


def text(**more: object) -> str:
    return json.dumps({"displayName": "fleet · dev", **more})


def test_a_dashboard_is_changed_in_place(cloud: Cloud) -> None:
    id, _ = cloud.create(DASHBOARD, {"dashboardJson": text()})
    assert id.startswith("projects/") and "/dashboards/" in id
    changed = cloud.diff(id, dashboardJson=text(labels={"gpuyard": "fleet"}))
    assert changed.changes and not changed.replaces
    cloud.update(id, dashboardJson=text(labels={"gpuyard": "fleet"}))
    found = cloud.read(id)
    assert found and json.loads(found[1]["dashboardJson"])["labels"] == {"gpuyard": "fleet"}
    cloud.delete(id)
    assert cloud.create(DASHBOARD, {"dashboardJson": text()})[0] == id, "it is gone, so it can be created again"


def test_two_dashboards_with_other_titles_are_two(cloud: Cloud) -> None:
    first, _ = cloud.create(DASHBOARD, {"dashboardJson": text()}, "one")
    second, _ = cloud.create(DASHBOARD, {"dashboardJson": json.dumps({"displayName": "fleet · prod"})}, "two")
    assert first != second


def test_what_is_not_a_dashboard_is_refused(cloud: Cloud) -> None:
    for wrong in ("{", "[]", "{}"):
        (failure,) = cloud.failures(DASHBOARD, {"dashboardJson": wrong})
        assert failure.property == "dashboardJson"
