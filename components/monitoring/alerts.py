"""Alert rules for GPUs, pods, nodes, queues and model servers, for the Prometheus of either cloud."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypedDict, cast

import pulumi
import pulumi_kubernetes as kubernetes
from typing_extensions import NotRequired

from .. import arguments, checks, component_names
from .. import reservations as terms
from ..checks import Problem
from ..pools import RUNG_SUFFIXES
from ..prices import RungPrice
from ..reservations import ReservationTerms
from . import alert_rules, limits
from .limits import CapacityLimits, GpuHealthLimits, GpuUseLimits, PodLimits, QueueLimits, ServingLimits
from .prometheus import API_VERSIONS, MANAGED_PROMETHEUS, SYSTEMS
from .rules import sources
from .rules.rule import WORDS, Context, Links, Price, Reserved

_KINDS = {system: "ClusterRules" if system == MANAGED_PROMETHEUS else "PrometheusRule" for system in SYSTEMS}
_GPUS_RANGE = (1, 64)


class ReservationFacts(ReservationTerms):
    """What only you know of the capacity that is reserved for a pool."""

    pool: str
    """Name of the pool."""


class NodePrice(TypedDict):
    """What a node costs. `components/prices.csv` has list prices; a contract has others."""

    machine: str
    """Machine type of the node."""
    capacity: str
    """Capacity type of its rung: reserved, flex, spot or on_demand."""
    gpus: int
    """GPUs of the node, 1 to 64."""
    dollars_per_hour: float
    """Price of the whole node in an hour, in any one currency, more than 0."""


def node_price(rung: RungPrice) -> NodePrice:
    """The list price of a rung's nodes."""
    return {
        "machine": rung.price.machine,
        "capacity": rung.capacity,
        "gpus": rung.gpus,
        "dollars_per_hour": rung.price.dollars_per_hour,
    }


def reservations_of(specs: Mapping[str, Any]) -> list[ReservationFacts]:
    """What the specs of pools, of either cloud, say about their reservations."""
    return [{"pool": name, **found} for name, found in terms.of_pools(specs).items()]


class AlertsArgs(TypedDict):
    """Which Prometheus evaluates the rules, where alerts lead, and when they fire."""

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
    state_metrics: NotRequired[bool]
    """Whether a complete kube-state-metrics runs on GKE, in addition to Google's selection; EKS has one anyway.
    Default: `false`."""
    runbooks: NotRequired[str]
    """Address of the folder with the runbooks; an alert's annotation `runbook_url` is a page in it.
    Default: `docs/runbooks`."""
    grafana: NotRequired[str]
    """Address of Grafana; an alert's annotation `dashboard` is a dashboard there. Default: none, only its name."""
    watched_namespaces: NotRequired[list[str]]
    """Namespaces in which pods are expected to use the GPUs that they hold. Name those of training if model servers,
    which wait for requests, have other namespaces. Default: all namespaces."""
    reservations: NotRequired[list[ReservationFacts]]
    """Reservations whose use and end are watched. Default: none."""
    prices: NotRequired[list[NodePrice]]
    """Prices of nodes, for the recorded costs of teams and pools. A rung without a price has no cost. Default: none."""
    gpu_use: NotRequired[GpuUseLimits]
    """Thresholds for the use of GPUs. Default: those of its fields."""
    gpu_health: NotRequired[GpuHealthLimits]
    """Thresholds for the hardware of GPUs. Default: those of its fields."""
    pods: NotRequired[PodLimits]
    """Thresholds for containers, pods and volumes. Default: those of its fields."""
    capacity: NotRequired[CapacityLimits]
    """Thresholds for nodes and reservations. Default: those of its fields."""
    queues: NotRequired[QueueLimits]
    """Thresholds for Kueue's queues. Default: those of its fields."""
    serving: NotRequired[ServingLimits]
    """Thresholds for model servers. Default: those of its fields."""


