"""What a stack watches of the parts that its file switches on: controllers, objects on GKE, reservations, stalled
jobs."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from pages.images.listing import listing
from recording.recording import Recording, Resource
from recording.stacks import record, recorded, settings

STACKS = ["dev", "dev-gke"]
TEAMS: dict[str, Any] = {"training": {"namespace": "train"}, "inference": {}}
POOL_KINDS = {"dev": "gpuyard:index:EksNodePool", "dev-gke": "gpuyard:index:GkeNodePool"}
MONITORS = {"dev": "kubernetes:monitoring.coreos.com/v1:PodMonitor"}
MONITORS["dev-gke"] = "kubernetes:monitoring.googleapis.com/v1:PodMonitoring"
RULES = {"dev": "kubernetes:monitoring.coreos.com/v1:PrometheusRule"}
RULES["dev-gke"] = "kubernetes:monitoring.googleapis.com/v1:ClusterRules"
both = pytest.mark.parametrize("stack", STACKS)


def of(stack: str, **sections: Any) -> Recording:
    """The stack with these sections, each added to what its file has."""
    config = settings(stack)
    for name, values in sections.items():
        config[f"gpuyard:{name}"] = {**config.get(f"gpuyard:{name}", {}), **values}
    return record(config, stack)


def rules(made: Recording, stack: str) -> dict[str, dict[str, Any]]:
    """Alerts and recorded series of the stack by name."""
    groups = made.one(RULES[stack]).inputs["spec"]["groups"]
    return {rule.get("alert") or rule["record"]: rule for group in groups for rule in group["rules"]}


def deployment(made: Recording, component: str) -> Resource:
    return next(each for each in made.all("Deployment") if each.name.startswith(f"{component}-deployment-"))


@both
def test_by_default_nothing_of_it_exists(stack: str) -> None:
    made = recorded(stack)
    kinds = ("PodScrape", "StalledJobs", "StateMetrics", "WorkloadIdentity")
    assert [kind for kind in kinds if made.all(f"gpuyard:index:{kind}")] == []


@both
def test_prometheus_reads_kueue_with_a_token_and_keda_without(stack: str) -> None:
    """seed row S22: the queue dashboard and the alerts about queues have series."""
    made = of(stack, teams=TEAMS, platforms={"keda": True})
    assert not made.orphans() and not made.without_provider()
    monitors = {each.inputs["metadata"]["name"]: each for each in made.all(MONITORS[stack])}
    assert set(monitors) == {"kueue-metrics", "keda-metrics"}
    for name, monitor in monitors.items():
        spec = monitor.inputs["spec"]
        (endpoint,) = spec.get("podMetricsEndpoints") or spec["endpoints"]
        pods = deployment(made, name.removesuffix("-metrics"))
        assert monitor.inputs["metadata"]["namespace"] == pods.inputs["metadata"]["namespace"]
        assert made.must_outlive(pods, monitor)
        assert ("authorization" in endpoint) is (name == "kueue-metrics")
        if stack == "dev":
            assert made.must_outlive(made.one("Release", "monitoring-release"), monitor), "it brings the kind"


@both
def test_without_prometheus_there_are_no_monitors(stack: str) -> None:
    addons = {"monitoring": False} if stack == "dev" else {"alerts": False}
    assert of(stack, teams=TEAMS, addons=addons).all(MONITORS[stack]) == []


def test_a_pod_may_query_prometheus_if_keda_runs_in_it() -> None:
    """Prometheus accepts connections from namespaces with a label only."""
    made = of("dev", platforms={"keda": True})
    (ingress,) = (
        each["namespaceSelector"]["matchLabels"]
        for rule in made.one("Release", "monitoring-release").inputs["values"]["prometheus"]["networkPolicy"]["ingress"]
        for each in rule["from"]
        if "namespaceSelector" in each
    )
    assert ingress.items() <= made.one("Namespace", "keda-namespace").inputs["metadata"]["labels"].items()


def test_on_gke_keda_may_read_metrics_of_the_project_and_nothing_else() -> None:
    """seed row S14: it asks Google's managed Prometheus."""
    made = of("dev-gke", platforms={"keda": True})
    (grant,) = made.children(made.one("gpuyard:index:WorkloadIdentity", "keda"))
    assert grant.inputs["role"] == "roles/monitoring.viewer"
    assert grant.inputs["member"].endswith("/subject/ns/keda/sa/keda-operator")


