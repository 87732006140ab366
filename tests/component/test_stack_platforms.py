"""Platforms in a stack's file, on both clouds: off by default, wired after the pools and before the cleanup."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
import yaml

from components import versions
from components.charts import rendered
from components.charts.rendered import Object, Request
from recording import charts
from recording.recording import Recording
from recording.stacks import record, recorded, settings
from stack import platforms
from stack.platforms import PLATFORMS
from tests.deployed import changed

CLOUDS = ["dev", "dev-gke"]
EVERY = {"jobSet", "leaderWorkerSet", "keda", "kubeflowTrainer", "argoWorkflows", "certManager", "kserve"}
both = pytest.mark.parametrize("stack", CLOUDS)


def of(stack: str, **given: Any) -> Recording:
    """The stack with these platforms and other keys."""
    chosen = {key: value for key, value in given.items() if key in EVERY}
    further = {f"gpuyard:{key}": value for key, value in given.items() if key not in EVERY}
    return record({**settings(stack), "gpuyard:platforms": chosen, **further}, stack)


@both
def test_no_platform_is_installed_by_default(stack: str) -> None:
    assert not [each for each in recorded(stack).resources.values() if "CustomResourceDefinition" in each.type]


@both
def test_every_platform_works_on_either_cloud(stack: str) -> None:
    """seed row S23"""
    assert {platforms._camel(row.key) for row in PLATFORMS} == EVERY
    found = of(stack, **dict.fromkeys(EVERY, True))
    assert not found.orphans() and not found.without_provider()
    for row in PLATFORMS:
        assert found.one(f"gpuyard:index:{row.component.__name__}", row.name)
    assert found.one("kubernetes:trainer.kubeflow.org/v1alpha1:ClusterTrainingRuntime")
    cleanup = found.one("gpuyard:index:ClusterCleanup")
    contents = found.children(cleanup)[0]
    for deployment in found.all("Deployment"):
        assert found.must_outlive(deployment, contents), "controllers remove the finalizers of what is deleted"
        pools = [each for each in found.all("gpuyard:index:EksNodePool") + found.all("gpuyard:index:GkeNodePool")]
        cpu = next(pool for pool in pools if pool.name == "cpu-workers")
        assert found.must_outlive(cpu, deployment), "they need nodes until they are deleted"


@both
def test_a_platform_installs_what_it_builds_on_once(stack: str) -> None:
    found = of(stack, kubeflowTrainer=True, jobSet=True, kserve=True)
    deployments = {each.name.partition("-deployment-")[0]: each for each in found.all("Deployment")}
    assert found.must_outlive(deployments["job-set"], deployments["kubeflow-trainer"])
    assert found.must_outlive(deployments["cert-manager"], deployments["kserve"])
    assert not found.must_outlive(deployments["job-set"], deployments["kserve"]), "others are installed meanwhile"


def test_kueue_learns_the_kinds_of_the_platforms() -> None:
    chosen = platforms.of({"kubeflow_trainer": True, "keda": True})
    assert [row.integration for row in chosen] == ["jobset.x-k8s.io/jobset", "", "trainer.kubeflow.org/trainjob"]


def test_kueue_manages_them_once_both_are_in_the_file() -> None:
    """seed row S22"""
    requests: list[Request] = []

    def renderer(request: Request) -> list[Object]:
        requests.append(request)
        return charts.objects(request)

    with rendered.using(renderer):
        of("dev", jobSet=True, teams={"training": {}})
    (kueue,) = (request for request in requests if request.chart == versions.KUEUE)
    given = yaml.safe_load(kueue.values["managerConfig"]["controllerManagerConfigYaml"])
    assert given["integrations"]["frameworks"] == [
        "batch/job", "pod", "deployment", "statefulset", "jobset.x-k8s.io/jobset"
    ]  # fmt: skip


@both
def test_kinds_follow_the_protection_of_the_stack(stack: str) -> None:
    protected = of(stack, keda=True, deletionProtection=True).one("CustomResourceDefinitionPatch")
    free = of(stack, keda=True, deletionProtection=False).one("CustomResourceDefinitionPatch")
    assert protected.options["protect"] and not free.options.get("protect")
    assert free.options["retainOnDelete"]


def test_charts_and_images_have_an_effect_on_gke_with_a_platform() -> None:
    found = of("dev-gke", keda=True, images={"registry": "reg.example.com"})
    image = found.one("Deployment").inputs["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == "reg.example.com/ghcr.io/kedacore/keda:2.20.2"
    with pytest.raises(pulumi.RunError, match=r"gpuyard:charts\.mirror = 'no-such-folder': no such folder"):
        of("dev-gke", keda=True, charts={"mirror": "no-such-folder"})
    with pytest.raises(pulumi.RunError, match=r"gpuyard:images\.registry = 'quay.io': a public registry"):
        of("dev-gke", keda=True, images={"registry": "quay.io"})


def test_a_private_network_on_gke_needs_a_registry_for_platforms() -> None:
    network = {**settings("dev-gke")["gpuyard:network"], "nat": "none"}
    with pytest.raises(pulumi.RunError, match=r"missing: without NAT, nodes cannot reach ghcr\.io"):
        of("dev-gke", keda=True, network=network)


def test_a_protected_platform_is_not_removed_silently() -> None:
    """Without its controllers, objects with a finalizer can never be deleted."""
    error = r"gpuyard:platforms\.keda = None: it is no longer in the file"
    with pytest.raises(pulumi.RunError, match=error):
        changed(of("dev", keda=True, deletionProtection=True), settings("dev"), "dev")
    assert changed(of("dev", keda=True, deletionProtection=False), settings("dev"), "dev")
