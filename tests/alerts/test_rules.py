"""Each rule fires when it should and is silent when it should be, in the rendering of both clouds."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.monitoring import alert_rules
from components.monitoring.alerts import Alerts
from components.monitoring.prometheus import MANAGED_PROMETHEUS, PROMETHEUS_OPERATOR, SYSTEMS
from recording.recorder import run
from tests.alerts.series import Series, container, cpu_node, gpu, gpu_node
from tests.component.stage import aws_options
from tools.provide import provide

pytestmark = pytest.mark.alerts

OWNER = {"namespace": "team-a", "pod": "train-0"}
LOW, STUCK, MISSING, OOM = "GpuUtilizationLow", "GpuBusyWithoutMemoryTraffic", "GpuMetricsMissing", "ContainerOomKilled"
RESTARTS = "kube_pod_container_status_restarts_total"
LAST, ENDED = "kube_pod_container_status_last_terminated_reason", "kube_pod_container_status_terminated_reason"
SUMMARIES = {
    LOW: "Pod team-a/train-0 keeps its GPUs only 20 % busy",
    STUCK: "GPUs of pod team-a/train-0 look busy but move no data",
    MISSING: "Node gpu-node-1 has GPUs but no GPU metrics",
    OOM: "Container main of team-a/train-0 ran out of memory",
}
both = pytest.mark.parametrize("system", SYSTEMS)


@functools.cache
def rendered(system: str, **args: Any) -> str:
    """The groups of the object that the component creates, as YAML."""
    args = {key: list(value) if isinstance(value, tuple) else value for key, value in args.items()}
    made = run(lambda: Alerts("alerts", {"system": system, **args}, aws_options()))  # type: ignore[typeddict-item]
    (rules,) = (found for found in made.resources.values() if found.package == "kubernetes")
    return yaml.safe_dump({"groups": rules.inputs["spec"]["groups"]}, sort_keys=False)


def promtool(folder: Path, *args: str) -> str:
    """The output of promtool; fails if promtool does."""
    done = subprocess.run([provide(["promtool"])["promtool"], *args], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(folder: Path, rules: str, inputs: list[Series], **expected: Any) -> None:
    """Runs one unit test of promtool over the rules."""
    (folder / "rules.yaml").write_text(rules)
    test = {"interval": "1m", "input_series": inputs, **expected}
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    promtool(folder, "test", "rules", "test.yaml")


def alert(folder: Path, rules: str, name: str, minute: int, inputs: list[Series], *labels: dict[str, str]) -> None:
    """Checks that at that minute the alert fires for exactly these labels."""
    by_name = {rule.get("alert"): rule for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]}
    texts = {"summary": SUMMARIES[name], "description": by_name[name]["annotations"]["description"]}
    firing = [{"exp_labels": {**each, "severity": "warning"}, "exp_annotations": texts} for each in labels]
    check(
        folder,
        rules,
        inputs,
        alert_rule_test=[{"eval_time": f"{minute}m", "alertname": name, "exp_alerts": firing}],
    )


@both
def test_promtool_accepts_the_rules(system: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(rendered(system))
    assert "SUCCESS" in promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")


@both
def test_low_utilisation_of_a_held_gpu_fires_after_half_an_hour(system: str, tmp_path: Path) -> None:
    """seed row S19"""
    held = [gpu(system, "GPU_UTIL", "20x60", "train-0")]
    alert(tmp_path, rendered(system), LOW, 31, held, OWNER)
    alert(tmp_path, rendered(system), LOW, 29, held)


@both
@pytest.mark.parametrize("case", ["busy", "used by no pod", "half of its GPUs busy", "after a pause"])
def test_low_utilisation_does_not_fire_for_busy_or_free_gpus(system: str, case: str, tmp_path: Path) -> None:
    """seed row S19: a utilization of 50 % is enough; the autoscaler handles a GPU that no pod uses."""
    busy = functools.partial(gpu, system, "GPU_UTIL")
    inputs = {
        "busy": [busy("50x60", "train-0")],
        "used by no pod": [busy("0x60")],
        "half of its GPUs busy": [busy("0x60", "train-0", gpu="0"), busy("100x60", "train-0", gpu="1")],
        # Ten minutes of checkpoint in an hour.
        "after a pause": [busy("95x25 0x9 95x25", "train-0")],
    }
    alert(tmp_path, rendered(system), LOW, 55, inputs[case])


@both
def test_low_utilisation_is_limited_to_the_configured_pools(system: str, tmp_path: Path) -> None:
    """seed row S19: model servers are idle between requests."""
    rules = rendered(system, watched_namespaces=("team-a", "team-b"))
    pods = [gpu(system, "GPU_UTIL", "20x60", "train-0"), gpu(system, "GPU_UTIL", "20x60", "llm", "serving", gpu="1")]
    alert(tmp_path, rules, LOW, 40, pods, OWNER)


@both
def test_configured_thresholds_are_used(system: str, tmp_path: Path) -> None:
    """seed row S19"""
    rules = rendered(system, gpu_utilization_percent=30, gpu_utilization_minutes=45)
    alert(tmp_path, rules, LOW, 46, [gpu(system, "GPU_UTIL", "20x60", "train-0")], OWNER)
    alert(tmp_path, rules, LOW, 44, [gpu(system, "GPU_UTIL", "20x60", "train-0")])
    alert(tmp_path, rules, LOW, 55, [gpu(system, "GPU_UTIL", "30x60", "train-0")])


@both
def test_a_busy_gpu_without_memory_traffic_fires(system: str, tmp_path: Path) -> None:
    """seed row S20: a collective operation that never ends counts as utilisation."""
    inputs = [gpu(system, "GPU_UTIL", "100x60", "train-0"), gpu(system, "MEM_COPY_UTIL", "1x60", "train-0")]
    alert(tmp_path, rendered(system), STUCK, 31, inputs, OWNER)
    alert(tmp_path, rendered(system), STUCK, 29, inputs)


@both
@pytest.mark.parametrize(("compute", "memory"), [("100", "5"), ("20", "1"), ("0", "0")])
def test_a_gpu_that_is_busy_or_idle_is_not_reported_as_stuck(
    system: str, compute: str, memory: str, tmp_path: Path
) -> None:
    """seed row S20"""
    inputs = [
        gpu(system, "GPU_UTIL", f"{compute}x60", "train-0"),
        gpu(system, "MEM_COPY_UTIL", f"{memory}x60", "train-0"),
    ]
    alert(tmp_path, rendered(system), STUCK, 55, inputs)


@both
def test_memory_bandwidth_and_utilisation_are_recorded_by_pod(system: str, tmp_path: Path) -> None:
    """seed row S20: one series per pod on both clouds; free GPUs are in none."""
    inputs = [
        series
        for field, mine, idle in (("GPU_UTIL", "80x30", "0x30"), ("MEM_COPY_UTIL", "40x30", "0x30"))
        for series in (
            gpu(system, field, mine, "train-0", gpu="0"),
            gpu(system, field, "60x30", "train-0", gpu="1"),
            gpu(system, field, idle, gpu="2"),
        )
    ]
    wanted = {"gpu_utilization_percent": 70, "gpu_memory_bandwidth_percent": 50}
    tests = [
        {
            "expr": f"namespace_pod:{name}:avg10m",
            "eval_time": "20m",
            "exp_samples": [
                {"labels": f'namespace_pod:{name}:avg10m{{namespace="team-a",pod="train-0"}}', "value": value}
            ],
        }
        for name, value in wanted.items()
    ]
    check(tmp_path, rendered(system), inputs, promql_expr_test=tests)


@both
def test_a_gpu_node_without_metrics_fires(system: str, tmp_path: Path) -> None:
    """Metrics that stop, and a node that never had any while another node has them."""
    there = gpu_node(system, "1x60")
    neighbour = [*gpu_node(system, "1x60", "gpu-node-22"), gpu(system, "GPU_TEMP", "40x60", node="gpu-node-22")]
    stopped = [*there, *neighbour, gpu(system, "GPU_TEMP", "40x10 stale")]
    alert(tmp_path, rendered(system), MISSING, 27, stopped, {"node": "gpu-node-1"})
    alert(tmp_path, rendered(system), MISSING, 20, stopped)
    alert(tmp_path, rendered(system), MISSING, 16, [*there, *neighbour], {"node": "gpu-node-1"})


@both
@pytest.mark.parametrize("case", ["metrics of a held GPU", "metrics of a free GPU", "no GPU nodes", "node is gone"])
def test_missing_metrics_do_not_fire_without_a_node(system: str, case: str, tmp_path: Path) -> None:
    """A pool without nodes has no metrics."""
    inputs = {
        "metrics of a held GPU": [*gpu_node(system, "1x60"), gpu(system, "GPU_TEMP", "40x60", "train-0")],
        "metrics of a free GPU": [*gpu_node(system, "1x60"), gpu(system, "GPU_TEMP", "40x60")],
        "no GPU nodes": cpu_node(system, "1x60"),
        "node is gone": [*gpu_node(system, "1x20 stale"), gpu(system, "GPU_TEMP", "40x20 stale")],
    }
    alert(tmp_path, rendered(system), MISSING, 50, inputs[case])


@pytest.mark.parametrize(
    "inputs",
    [
        # restartPolicy OnFailure or Always, then Never.
        [container(RESTARTS, "0x19 1x40"), container(LAST, "_x19 1x40", reason="OOMKilled")],
        [container(RESTARTS, "0x60"), container(ENDED, "_x19 1x40", reason="OOMKilled")],
    ],
)
def test_a_container_out_of_memory_fires_for_some_minutes(inputs: list[Series], tmp_path: Path) -> None:
    """seed row S21: restarted or not."""
    rules, who = rendered(PROMETHEUS_OPERATOR), {**OWNER, "container": "main"}
    alert(tmp_path, rules, OOM, 18, inputs)
    alert(tmp_path, rules, OOM, 22, inputs, who)
    alert(tmp_path, rules, OOM, 40, inputs)


@pytest.mark.parametrize(
    "inputs",
    [
        [container(RESTARTS, "0x19 1x40"), container(LAST, "_x19 1x40", reason="Error")],
        [container(RESTARTS, "0x60"), container(ENDED, "_x19 1x40", reason="Error")],
        # Long ago: the container has run since.
        [container(RESTARTS, "3x60"), container(LAST, "1x60", reason="OOMKilled")],
    ],
)
def test_other_terminations_of_containers_do_not_fire(inputs: list[Series], tmp_path: Path) -> None:
    """seed row S21"""
    alert(tmp_path, rendered(PROMETHEUS_OPERATOR), OOM, 22, inputs)


def test_a_container_that_is_killed_again_and_again_fires_all_the_time(tmp_path: Path) -> None:
    """seed row S21"""
    inputs = [container(RESTARTS, "0+1x60"), container(LAST, "1x60", reason="OOMKilled")]
    alert(tmp_path, rendered(PROMETHEUS_OPERATOR), OOM, 50, inputs, {**OWNER, "container": "main"})


def test_both_clouds_have_the_same_rules_except_those_with_a_reason() -> None:
    """A rule that one system lacks has a reason, and every alert is tested here."""
    names = {
        system: {
            rule.get("alert") or rule["record"]
            for g in yaml.safe_load(rendered(system))["groups"]
            for rule in g["rules"]
        }
        for system in SYSTEMS
    }
    limits = alert_rules.Limits(50, 30, 5, 30, 15, 10)
    excused = {rule.alert: rule for rule in alert_rules.container_rules(limits) if rule.only}
    assert names[PROMETHEUS_OPERATOR] - names[MANAGED_PROMETHEUS] == set(excused) == {OOM}
    assert names[MANAGED_PROMETHEUS] < names[PROMETHEUS_OPERATOR]
    assert all(len(rule.why) > 20 for rule in excused.values())
    assert {name for name in names[PROMETHEUS_OPERATOR] if ":" not in name} == set(SUMMARIES)