def test_state_metrics_on_gke_bring_alerts_and_costs() -> None:
    """seed row S21: containers out of memory are reported on GKE as on EKS."""
    plain, made = recorded("dev-gke"), of("dev-gke", addons={"stateMetrics": True, "dashboards": True})
    assert not made.orphans() and not made.without_provider()
    assert "ContainerOomKilled" not in rules(plain, "dev-gke")
    assert {"ContainerOomKilled", "GpuPodPending", "node:gpuyard_pool:info"} <= set(rules(made, "dev-gke"))
    cpu = next(each for each in made.all(POOL_KINDS["dev-gke"]) if each.name == "cpu-workers")
    assert made.must_outlive(cpu, deployment(made, "state-metrics"))
    assert "kube_pod_container_status_waiting_reason" in str(made.one("Dashboard", "dashboards-queue").inputs)


def test_state_metrics_alone_are_enough_for_alerts_on_gke() -> None:
    found = rules(of("dev-gke", addons={"stateMetrics": True}, cluster={"managedDcgm": False}), "dev-gke")
    assert "ContainerOomKilled" in found and "GpuUtilizationLow" not in found


def reserved(stack: str, **terms: Any) -> dict[str, Any]:
    """The pools of the stack, the one with GPUs on a reservation."""
    pools = settings(stack)["gpuyard:nodePools"]
    which = {"id": "cr-0123456789abcdef0"} if stack == "dev" else {"name": "mine"}
    zone = settings(stack)["gpuyard:network"]["zones"][0]
    reservation = {"capacity": ["reserved"], "reservation": {**which, **terms}, "zones": [zone]}
    machine = pools["gpu-workers"]["machineTypes"][:1]
    return {"gpu-workers": {**pools["gpu-workers"], **reservation, "machineTypes": machine}}


@both
def test_a_pools_reservation_is_watched_by_what_the_pool_says(stack: str) -> None:
    """seed row S12: written once, in the pool."""
    more = {} if stack == "dev" else {"addons": {"stateMetrics": True}}
    given = of(stack, nodePools=reserved(stack, nodes=4, ends="2027-01-31T11:30:00Z"), **more)
    found = rules(given, stack)
    assert found["pool:reserved_nodes:count"] == {
        "record": "pool:reserved_nodes:count", "expr": "vector(4)", "labels": {"pool": "gpu-workers"}
    }  # fmt: skip
    assert found["pool:reservation_end:seconds"]["expr"] == "vector(1801395000)"
    assert {"ReservationUnused", "ReservationEnds", "ReservationIdle"} <= set(found)
    bare = rules(of(stack, nodePools=reserved(stack), **more), stack)
    assert "ReservationIdle" in bare and "ReservationEnds" not in bare


@pytest.mark.parametrize(("chosen", "taints"), [("restart", False), ("restart_and_taint", True)])
def test_stalled_jobs_are_restarted_in_the_namespaces_of_teams(chosen: str, taints: bool) -> None:
    """seed row S20: the alert about GPUs that are busy without memory traffic is acted on, by choice."""
    made = of("dev", teams=TEAMS, addons={"stalledJobs": chosen})
    assert not made.orphans() and not made.without_provider()
    cron = made.one("CronJob")
    (container,) = cron.inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    assert (given["NAMESPACES"], given["TAINT"]) == ("train,inference", str(taints).lower())
    assert made.must_outlive(made.one(RULES["dev"]), cron)
    for namespace in ("training-namespace", "inference-namespace"):
        assert made.must_outlive(made.one("Namespace", namespace), cron)
    evicting = {each.inputs["metadata"]["namespace"] for each in made.all("Role") if "stalled" in each.name}
    assert evicting == {"train", "inference"}


def test_the_image_of_state_metrics_is_listed_and_comes_from_your_registry() -> None:
    made = of("dev-gke", addons={"stateMetrics": True}, images={"registry": "registry.example.com"})
    found = listing("dev-gke", made, {"registry": "registry.example.com"})
    assert [image for image in found.images if "kube-state-metrics" in image] and found.elsewhere() == []


def test_charts_and_images_have_an_effect_on_gke_with_state_metrics() -> None:
    with pytest.raises(pulumi.RunError, match=r"gpuyard:charts\.mirror = 'no-such-folder': no such folder"):
        of("dev-gke", addons={"stateMetrics": True}, charts={"mirror": "no-such-folder"})
    network = {"nat": "none"}
    with pytest.raises(pulumi.RunError, match=r"missing: without NAT, nodes cannot reach registry\.k8s\.io"):
        of("dev-gke", addons={"stateMetrics": True}, network=network)
