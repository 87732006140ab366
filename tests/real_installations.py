"""How the library installs each chart that it renders, with the arguments that install most of it."""

from __future__ import annotations

from typing import Any

from components import arguments, versions
from components.charts import placement, rendered
from components.charts.installed import Installation
from components.charts.rendered import Object, Request
from components.platforms import argo_workflows, cert_manager, job_set, keda, kserve, kubeflow_trainer
from components.platforms import leader_worker_set as lws
from components.sharing import kueue
from recording.stacks import recorded
from tests.real_charts import RealCharts

KUEUE: Any = arguments.cleaned(
    kueue.KueueArgs,
    {
        "integrations": ["batch/job", "pod"],
        "pods_ready_minutes": 20,
        "recovery_minutes": 10,
        "first_retry_seconds": 60,
        "longest_retry_minutes": 30,
        "fair_sharing": True,
        "visibility": True,
    },
)
ARGO: Any = {"server": True, "workflow_namespaces": ["ml"]}
INSTALLATIONS: dict[str, Installation] = {
    each.chart.name: each
    for each in (
        Installation(versions.KUEUE, kueue.NAMESPACE, kueue._values(KUEUE), priority=placement.CRITICAL),
        job_set.installation(),
        lws.installation(),
        keda.installation(),
        kubeflow_trainer.installation(),
        argo_workflows.installation(ARGO),
        cert_manager.installation(),
        *kserve.installations({}),  # type: ignore[typeddict-item]
    )
}
"""By the name of the chart."""


def of_releases(charts: RealCharts) -> dict[str, list[Object]]:
    """The objects of the charts that are Helm releases, hooks included, with the values of the stack `dev`."""
    found = {}
    for release in recorded("dev").all("kubernetes:helm.sh/v3:Release"):
        chart = next(each for each in versions.RELEASED if each.name == release.inputs["name"])
        if charts.has(chart):
            request = Request(chart, release.inputs["namespace"], release.inputs["values"], charts.source)
            found[chart.name] = rendered.by_helm(request)
    return found
