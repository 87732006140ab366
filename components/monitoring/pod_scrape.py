"""Pods whose metrics are scraped, described once for the Prometheus of either cloud."""

import re
from collections.abc import Iterator
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
from typing_extensions import NotRequired

from .. import arguments, checks, component_names
from ..checks import Problem
from . import scrape_account
from .prometheus import API_VERSIONS, MANAGED_PROMETHEUS, SYSTEMS

_KINDS = {system: "PodMonitoring" if system == MANAGED_PROMETHEUS else "PodMonitor" for system in SYSTEMS}
# RFC 6335, as Kubernetes requires for the name of a port.
_PORT = re.compile(r"[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?")
_SECONDS_RANGE = (5, 3600)


class PodScrapeArgs(TypedDict):
    """Which pods are scraped, where and how often."""

    system: str
    """The Prometheus that scrapes: prometheus_operator (kube-prometheus-stack, as `Monitoring` installs it) or
    managed_prometheus (Google Cloud's)."""
    namespace: pulumi.Input[str]
    """Namespace of the pods and of the object."""
    match_labels: dict[str, str]
    """Labels of the pods; at least one."""
    port: str
    """Name of the container's port with the metrics."""
    path: NotRequired[str]
    """HTTP path of the metrics. Default: `/metrics`."""
    interval_seconds: NotRequired[int]
    """Seconds between two scrapes, 5 to 3600. Google Cloud bills each sample. Default: `30`."""
    series: NotRequired[str]
    """Regular expression for the names of the series that are kept, such as kueue_.*; it matches the whole name.
    Default: none, all are kept."""
    protected: NotRequired[bool]
    """Whether the pods serve metrics by HTTPS, and only to accounts that may read `/metrics` of the Kubernetes API, as
    Kueue and many other controllers do. Then a service account that may do only that is created next to the pods, with
    a token that does not expire. The pods' certificate is not verified: controllers sign it themselves. Default:
    `false`."""
    scrape_labels: NotRequired[dict[str, str]]
    """Labels of the object, for a Prometheus operator that selects monitors by label: many installations want
    {release: kube-prometheus-stack}. Default: none, as `Monitoring` takes every monitor."""


def problems(args: PodScrapeArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from checks.one_of("system", args["system"], SYSTEMS)
    if not args["match_labels"]:
        yield Problem(
            "match_labels", {}, "every pod of the namespace would match", "at least one label",
            "write a label that only these pods have",
        )  # fmt: skip
    if args["port"].isdigit():
        # Google's kind takes a text for the port's name, finds no such port and reports nothing.
        yield Problem(
            "port", args["port"], "a number", "the name of a port of the container",
            "give the port a name in the pod's `ports`, and write that",
        )  # fmt: skip
    elif not _PORT.fullmatch(args["port"]) or "--" in args["port"]:
        yield Problem(
            "port", args["port"], "not a valid name of a port", "up to 15 lower-case letters, digits and single '-'",
            "write the name from the pod's `ports`",
        )  # fmt: skip
    if "series" in args and not _is_pattern(args["series"]):
        yield Problem(
            "series", args["series"], "not a regular expression", "such as kueue_.*", "correct it, or remove it for all"
        )
    if isinstance(namespace := args["namespace"], str):
        yield from checks.namespace("namespace", namespace)
    for key, value in args["match_labels"].items():
        yield from checks.label("match_labels", key, value)
    path, seconds, (low, high) = args["path"], args["interval_seconds"], _SECONDS_RANGE
    if not path.startswith("/"):
        yield Problem("path", path, "not a path", "text that begins with /", f"write /{path}")
    if not low <= seconds <= high:
        usual = arguments.default(PodScrapeArgs, "interval_seconds")
        yield Problem("interval_seconds", seconds, "out of range", f"{low} to {high}", f"remove it for {usual}")
    for key, value in args.get("scrape_labels", {}).items():
        yield from checks.label("scrape_labels", key, value)


def _is_pattern(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return bool(text)


class PodScrape(pulumi.ComponentResource):
    """One PodMonitor, or one PodMonitoring of Google's managed Prometheus. It has the name of the component.

    Series have the same target labels on both clouds: `job` (the name of the object), `namespace`, `pod`, `container`.
    Works on any cluster with the Prometheus operator or Google's managed Prometheus. It needs the provider `kubernetes`
    of the cluster, and depends on the same things as `Alerts`; with `protected`, also on the namespace.
    """

    scrape_name: pulumi.Output[str]
    """Name of the object, and the label `job` of the series."""

    def __init__(self, name: str, args: PodScrapeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        args = arguments.checked(
            f"PodScrape {name}", PodScrapeArgs, args, problems,
            lambda given: component_names.kubernetes_problems(name, _KINDS.get(given["system"], "monitor")),
        )  # fmt: skip
        super().__init__("gpuyard:index:PodScrape", name, None, opts)
        system = args["system"]
        reading = scrape_account.create(name, self, args["namespace"], system) if args["protected"] else []
        made = kubernetes.apiextensions.CustomResource(
            f"{name}-scrape",
            api_version=API_VERSIONS[system],
            kind=_KINDS[system],
            metadata=kubernetes.meta.v1.ObjectMetaArgs(
                name=name, namespace=args["namespace"], labels=args.get("scrape_labels")
            ),
            spec={"selector": {"matchLabels": args["match_labels"]}, **_endpoints(name, args)},
            opts=pulumi.ResourceOptions(parent=self, depends_on=reading),
        )
        self.resource = made
        """The object that describes the scrape."""
        self.scrape_name = made.id.apply(lambda _: name)
        self.register_outputs({"scrapeName": self.scrape_name})


def _endpoints(name: str, args: PodScrapeArgs) -> dict[str, Any]:
    managed = args["system"] == MANAGED_PROMETHEUS
    endpoint: dict[str, Any] = {
        "port": args["port"],
        "path": args["path"],
        "interval": f"{args['interval_seconds']}s",
    }
    if args["protected"]:
        endpoint |= scrape_account.endpoint(name, args["system"])
    if series := args.get("series"):
        kept = {"action": "keep", "sourceLabels": ["__name__"], "regex": series}
        endpoint["metricRelabeling" if managed else "metricRelabelings"] = [kept]
    if managed:
        # By default it adds the pod's controller, which the operator does not.
        return {"endpoints": [endpoint], "targetLabels": {"metadata": ["pod", "container"]}}
    # The operator's own `job` would be NAMESPACE/NAME.
    return {"podMetricsEndpoints": [{**endpoint, "relabelings": [{"targetLabel": "job", "replacement": name}]}]}
