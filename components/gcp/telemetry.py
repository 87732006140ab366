"""Logs and metrics that a GKE cluster sends to Cloud Logging and Cloud Monitoring.

Source: container.v1beta1, LoggingComponentConfig and MonitoringComponentConfig, without deprecated values.
"""

from collections.abc import Iterator

import pulumi_gcp as gcp

from .. import checks
from ..checks import Problem

LOG_TYPES = (
    "SYSTEM_COMPONENTS",
    "WORKLOADS",
    "APISERVER",
    "CONTROLLER_MANAGER",
    "SCHEDULER",
    "KCP_CONNECTION",
    "KCP_SSHD",
    "KCP_HPA",
)
DCGM = "DCGM"
METRIC_TYPES = (
    "SYSTEM_COMPONENTS",
    "POD",
    "DAEMONSET",
    "DEPLOYMENT",
    "STATEFULSET",
    "STORAGE",
    "HPA",
    "CADVISOR",
    "KUBELET",
    "JOBSET",
    "APISERVER",
    "SCHEDULER",
    "CONTROLLER_MANAGER",
)


def problems(log_types: list[str], metric_types: list[str], managed_dcgm: bool) -> Iterator[Problem]:
    """What is wrong with `log_types`, `metric_types` and `managed_dcgm`."""
    yield from _component_problems("log_types", log_types, LOG_TYPES)
    yield from _component_problems("metric_types", metric_types, METRIC_TYPES)
    if metric_types == [] and managed_dcgm:
        yield Problem(
            "metric_types", [], f"GKE takes {DCGM} (`managed_dcgm`) only together with {METRIC_TYPES[0]}",
            ", ".join(METRIC_TYPES), f"write [{METRIC_TYPES[0]}], or `managed_dcgm: false` for no metric at all",
        )  # fmt: skip


def _component_problems(field: str, wanted: list[str], known: tuple[str, ...]) -> Iterator[Problem]:
    unknown = False
    for index, component in enumerate(wanted):
        path = f"{field}[{index}]"
        unknown = unknown or component not in known
        if component == DCGM:
            yield Problem(path, component, "has its own field", ", ".join(known), "write `managed_dcgm: true`")
        else:
            yield from checks.one_of(path, component, known)
    if wanted and not unknown and known[0] not in wanted:
        # gcloud: "--logging" and "--monitoring" accept nothing without SYSTEM.
        yield Problem(
            field, wanted, f"GKE accepts no other component without {known[0]}", ", ".join(known), f"add {known[0]}"
        )


def logging(log_types: list[str]) -> gcp.container.ClusterLoggingConfigArgs:
    """The logs that are sent."""
    return gcp.container.ClusterLoggingConfigArgs(enable_components=log_types)


def monitoring(metric_types: list[str], managed_dcgm: bool) -> gcp.container.ClusterMonitoringConfigArgs:
    """The metrics that are sent. The list is never omitted: without it Pulumi sends an empty one, which turns
    monitoring off."""
    return gcp.container.ClusterMonitoringConfigArgs(
        enable_components=[*metric_types, *([DCGM] if managed_dcgm else [])],
        managed_prometheus=gcp.container.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
    )
