"""Pods whose metrics are scraped, described once for the Prometheus of either cloud."""

from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from typing_extensions import NotRequired

from .. import checks
from ..checks import Problem
from .prometheus import API_VERSIONS, MANAGED_PROMETHEUS, SYSTEMS

_KINDS = {system: "PodMonitoring" if system == MANAGED_PROMETHEUS else "PodMonitor" for system in SYSTEMS}
_SECONDS = 30
_SECONDS_RANGE = (5, 3600)


class PodScrapeArgs(TypedDict):
    """`system`: who scrapes: `prometheus_operator` or `managed_prometheus`. `namespace`: of pods and object.
    `match_labels`: labels of the pods, at least one. `port`: name of the container's port. `path`: default /metrics.
    `interval_seconds`: 5 to 3600 (default 30); on Google Cloud samples cost money."""

    system: str
    namespace: pulumi.Input[str]
    match_labels: dict[str, str]
    port: str
    path: NotRequired[str]
    interval_seconds: NotRequired[int]


def problems(args: PodScrapeArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from checks.one_of("system", args["system"], SYSTEMS)
    if not args["match_labels"]:
        yield Problem(
            "match_labels", {}, "would take every pod of the namespace", "at least one label",
            "write a label that the pods have and no others",
        )  # fmt: skip
    if args["port"].isdigit():
        # Google's kind reads a text as the port's name, finds no such port and stays silent.
        yield Problem(
            "port", args["port"], "a number", "the name of a port of the container",
            "give the port a name in the pod's `ports`, and write that",
        )  # fmt: skip
    path, seconds, (low, high) = args.get("path", "/"), args.get("interval_seconds", _SECONDS), _SECONDS_RANGE
    if not path.startswith("/"):
        yield Problem("path", path, "no path", "begins with /", f"write /{path}")
    if not low <= seconds <= high:
        yield Problem("interval_seconds", seconds, "out of range", f"{low} to {high}", f"leave it out for {_SECONDS}")


class PodScrape(pulumi.ComponentResource):
    """One PodMonitor, or one PodMonitoring of Google's managed Prometheus; the object has the name of the resource.

    Series bear the same target labels on both clouds: `job` (the name of the object), `namespace`, `pod`, `container`.
    Takes the provider `kubernetes`; what it must depend on stands with `Alerts`.
    """

    scrape_name: pulumi.Output[str]
    """Name of the object, and the label `job` of the series."""

    def __init__(self, name: str, args: PodScrapeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gpuyard:index:PodScrape", name, None, opts)
        checks.refuse(problems(args), f"PodScrape {name}")
        system = args["system"]
        endpoint = {
            "port": args["port"],
            "path": args.get("path", "/metrics"),
            "interval": f"{int(args.get('interval_seconds', _SECONDS))}s",
        }
        made = kubernetes.apiextensions.CustomResource(
            f"{name}-scrape",
            api_version=API_VERSIONS[system],
            kind=_KINDS[system],
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=name, namespace=args["namespace"]),
            spec={"selector": {"matchLabels": args["match_labels"]}, **_endpoints(system, name, endpoint)},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.scrape_name = made.id.apply(lambda _: name)
        self.register_outputs({"scrapeName": self.scrape_name})


def _endpoints(system: str, name: str, endpoint: dict[str, str]) -> dict[str, Any]:
    if system == MANAGED_PROMETHEUS:
        # Its default adds the pod's controller, which the operator does not.
        return {"endpoints": [endpoint], "targetLabels": {"metadata": ["pod", "container"]}}
    # The operator's `job` would be NAMESPACE/NAME.
    return {"podMetricsEndpoints": [{**endpoint, "relabelings": [{"targetLabel": "job", "replacement": name}]}]}
