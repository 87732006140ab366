"""Dashboards for a Grafana in the cluster, which reads them from ConfigMaps."""

import json
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from typing_extensions import NotRequired

from .. import arguments, checks, component_names
from ..checks import Problem
from . import limits
from .dashboards import catalog, grafana
from .dashboards.panel import Dashboard
from .prometheus import SYSTEMS
from .rules import sources
from .rules.rule import WORDS, Context

SIDECAR_LABELS = {"grafana_dashboard": "1"}
"""Labels of the ConfigMaps that the sidecar of Grafana's chart reads, by its default values."""


class GrafanaDashboardsArgs(TypedDict):
    """Where Grafana finds the dashboards, and which series there are."""

    system: str
    """The Prometheus that Grafana asks: prometheus_operator or managed_prometheus. Their series differ in labels."""
    namespace: NotRequired[str]
    """Namespace of the ConfigMaps, one that Grafana's sidecar watches. Default: `monitoring`."""
    labels: NotRequired[dict[str, str]]
    """Labels by which the sidecar selects ConfigMaps. Default: {grafana_dashboard: "1"}, as in the chart."""
    gpu_metrics: NotRequired[bool]
    """Whether a DCGM exporter runs. Default: `true`."""
    state_metrics: NotRequired[bool]
    """Whether a complete kube-state-metrics runs on GKE; EKS has one anyway. Default: `false`."""
    costs: NotRequired[bool]
    """Whether `Alerts` has `prices`, so that there are costs to show. Default: `false`."""


def problems(args: GrafanaDashboardsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from checks.one_of("system", args["system"], SYSTEMS)
    yield from checks.namespace("namespace", args["namespace"])
    for key, value in args.get("labels", {}).items():
        yield from checks.label("labels", key, value)


def dashboards(system: str, *, gpu_metrics: bool, state_metrics: bool, costs: bool) -> list[Dashboard]:
    """The dashboards of a system, without panels whose series it lacks."""
    found = sources.available(
        system,
        gpu_metrics=gpu_metrics,
        state_metrics=state_metrics,
        given=frozenset({sources.PRICES} if costs else ()),
    )
    return catalog.dashboards(Context(WORDS[system], limits.of({})), found)


class GrafanaDashboards(pulumi.ComponentResource):
    """One ConfigMap for each dashboard: fleet, team, queue, job, node, serving.

    Does not install Grafana. Any Grafana works whose sidecar reads ConfigMaps with the labels; the data source is
    chosen in the dashboard. The series come from `Alerts`, which records them, and from the exporters. It needs the
    provider `kubernetes` of the cluster and the namespace.
    """

    dashboard_names: pulumi.Output[list[str]]
    """Names of the dashboards. In Grafana's addresses they have the prefix gpuyard-."""

    def __init__(self, name: str, args: GrafanaDashboardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        longest = max(catalog.NAMES, key=len)
        args = arguments.checked(
            f"GrafanaDashboards {name}", GrafanaDashboardsArgs, args, problems,
            lambda _: component_names.kubernetes_problems(f"{name}-{longest}", "ConfigMap"),
        )  # fmt: skip
        super().__init__("gpuyard:index:GrafanaDashboards", name, None, opts)
        found = dashboards(
            args["system"],
            gpu_metrics=args["gpu_metrics"],
            state_metrics=args["state_metrics"],
            costs=args["costs"],
        )
        self.config_maps = {
            each.name: kubernetes.core.v1.ConfigMap(
                f"{name}-{each.name}",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(
                    name=f"{name}-{each.name}", namespace=args["namespace"], labels=args.get("labels", SIDECAR_LABELS)
                ),
                data={f"gpuyard-{each.name}.json": json.dumps(grafana.model(each), sort_keys=True)},
                opts=pulumi.ResourceOptions(parent=self),
            )
            for each in found
        }
        """The ConfigMaps, by the name of their dashboard."""
        made = [each.id for each in self.config_maps.values()]
        names = list(self.config_maps)
        self.dashboard_names = pulumi.Output.all(*made).apply(lambda _: names)
        self.register_outputs({"dashboardNames": self.dashboard_names})
