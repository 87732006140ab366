"""Alert rules for GPUs and the containers that use them, for the Prometheus of either cloud."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict, cast

import pulumi
import pulumi_kubernetes as kubernetes
from typing_extensions import NotRequired

from .. import arguments, checks, component_names
from ..checks import Problem
from . import alert_rules
from .alert_rules import RANGES, Limits
from .prometheus import API_VERSIONS, MANAGED_PROMETHEUS, SYSTEMS

_KINDS = {system: "ClusterRules" if system == MANAGED_PROMETHEUS else "PrometheusRule" for system in SYSTEMS}


class AlertsArgs(TypedDict):
    """Which Prometheus evaluates the rules, and when alerts fire. All percentages are 1 to 100, all times 5 to 1440
    minutes."""

    system: str
    """The Prometheus that evaluates the rules: prometheus_operator (kube-prometheus-stack, as `Monitoring` installs it)
    or managed_prometheus (Google Cloud's)."""
    namespace: NotRequired[str]
    """Namespace of the PrometheusRule. Not used with managed_prometheus, whose rules have none.
    Default: `monitoring`."""
    rule_labels: NotRequired[dict[str, str]]
    """Labels of the object with the rules, for a Prometheus operator that selects rules by label: many installations
    want {release: kube-prometheus-stack}. Default: none, as `Monitoring` takes every rule."""
    gpu_metrics: NotRequired[bool]
    """Whether a DCGM exporter runs in the cluster: that of `DcgmExporter`, or GKE's managed one. Default: `true`."""
    watched_namespaces: NotRequired[list[str]]
    """Namespaces in which pods are expected to use the GPUs that they hold. Name those of training if model servers,
    which wait for requests, have other namespaces. Default: all namespaces."""
    gpu_utilization_percent: NotRequired[int]
    """GpuUtilizationLow fires for a pod whose GPUs are busy less than this share of the time. Default: `50`."""
    gpu_utilization_minutes: NotRequired[int]
    """How long that lasts before it fires, in minutes. Default: `30`."""
    memory_bandwidth_percent: NotRequired[int]
    """GpuBusyWithoutMemoryTraffic fires for a pod whose GPUs are busy and use their memory less than this share of the
    time. Default: `5`."""
    memory_bandwidth_minutes: NotRequired[int]
    """How long that lasts before it fires, in minutes. Default: `30`."""
    metrics_missing_minutes: NotRequired[int]
    """GpuMetricsMissing fires for a node with GPUs that has had no GPU metrics for this many minutes. Should be longer
    than driver and exporter take to start. Default: `15`."""
    oom_minutes: NotRequired[int]
    """How long ContainerOomKilled is reported after an OOM kill, in minutes. Default: `10`."""


def problems(args: AlertsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from checks.one_of("system", args["system"], SYSTEMS)
    given = cast(Mapping[str, Any], args)
    for name, (low, high) in RANGES.items():
        if not low <= given[name] <= high:
            usual = arguments.default(AlertsArgs, name)
            yield Problem(name, given[name], "out of range", f"{low} to {high}", f"remove it for {usual}")
    for index, namespace in enumerate(args.get("watched_namespaces", [])):
        # RFC 1123, as Kubernetes requires for namespaces; anything else would be a regular expression in the rules.
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
            yield Problem(
                f"watched_namespaces[{index}]", namespace, "not a valid name of a namespace",
                "up to 63 lower-case letters, digits and '-'", "write each namespace by its name",
            )  # fmt: skip
    if not args["gpu_metrics"] and args["system"] == MANAGED_PROMETHEUS:
        yield Problem(
            "gpu_metrics", False, "all rules for managed Prometheus are about GPU metrics", "true",
            "let GKE run its DCGM exporter, or remove the component",
        )  # fmt: skip
    yield from checks.namespace("namespace", args["namespace"])
    for key, value in args.get("rule_labels", {}).items():
        yield from checks.label("rule_labels", key, value)


class Alerts(pulumi.ComponentResource):
    """Alert rules for GPUs and containers as one object: a PrometheusRule, or ClusterRules of Google's managed
    Prometheus. It has the name of the component.

    The alerts and their labels are the same on both clouds, except for those whose series one cloud lacks. Who is
    notified is configured in Alertmanager, not here.

    Works on any cluster with the Prometheus operator or Google's managed Prometheus. It needs the provider `kubernetes`
    of the cluster and a DCGM exporter. On EKS let it depend on `Monitoring`, which installs the kind; for an existing
    Prometheus operator, set `namespace` and `rule_labels` so that it selects the rules. On GKE let it depend on a node
    pool: the kind exists from the start, but the operator that checks the rules runs on a node.
    """

    rules_name: pulumi.Output[str]
    """Name of the object with the rules."""
    alert_names: pulumi.Output[list[str]]
    """The alerts that can fire, by name."""

    def __init__(self, name: str, args: AlertsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"Alerts {name}", AlertsArgs, args, problems,
            lambda given: component_names.kubernetes_problems(name, _KINDS.get(given["system"], "rule")),
        )  # fmt: skip
        super().__init__("gpuyard:index:Alerts", name, None, opts)
        system = args["system"]
        given = cast(Mapping[str, Any], args)
        limits = Limits(**{key: given[key] for key in RANGES})
        groups = alert_rules.groups(system, limits, args.get("watched_namespaces", []), args["gpu_metrics"])
        namespace = None if system == MANAGED_PROMETHEUS else args["namespace"]
        made = kubernetes.apiextensions.CustomResource(
            f"{name}-rules",
            api_version=API_VERSIONS[system],
            kind=_KINDS[system],
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=args.get("rule_labels")),
            spec={"groups": groups},
            opts=pulumi.ResourceOptions(parent=self),
        )
        alerts = [rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule]
        self.resource = made
        """The object with the rules."""
        self.rules_name = made.id.apply(lambda _: name)
        self.alert_names = made.id.apply(lambda _: alerts)
        self.register_outputs({"rulesName": self.rules_name, "alertNames": self.alert_names})
