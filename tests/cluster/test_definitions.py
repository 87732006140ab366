"""The custom resource definitions of every chart that the library renders, on a real control plane: the API server
accepts them, refuses what would lose objects, and checks the workloads in the documentation with them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from components.charts import crds, installed
from components.charts.rendered import Object
from components.platforms import training_runtimes as runtimes
from sandbox.cluster import control_plane
from sandbox.cluster.api import Api, ApiError
from sandbox.cluster.compute_class import DEFINITIONS
from sandbox.cluster.control_plane import ControlPlane
from sandbox.paths import ROOT
from sandbox.plugins import manifest
from sandbox.plugins.kubernetes import KubernetesProvider
from sandbox.plugins.objects import Objects
from sandbox.tests.cluster.conftest import wait
from sandbox.tests.cluster.objects import eks_kubeconfig, urn
from tests.real_charts import RealCharts
from tests.real_installations import INSTALLATIONS

KEY = "eks-us-east-1-definition-tests"
LOGIN = {"args": ["eks", "get-token", "--cluster-name", "definition-tests"]}
PAGE = ROOT / "docs" / "platforms.md"
OF_THE_CLUSTER = {"CSINode", "CertificateSigningRequest", "IPAddress", "Node", "ServiceCIDR", "ResourceSlice"}
OF_THE_CLUSTER |= {"VolumeAttachment"}
"""Kinds without a namespace that the cluster itself makes; no chart does."""
EXAMPLES: dict[str, Object] = {
    f"{example['kind']} {example['metadata'].get('name', '')}".strip(): example
    for block in re.findall(r"^```yaml\n(apiVersion: .*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    for example in yaml.safe_load_all(block)
}
"""The objects of the page, by kind and name."""


@pytest.fixture(scope="module")
def plane(sandbox_home: str) -> Iterator[ControlPlane]:
    """A separate control plane: to delete this many kinds takes longer than to end it."""
    yield control_plane.start(KEY, "1.35", controller=False)
    control_plane.stop(KEY)


@pytest.fixture(scope="module")
def api(plane: ControlPlane) -> Api:
    return plane.api(timeout=180)  # a busy API server needs minutes for a large definition


@pytest.fixture
def namespace(api: Api) -> str:
    api.create("/api/v1/namespaces", {"metadata": {"name": "training"}})
    return "training"


@pytest.fixture(scope="module")
def definitions(api: Api, charts: RealCharts) -> dict[str, Object]:
    """Every definition of the charts that can be had, applied as the program's resources are."""
    objects = Objects(api)
    found = {each["metadata"]["name"]: applied(each) for each in every_definition(charts)}
    for each in found.values():
        objects.apply(each, crds.MANAGER, force=True)
    for name, each in found.items():
        wait(lambda: served(api, each["spec"]), name, 300)  # noqa: B023
    return found


def test_the_server_accepts_every_definition_without_its_descriptions(api: Api, definitions: dict[str, Object]) -> None:
    assert len(definitions) >= 10
    for name, wanted in definitions.items():
        served = {version["name"] for version in api.request("GET", f"{DEFINITIONS}/{name}")["spec"]["versions"]}
        assert served == {version["name"] for version in wanted["spec"]["versions"]}


def test_the_provider_takes_an_existing_definition_over(
    plane: ControlPlane, api: Api, charts: RealCharts, definitions: dict[str, Object]
) -> None:
    """From an earlier installation, or from Helm, with its objects: `create` of another kind of resource is refused."""
    name = "workloadpriorityclasses.kueue.x-k8s.io"
    Objects(api).apply({**definitions[name], "metadata": {"name": name, "labels": {"by": "helm"}}}, "helm", force=True)
    mine = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "WorkloadPriorityClass", "value": 1}
    Objects(api).apply({**mine, "metadata": {"name": "kept"}}, "tests")
    provider = KubernetesProvider()
    provider.configure({"kubeconfig": eks_kubeconfig(plane, login=LOGIN)})
    (crd,) = (each for each in every_definition(charts) if each["metadata"]["name"] == name)
    inputs, failures = provider.check(crds.TOKEN, urn(crds.TOKEN), {}, crds.inputs(crd), b"seed")
    assert not failures
    _, outputs = provider.create(crds.TOKEN, urn(crds.TOKEN), inputs, preview=False, timeout=60)
    managers = {each["manager"] for each in outputs["metadata"]["managedFields"] if "f:spec" in each["fieldsV1"]}
    assert crds.MANAGER in managers
    diff = provider.diff(crds.TOKEN, urn(crds.TOKEN), name, inputs, outputs, inputs)
    assert not diff.changes and not diff.replaces
    changed = {**inputs, "metadata": {**inputs["metadata"], "labels": {"app": "kueue"}}}
    updated = provider.update(crds.TOKEN, urn(crds.TOKEN), name, inputs, outputs, changed, False, 60)
    assert updated["metadata"]["labels"]["app"] == "kueue"
    assert api.get("/apis/kueue.x-k8s.io/v1beta2/workloadpriorityclasses/kept"), "its objects are still there"


