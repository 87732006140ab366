"""Alert rules for GPUs and the containers that use them, for the Prometheus of either cloud."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, TypedDict, cast

import pulumi
import pulumi_kubernetes as kubernetes
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem
from . import alert_rules
from . import prometheus_stack as monitoring
from .alert_rules import RANGES, Limits
from .prometheus import API_VERSIONS, MANAGED_PROMETHEUS, SYSTEMS

_KINDS = {system: "ClusterRules" if system == MANAGED_PROMETHEUS else "PrometheusRule" for system in SYSTEMS}


class AlertsArgs(TypedDict):
    """`system`: who evaluates the rules: `prometheus_operator` or `managed_prometheus`. `namespace`: where the
    operator's object stands (default `monitoring`, that of `Monitoring`); Google's is of the whole cluster.
    `gpu_metrics`: a DCGM exporter delivers (default true): that of `DcgmExporter`, or GKE's managed one.

    `watched_namespaces`: where pods are expected to use the GPUs that they hold (default: everywhere). Name those of
    training when model servers, which wait for requests, have namespaces of their own.

    `gpu_utilization_percent`, `gpu_utilization_minutes`: a pod whose GPUs are busy less of the time, for so long (50 %,
    30). `memory_bandwidth_percent`, `memory_bandwidth_minutes`: GPUs that are busy and use their memory less of the
    time, for so long (5 %, 30). `metrics_missing_minutes`: a node with GPUs that has had no metrics for so long, which
    should be more than driver and exporter take to start (15). `oom_minutes`: how long an OOM kill is told of (10).
    Percent are 1 to 100, minutes 5 to 1440."""

    system: str
    namespace: NotRequired[str]
    gpu_metrics: NotRequired[bool]
    watched_namespaces: NotRequired[list[str]]
    gpu_utilization_percent: NotRequired[int]
    gpu_utilization_minutes: NotRequired[int]
    memory_bandwidth_percent: NotRequired[int]
    memory_bandwidth_minutes: NotRequired[int]
    metrics_missing_minutes: NotRequired[int]
    oom_minutes: NotRequired[int]


def problems(args: AlertsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from checks.one_of("system", args["system"], SYSTEMS)
    given = cast(Mapping[str, Any], args)
    for name, default in asdict(Limits()).items():
        low, high = RANGES[name]
        if not low <= given.get(name, default) <= high:
            yield Problem(name, given[name], "out of range", f"{low} to {high}", f"leave it out for {default}")
    for index, namespace in enumerate(args.get("watched_namespaces", [])):
        # RFC 1123, as Kubernetes has it for namespaces; anything else would be read as a regular expression.
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
            yield Problem(
                f"watched_namespaces[{index}]", namespace, "no possible name of a namespace",
                "up to 63 lower-case letters, digits and '-'", "write each namespace by its name",
            )  # fmt: skip
    if not args.get("gpu_metrics", True) and args["system"] == MANAGED_PROMETHEUS:
        yield Problem(
            "gpu_metrics", False, "all rules for managed Prometheus are about GPU metrics", "true",
            "let GKE run its DCGM exporter, or leave the component out",
        )  # fmt: skip


class Alerts(pulumi.ComponentResource):
    """The rules of `alert_rules` as one object: a PrometheusRule, or ClusterRules of Google's managed Prometheus.

    The same alerts with the same labels on both clouds, save for those whose series one of them lacks. Does not say
    whom to tell: that is Alertmanager's part (docs/alerts.md). Takes the provider `kubernetes`. On EKS let it depend on
    `Monitoring`, which brings the kind. On GKE let it depend on a node pool: the kind is there from the start, but the
    operator that checks the rules runs on a node, and nothing is accepted before.
    """

    rules_name: pulumi.Output[str]
    """Name of the object with the rules."""
    alert_names: pulumi.Output[list[str]]
    """The alerts that can fire, by name."""

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:Alerts", name, None, opts)
        checks.refuse(problems(args), f"Alerts {name}")
        system = args["system"]
        given = cast(Mapping[str, Any], args)
        limits = Limits(**{key: int(given[key]) for key in RANGES if key in given})
        groups = alert_rules.groups(system, limits, args.get("watched_namespaces", []), args.get("gpu_metrics", True))
        namespace = None if system == MANAGED_PROMETHEUS else args.get("namespace", monitoring.NAMESPACE)
        made = kubernetes.apiextensions.CustomResource(
            f"{name}-rules",
            api_version=API_VERSIONS[system],
            kind=_KINDS[system],
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=name, namespace=namespace),
            spec={"groups": groups},
            opts=pulumi.ResourceOptions(parent=self),
        )
        alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
        self.rules_name = made.id.apply(lambda _: name)
        self.alert_names = made.id.apply(lambda _: alerts)
        self.register_outputs({"rulesName": self.rules_name, "alertNames": self.alert_names})
