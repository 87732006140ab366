"""The CronJob that restarts stalled jobs: its arguments, its permissions, its pod."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest

from components.charts import placement
from components.monitoring.stalled_jobs import StalledJobs
from components.monitoring.targets import READERS
from recording.recorder import run
from recording.recording import Recording
from tests.component.stage import aws_options


def stalled(**args: Any) -> Recording:
    given: Any = {"namespaces": ["training"], **args}
    return run(lambda: StalledJobs("stalled", given, aws_options()))


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"namespaces": []}, "namespaces = \\[\\]: has no namespace"),
        ({"namespaces": ["a", "a"]}, r"namespaces\[1\] = 'a': named twice"),
        ({"namespaces": ["A!"]}, r"namespaces\[0\] = 'A!': not a valid Kubernetes namespace"),
        ({"every_minutes": 61}, "every_minutes = 61: outside the range(.|\n)*write 60"),
        ({"most_nodes": 0}, "most_nodes = 0: outside the range(.|\n)*write 1"),
        ({"prometheus": "prometheus:9090"}, "prometheus = .*http://HOST:PORT|prometheus = 'prometheus:9090'"),
        ({"prometheus": "http://user:word@host"}, "prometheus = "),
        ({"pools": {"gpu": {"gpus": 1}}}, "every pool has GPUs"),
        ({"pools": {"cpu": {"gpus": -1}}}, r"pools\.cpu\.gpus = -1: must not be negative"),
    ],
)
def test_a_wrong_argument_is_one_clear_error(args: dict[str, Any], words: str) -> None:
    with pytest.raises(pulumi.RunError, match=words):
        stalled(**args)


def test_it_may_change_nodes_only_if_it_taints_them() -> None:
    assert [each.inputs["rules"][0]["resources"] for each in stalled().all("ClusterRole")] == [["nodes"]]
    assert stalled(taint=False).all("ClusterRole") == []


def test_it_may_evict_only_in_the_namespaces_and_read_no_secrets() -> None:
    roles = stalled(namespaces=["a", "b"]).all("Role")
    assert [each.inputs["metadata"]["namespace"] for each in roles] == ["a", "b"]
    assert {tuple(rule["resources"]) for each in roles for rule in each.inputs["rules"]} == {
        ("pods",),
        ("pods/eviction",),
    }


def test_it_may_query_prometheus_and_runs_without_privileges() -> None:
    made = stalled(images={"registry": "registry.example.com"})
    labels = made.one("Namespace").inputs["metadata"]["labels"]
    assert READERS.items() <= labels.items() and labels["pod-security.kubernetes.io/enforce"] == "restricted"
    pod = made.one("CronJob").inputs["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"].startswith("registry.example.com/docker.io/library/python:")
    assert container["securityContext"]["readOnlyRootFilesystem"] and pod["securityContext"]["runAsNonRoot"]


def test_it_is_placed_like_the_pods_of_charts() -> None:
    """Never on a node with GPUs; on nodes with taints if there are no others."""
    taint = {"key": "dedicated", "value": "system", "effect": "NoSchedule"}
    gpus = {"gpus": 8, "taints": [{"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}]}
    for pools, tolerated in (
        ({"system": {"taints": [taint]}, "h100": gpus}, [{"key": "dedicated", "operator": "Exists"}]),
        ({"system": {"taints": [taint]}, "cpu": {}, "h100": gpus}, []),
        ({}, []),
    ):
        cron = stalled(pools=pools).one("CronJob").inputs
        chart = {"kind": "CronJob", "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": []}}}}}}
        expected = placement.pod_of(
            placement.placed(chart, {name: {"gpus": 0, **pool} for name, pool in pools.items()}, {})
        )
        pod = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert expected and pod["affinity"] == expected["spec"]["affinity"]
        assert pod.get("tolerations", []) == expected["spec"].get("tolerations", [])
        assert [{"key": each["key"], "operator": each["operator"]} for each in pod.get("tolerations", [])] == tolerated
