"""Dashboards in Cloud Monitoring, with the series of Google's managed Prometheus."""

import json
from collections.abc import Iterator
from typing import TypedDict

import pulumi
import pulumi_gcp as gcp
from typing_extensions import NotRequired

from .. import arguments
from ..checks import Problem
from ..monitoring.dashboards import cloud_monitoring
from ..monitoring.grafana_dashboards import dashboards
from ..monitoring.prometheus import MANAGED_PROMETHEUS


class GkeDashboardsArgs(TypedDict):
    """The cluster that the dashboards show, and which series there are."""

    cluster: str
    """Name of the cluster. The dashboards have it in their titles, and as a filter that can be changed."""
    state_metrics: NotRequired[bool]
    """Whether a complete kube-state-metrics runs in the cluster. Default: `false`."""
    costs: NotRequired[bool]
    """Whether `Alerts` has `prices`, so that there are costs to show. Default: `false`."""


def problems(args: GkeDashboardsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    if not args["cluster"]:
        yield Problem("cluster", "", "empty", "the name of a cluster", "write the name of the cluster")


class GkeDashboards(pulumi.ComponentResource):
    """One dashboard in Cloud Monitoring for each of fleet, team, queue, job, node and serving.

    They are objects of the project, not of the cluster, and cost nothing; Google bills the samples that Prometheus
    takes in. It needs the provider `gcp` and the API monitoring.googleapis.com. The series come from `Alerts`, which
    records them, and from the exporters. On EKS there is `GrafanaDashboards`.
    """

    dashboard_names: pulumi.Output[list[str]]
    """Names of the dashboards."""

    def __init__(self, name: str, args: GkeDashboardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(f"GkeDashboards {name}", GkeDashboardsArgs, args, problems)
        super().__init__("gpuyard:index:GkeDashboards", name, None, opts)
        found = dashboards(
            MANAGED_PROMETHEUS, gpu_metrics=True, state_metrics=args["state_metrics"], costs=args["costs"]
        )
        self.dashboards = {
            each.name: gcp.monitoring.Dashboard(
                f"{name}-{each.name}",
                dashboard_json=json.dumps(cloud_monitoring.model(each, args["cluster"]), sort_keys=True),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for each in found
        }
        """The dashboards, by name."""
        made = [each.id for each in self.dashboards.values()]
        names = list(self.dashboards)
        self.dashboard_names = pulumi.Output.all(*made).apply(lambda _: names)
        self.register_outputs({"dashboardNames": self.dashboard_names})
