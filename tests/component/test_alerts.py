"""Alert rules and pod scraping as objects: of the right kind, in the right namespace, with fields that the kind has."""

from __future__ import annotations

import re
from typing import Any

import pulumi
import pytest

from components import arguments
from components.monitoring import alerts, pod_scrape
from components.monitoring.alerts import Alerts, AlertsArgs
from components.monitoring.limits import RANGES
from components.monitoring.pod_scrape import PodScrape, PodScrapeArgs
from components.monitoring.prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR, SYSTEMS
from recording.recorder import run
from recording.recording import Recording, Resource
from recording.stacks import EKS, GKE, record, recorded, settings
from tests.component.stage import aws_options

RULES = {
    PROMETHEUS_OPERATOR: "kubernetes:monitoring.coreos.com/v1:PrometheusRule",
    MANAGED_PROMETHEUS: "kubernetes:monitoring.googleapis.com/v1:ClusterRules",
}
SCRAPES = {
    PROMETHEUS_OPERATOR: "kubernetes:monitoring.coreos.com/v1:PodMonitor",
    MANAGED_PROMETHEUS: "kubernetes:monitoring.googleapis.com/v1:PodMonitoring",
}
SERVER: Any = {"namespace": "serving", "match_labels": {"app": "llm"}, "port": "metrics"}
# prometheus-engine, rules_types.go: a rule of Google's has these fields and no others.
RULE_FIELDS = {"record", "alert", "expr", "for", "labels", "annotations"}
PRICE: Any = {"machine": "g6.2xlarge", "capacity": "on_demand", "gpus": 1, "dollars_per_hour": 0.98}
both = pytest.mark.parametrize("system", SYSTEMS)


def rules(system: str, **args: Any) -> Resource:
    """The object of a recorded Alerts."""
    made = run(lambda: Alerts("alerts", {"system": system, **args}, aws_options()))  # type: ignore[typeddict-item]
    return made.one(RULES[system], "alerts-rules")


def scrape(system: str, **args: Any) -> Resource:
    """The object of a recorded PodScrape."""
    made = run(lambda: PodScrape("llm", {"system": system, **SERVER, **args}, aws_options()))
    return made.one(SCRAPES[system], "llm-scrape")


def every_rule(found: Resource) -> list[dict[str, Any]]:
    return [rule for group in found.inputs["spec"]["groups"] for rule in group["rules"]]


def test_operator_rules_are_namespaced_and_googles_are_cluster_scoped() -> None:
    assert rules(PROMETHEUS_OPERATOR).inputs["metadata"] == {"name": "alerts", "namespace": "monitoring"}
    assert rules(PROMETHEUS_OPERATOR, namespace="ops").inputs["metadata"]["namespace"] == "ops"
    assert rules(MANAGED_PROMETHEUS).inputs["metadata"] == {"name": "alerts"}


@both
def test_a_rule_has_only_fields_that_its_kind_has(system: str) -> None:
    """Google's `for` and `interval` are checked as Go durations; a record has no annotations."""
    for group in rules(system).inputs["spec"]["groups"]:
        assert set(group) == {"name", "interval", "rules"} and group["rules"]
        for rule in group["rules"]:
            assert set(rule) <= RULE_FIELDS and ("alert" in rule) is not ("record" in rule)
            assert "annotations" not in rule or "alert" in rule
            assert all(re.fullmatch(r"\d+m", text) for text in (rule.get("for", "1m"), group["interval"]))
            # rules_config.go adds these to every selector, and refuses a rule that has them already.
            assert not re.search(r"\b(project_id|location|cluster)\b", rule["expr"])


def test_gpu_alerts_are_left_out_without_gpu_metrics() -> None:
    """seed row S21: alerts about containers remain."""
    names = {rule.get("alert", "") for rule in every_rule(rules(PROMETHEUS_OPERATOR, gpu_metrics=False))}
    assert "ContainerOomKilled" in names and not {"GpuUtilizationLow", "GpuXidCritical", "ReservationIdle"} & names


@both
@pytest.mark.parametrize(("group", "name"), RANGES, ids=".".join)
def test_every_limit_has_a_range(system: str, group: str, name: str) -> None:
    """Other languages send numbers as floats."""
    assert "77.0" not in str(every_rule(rules(system, **{group: {name: 77.0}})))
    low, high = RANGES[group, name]
    for wrong in (low - 1, high + 1):
        with pytest.raises(
            pulumi.RunError, match=rf"{group}\.{name} = {wrong}: out of range\n    allowed: {low} to {high}"
        ):
            rules(system, **{group: {name: wrong}})
    for right in (low, high):
        assert not list(alerts.problems(arguments.cleaned(AlertsArgs, {"system": system, group: {name: right}})))


