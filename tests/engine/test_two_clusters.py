"""The example two-clusters: EKS clusters in two regions and a GKE cluster are created in one program, independent of
each other, and destroyed."""

from __future__ import annotations

import json

import pytest

from tests.engine.conftest import Project
from tests.engine.example import PythonProgram, assert_nothing_is_left

EKS = ("training", "serving")


@pytest.fixture(scope="module")
def example(project: Project) -> PythonProgram:
    made = PythonProgram(project, "examples/two-clusters")
    made.prepare()
    made.configure({"gcp:project": "my-project", "publicAccessCidrs": ["0.0.0.0/0"]})
    return made


@pytest.fixture(scope="module")
def kubeconfigs(example: PythonProgram) -> dict[str, str]:
    example.up()
    return example.outputs()["kubeconfigs"]


def test_all_clusters_come_up(example: PythonProgram, kubeconfigs: dict[str, str]) -> None:
    types = example.types()
    assert types.count("aws:eks/cluster:Cluster") == 2
    assert types.count("gcp:container/cluster:Cluster") == 1
    assert types.count("kubernetes:helm.sh/v3:Release") == 4


@pytest.mark.parametrize("name", [*EKS, "burst"])
def test_a_cluster_has_its_own_nodes(example: PythonProgram, kubeconfigs: dict[str, str], name: str) -> None:
    nodes = example.nodes(kubeconfigs[name], 1)
    assert {node["metadata"]["labels"]["gpuyard.dev/pool"] for node in nodes} == {f"{name}-cpu"}


@pytest.mark.parametrize("name", EKS)
def test_an_eks_cluster_has_its_own_add_ons(example: PythonProgram, kubeconfigs: dict[str, str], name: str) -> None:
    """The autoscaler manages only its own cluster."""
    found = json.loads(example.kubectl(kubeconfigs[name], "get", "deployments,daemonsets", "-A", "-o", "json"))["items"]
    assert {"cluster-autoscaler", "nvidia-device-plugin"} <= {
        each["metadata"]["labels"].get("app.kubernetes.io/instance") for each in found
    }


def test_alert_rules_are_in_the_gke_cluster(example: PythonProgram, kubeconfigs: dict[str, str]) -> None:
    rules = example.kubectl(kubeconfigs["burst"], "get", "clusterrules", "-o", "name")
    assert rules.split() == ["clusterrules.monitoring.googleapis.com/burst-alerts"]


def test_all_clusters_go(example: PythonProgram) -> None:
    example.destroy()
    assert_nothing_is_left(example.project)
