"""The example existing-gke, on a cluster that another program created: it is created and destroyed, and the cluster
remains."""

from __future__ import annotations

import json

import pytest

from tests.engine.conftest import Project
from tests.engine.example import PythonProgram, assert_nothing_is_left

FACTS = ("clusterName", "location", "zones", "kubernetesVersion", "nodeServiceAccount", "kubeconfig")
CLASS = {"key": "cloud.google.com/compute-class", "operator": "Exists"}


@pytest.fixture(scope="module")
def cluster(project: Project) -> PythonProgram:
    made = PythonProgram(project, "tests/engine/clusters/gke")
    made.prepare()
    made.pulumi("up", "--yes", "--skip-preview")
    return made


@pytest.fixture(scope="module")
def example(project: Project, cluster: PythonProgram) -> PythonProgram:
    made = PythonProgram(project, "examples/existing-gke")
    made.prepare()
    facts = cluster.outputs()
    made.configure({"gcp:project": facts["project"], **{name: facts[name] for name in FACTS}})
    return made


def test_a_resource_without_a_provider_is_refused(example: PythonProgram) -> None:
    """The engine refuses it, because Pulumi.yaml disables default providers, as in all examples in Python."""
    program = example.folder / "__main__.py"
    text = program.read_text()
    assert text.count("providers=[cluster]") == 1
    program.write_text(text.replace("providers=[cluster]", ""))
    printed = example.pulumi("preview", code=None)
    program.write_text(text)
    assert "Default provider for 'kubernetes' disabled" in printed


def test_a_pool_comes_up_on_the_cluster(example: PythonProgram) -> None:
    example.up()
    types = example.types()
    assert types.count("gcp:container/nodePool:NodePool") == 2, "a spot and an on-demand pool"
    assert types.count("kubernetes:cloud.google.com/v1:ComputeClass") == 1
    assert "gcp:container/cluster:Cluster" not in types


def test_the_pool_is_scaled_from_zero(example: PythonProgram, cluster: PythonProgram) -> None:
    labels = example.node_of_a_gpu_pod(cluster.outputs()["kubeconfig"], {"workload": "gpu-training"}, CLASS)
    assert (labels["gpuyard.dev/pool"], labels["gpuyard.dev/capacity"]) == ("gpu-workers", "spot")


def test_a_team_has_a_namespace_on_the_cluster(example: PythonProgram, cluster: PythonProgram) -> None:
    """seed row S22: on a cluster that gpuyard did not create."""
    kubeconfig, namespace = cluster.outputs()["kubeconfig"], example.outputs()["teamNamespace"]
    found = json.loads(example.kubectl(kubeconfig, "get", "resourcequota,networkpolicy", "-n", namespace, "-o", "json"))
    specs = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in found["items"]}
    assert specs["ResourceQuota", "team"]["hard"]["requests.nvidia.com/gpu"] == "4"
    assert set(specs["NetworkPolicy", "team"]["policyTypes"]) == {"Ingress", "Egress"}


def test_the_pool_goes_and_the_cluster_stays(example: PythonProgram, cluster: PythonProgram) -> None:
    example.destroy()
    nodes = cluster.nodes(cluster.outputs()["kubeconfig"], 1)
    assert [node["metadata"]["labels"]["cloud.google.com/gke-nodepool"] for node in nodes] == ["default-pool"]
    cluster.destroy()
    assert_nothing_is_left(cluster.project)