@pytest.mark.parametrize(
    ("args", "path"),
    [
        ({"system": "thanos"}, "system"),
        ({"system": PROMETHEUS_OPERATOR, "watched_namespaces": ["team-a", "team-.*"]}, "watched_namespaces[1]"),
        ({"system": PROMETHEUS_OPERATOR, "reservations": [{"pool": "train", "nodes": 0}]}, "reservations[0].nodes"),
        ({"system": PROMETHEUS_OPERATOR, "reservations": [{"pool": "a", "ends": "soon"}]}, "reservations[0].ends"),
        (
            {"system": PROMETHEUS_OPERATOR, "reservations": [{"pool": "a", "ends": "2027-01-31"}]},
            "reservations[0].ends",
        ),
        ({"system": PROMETHEUS_OPERATOR, "reservations": [{"pool": "a"}, {"pool": "a"}]}, "reservations[1].pool"),
        ({"system": PROMETHEUS_OPERATOR, "prices": [{**PRICE, "dollars_per_hour": 0.0}]}, "prices[0].dollars_per_hour"),
        ({"system": PROMETHEUS_OPERATOR, "prices": [{**PRICE, "gpus": 0}]}, "prices[0].gpus"),
        ({"system": PROMETHEUS_OPERATOR, "prices": [{**PRICE, "capacity": "cheap"}]}, "prices[0].capacity"),
        ({"system": PROMETHEUS_OPERATOR, "prices": [PRICE, PRICE]}, "prices[1]"),
    ],
)
def test_invalid_alerts_are_refused(args: Any, path: str) -> None:
    assert [problem.path for problem in alerts.problems(arguments.cleaned(AlertsArgs, args))] == [path]


def test_a_pod_scrape_is_a_monitor_on_either_cloud() -> None:
    """The series have the same labels: the operator's `job` is set, Google's controller label omitted."""
    mine, theirs = scrape(PROMETHEUS_OPERATOR), scrape(MANAGED_PROMETHEUS)
    assert mine.inputs["metadata"] == theirs.inputs["metadata"] == {"name": "llm", "namespace": "serving"}
    endpoint = {"port": "metrics", "path": "/metrics", "interval": "30s"}
    job = {"relabelings": [{"targetLabel": "job", "replacement": "llm"}]}
    selector = {"matchLabels": {"app": "llm"}}
    assert mine.inputs["spec"] == {"selector": selector, "podMetricsEndpoints": [{**endpoint, **job}]}
    assert theirs.inputs["spec"] == {
        "selector": selector,
        "endpoints": [endpoint],
        "targetLabels": {"metadata": ["pod", "container"]},
    }
    (given,) = scrape(MANAGED_PROMETHEUS, path="/v1/metrics", interval_seconds=60.0).inputs["spec"]["endpoints"]
    assert given == {"port": "metrics", "path": "/v1/metrics", "interval": "60s"}