def problems(args: AlertsArgs) -> Iterator[Problem]:
    """Everything that is wrong with the arguments."""
    yield from checks.one_of("system", args["system"], SYSTEMS)
    yield from limits.problems(cast(Mapping[str, Any], args))
    for index, namespace in enumerate(args.get("watched_namespaces", [])):
        # RFC 1123, as Kubernetes requires for namespaces; anything else would be a regular expression in the rules.
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", namespace):
            yield Problem(
                f"watched_namespaces[{index}]", namespace, "not a valid name of a namespace",
                "up to 63 lower-case letters, digits and '-'", "write each namespace by its name",
            )  # fmt: skip
    yield from _reservation_problems(args.get("reservations", []))
    yield from _price_problems(args.get("prices", []))
    yield from checks.namespace("namespace", args["namespace"])
    for key, value in args.get("rule_labels", {}).items():
        yield from checks.label("rule_labels", key, value)


def _reservation_problems(given: Sequence[ReservationFacts]) -> Iterator[Problem]:
    pools = [each["pool"] for each in given]
    for index, each in enumerate(given):
        path = f"reservations[{index}]"
        if pools.index(each["pool"]) != index:
            yield Problem(
                f"{path}.pool", each["pool"], "described twice", "one entry for each pool",
                "write the sum of the nodes, and the end that comes first",
            )  # fmt: skip
        yield from (problem.under(path) for problem in terms.problems(each))


def _price_problems(given: Sequence[NodePrice]) -> Iterator[Problem]:
    nodes = [(each["machine"], each["capacity"]) for each in given]
    low, high = _GPUS_RANGE
    for index, each in enumerate(given):
        path = f"prices[{index}]"
        yield from checks.one_of(f"{path}.capacity", each["capacity"], RUNG_SUFFIXES)
        if nodes.index(nodes[index]) != index:
            yield Problem(
                path, each["machine"], "this type and rung has a price already", "one price for each",
                "remove one of them",
            )  # fmt: skip
        if not low <= each["gpus"] <= high:
            yield Problem(f"{path}.gpus", each["gpus"], "out of range", f"{low} to {high}", "correct the number")
        if each["dollars_per_hour"] <= 0:
            yield Problem(
                f"{path}.dollars_per_hour", each["dollars_per_hour"], "not a price", "more than 0",
                "write the price, or remove the entry",
            )  # fmt: skip


def context(args: AlertsArgs) -> Context:
    """What the rules are made from."""
    reservations = args.get("reservations", [])
    return Context(
        WORDS[args["system"]],
        limits.of(cast(Mapping[str, Any], args)),
        args.get("watched_namespaces", []),
        [_reserved(each) for each in reservations],
        [
            Price(each["machine"], each["capacity"], each["dollars_per_hour"] / each["gpus"])
            for each in args.get("prices", [])
        ],
    )


def _reserved(facts: ReservationFacts) -> Reserved:
    until = terms.end(facts)
    return Reserved(facts["pool"], facts.get("nodes"), int(until.timestamp()) if until else None)


def groups(args: AlertsArgs) -> list[dict[str, Any]]:
    """The rule groups for arguments that have no problems."""
    given = {"reservations": sources.RESERVATIONS, "prices": sources.PRICES}
    found = sources.available(
        args["system"],
        gpu_metrics=args["gpu_metrics"],
        state_metrics=args["state_metrics"],
        given=frozenset(source for name, source in given.items() if args.get(name)),
    )
    return alert_rules.groups(context(args), found, Links(args["runbooks"], args.get("grafana", "")))


class Alerts(pulumi.ComponentResource):
    """Alert rules for GPUs, pods, nodes, queues and model servers as one object: a PrometheusRule, or ClusterRules of
    Google's managed Prometheus. It has the name of the component.

    The alerts and their labels are the same on both clouds, except for those whose series one cloud lacks. A rule whose
    series do not exist, such as those of Kueue in a cluster without it, never fires. Who is notified is configured in
    Alertmanager, not here.

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
        system, made_groups = args["system"], groups(args)
        namespace = None if system == MANAGED_PROMETHEUS else args["namespace"]
        made = kubernetes.apiextensions.CustomResource(
            f"{name}-rules",
            api_version=API_VERSIONS[system],
            kind=_KINDS[system],
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=args.get("rule_labels")),
            spec={"groups": made_groups},
            opts=pulumi.ResourceOptions(parent=self),
        )
        alerts = [rule["alert"] for group in made_groups for rule in group["rules"] if "alert" in rule]
        self.resource = made
        """The object with the rules."""
        self.rules_name = made.id.apply(lambda _: name)
        self.alert_names = made.id.apply(lambda _: alerts)
        self.register_outputs({"rulesName": self.rules_name, "alertNames": self.alert_names})