def test_a_stored_version_cannot_disappear(api: Api, definitions: dict[str, Object]) -> None:
    """kueue#13957: the server itself refuses a definition without a version that objects may be stored in."""
    name = next(iter(definitions))
    wanted = definitions[name]
    stored = api.request("GET", f"{DEFINITIONS}/{name}")["status"]["storedVersions"]
    others = [{**version, "name": "v9"} for version in wanted["spec"]["versions"] if version["storage"]]
    with pytest.raises(ApiError, match=r"was previously a storage version, and must remain in spec\.versions") as error:
        Objects(api).apply({**wanted, "spec": {**wanted["spec"], "versions": others}}, crds.MANAGER, force=True)
    assert stored[0] in str(error.value)


def test_every_kind_of_kubernetes_without_a_namespace_is_known(api: Api) -> None:
    """Otherwise an object of a chart would get a namespace, which the server refuses."""
    groups = [each for each in api.request("GET", "/apis")["groups"] if ".x-k8s.io" not in each["name"]]
    own = [each["preferredVersion"]["groupVersion"] for each in groups if each["name"].endswith((".k8s.io", "apps"))]
    found = {
        each["kind"]
        for path in ("/api/v1", *(f"/apis/{version}" for version in own))
        for each in api.request("GET", path)["resources"]
        if not each["namespaced"] and {"create", "list"} <= {*each["verbs"]}
    }
    assert "Namespace" in found and "StorageClass" in found
    assert found - {*installed._CLUSTER_WIDE} == OF_THE_CLUSTER


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_workload_of_the_documentation_is_valid(
    api: Api, definitions: dict[str, Object], namespace: str, name: str
) -> None:
    """seed row S23. Fields that a definition does not have are refused."""
    example = EXAMPLES[name]
    group = example["apiVersion"].partition("/")[0]
    if not any(each.endswith(f".{group}") for each in definitions):
        pytest.skip(f"the chart with the kind of {name} cannot be had here")
    path = Objects(api).kind(example["apiVersion"], example["kind"]).path(namespace)
    api.request("POST", path, example, fieldValidation="Strict", dryRun="All")


def test_the_runtime_of_a_pool_is_valid(api: Api, definitions: dict[str, Object]) -> None:
    if "clustertrainingruntimes.trainer.kubeflow.org" not in definitions:
        pytest.skip("the chart of Kubeflow Trainer cannot be had here")
    pools: Any = {"gpu-workers": {"gpus": 8, "labels": {"gpuyard.dev/pool": "gpu-workers"}}}
    (runtime,) = runtimes.runtimes(pools, "pytorch/pytorch:1", {})
    path = Objects(api).kind(runtimes.API_VERSION, runtimes.KIND).path(None)
    api.request("POST", path, runtime, fieldValidation="Strict", dryRun="All")
    assert EXAMPLES["TrainJob train"]["spec"]["runtimeRef"]["name"] == runtime["metadata"]["name"]


def every_definition(charts: RealCharts) -> list[Object]:
    return [
        each
        for installation in INSTALLATIONS.values() if charts.has(installation.chart)
        for each in installed.objects(installation, {"charts": charts.source}) if each["kind"] == crds.KIND
    ]  # fmt: skip


def applied(crd: Object) -> Object:
    """A definition as the provider sends it."""
    return manifest.wire(crds.inputs(crd))


def served(api: Api, spec: dict[str, Any]) -> bool:
    """Whether the server has every version of a kind. It is asked for the names only: to send a large definition again
    and again keeps it busy."""
    paths = [f"/apis/{spec['group']}/{version['name']}" for version in spec["versions"] if version["served"]]
    found = [{each["name"] for each in (api.get(path) or {"resources": []})["resources"]} for path in paths]
    return all(spec["names"]["plural"] in names for names in found)