@pytest.mark.parametrize("system", [PROMETHEUS_OPERATOR, MANAGED_PROMETHEUS])
def test_a_protected_scrape_has_a_token_that_reads_metrics_and_nothing_else(system: str) -> None:
    """security case M14: neither Prometheus sends its own token, and Google's collector reads this Secret only."""
    args: Any = {"system": system, **SERVER, "protected": True, "series": "kueue_.*"}
    made = run(lambda: PodScrape("llm", args, aws_options()))
    (role,) = made.all("ClusterRole")
    assert role.inputs["rules"] == [{"nonResourceURLs": ["/metrics"], "verbs": ["get"]}]
    account, token = made.one("ServiceAccount").inputs, made.one("Secret").inputs
    own = account["metadata"]["name"]
    assert account["automountServiceAccountToken"] is False
    assert token["metadata"]["annotations"] == {"kubernetes.io/service-account.name": own} and "data" not in token
    assert {token["metadata"]["namespace"], account["metadata"]["namespace"]} == {"serving"}
    (subject,) = made.one("ClusterRoleBinding").inputs["subjects"]
    assert subject == {"kind": "ServiceAccount", "name": own, "namespace": "serving"}
    monitor = made.one(SCRAPES[system])
    spec = monitor.inputs["spec"]
    (endpoint,) = spec.get("podMetricsEndpoints") or spec["endpoints"]
    credentials = endpoint["authorization"]["credentials"]
    assert (credentials.get("secret") or credentials) == {"name": token["metadata"]["name"], "key": "token"}
    assert endpoint["scheme"] == "https"
    assert (endpoint.get("tlsConfig") or endpoint["tls"]) == {"insecureSkipVerify": True}
    kept = endpoint.get("metricRelabelings") or endpoint["metricRelabeling"]
    assert kept == [{"action": "keep", "sourceLabels": ["__name__"], "regex": "kueue_.*"}]
    readers = made.all("kubernetes:rbac.authorization.k8s.io/v1:Role")
    assert len(readers) == (system == MANAGED_PROMETHEUS)
    for each in readers:
        (rule,) = each.inputs["rules"]
        assert (rule["resources"], rule["resourceNames"]) == (["secrets"], [own])
        (collector,) = made.one("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding").inputs["subjects"]
        assert collector == {"kind": "ServiceAccount", "name": "collector", "namespace": "gmp-system"}
    for each in made.all("Secret"):
        assert made.must_outlive(each, monitor)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"system": "vector"}, "system"),
        ({"series": "kueue_("}, "series"),
        ({"series": ""}, "series"),
        ({"match_labels": {}}, "match_labels"),
        ({"port": "9400"}, "port"),
        ({"path": "metrics"}, "path"),
        ({"interval_seconds": 4}, "interval_seconds"),
        ({"interval_seconds": 3601}, "interval_seconds"),
    ],
)
def test_an_invalid_pod_scrape_is_refused(change: Any, path: str) -> None:
    args = arguments.cleaned(PodScrapeArgs, {"system": MANAGED_PROMETHEUS, **SERVER})
    assert not list(pod_scrape.problems(args))
    assert [problem.path for problem in pod_scrape.problems({**args, **change})] == [path]


def without(stack: str, **changes: Any) -> Recording:
    """The stack with some settings changed."""
    config = settings(stack)
    return record(
        {**config, **{f"gpuyard:{key}": {**config[f"gpuyard:{key}"], **v} for key, v in changes.items()}}, stack
    )


@pytest.mark.parametrize("stack", EKS)
def test_on_eks_the_rules_exist_only_while_their_kind_exists(stack: str) -> None:
    """seed rows S19, S20 and S21"""
    made = recorded(stack)
    found = made.one(RULES[PROMETHEUS_OPERATOR])
    assert made.must_outlive(made.one("kubernetes:helm.sh/v3:Release", "monitoring-release"), found)
    home = made.one("kubernetes:core/v1:Namespace", "monitoring-namespace")
    assert found.inputs["metadata"]["namespace"] == home.inputs["metadata"]["name"]
    assert made.must_outlive(home, found)
    assert not made.must_outlive(made.one("kubernetes:helm.sh/v3:Release", "dcgm-exporter-release"), found)
    assert {"GpuUtilizationLow", "ContainerOomKilled"} <= {rule.get("alert") for rule in every_rule(found)}
    prices = [rule for rule in every_rule(found) if rule.get("record") == "machine:gpu_price:dollars_per_hour"]
    assert bool(prices) is (stack == "prod"), "dev and guide have spot, whose price is not known"
    assert {rule["labels"]["capacity"] for rule in prices} <= {"on_demand", "reserved"}


@pytest.mark.parametrize("stack", GKE)
def test_on_gke_the_rules_depend_on_a_node_for_the_operator(stack: str) -> None:
    """seed rows S19 and S20"""
    made = recorded(stack)
    found = made.one(RULES[MANAGED_PROMETHEUS])
    pools = {pool.name: pool for pool in made.all("gcp:container/nodePool:NodePool")}
    assert made.must_outlive(pools["cpu-workers"], found)
    assert not any(made.must_outlive(pool, found) for name, pool in pools.items() if name != "cpu-workers")


@pytest.mark.slow
def test_a_stack_has_rules_only_if_prometheus_is_installed() -> None:
    def has(made: Recording) -> bool:
        return any(made.all(kind) for kind in RULES.values())

    assert not has(without("dev", addons={"alerts": False}))
    assert not has(without("dev", addons={"monitoring": False}))
    assert not has(without("dev-gke", addons={"alerts": False}))
    assert not has(without("dev-gke", cluster={"managedDcgm": False}))
    bare = without("dev", addons={"dcgmExporter": False}).one(RULES[PROMETHEUS_OPERATOR])
    assert "GpuUtilizationLow" not in {rule.get("alert") for rule in every_rule(bare)}
