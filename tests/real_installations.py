"""How the library installs each chart that it renders, with the arguments that install most of it."""

from __future__ import annotations

from typing import Any

from components import versions
from components.charts import placement
from components.charts.installed import Installation
from components.platforms import argo_workflows, cert_manager, job_set, keda, kserve, kubeflow_trainer
from components.platforms import leader_worker_set as lws
from components.sharing import kueue

KUEUE: Any = {
    "integrations": ["batch/job", "pod"],
    "pods_ready_minutes": 20,
    "recovery_minutes": 10,
    "first_retry_seconds": 60,
    "longest_retry_minutes": 30,
    "fair_sharing": True,
    "visibility": True,
}
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
