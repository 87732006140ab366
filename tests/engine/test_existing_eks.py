"""The examples existing-eks and addons-by-reference, the second on the first, on a cluster that another program has
made: they come up and go, and the cluster stays."""

from __future__ import annotations

import json

import pytest

from tests.engine.conftest import Project
from tests.engine.example import PythonProgram, assert_nothing_is_left

FACTS = ("clusterName", "kubernetesVersion", "nodeRoleArn", "subnetIds", "kubeconfig")
RELEASE = "kubernetes:helm.sh/v3:Release"


@pytest.fixture(scope="module")
def cluster(project: Project) -> PythonProgram:
    made = PythonProgram(project, "tests/engine/clusters/eks")
    made.prepare()
    made.pulumi("up", "--yes", "--skip-preview")
    return made


@pytest.fixture(scope="module")
def example(project: Project, cluster: PythonProgram) -> PythonProgram:
    made = PythonProgram(project, "examples/existing-eks")
    made.prepare()
    facts = cluster.outputs()
    made.configure({"aws:region": facts["region"], **{name: facts[name] for name in FACTS}})
    return made


def test_a_pool_comes_up_on_the_cluster(example: PythonProgram) -> None:
    """seed row S26"""
    example.up()
    types = example.types()
    assert types.count("aws:eks/nodeGroup:NodeGroup") == 2, "a spot and an on-demand group in one zone"
    assert types.count(RELEASE) == 2
    assert "aws:eks/cluster:Cluster" not in types


def test_the_pool_is_scaled_from_zero(example: PythonProgram) -> None:
    """By the autoscaler of the example, on nodes that have GPUs by its device plugin."""
    labels = example.node_of_a_gpu_pod(example.outputs()["kubeconfig"], {"workload": "gpu-training"})
    assert (labels["gpuyard.dev/pool"], labels["gpuyard.dev/capacity"]) == ("gpu-workers", "spot")


def test_a_team_has_a_namespace_on_the_cluster(example: PythonProgram) -> None:
    """seed row S22: on a cluster that gpuyard did not create."""
    kubeconfig, namespace = example.outputs()["kubeconfig"], example.outputs()["teamNamespace"]
    found = json.loads(example.kubectl(kubeconfig, "get", "resourcequota,networkpolicy", "-n", namespace, "-o", "json"))
    specs = {(each["kind"], each["metadata"]["name"]): each["spec"] for each in found["items"]}
    assert specs["ResourceQuota", "team"]["hard"]["requests.nvidia.com/gpu"] == "4"
    assert set(specs["NetworkPolicy", "team"]["policyTypes"]) == {"Ingress", "Egress"}


@pytest.fixture(scope="module")
def addons(project: Project, example: PythonProgram) -> PythonProgram:
    made = PythonProgram(project, "examples/addons-by-reference")
    made.prepare()
    return made


def test_a_stack_without_the_outputs_is_refused(addons: PythonProgram) -> None:
    addons.configure({"clusterStack": "organization/existing-eks-cluster/dev"})
    printed = addons.pulumi("preview", code=None)
    assert "organization/existing-eks-cluster/dev has no output nodePoolSpecs, or it is secret" in printed
    assert "Traceback" not in printed


def test_another_stack_adds_addons_and_removes_them(addons: PythonProgram, example: PythonProgram) -> None:
    """seed row S26: by the outputs of the first. Its kubeconfig stays secret."""
    addons.configure({"clusterStack": "organization/gpuyard-existing-eks/dev"})
    preview = addons.pulumi("preview")
    assert "dcgm-exporter-release" in preview, "outputs of the other stack are known at preview"
    addons.up()
    types = addons.types()
    assert (types.count(RELEASE), types.count("aws:eks/addon:Addon")) == (1, 1)
    kubeconfig = example.outputs()["kubeconfig"]
    found = json.loads(example.kubectl(kubeconfig, "get", "daemonset", "-A", "-o", "json"))["items"]
    assert "dcgm-exporter" in [each["metadata"]["namespace"] for each in found]
    (provider,) = [each for each in addons.state() if each["type"] == "pulumi:providers:kubernetes"]
    assert "ciphertext" in provider["inputs"]["kubeconfig"]
    addons.destroy()


def test_the_pool_goes_and_the_cluster_stays(example: PythonProgram, cluster: PythonProgram) -> None:
    example.destroy()
    nodes = cluster.nodes(cluster.outputs()["kubeconfig"], 1)
    assert [node["metadata"]["labels"]["eks.amazonaws.com/nodegroup"][:6] for node in nodes] == ["system"]
    cluster.destroy()
    assert_nothing_is_left(cluster.project)
